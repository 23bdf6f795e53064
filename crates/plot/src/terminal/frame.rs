//! Axes around a picture: ticks of y at its left, the range of x below it.

use super::{
    scale::Scale,
    text::{labels, width, wrapped},
};

/// Rows of the smallest picture: one for each tick.
const FEWEST_ROWS: usize = 3;

/// The axes of a picture whose width is known and whose height is still open.
#[derive(Debug)]
pub(super) struct Frame {
    /// At the top, in the middle and at the bottom.
    ticks: [String; 3],
    gutter: usize,
    columns: usize,
    below: Vec<String>,
}

impl Frame {
    /// `columns` is the width of the whole.
    pub(super) fn new(x: &Scale, y: &Scale, columns: usize) -> Self {
        let ticks = if y.is_flat() {
            [String::new(), labels(&[y.low], columns / 2).remove(0), String::new()]
        } else {
            let mut ticks = labels(&[y.high, y.value(0.5), y.low], columns / 2 - 2).into_iter();
            std::array::from_fn(|_| ticks.next().unwrap_or_default())
        };
        let gutter = ticks.iter().map(|tick| width(tick)).max().unwrap_or(0) + 2;
        let inner = columns - gutter;
        Self { ticks, gutter, columns: inner, below: below(x, gutter, inner) }
    }

    /// Characters a row of the picture.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of the picture where `rows` are left for it and its axes: an odd number, so that one is the middle.
    pub(super) fn rows(&self, rows: usize) -> usize {
        (rows.saturating_sub(1 + self.below.len()).max(FEWEST_ROWS) - 1) | 1
    }

    /// The lines of the picture with its axes.
    pub(super) fn around(&self, picture: Vec<String>) -> Vec<String> {
        let (middle, last) = (picture.len() / 2, picture.len() - 1);
        let beside = |(row, line): (usize, String)| {
            let tick = match row {
                0 => &self.ticks[0],
                row if row == middle => &self.ticks[1],
                row if row == last => &self.ticks[2],
                _ => "",
            };
            let edge = if tick.is_empty() { '│' } else { '┤' };
            format!("{tick:>width$} {edge}{line}", width = self.gutter - 2)
        };
        let mut lines: Vec<String> = picture.into_iter().enumerate().map(beside).collect();
        lines.push(format!("{:width$}└{}", "", "─".repeat(self.columns), width = self.gutter - 1));
        lines.extend(self.below.iter().cloned());
        lines
    }
}

/// The range of x under the picture, or over the whole width where the picture is too narrow for it.
fn below(x: &Scale, gutter: usize, columns: usize) -> Vec<String> {
    let margin = " ".repeat(gutter);
    let whole = gutter + columns;
    if x.is_flat() {
        let label = labels(&[x.low], columns).remove(0);
        if label.len() <= columns {
            return vec![format!("{margin}{label:^columns$}")];
        }
        return wrapped(&["x".to_owned(), label], whole, 2);
    }
    let ends = labels(&[x.low, x.high], whole / 2);
    match &ends[..] {
        [low, high] if low.len() + 1 + high.len() <= columns => {
            vec![format!("{margin}{low}{high:>rest$}", rest = columns - low.len())]
        }
        [low, high] => wrapped(&["x".to_owned(), low.clone(), "to".to_owned(), high.clone()], whole, 2),
        _ => Vec::new(),
    }
}
