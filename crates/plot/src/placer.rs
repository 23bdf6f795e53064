//! Finds places for labels that cover neither data nor other text.

use crate::boxes::TextBox;
use crate::drawing::{Drawing, Rect, Setting};

/// What is already in a plot.
#[derive(Debug)]
pub(crate) struct Placer {
    frame: Rect,
    texts: Vec<TextBox>,
    /// Segments of curves that are best left visible.
    segments: Vec<[[f64; 2]; 2]>,
}

impl Placer {
    pub(crate) fn new(frame: Rect) -> Self {
        Self { frame, texts: vec![], segments: vec![] }
    }

    /// A curve that labels should not cover.
    pub(crate) fn curve(&mut self, points: &[[f64; 2]]) {
        self.segments.extend(points.windows(2).map(|w| [w[0], w[1]]));
        if let [lone] = points {
            self.segments.push([[lone[0] - 2.0, lone[1]], [lone[0] + 2.0, lone[1]]]);
        }
    }

    /// A box that labels must not cover.
    pub(crate) fn take(&mut self, covered: TextBox) {
        self.texts.push(covered);
    }

    /// How many curves a box would cover, if it fits into the frame without touching other text.
    pub(crate) fn cost(&self, b: &TextBox) -> Option<usize> {
        let roomy = b.grown(2.0);
        if !b.corners().iter().all(|c| self.frame.contains(*c)) || self.texts.iter().any(|t| t.meets(&roomy))
        {
            return None;
        }
        Some(self.segments.iter().filter(|[p, q]| roomy.cut_by(*p, *q)).count())
    }

    /// Sets a label at the first of the places where it covers least; says whether there was one.
    pub(crate) fn label(
        &mut self,
        drawing: &mut Drawing,
        content: &str,
        places: &[([f64; 2], Setting)],
    ) -> bool {
        let costs = places.iter().filter_map(|(at, setting)| {
            let b = setting.covers(content, *at);
            self.cost(&b).map(|cost| (cost, b, *at, *setting))
        });
        let Some((_, b, at, setting)) = costs.min_by_key(|(cost, ..)| *cost) else { return false };
        drawing.text(content, at, setting);
        self.take(b);
        true
    }
}
