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
    let log = wide(results.iter().flat_map(|saved| saved.result.loss()));
    let axis = |label: &str| if log { Axis::log(label) } else { Axis::linear(label) };
    let units: Vec<&str> = results.iter().map(|saved| saved.result.unit.as_str()).collect();
    let unit = units.first().copied().filter(|first| units.iter().all(|u| u == first));
    let x = Axis::linear(
        unit.map_or("position on the line".to_string(), |u| format!("position on the line ({u})")),
    );
    let mut panel = Lines::new("", x, axis("loss"));
    if let [saved] = results {
        let line = &saved.result;
        panel = panel.with(Series::new("loss", line.t.clone(), line.loss()));
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
    } else {
        for saved in results {
            panel = panel.with(Series::new(saved.name(), saved.result.t.clone(), saved.result.loss()));
        }
    }
    Figure::new(title, vec![Panel::Lines(panel)]).captioned(provenance(results).join(" "))
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
