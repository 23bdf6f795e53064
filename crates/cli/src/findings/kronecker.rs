//! Kronecker-factored blocks of layers beside the true ones.

use std::collections::BTreeMap;

use relief_hessian::{Eigen, EigenPair, KroneckerBlock, RelativeDistances, principal_angles};
use relief_plot::Figure;
use serde::{Deserialize, Serialize};

use super::kronecker_figure;
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::report;
use crate::saved::{Kind, Lists, Look, Saved, Shown};

/// The `result` of `relief kfac`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Blocks {
    /// `exact`, `sampled` or `empirical`.
    pub(crate) kind: String,
    /// Targets drawn for every example, where they are drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) draws: Option<usize>,
    /// Backward passes over the data set for each of KFAC's and EKFAC's second moments.
    pub(crate) columns: usize,
    /// In the order in which they are computed.
    pub(crate) layers: Vec<Layer>,
    /// Parameters without a block, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) left_out: BTreeMap<String, String>,
}

/// A layer's block of the Gauss-Newton matrix, and what KFAC and EKFAC make of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// What its parameters' names have in common.
    pub(crate) name: String,
    pub(crate) weight: String,
    pub(crate) bias: Option<String>,
    /// Rows of the weight as a matrix.
    pub(crate) outputs: usize,
    /// Its columns, that of the bias among them.
    pub(crate) columns: usize,
    /// Rows that an example has in the layer's input: 1, tokens, or output pixels.
    pub(crate) positions: usize,
    /// Rows of the block.
    pub(crate) parameters: usize,
    /// The largest eigenvalues of the true block.
    pub(crate) pairs: Vec<Pair>,
    pub(crate) converged: bool,
    pub(crate) frobenius_norm: f64,
    /// Its standard error.
    pub(crate) frobenius_norm_error: f64,
    /// Whether the norm and the distances from it come from all columns of the block.
    pub(crate) exact: bool,
    pub(crate) kfac: Approximation,
    pub(crate) ekfac: Approximation,
    /// With the block, whose other parameters stay where they are.
    pub(crate) products: usize,
    pub(crate) gradients: usize,
}

/// An eigenvalue of the true block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) value: f64,
    pub(crate) residual: f64,
    pub(crate) error_bound: f64,
    /// Of the eigenvector, in radians.
    pub(crate) angle_bound: Option<f64>,
}

/// An approximation of the block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Approximation {
    pub(crate) trace: f64,
    /// The largest, as many as of the true block.
    pub(crate) eigenvalues: Vec<f64>,
    /// The largest over the true block's, less 1.
    pub(crate) top_error: f64,
    /// Between its top eigenvector and the true block's, in radians.
    pub(crate) top_angle: f64,
    /// Frobenius norm of the difference over that of the true block.
    pub(crate) distance: f64,
    /// Its standard error.
    pub(crate) distance_error: f64,
}

impl Layer {
    /// Puts together what was found of a layer; `products` and `gradients` are those with its block.
    pub(crate) fn new(
        layer: &relief_hessian::Layer,
        eigen: &Eigen,
        [kfac, ekfac]: [&KroneckerBlock; 2],
        distances: &RelativeDistances,
        (products, gradients): (usize, usize),
    ) -> Result<Self, Failure> {
        let count = eigen.largest.len();
        let approximation = |block: &KroneckerBlock, (distance, distance_error): (f64, f64)| {
            let (top, vector) = block.eigenpair(0)?;
            let angle = principal_angles(&[vector], &eigen.vectors[..1])?[0];
            let mut eigenvalues = block.eigenvalues();
            eigenvalues.truncate(count);
            Ok::<_, relief_hessian::Error>(Approximation {
                trace: block.trace(),
                eigenvalues,
                top_error: top / eigen.largest[0].value - 1.0,
                top_angle: angle,
                distance,
                distance_error,
            })
        };
        let pair = |pair: &EigenPair| Pair {
            value: pair.value,
            residual: pair.residual,
            error_bound: pair.error_bound,
            angle_bound: pair.angle_bound,
        };
        Ok(Self {
            name: layer.weight.rsplit_once('.').map_or(layer.weight.as_str(), |(name, _)| name).to_string(),
            weight: layer.weight.clone(),
            bias: layer.bias.clone(),
            outputs: layer.outputs,
            columns: layer.columns(),
            positions: layer.positions,
            parameters: layer.outputs * layer.columns(),
            pairs: eigen.largest.iter().map(pair).collect(),
            converged: report::converged(eigen),
            frobenius_norm: distances.norm,
            frobenius_norm_error: distances.norm_error,
            exact: distances.exact,
            kfac: approximation(kfac, distances.distances[0])?,
            ekfac: approximation(ekfac, distances.distances[1])?,
            products,
            gradients,
        })
    }
}

impl Lists for Blocks {
    const NAMES: &'static [&'static str] = &["layers"];

    fn agree(&self) -> bool {
        let whole = |layer: &Layer| {
            let count = layer.pairs.len();
            count > 0 && [&layer.kfac, &layer.ekfac].iter().all(|a| a.eigenvalues.len() == count)
        };
        !self.layers.is_empty() && self.layers.iter().all(whole)
    }
}

impl Shown for Blocks {
    const KIND: Kind = Kind::Blocks;
    const HEADING: &'static str = "Kronecker-factored blocks";

    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        Ok(kronecker_figure::figure(title, results))
    }

    /// A row for every eigenvalue, with the number of its layer and the layer's distances.
    fn sampled(&self) -> Sampled {
        let rows: Vec<(usize, usize, &Layer)> = self
            .layers
            .iter()
            .enumerate()
            .flat_map(|(number, layer)| (0..layer.pairs.len()).map(move |rank| (number, rank, layer)))
            .collect();
        let of = |value: &dyn Fn(usize, &Layer) -> f64| {
            rows.iter().map(|(_, rank, layer)| value(*rank, layer)).collect::<Vec<f64>>()
        };
        Sampled {
            axes: vec![("row", (0..rows.len()).map(|i| i as f64).collect())],
            measures: vec![
                ("layer", rows.iter().map(|(number, ..)| *number as f64).collect()),
                ("rank", of(&|rank, _| (rank + 1) as f64)),
                ("eigenvalue", of(&|rank, layer| layer.pairs[rank].value)),
                ("error_bound", of(&|rank, layer| layer.pairs[rank].error_bound)),
                ("residual", of(&|rank, layer| layer.pairs[rank].residual)),
                ("kfac", of(&|rank, layer| layer.kfac.eigenvalues[rank])),
                ("ekfac", of(&|rank, layer| layer.ekfac.eigenvalues[rank])),
                ("kfac_distance", of(&|_, layer| layer.kfac.distance)),
                ("kfac_distance_error", of(&|_, layer| layer.kfac.distance_error)),
                ("ekfac_distance", of(&|_, layer| layer.ekfac.distance)),
                ("ekfac_distance_error", of(&|_, layer| layer.ekfac.distance_error)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let of = |value: &dyn Fn(&Layer) -> f64| self.layers.iter().map(value).collect::<Vec<f64>>();
        let mut arrays = self.sampled().arrays();
        arrays.extend([
            Array::words("layer_name", self.layers.iter().map(|layer| layer.name.as_str())),
            Array::list("layer_parameters", &of(&|layer| layer.parameters as f64)),
            Array::list("layer_norm", &of(&|layer| layer.frobenius_norm)),
            Array::list("layer_trace_kfac", &of(&|layer| layer.kfac.trace)),
            Array::list("layer_trace_ekfac", &of(&|layer| layer.ekfac.trace)),
        ]);
        arrays
    }
}
