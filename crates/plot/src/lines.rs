//! Curves over a common x axis: bands, reference lines, events, a second axis.

use serde::{Deserialize, Serialize};

use crate::Rgb;
use crate::axis::{Axis, Scale};
use crate::frame::{Extent, Margins, Plan};
use crate::style::{NOTE, SERIES};
use crate::text;

mod draw;
mod labels;

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Joined by a line.
    #[default]
    Solid,
    /// Joined by a dashed line.
    Dashed,
    /// Joined by a dotted line.
    Dotted,
    /// A dot for each.
    Dots,
    /// A line from the bottom of the plot up to each, with a dot on it.
    Stems,
    /// Joined by a line, with the area below it filled.
    Area,
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Series {
    /// The name in the legend; none if empty.
    pub name: String,
    /// Where the points lie.
    pub x: Vec<f64>,
    /// Their heights: NaN interrupts the curve.
    pub y: Vec<f64>,
    /// A band around the curve: its lower and its upper edge at every point.
    pub band: Option<[Vec<f64>; 2]>,
    /// How points are drawn.
    pub mark: Mark,
    /// A place in the palette; the next one free if absent.
    pub colour: Option<usize>,
    /// Whether y belongs to the axis on the right.
    pub right: bool,
}

impl Series {
    /// A solid curve.
    pub fn new(name: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        Self { name: name.into(), x, y, ..Self::default() }
    }

    /// The same with other marks.
    #[must_use]
    pub fn marked(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    /// The same with a band.
    #[must_use]
    pub fn banded(self, low: Vec<f64>, high: Vec<f64>) -> Self {
        Self { band: Some([low, high]), ..self }
    }

    /// The same in a given colour of the palette.
    #[must_use]
    pub fn coloured(self, colour: usize) -> Self {
        Self { colour: Some(colour), ..self }
    }

    /// The same on the right axis.
    #[must_use]
    pub fn on_the_right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// A straight line at a number that matters, such as 2/eta.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Its height, or its place along x where `upright`.
    pub at: f64,
    /// What it is.
    pub label: String,
    /// Whether the line stands at an x instead of lying at a y.
    pub upright: bool,
}

impl Reference {
    /// A line at a height.
    pub fn level(at: f64, label: impl Into<String>) -> Self {
        Self { at, label: label.into(), upright: false }
    }

    /// A line at an x: an event, such as a drop of the learning rate.
    pub fn event(at: f64, label: impl Into<String>) -> Self {
        Self { at, label: label.into(), upright: true }
    }
}

/// A remark at a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The point.
    pub at: [f64; 2],
    /// What to say.
    pub text: String,
}

/// Where series' names stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// In a legend inside the plot, where it covers no data.
    #[default]
    Legend,
    /// At the right end of each curve.
    Direct,
}

/// A panel of curves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lines {
    /// What the panel shows.
    pub title: String,
    /// The common axis.
    pub x: Axis,
    /// The axis on the left.
    pub y: Axis,
    /// The axis on the right, for series that say so.
    pub right: Option<Axis>,
    /// The curves.
    pub series: Vec<Series>,
    /// Straight lines.
    pub references: Vec<Reference>,
    /// Remarks.
    pub notes: Vec<Note>,
    /// Where names stand.
    pub names: Names,
}

impl Lines {
    /// An empty panel.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, ..Self::default() }
    }

    /// The same panel with one more curve.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The same panel with one more straight line.
    #[must_use]
    pub fn with_reference(mut self, reference: Reference) -> Self {
        self.references.push(reference);
        self
    }

    /// The same panel with a second axis.
    #[must_use]
    pub fn with_right_axis(self, axis: Axis) -> Self {
        Self { right: Some(axis), ..self }
    }

    /// All places along x that must be in sight.
    pub(crate) fn xs(&self) -> impl Iterator<Item = f64> {
        let upright = self.references.iter().filter(|r| r.upright).map(|r| r.at);
        self.series.iter().flat_map(|s| s.x.iter().copied()).chain(upright)
    }

    fn ys(&self, right: bool) -> impl Iterator<Item = f64> {
        let on = move |s: &&Series| (s.right && self.right.is_some()) == right;
        let bands = self.series.iter().filter(on).filter_map(|s| s.band.as_ref());
        let levels = self.references.iter().filter(move |r| !r.upright && !right).map(|r| r.at);
        self.series
            .iter()
            .filter(on)
            .flat_map(|s| s.y.iter().copied())
            .chain(bands.flatten().flatten().copied())
            .chain(levels)
    }

    /// Axes and ranges, with a part of the height left free at the top.
    pub(crate) fn plan(&self, below: bool, free: f64) -> Plan {
        // Points on the frame are half hidden, so that ranges get a margin; curves that end at the frame look right.
        let dots = self.series.iter().any(|s| matches!(s.mark, Mark::Dots | Mark::Stems));
        let x = Extent::numbers(self.x.clone(), self.x.extent(self.xs(), if dots { 0.03 } else { 0.0 }));
        let up = |axis: &Axis, right: bool| {
            let mut range = axis.extent(self.ys(right), 0.05);
            // Densities and stems stand on the ground.
            let grounded =
                self.series.iter().any(|s| matches!(s.mark, Mark::Area | Mark::Stems) && s.right == right);
            if grounded
                && axis.scale == Scale::Linear
                && axis.range.is_none()
                && range[0] < 0.0
                && self.ys(right).all(|y| y.is_nan() || y >= 0.0)
            {
                range[0] = 0.0;
            }
            if axis.range.is_none() {
                let [low, high] = range.map(|v| axis.scale.length(v));
                range[1] = axis.scale.value_at(low + (high - low) / (1.0 - free));
            }
            Extent::numbers(axis.clone(), range)
        };
        Plan {
            title: self.title.clone(),
            x,
            y: up(&self.y, false),
            right: self.right.as_ref().map(|axis| up(axis, true)),
            below,
        }
    }

    /// The room needed around the plot.
    pub(crate) fn margins(&self, cell: [f64; 2], below: bool) -> Margins {
        let direct = match self.names {
            Names::Direct => {
                let widest = self.series.iter().map(|s| text::width(&s.name, NOTE)).fold(0.0, f64::max);
                (widest + 8.0).min(0.35 * cell[0])
            }
            Names::Legend => 0.0,
        };
        self.plan(below, 0.0).margins(cell, direct)
    }

    /// Each series' colour and marks: those asked for, or the next ones. Where the palette is used up, it starts again
    /// with dashed lines, and then with dotted ones.
    pub(crate) fn looks(&self) -> Vec<(Rgb, Mark)> {
        let mut next = 0;
        self.series
            .iter()
            .map(|s| {
                let place = s.colour.unwrap_or_else(|| {
                    next += 1;
                    next - 1
                });
                let mark = match (s.mark, place / SERIES.len()) {
                    (Mark::Solid, 1) => Mark::Dashed,
                    (Mark::Solid, 2..) => Mark::Dotted,
                    (mark, _) => mark,
                };
                (SERIES[place % SERIES.len()], mark)
            })
            .collect()
    }
}
