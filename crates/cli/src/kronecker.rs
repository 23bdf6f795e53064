//! Kronecker-factored blocks of layers beside the true ones: results, and those found before an interruption.

pub(crate) mod figures;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::path::Path;

use relief_hessian::{Eigen, EigenPair, KroneckerBlock, RelativeDistances, principal_angles};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::{output, report};

/// The `result` of `relief kfac`.
#[derive(Debug, Serialize)]
pub(crate) struct Blocks {
    /// `exact`, `sampled` or `empirical`.
    pub(crate) kind: &'static str,
    /// Targets drawn for every example, where they are drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) draws: Option<usize>,
    /// Backward passes over the data set for each of KFAC's and EKFAC's second moments.
    pub(crate) columns: usize,
    /// In the order in which they are computed.
    pub(crate) layers: Vec<Layer>,
    /// Parameters without a block, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
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

/// The layers that an interrupted run had finished, by weight.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finished {
    context: String,
    pub(crate) layers: BTreeMap<String, Layer>,
}

impl Finished {
    /// None yet, of the run that `context` describes; or those of an interrupted run with the same context.
    pub(crate) fn begin(resume: Option<&Path>, context: String) -> Result<Self, Failure> {
        let Some(path) = resume else { return Ok(Self { context, layers: BTreeMap::new() }) };
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::Input(format!("the state `{name}` cannot be read: {e}")))?;
        let found: Self = serde_json::from_str(&text).map_err(|_| {
            Failure::Input(format!(
                "`{name}` is not the state of an interrupted run: give the file that it named"
            ))
        })?;
        if found.context == context {
            return Ok(found);
        }
        Err(Failure::Input(format!(
            "the state `{name}` belongs to another checkpoint, data set or other settings: repeat the interrupted command"
        )))
    }

    /// Writes them, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Failure::Numbers(format!("the state cannot be written as JSON: {e}")))?;
        output::write(path, (text + "\n").as_bytes())
    }
}
