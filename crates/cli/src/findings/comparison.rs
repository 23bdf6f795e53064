//! Two checkpoints' curvature side by side.

use relief_hessian::EigenPair;
use relief_plot::{Axis, ColourMap, Figure, Lines, Mark, Matrix, Panel, Series};
use serde::{Deserialize, Serialize};

use super::{captioned, ranks};
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown, stem};

/// The `result` of `relief compare`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) to: String,
    pub(crate) to_sha256: String,
    /// Loss and eigenvalues of both, largest first.
    pub(crate) loss: [f64; 2],
    pub(crate) eigenvalues: [Vec<EigenPair>; 2],
    /// Principal angles between the top eigenspaces in radians, ascending.
    pub(crate) principal_angles: Vec<f64>,
    /// How far each of these may be off, in radians: the sum of the bounds on the computed spaces. None where the gap below one
    /// of the spaces is not known.
    pub(crate) principal_angle_bound: Option<f64>,
    /// Mean squared cosine of the principal angles, and what it is for unrelated spaces: k/n.
    pub(crate) overlap: f64,
    pub(crate) overlap_by_chance: f64,
    /// |cos| between the eigenvectors of both: a row for each of the first checkpoint's.
    pub(crate) cosines: Vec<Vec<f64>>,
    /// Along the segment from the first to the second.
    pub(crate) segment: Vec<Between>,
}

/// A point of the segment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Between {
    pub(crate) t: f64,
    pub(crate) loss: f64,
    /// |H(t)|, in the Frobenius norm.
    pub(crate) norm: f64,
    pub(crate) norm_error: f64,
    /// |H(t) - H(0)| / |H(0)|.
    pub(crate) distance: f64,
    /// Standard error, with H(0)'s own.
    pub(crate) distance_error: f64,
}

impl Lists for Comparison {
    const NAMES: &'static [&'static str] = &["eigenvalues", "principal_angles", "cosines", "segment"];

    fn agree(&self) -> bool {
        let k = self.cosines.len();
        k > 0
            && self.cosines.iter().all(|row| row.len() == k)
            && self.eigenvalues.iter().all(|pairs| pairs.len() == k)
            && self.principal_angles.len() == k
    }
}

impl Comparison {
    fn of(&self, value: impl Fn(&Between) -> f64) -> Vec<f64> {
        self.segment.iter().map(value).collect()
    }

    fn values(&self, of: usize) -> Vec<f64> {
        self.eigenvalues[of].iter().map(|pair| pair.value).collect()
    }
}

impl Shown for Comparison {
    const KIND: Kind = Kind::Comparison;
    const HEADING: &'static str = "Curvature at two checkpoints";

    /// For each comparison a row: eigenvalues of both, angles between their vectors, how far the matrix is from the first's.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let mut panels = vec![];
        let segments = results.iter().any(|saved| !saved.result.segment.is_empty());
        for saved in results {
            let names = [saved.name(), stem(&saved.result.to)];
            panels.push(Panel::Lines(eigenvalues(&saved.result, &names)));
            panels.push(Panel::Matrix(cosines(&saved.result, &names)));
            if segments {
                panels.push(Panel::Lines(segment(&saved.result, &names)));
            }
        }
        let figure = Figure::new(title, panels).in_columns(2 + usize::from(segments));
        Ok(captioned(figure, results, if segments { &["Bands are two standard errors."] } else { &[] }))
    }

    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("t", self.of(|b| b.t))],
            measures: vec![
                ("loss", self.of(|b| b.loss)),
                ("norm", self.of(|b| b.norm)),
                ("norm_error", self.of(|b| b.norm_error)),
                ("distance", self.of(|b| b.distance)),
                ("distance_error", self.of(|b| b.distance_error)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let k = self.cosines.len();
        let mut arrays = self.sampled().arrays();
        arrays.extend([
            Array::list("eigenvalues", &self.values(0)),
            Array::list("eigenvalues_to", &self.values(1)),
            Array::list("principal_angles", &self.principal_angles),
            Array::reals("cosines", vec![k, k], &self.cosines.concat()),
        ]);
        arrays
    }
}

fn eigenvalues(result: &Comparison, names: &[String; 2]) -> Lines {
    let all: Vec<f64> = [result.values(0), result.values(1)].concat();
    let wide = crate::numbers::wide(all.iter().copied());
    let axis = if wide { Axis::log("eigenvalue") } else { Axis::linear("eigenvalue") };
    let mut panel = Lines::new("", Axis::counts("rank"), axis);
    for (of, (name, mark)) in names.iter().zip([Mark::Solid, Mark::Dashed]).enumerate() {
        let values = result.values(of);
        let x = ranks(values.len());
        let dots = Series::new("", x.clone(), values.clone()).marked(Mark::Dots);
        panel = panel.with(Series::new(name, x, values).marked(mark).coloured(of)).with(dots.coloured(of));
    }
    panel
}

fn cosines(result: &Comparison, names: &[String; 2]) -> Matrix {
    let k = result.cosines.len();
    Matrix {
        title: "|cos| between eigenvectors".into(),
        rows: (1..=k).map(|i| format!("{}: v{i}", names[0])).collect(),
        columns: (1..=k).map(|i| i.to_string()).collect(),
        columns_label: format!("eigenvector of {}", names[1]),
        value: Axis::linear("|cos|").between(0.0, 1.0),
        values: result.cosines.concat(),
        colours: ColourMap::default(),
    }
}

fn segment(result: &Comparison, names: &[String; 2]) -> Lines {
    let side = |sign: f64| result.of(|b| (b.distance + sign * 2.0 * b.distance_error).max(0.0));
    let (t, values) = (result.of(|b| b.t), result.of(|b| b.distance));
    let dots = Series::new("", t.clone(), values.clone()).marked(Mark::Dots).coloured(0);
    let distance = Series::new("", t, values).coloured(0);
    let axis = Axis::linear(format!("t, from {} (0) to {} (1)", names[0], names[1]));
    Lines::new("", axis, Axis::linear("|H(t) \u{2212} H(0)| / |H(0)|, Frobenius norm"))
        .with(distance.banded(side(-1.0), side(1.0)))
        .with(dots)
}
