//! Saved lines as figures.

use relief_plot::{Axis, Figure, Lines, Mark, Note, Panel, Reference, Scale, Series, terminal};
use serde::Deserialize;

use crate::exports::Sampled;
use crate::saved::{Lists, Saved, provenance, stem, subjects};
use crate::{numbers, output};

/// A line as any version wrote it: what figures and exports need, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    unit: String,
    to: Option<String>,
    t: Vec<f64>,
    loss: Vec<Option<f64>>,
    accuracy: Option<Vec<Option<f64>>>,
    barrier: Option<Barrier>,
}

#[derive(Debug, Clone, Deserialize)]
struct Barrier {
    above_line: f64,
    at: f64,
}

fn known(values: &[Option<f64>], factor: f64) -> Vec<f64> {
    values.iter().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect()
}

impl Lists for Line {
    const NAMES: &'static [&'static str] = &["t", "loss", "accuracy"];

    fn agree(&self) -> bool {
        let count = self.t.len();
        count > 0 && self.loss.len() == count && self.accuracy.iter().all(|a| a.len() == count)
    }
}

impl Line {
    fn loss(&self) -> Vec<f64> {
        known(&self.loss, 1.0)
    }

    /// Loss and accuracy, a fraction, along the line.
    pub(crate) fn sampled(&self) -> Sampled {
        let accuracy = self.accuracy.iter().map(|values| ("accuracy", known(values, 1.0)));
        let measures = std::iter::once(("loss", self.loss())).chain(accuracy).collect();
        Sampled { axes: vec![("t", self.t.clone())], measures }
    }
}

/// The panel of one line, with its accuracy.
fn panel(saved: &Saved<Line>, x: Axis, y: Axis) -> Lines {
    let line = &saved.result;
    let mut panel = Lines::new("", x, y).with(Series::new("loss", line.t.clone(), line.loss()));
    if let Some(accuracy) = &line.accuracy {
        panel = panel.with_right_axis(Axis::linear("accuracy (%)").between(0.0, 105.0)).with(
            Series::new("accuracy", line.t.clone(), known(accuracy, 100.0))
                .marked(Mark::Dashed)
                .on_the_right(),
        );
    }
    panel = panel.with_reference(Reference::event(0.0, saved.name()));
    if let Some(to) = &line.to {
        panel = panel.with_reference(Reference::event(1.0, stem(to)));
    }
    if let Some(barrier) = line.barrier.as_ref().filter(|b| b.above_line > 0.0) {
        let nearest = (0..line.t.len())
            .min_by(|a, b| (line.t[*a] - barrier.at).abs().total_cmp(&(line.t[*b] - barrier.at).abs()));
        if let Some(loss) = nearest.and_then(|i| line.loss.get(i).copied().flatten()) {
            let text = format!("barrier {:.3}", barrier.above_line);
            panel.notes.push(Note { at: [barrier.at, loss], text });
        }
    }
    panel
}

/// The axes that some lines have in common.
fn axes(results: &[Saved<Line>]) -> [Axis; 2] {
    let units: Vec<&str> = results.iter().map(|saved| saved.result.unit.as_str()).collect();
    let unit = units.first().copied().filter(|first| units.iter().all(|u| u == first));
    let x = unit.map_or("position on the line".to_string(), |u| format!("position on the line ({u})"));
    let log = numbers::wide(results.iter().flat_map(|saved| saved.result.loss()));
    [Axis::linear(x), if log { Axis::log("loss") } else { Axis::linear("loss") }]
}

/// One line with its accuracy, or the losses of several.
pub(crate) fn figure(title: &str, results: &[Saved<Line>]) -> Figure {
    let [x, y] = axes(results);
    let panel = if let [saved] = results {
        panel(saved, x, y)
    } else {
        let series = results.iter().map(|s| Series::new(s.name(), s.result.t.clone(), s.result.loss()));
        Lines { series: series.collect(), ..Lines::new("", x, y) }
    };
    Figure::new(title, vec![Panel::Lines(panel)]).captioned(provenance(results).join(" "))
}

/// A figure of each line, all with the same axes.
pub(crate) fn frames(title: &str, results: &[Saved<Line>]) -> Vec<Figure> {
    let [x, y] = axes(results);
    let panels: Vec<Lines> = results.iter().map(|saved| panel(saved, x.clone(), y.clone())).collect();
    let places = panels.iter().flat_map(|panel| {
        let events = panel.references.iter().map(|reference| reference.at);
        panel.series.iter().flat_map(|series| series.x.iter().copied()).chain(events)
    });
    let x = over(x, places, 0.0);
    let y = over(y, results.iter().flat_map(|saved| saved.result.loss()), 0.05);
    let caption = subjects(results).join(" ");
    let frame = |(saved, panel): (&Saved<Line>, Lines)| {
        let panel = Lines { title: saved.name(), x: x.clone(), y: y.clone(), ..panel };
        Figure::new(title, vec![Panel::Lines(panel)]).captioned(&caption)
    };
    results.iter().zip(panels).map(frame).collect()
}

/// An axis that shows all finite values, with a part of their range left free on both sides.
fn over(axis: Axis, values: impl Iterator<Item = f64>, free: f64) -> Axis {
    let length = |v: f64| if axis.scale == Scale::Log { v.ln() } else { v };
    let lengths = values.map(length).filter(|v| v.is_finite());
    let (low, high) = lengths.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (v.min(l), v.max(h)));
    // A single value is in the middle of any range: the axis finds one itself.
    if low >= high {
        return axis;
    }
    let more = free * (high - low);
    let [low, high] = [low - more, high + more].map(|l| if axis.scale == Scale::Log { l.exp() } else { l });
    axis.between(low, high)
}

/// The losses in characters.
pub(crate) fn in_characters(results: &[Saved<Line>]) -> String {
    let curves: Vec<(String, Vec<f64>, Vec<f64>)> =
        results.iter().map(|s| (s.name(), s.result.t.clone(), s.result.loss())).collect();
    let series: Vec<(&str, &[f64], &[f64])> =
        curves.iter().map(|(name, x, y)| (name.as_str(), x.as_slice(), y.as_slice())).collect();
    let log = numbers::wide(curves.iter().flat_map(|(_, _, y)| y.iter().copied()));
    let picture = terminal::lines(&series, log, &output::characters(18));
    format!("loss along the line\n{}", picture.trim_end())
}
