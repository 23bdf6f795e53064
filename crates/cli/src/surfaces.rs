//! Saved surfaces.

use relief_plot::{Grid, Overlay, PathKind, PointKind, Quadratic};
use serde::Deserialize;

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::exports::Sampled;
use crate::saved::{Lists, known};

/// Rows of values, each of which may be unknown.
type Table = Vec<Vec<Option<f64>>>;

/// A surface as any version wrote it: what figures and exports need, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Surface {
    pub(crate) plane: Plane,
    axes: [Vec<f64>; 2],
    loss: Table,
    accuracy: Option<Table>,
    test: Option<Test>,
    curvature: Option<Curvature>,
    pub(crate) refinement: Option<Refinement>,
    #[serde(default)]
    marks: Vec<Mark>,
    pub(crate) trace: Option<Trace>,
}

#[derive(Debug, Clone, Deserialize)]
struct Test {
    loss: Table,
    accuracy: Option<Table>,
}

#[derive(Debug, Clone, Deserialize)]
struct Curvature {
    smallest: Table,
    largest: Table,
}

impl Curvature {
    /// Negative curvature relative to positive curvature (see `relief_landscape::Convexity::ratio`).
    fn ratios(&self) -> Table {
        let rows = self.smallest.iter().zip(&self.largest);
        let ratio = |(low, high): (&Option<f64>, &Option<f64>)| Some((*low)?.min(0.0).abs() / (*high)?.abs());
        rows.map(|(low, high)| low.iter().zip(high).map(ratio).collect()).collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Refinement {
    pub(crate) stride: usize,
    pub(crate) measured: usize,
    pub(crate) error: Option<Errors>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Errors {
    pub(crate) largest: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Mark {
    kind: String,
    name: String,
    at: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Trace {
    kind: String,
    at: Vec<[f64; 2]>,
    residual: Vec<f64>,
    loss: Vec<Option<f64>>,
}

impl Trace {
    /// The way, and whether its dots have colours of their own.
    fn overlay(&self, show: Show) -> Overlay {
        let trajectory = self.kind == "trajectory";
        // Colours are losses: on a map of accuracies they would say something else.
        let values = if trajectory && show == Show::Loss {
            self.loss.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
        } else {
            vec![]
        };
        let kind = if trajectory { PathKind::Trajectory } else { PathKind::Curve };
        Overlay::Path { kind, points: self.at.clone(), values }
    }

    /// How far the points are from the plane at most: what the picture does not show.
    pub(crate) fn remark(&self) -> Option<String> {
        let farthest = self.residual.iter().copied().fold(0.0, f64::max);
        let longest =
            self.at.iter().flat_map(|a| self.at.iter().map(move |b| (a[0] - b[0]).hypot(a[1] - b[1])));
        let longest = longest.fold(0.0, f64::max);
        (self.kind == "trajectory").then(|| {
            format!(
                "Dots have the colours of their own losses; they lie up to {farthest:.2} off the plane, on which they span \
                 {longest:.2}."
            )
        })
    }
}

impl Surface {
    /// The way and the checkpoints on the plane; the centre where there are none.
    pub(crate) fn overlays(&self, show: Show) -> Vec<Overlay> {
        let mut all = vec![];
        let ends: Vec<[f64; 2]> = self.marks.iter().filter(|m| m.kind == "end").map(|m| m.at).collect();
        if let (Some(trace), [first, .., last]) = (&self.trace, ends.as_slice())
            && trace.kind == "curve"
        {
            all.push(Overlay::Path { kind: PathKind::Chord, points: vec![*first, *last], values: vec![] });
        }
        all.extend(self.trace.as_ref().map(|trace| trace.overlay(show)));
        all.extend(self.marks.iter().map(|mark| Overlay::Point {
            kind: if mark.kind == "bend" { PointKind::Bend } else { PointKind::End },
            at: mark.at,
            label: mark.name.clone(),
        }));
        if all.is_empty() {
            all.push(Overlay::Point { kind: PointKind::Centre, at: [0.0, 0.0], label: String::new() });
        }
        all
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Plane {
    pub(crate) kind: String,
    pub(crate) labels: [String; 2],
    pub(crate) orthonormal: bool,
    pub(crate) cosine: f64,
    pub(crate) model: Option<Model>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Model {
    loss: f64,
    gradient: [f64; 2],
    pairs: [Pair; 2],
}

#[derive(Debug, Clone, Deserialize)]
struct Pair {
    value: f64,
}

impl Plane {
    /// The loss to second order around the centre.
    pub(crate) fn quadratic(&self) -> Option<Quadratic> {
        self.model.as_ref().map(|model| {
            let [first, second] = [0, 1].map(|i| model.pairs[i].value);
            let hessian = [first, 0.0, second];
            Quadratic { centre: [0.0, 0.0], value: model.loss, gradient: model.gradient, hessian }
        })
    }
}

impl Lists for Surface {
    const NAMES: &'static [&'static str] =
        &["axes", "loss", "accuracy", "standard_error", "classes", "test", "curvature"];

    fn agree(&self) -> bool {
        let [columns, rows] = [0, 1].map(|i| self.axes[i].len());
        let fits = |table: &Table| table.len() == rows && table.iter().all(|row| row.len() == columns);
        let test = self.test.iter().flat_map(|test| std::iter::once(&test.loss).chain(&test.accuracy));
        let curvature = self.curvature.iter().flat_map(|found| [&found.smallest, &found.largest]);
        let all = std::iter::once(&self.loss).chain(&self.accuracy).chain(test).chain(curvature);
        columns > 0 && rows > 0 && all.into_iter().all(fits)
    }
}

impl Surface {
    /// Every measure over the plane; accuracies are fractions.
    pub(crate) fn sampled(&self) -> Sampled {
        let [x, y] = self.axes.clone();
        let mut measures = vec![("loss", known(self.loss.iter().flatten(), 1.0))];
        measures.extend(self.accuracy.iter().map(|rows| ("accuracy", known(rows.iter().flatten(), 1.0))));
        if let Some(test) = &self.test {
            measures.push(("test_loss", known(test.loss.iter().flatten(), 1.0)));
            measures.extend(
                test.accuracy.iter().map(|rows| ("test_accuracy", known(rows.iter().flatten(), 1.0))),
            );
        }
        if let Some(found) = &self.curvature {
            measures.push(("smallest_eigenvalue", known(found.smallest.iter().flatten(), 1.0)));
            measures.push(("largest_eigenvalue", known(found.largest.iter().flatten(), 1.0)));
        }
        Sampled { axes: vec![("x", x), ("y", y)], measures }
    }

    /// The coordinates along both axes, and the losses with the first axis fastest; NaN where one is not known.
    pub(crate) fn losses(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        (self.axes.to_vec(), known(self.loss.iter().flatten(), 1.0))
    }

    pub(crate) fn grid(&self, show: Show) -> Result<Grid, Failure> {
        let [x, y] = self.axes.clone();
        let test = self.test.as_ref();
        let ratios = self.curvature.as_ref().filter(|_| show == Show::Convexity).map(Curvature::ratios);
        let rows = match show {
            Show::Loss => Some(&self.loss),
            Show::Accuracy => self.accuracy.as_ref(),
            Show::TestLoss => test.map(|test| &test.loss),
            Show::TestAccuracy => test.and_then(|test| test.accuracy.as_ref()),
            Show::Convexity => ratios.as_ref(),
        };
        let rows = rows.ok_or_else(|| {
            Failure::Usage(format!(
                "the surface has no {}: show the loss",
                show.label().trim_end_matches(" (%)")
            ))
        })?;
        let factor = if show.is_share() { 100.0 } else { 1.0 };
        Ok(Grid::new(x, y, known(rows.iter().flatten(), factor))?)
    }
}
