//! Saved lines as figures.

use relief_plot::{Axis, Figure, Lines, Mark, Note, Panel, Reference, Series, terminal};
use serde::Deserialize;

use crate::output;
use crate::saved::{Saved, provenance, stem};

/// A line as any version wrote it: what a figure needs, and no more.
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

fn known(values: &[Option<f64>], factor: f64) -> Vec<f64> {
    values.iter().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect()
}

impl Line {
    fn loss(&self) -> Vec<f64> {
        known(&self.loss, 1.0)
    }
}

/// Where equal ratios show more than equal differences.
fn wide(values: impl IntoIterator<Item = f64>) -> bool {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    low > 0.0 && high > 20.0 * low
}

/// One line with its accuracy, or the losses of several.
pub(crate) fn figure(title: &str, results: &[Saved<Line>]) -> Figure {
    let both = |line: &Line| {
        let test = line.test.as_ref().filter(|_| results.len() == 1).map(|test| known(&test.loss, 1.0));
        line.loss().into_iter().chain(test.unwrap_or_default()).collect::<Vec<_>>()
    };
    let log = wide(results.iter().flat_map(|saved| both(&saved.result)));
    let axis = |label: &str| if log { Axis::log(label) } else { Axis::linear(label) };
    let units: Vec<&str> = results.iter().map(|saved| saved.result.unit.as_str()).collect();
    let unit = units.first().copied().filter(|first| units.iter().all(|u| u == first));
    let x = Axis::linear(unit.unwrap_or("position on the line"));
    let caption = provenance(results).join(" ");
    if let [saved] = results {
        return Figure { share_x: true, columns: 1, ..Figure::new(title, alone(saved, x, axis("loss"))) }
            .captioned(caption);
    }
    let mut panel = Lines::new("", x, axis("loss"));
    for saved in results {
        panel = panel.with(Series::new(saved.name(), saved.result.t.clone(), saved.result.loss()));
    }
    Figure::new(title, vec![Panel::Lines(panel)]).captioned(caption)
}

/// A line by itself, with its accuracy: on the right where there is one split, below where there are two.
fn alone(saved: &Saved<Line>, x: Axis, loss: Axis) -> Vec<Panel> {
    let line = &saved.result;
    let percent = || Axis::linear("accuracy (%)").between(0.0, 105.0);
    let series = |name: &str, values| Series::new(name, line.t.clone(), values);
    let mut panel = Lines::new("", x.clone(), loss);
    let mut below = None;
    if let Some(test) = &line.test {
        panel = panel
            .with(series("train", line.loss()))
            .with(series("test", known(&test.loss, 1.0)).marked(Mark::Dashed));
        if let (Some(train), Some(test)) = (&line.accuracy, &test.accuracy) {
            let panel = Lines::new("", x, percent());
            let panel = panel.with(series("train", known(train, 100.0)));
            below = Some(panel.with(series("test", known(test, 100.0)).marked(Mark::Dashed)));
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
    std::iter::once(panel).chain(below).map(Panel::Lines).collect()
}

/// The losses in characters.
pub(crate) fn in_characters(results: &[Saved<Line>]) -> String {
    let curves: Vec<(String, Vec<f64>, Vec<f64>)> =
        results.iter().map(|s| (s.name(), s.result.t.clone(), s.result.loss())).collect();
    let series: Vec<(&str, &[f64], &[f64])> =
        curves.iter().map(|(name, x, y)| (name.as_str(), x.as_slice(), y.as_slice())).collect();
    let log = wide(curves.iter().flat_map(|(_, _, y)| y.iter().copied()));
    let picture = terminal::lines(&series, log, &output::characters(18));
    format!("loss along the line\n{}", picture.trim_end())
}
