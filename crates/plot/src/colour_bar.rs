//! The bar beside a field that says which colour is which value.

use crate::axis::Scale;
use crate::colour::ColourMap;
use crate::drawing::{Across, Along, Drawing, Rect, Setting, Stroke};
use crate::levels::Levels;
use crate::ruler::{Ruler, Way};
use crate::style::{HAIR, INK, LABEL, TICK, TICK_MARK};
use crate::{Rgb, text};

/// Colours of values: in bands between levels, or without steps.
#[derive(Debug, Clone)]
pub(crate) enum Colouring {
    Bands { levels: Levels, map: ColourMap },
    Smooth { scale: Scale, range: [f64; 2], map: ColourMap },
}

/// What lies above the last level: apart from every colour of every map.
pub(crate) const BEYOND: Rgb = Rgb(0xf1, 0xf1, 0xf1);

const WIDTH: f64 = 14.0;
const GAP: f64 = 12.0;
const CAP: f64 = 16.0;

impl Colouring {
    /// The colour of a band, counted from the lowest; the one after the last is that of values beyond.
    pub(crate) fn band(levels: &Levels, map: ColourMap, k: usize) -> Rgb {
        let bands = levels.edges().len() - 1;
        if k >= bands {
            return BEYOND;
        }
        map.at((k as f64 + 0.5) / bands as f64)
    }

    /// The colour of a value.
    pub(crate) fn of(&self, v: f64) -> Rgb {
        match self {
            Self::Bands { levels, map } => {
                let above = levels.edges().iter().filter(|edge| v >= **edge).count().max(1);
                // The highest value may be the last edge itself.
                let last = levels.edges().len() - 1;
                let k = if above > last && !levels.is_capped() { last - 1 } else { above - 1 };
                Self::band(levels, *map, k)
            }
            Self::Smooth { scale, range, map } => {
                let [low, high, v] = [range[0], range[1], v].map(|v| scale.length(v));
                map.at((v - low) / (high - low))
            }
        }
    }

    fn numbers(&self, height: f64) -> Vec<(f64, String)> {
        match self {
            Self::Bands { levels, .. } => {
                let last = levels.edges().len() - 1;
                let row = 1.35 * TICK;
                let most = (height / row).floor().max(2.0) as usize;
                // The same step everywhere, from the lowest edge on.
                let every = (1..=last).find(|every| last / every < most.min(9)).unwrap_or(last).max(1);
                (0..=last)
                    .filter(|i| i % every == 0)
                    .map(|i| (i as f64 / last as f64, levels.label(i)))
                    .collect()
            }
            Self::Smooth { scale, range, .. } => {
                let ruler = Ruler::new(*scale, *range, height, Way::Up);
                let factor = ruler.factor.clone().unwrap_or_default();
                ruler
                    .ticks
                    .iter()
                    .map(|(v, label)| (ruler.fraction(*v), format!("{label}{factor}")))
                    .collect()
            }
        }
    }

    fn cap(&self) -> Option<String> {
        match self {
            Self::Bands { levels, .. } if levels.is_capped() => {
                Some(format!("> {}", levels.label(levels.edges().len() - 1)))
            }
            _ => None,
        }
    }

    /// The room that the bar needs on the right of its plot.
    pub(crate) fn room(&self, height: f64) -> f64 {
        let numbers = self.numbers(height).into_iter().map(|(_, label)| label).chain(self.cap());
        let widest = numbers.map(|label| text::width(&label, TICK)).fold(0.0, f64::max);
        GAP + WIDTH + 2.0 * TICK_MARK + widest + 8.0 + LABEL
    }

    /// Draws the bar to the right of a plot.
    pub(crate) fn draw(&self, drawing: &mut Drawing, plot: Rect, label: &str) {
        let cap = self.cap();
        let lifted = if cap.is_some() { CAP } else { 0.0 };
        let bar = Rect { x: plot.right() + GAP, y: plot.y + lifted, w: WIDTH, h: plot.h - lifted };
        let slices = match self {
            Self::Bands { levels, .. } => levels.edges().len() - 1,
            Self::Smooth { .. } => 128,
        };
        let slice = bar.h / slices as f64;
        for k in 0..slices {
            let colour = match self {
                Self::Bands { levels, map } => Self::band(levels, *map, k),
                Self::Smooth { map, .. } => map.at((k as f64 + 0.5) / slices as f64),
            };
            // From here to the top, so that no seam shows between two slices.
            let h = bar.h - k as f64 * slice;
            drawing.rect(Rect { h, ..bar }, colour, 1.0);
        }
        let mut widest: f64 = 0.0;
        let mut number = |drawing: &mut Drawing, y: f64, label: &str| {
            let setting = Setting::new(TICK, Along::Start, Across::Middle);
            drawing.text(label, [bar.right() + 2.0 * TICK_MARK, y], setting);
            widest = widest.max(text::width(label, TICK));
        };
        for (at, label) in self.numbers(bar.h) {
            let y = bar.bottom() - at * bar.h;
            // The number of the last level would stand beside "> max", which says the same.
            if cap.is_some() && at > 1.0 - 1e-9 {
                continue;
            }
            drawing.path(&[[bar.right(), y], [bar.right() + TICK_MARK, y]], false, Stroke::solid(INK, HAIR));
            number(drawing, y, &label);
        }
        if let Some(cap) = cap {
            let block = Rect { y: plot.y, h: CAP, ..bar };
            drawing.rect(block, BEYOND, 1.0);
            drawing.outline(block, Stroke::solid(INK, HAIR));
            number(drawing, plot.y + CAP / 2.0, &cap);
        }
        drawing.outline(bar, Stroke::solid(INK, HAIR));
        let setting = Setting { angle: 90.0, ..Setting::new(LABEL, Along::Middle, Across::Bottom) };
        let x = bar.right() + 2.0 * TICK_MARK + widest + 7.0;
        drawing.text(&text::fit(label, LABEL, plot.h), [x, plot.y + plot.h / 2.0], setting);
    }
}
