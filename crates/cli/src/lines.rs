//! Saved lines as figures.

use relief_plot::{Axis, Figure, Lines, Mark, Note, Panel, Reference, Scale, Series, terminal};
use serde::Deserialize;

use crate::exit::Failure;
use crate::exports::Sampled;
use crate::saved::{Kind, Lists, Look, Saved, Shown, known, provenance, stem, subjects};
use crate::{numbers, output};

/// A line as any version wrote it: what figures and exports need, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    unit: String,
    to: Option<String>,
    t: Vec<f64>,
    loss: Vec<Option<f64>>,
    accuracy: Option<Vec<Option<f64>>>,
    test: Option<Test>,
    barrier: Option<Barrier>,
}

#[derive(Debug, Clone, Deserialize)]
struct Test {
    loss: Vec<Option<f64>>,
    accuracy: Option<Vec<Option<f64>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Barrier {
    above_line: f64,
    at: f64,
}

impl Lists for Line {
    const NAMES: &'static [&'static str] = &["t", "loss", "accuracy", "test"];

    fn agree(&self) -> bool {
        let count = self.t.len();
        let fits = |loss: &[Option<f64>], accuracy: &Option<Vec<Option<f64>>>| {
            loss.len() == count && accuracy.iter().all(|a| a.len() == count)
        };
        let test = self.test.as_ref().is_none_or(|test| fits(&test.loss, &test.accuracy));
        count > 0 && fits(&self.loss, &self.accuracy) && test
    }
}

impl Shown for Line {
    const KIND: Kind = Kind::Line;
    const HEADING: &'static str = "The loss along a line";

    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        Ok(figure(title, results))
    }

    fn in_characters(results: &[Saved<Self>], _: Look) -> Result<String, Failure> {
        Ok(in_characters(results))
    }

    fn sampled(&self) -> Sampled {
        self.sampled()
    }
}

impl Line {
    fn loss(&self) -> Vec<f64> {
        known(&self.loss, 1.0)
    }

    /// Loss and accuracy, a fraction, along the line.
    fn sampled(&self) -> Sampled {
        let mut measures = vec![("loss", self.loss())];
        measures.extend(self.accuracy.iter().map(|values| ("accuracy", known(values, 1.0))));
        if let Some(test) = &self.test {
            measures.push(("test_loss", known(&test.loss, 1.0)));
            measures.extend(test.accuracy.iter().map(|values| ("test_accuracy", known(values, 1.0))));
        }
        Sampled { axes: vec![("t", self.t.clone())], measures }
    }
}

/// The panels of one line: the loss, with its accuracy on the right where there is one split; below it where there are two.
fn panels(saved: &Saved<Line>, x: Axis, y: Axis) -> Vec<Lines> {
    let line = &saved.result;
    let percent = || Axis::linear("accuracy (%)").between(0.0, 105.0);
    let series = |name: &str, values| Series::new(name, line.t.clone(), values);
    let mut panel = Lines::new("", x.clone(), y);
    let mut below = None;
    if let Some(test) = &line.test {
        let dashed = series("test", known(&test.loss, 1.0)).marked(Mark::Dashed);
        panel = panel.with(series("train", line.loss())).with(dashed);
        if let (Some(train), Some(test)) = (&line.accuracy, &test.accuracy) {
            let dashed = series("test", known(test, 100.0)).marked(Mark::Dashed);
            below =
                Some(Lines::new("", x, percent()).with(series("train", known(train, 100.0))).with(dashed));
        }
    } else {
        panel = panel.with(series("loss", line.loss()));
        if let Some(accuracy) = &line.accuracy {
            let accuracy = series("accuracy", known(accuracy, 100.0)).marked(Mark::Dashed).on_the_right();
            panel = panel.with_right_axis(percent()).with(accuracy);
        }
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
    std::iter::once(panel).chain(below).collect()
}

/// The losses that a figure of a line by itself shows.
fn shown(line: &Line) -> impl Iterator<Item = f64> {
    line.loss().into_iter().chain(line.test.iter().flat_map(|test| known(&test.loss, 1.0)))
}

/// The axes that some lines have in common.
fn axes(results: &[Saved<Line>]) -> [Axis; 2] {
    let units: Vec<&str> = results.iter().map(|saved| saved.result.unit.as_str()).collect();
    let unit = units.first().copied().filter(|first| units.iter().all(|u| u == first));
    let x = unit.unwrap_or("position on the line");
    let log = match results {
        [saved] => numbers::wide(shown(&saved.result)),
        _ => numbers::wide(results.iter().flat_map(|saved| saved.result.loss())),
    };
    [Axis::linear(x), if log { Axis::log("loss") } else { Axis::linear("loss") }]
}

/// One line with its accuracy, or the losses of several.
pub(crate) fn figure(title: &str, results: &[Saved<Line>]) -> Figure {
    let [x, y] = axes(results);
    let panels = if let [saved] = results {
        panels(saved, x, y)
    } else {
        let series = results.iter().map(|s| Series::new(s.name(), s.result.t.clone(), s.result.loss()));
        vec![Lines { series: series.collect(), ..Lines::new("", x, y) }]
    };
    stacked(title, panels).captioned(provenance(results).join(" "))
}

/// Panels one below the other, with one x axis.
fn stacked(title: &str, panels: Vec<Lines>) -> Figure {
    let panels = panels.into_iter().map(Panel::Lines).collect();
    Figure { share_x: true, columns: 1, ..Figure::new(title, panels) }
}

/// A figure of each line, all with the same axes.
pub(crate) fn frames(title: &str, results: &[Saved<Line>]) -> Vec<Figure> {
    let [x, y] = axes(results);
    let all: Vec<Vec<Lines>> = results.iter().map(|saved| panels(saved, x.clone(), y.clone())).collect();
    let places = all.iter().flatten().flat_map(|panel| {
        let events = panel.references.iter().map(|reference| reference.at);
        panel.series.iter().flat_map(|series| series.x.iter().copied()).chain(events)
    });
    let x = over(x, places, 0.0);
    let y = over(y, results.iter().flat_map(|saved| shown(&saved.result)), 0.05);
    let caption = subjects(results).join(" ");
    let frame = |(saved, mut panels): (&Saved<Line>, Vec<Lines>)| {
        panels.iter_mut().for_each(|panel| panel.x = x.clone());
        panels[0].y = y.clone();
        panels[0].title = saved.name();
        stacked(title, panels).captioned(&caption)
    };
    results.iter().zip(all).map(frame).collect()
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
