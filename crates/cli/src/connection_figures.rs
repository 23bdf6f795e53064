//! Saved curves between checkpoints as figures.

use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series, studies, terminal};
use serde::Deserialize;

use crate::exit::Failure;
use crate::exports::Sampled;
use crate::output;
use crate::saved::{Kind, Lists, Look, Saved, Shown, known, provenance, stem};

/// A connection as any version wrote it: what a figure needs, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Connection {
    to: String,
    t: Vec<f64>,
    straight: Path,
    curve: Path,
}

#[derive(Debug, Clone, Deserialize)]
struct Path {
    train: Measured,
    test: Option<Measured>,
}

#[derive(Debug, Clone, Deserialize)]
struct Measured {
    loss: Vec<Option<f64>>,
    accuracy: Option<Vec<Option<f64>>>,
}

impl Lists for Connection {
    const NAMES: &'static [&'static str] = &["t", "straight", "curve"];

    fn agree(&self) -> bool {
        let count = self.t.len();
        let fits = |found: &Measured| {
            found.loss.len() == count && found.accuracy.iter().all(|accuracy| accuracy.len() == count)
        };
        let both = [&self.straight, &self.curve];
        count > 0 && both.iter().all(|path| fits(&path.train) && path.test.as_ref().is_none_or(fits))
    }
}

/// The names of a path's columns: loss, accuracy, and both on the test split.
const STRAIGHT: [&str; 4] =
    ["straight_loss", "straight_accuracy", "straight_test_loss", "straight_test_accuracy"];
const CURVE: [&str; 4] = ["curve_loss", "curve_accuracy", "curve_test_loss", "curve_test_accuracy"];

impl Shown for Connection {
    const KIND: Kind = Kind::Connection;
    const HEADING: &'static str = "The loss along a curve";

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

impl Connection {
    /// Losses and accuracies, fractions, along both paths.
    fn sampled(&self) -> Sampled {
        let mut measures = vec![];
        for (names, path) in [(STRAIGHT, &self.straight), (CURVE, &self.curve)] {
            for (first, found) in [(0, Some(&path.train)), (2, path.test.as_ref())] {
                let Some(found) = found else { continue };
                measures.push((names[first], known(&found.loss, 1.0)));
                measures.extend(found.accuracy.iter().map(|a| (names[first + 1], known(a, 1.0))));
            }
        }
        Sampled { axes: vec![("t", self.t.clone())], measures }
    }

    /// The paths' series of a measure, those of the test split dashed.
    fn series(&self, measure: fn(&Measured) -> Option<Vec<f64>>) -> Vec<Series> {
        let mut all = vec![];
        for (name, path) in [("straight line", &self.straight), ("curve", &self.curve)] {
            all.extend(measure(&path.train).map(|y| Series::new(name, self.t.clone(), y)));
            let test = path.test.as_ref().and_then(measure);
            all.extend(
                test.map(|y| Series::new(format!("{name}, test"), self.t.clone(), y).marked(Mark::Dotted)),
            );
        }
        all
    }
}

/// Losses and accuracies along straight line and curve, a column for each connection.
pub(crate) fn figure(title: &str, results: &[Saved<Connection>]) -> Figure {
    let loss = |m: &Measured| Some(known(&m.loss, 1.0));
    let accuracy = |m: &Measured| m.accuracy.as_ref().map(|a| known(a, 100.0));
    let (mut top, mut bottom) = (vec![], vec![]);
    for saved in results {
        let connection = &saved.result;
        let heading = format!("{} to {}", saved.name(), stem(&connection.to));
        let t = || Axis::linear("t, from one end to the other");
        let losses = connection.series(loss);
        let mut panel = Lines::new(heading, t(), Axis::log("loss"));
        panel.notes.extend(losses.iter().filter(|s| s.mark == Mark::Solid).filter_map(studies::barrier_note));
        top.push(Panel::Lines(losses.into_iter().fold(panel, Lines::with)));
        let below = connection.series(accuracy);
        if !below.is_empty() {
            let lowest = below.iter().flat_map(|s| &s.y).copied().fold(100.0, f64::min);
            let low = (lowest - 2.0).max(0.0);
            let axis = Axis::linear("accuracy (%)").between(low, 100.0 + 0.05 * (100.0 - low));
            let panel = Lines::new("", t(), axis);
            let ends = [Reference::event(0.0, saved.name()), Reference::event(1.0, stem(&connection.to))];
            let panel = ends.into_iter().fold(panel, Lines::with_reference);
            bottom.push(Panel::Lines(below.into_iter().fold(panel, Lines::with)));
        }
    }
    let columns = top.len();
    top.extend(bottom);
    let share_x = true;
    Figure { columns, share_x, ..Figure::new(title, top) }.captioned(provenance(results).join(" "))
}

/// The losses in characters.
pub(crate) fn in_characters(results: &[Saved<Connection>]) -> String {
    let mut out = vec![];
    for saved in results {
        let connection = &saved.result;
        let curves = connection.series(|m| Some(known(&m.loss, 1.0)));
        let series: Vec<(&str, &[f64], &[f64])> =
            curves.iter().map(|s| (s.name.as_str(), s.x.as_slice(), s.y.as_slice())).collect();
        let picture = terminal::lines(&series, true, &output::characters(18));
        out.push(format!("loss from {} to {}\n{}", saved.name(), stem(&connection.to), picture.trim_end()));
    }
    out.join("\n\n")
}
