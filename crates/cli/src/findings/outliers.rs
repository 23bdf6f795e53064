//! Top eigenvalues of a classifier's Gauss-Newton matrix, and what its classes explain of them.

use relief_hessian::{ClassStructure, EigenPair};
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series};
use serde::{Deserialize, Serialize};

use super::{captioned, ranks};
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown};

/// The `result` of `relief outliers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outliers {
    pub(crate) classes: usize,
    pub(crate) eigenvalues: Vec<Explained>,
    /// Leading eigenvalues, from the first on, whose vectors have at least `share` in the space.
    pub(crate) explained_between: usize,
    pub(crate) explained_by_all_means: usize,
    pub(crate) share: f64,
    pub(crate) trace: f64,
    pub(crate) trace_error: f64,
    #[serde(flatten)]
    pub(crate) structure: ClassStructure,
}

/// An eigenvalue and where its vector lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Explained {
    #[serde(flatten)]
    pub(crate) pair: EigenPair,
    /// Share of the vector in the span of the means of classes.
    pub(crate) between: f64,
    /// In that of the means of all classes and labels.
    pub(crate) all_means: f64,
}

impl Lists for Outliers {
    const NAMES: &'static [&'static str] = &["eigenvalues", "between", "cross"];

    fn agree(&self) -> bool {
        !self.eigenvalues.is_empty()
    }
}

impl Outliers {
    fn of(&self, value: impl Fn(&Explained) -> f64) -> Vec<f64> {
        self.eigenvalues.iter().map(value).collect()
    }
}

impl Shown for Outliers {
    const KIND: Kind = Kind::Outliers;
    const HEADING: &'static str = "Outliers and classes";

    /// For each checkpoint a row: eigenvalues beside those of the parts that the classes make, and shares of eigenvectors.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let name = |saved: &Saved<Self>| if results.len() == 1 { String::new() } else { saved.name() };
        let row = |saved: &Saved<Self>| {
            [eigenvalues(&saved.result, name(saved)), shares(&saved.result, name(saved))].map(Panel::Lines)
        };
        let panels = results.iter().flat_map(row).collect();
        Ok(captioned(Figure::new(title, panels).in_columns(2), results, &[]))
    }

    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("rank", ranks(self.eigenvalues.len()))],
            measures: vec![
                ("eigenvalue", self.of(|e| e.pair.value)),
                ("error_bound", self.of(|e| e.pair.error_bound)),
                ("between", self.of(|e| e.between)),
                ("all_means", self.of(|e| e.all_means)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let mut arrays = self.sampled().arrays();
        arrays.push(Array::list("between_classes", &self.structure.between));
        arrays.push(Array::list("cross_class", &self.structure.cross));
        arrays
    }
}

fn eigenvalues(result: &Outliers, title: String) -> Lines {
    let count = result.eigenvalues.len();
    let part = |name: &str, values: &[f64]| {
        let shown: Vec<f64> = values.iter().copied().take(count).collect();
        Series::new(name, ranks(shown.len()), shown)
    };
    let values = result.of(|e| e.pair.value);
    let floor = values.iter().copied().fold(f64::INFINITY, f64::min);
    let between: Vec<f64> = result.structure.between.iter().copied().filter(|v| *v > 1e-3 * floor).collect();
    Lines::new(title, Axis::counts("rank"), Axis::log("eigenvalue"))
        .with(Series::new("Gauss-Newton matrix", ranks(count), values).marked(Mark::Dots))
        .with(part("part between classes", &between))
        .with(part("cross-class part", &result.structure.cross).marked(Mark::Dashed))
}

fn shares(result: &Outliers, title: String) -> Lines {
    let count = result.eigenvalues.len();
    let axis = Axis::linear("share of the eigenvector").between(0.0, 1.05);
    let curves = [
        ("in the means of classes", result.of(|e| e.between), Mark::Solid),
        ("in the means of classes and labels", result.of(|e| e.all_means), Mark::Dashed),
    ];
    let mut panel = Lines::new(title, Axis::counts("rank"), axis);
    for (place, (name, values, mark)) in curves.into_iter().enumerate() {
        let dots = Series::new("", ranks(count), values.clone()).marked(Mark::Dots);
        let curve = Series::new(name, ranks(count), values).marked(mark);
        panel = panel.with(curve.coloured(place)).with(dots.coloured(place));
    }
    panel.with_reference(Reference::level(result.share, "explained above"))
}
