//! The legend of a plot of lines: a block of swatches and names.

use crate::boxes::TextBox;
use crate::drawing::{Across, Along, Drawing, Rect, Setting, Stroke};
use crate::placer::Placer;
use crate::style::{NOTE, WHITE};
use crate::{Rgb, text};

/// How an entry's swatch looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Swatch {
    Line(Stroke),
    Dot(Rgb),
    Block(Rgb, f64),
}

/// A legend, laid out in columns.
#[derive(Debug)]
pub(crate) struct Legend {
    entries: Vec<(Swatch, String)>,
    columns: usize,
    column: f64,
}

const ROW: f64 = 1.45 * NOTE;
const SWATCH: f64 = 18.0;
const PAD: f64 = 5.0;

impl Legend {
    /// As many columns as keep the block low, within `room`.
    pub(crate) fn new(entries: Vec<(Swatch, String)>, room: f64) -> Self {
        let longest = entries.iter().map(|(_, name)| text::width(name, NOTE)).fold(0.0, f64::max);
        let column = (SWATCH + 5.0 + longest + 10.0).min((room - 2.0 * PAD).max(40.0));
        let fitting = ((room - 2.0 * PAD) / column).floor().max(1.0) as usize;
        let columns = if entries.len() <= 4 { 1 } else { entries.len().div_ceil(4).min(fitting) };
        Self { entries, columns, column }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn size(&self) -> [f64; 2] {
        let rows = self.entries.len().div_ceil(self.columns);
        [self.columns as f64 * self.column - 10.0 + 2.0 * PAD, rows as f64 * ROW + 2.0 * PAD]
    }

    /// The place in a frame where it covers least: corners before sides. Whether it covers no curve there, too.
    pub(crate) fn place(&self, frame: Rect, placer: &Placer) -> Option<(Rect, bool)> {
        let [w, h] = self.size();
        let (left, right) = (frame.x + 5.0, frame.right() - w - 5.0);
        let (top, bottom) = (frame.y + 4.0, frame.bottom() - h - 5.0);
        let (middle, centre) = (f64::midpoint(top, bottom), f64::midpoint(left, right));
        let places = [
            (right, top),
            (left, top),
            (right, bottom),
            (left, bottom),
            (centre, top),
            (centre, bottom),
            (right, middle),
            (left, middle),
        ];
        places
            .into_iter()
            .filter_map(|(x, y)| {
                let cost = placer.cost(&TextBox::upright(x, y, x + w, y + h))?;
                Some((cost, Rect { x, y, w, h }))
            })
            .min_by_key(|(cost, _)| *cost)
            .map(|(cost, at)| (at, cost == 0))
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, at: Rect) {
        drawing.rect(at, WHITE, 0.85);
        let rows = self.entries.len().div_ceil(self.columns);
        for (i, (swatch, name)) in self.entries.iter().enumerate() {
            let x = at.x + PAD + (i / rows) as f64 * self.column;
            let y = at.y + PAD + ((i % rows) as f64 + 0.5) * ROW;
            match *swatch {
                Swatch::Line(stroke) => drawing.path(&[[x, y], [x + SWATCH, y]], false, stroke),
                Swatch::Dot(colour) => drawing.circle([x + SWATCH / 2.0, y], 3.0, colour, None),
                Swatch::Block(colour, opacity) => {
                    drawing.rect(Rect { x, y: y - 4.0, w: SWATCH, h: 8.0 }, colour, opacity);
                }
            }
            let name = text::fit(name, NOTE, self.column - SWATCH - 5.0 - 10.0 + 1e-6);
            drawing.text(&name, [x + SWATCH + 5.0, y], Setting::new(NOTE, Along::Start, Across::Middle));
        }
    }
}
