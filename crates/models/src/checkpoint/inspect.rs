//! What is in a checkpoint.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{DType, Tensor};
use serde::Serialize;

use super::{Checkpoint, Format, Result};

/// A checkpoint's tensors and what can be told of them without a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// How it is stored.
    pub format: Format,
    /// A wrapper's prefix that was stripped from every name.
    pub stripped_prefix: Option<String>,
    /// Entries of all parameters together.
    pub parameters: usize,
    /// Entries of all buffers together.
    pub buffers: usize,
    /// Sorted by name.
    pub tensors: Vec<TensorInspection>,
    /// Text that came with the tensors.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorInspection {
    /// Its name, without a wrapper's prefix.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its type as stored.
    pub dtype: String,
    /// Whether it is trained.
    pub role: TensorRole,
    /// Euclidean norm of its finite entries; `None` for integers.
    pub norm: Option<f64>,
    /// Smallest finite entry.
    pub min: Option<f64>,
    /// Largest finite entry.
    pub max: Option<f64>,
    /// Entries that are NaN or infinite.
    pub non_finite: usize,
}

/// What a tensor's name and type say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TensorRole {
    /// Trained.
    Parameter,
    /// Statistics and counts that training updates without a gradient, and integers.
    Buffer,
}

impl fmt::Display for TensorRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter",
            Self::Buffer => "buffer",
        })
    }
}

impl TensorRole {
    fn of(name: &str, tensor: &Tensor) -> Self {
        let statistic = ["running_mean", "running_var", "num_batches_tracked"].iter().any(|end| name.ends_with(end));
        if statistic || !tensor.dtype().is_float() { Self::Buffer } else { Self::Parameter }
    }
}

impl Checkpoint {
    /// Looks at every entry of every tensor.
    pub fn inspect(&self) -> Result<Inspection> {
        let tensors = self.tensors.iter().map(|(name, t)| inspect(name, t)).collect::<Result<Vec<_>>>()?;
        let entries = |role: TensorRole| {
            tensors.iter().filter(|t| t.role == role).map(|t| t.shape.iter().product::<usize>()).sum()
        };
        Ok(Inspection {
            format: self.format,
            stripped_prefix: self.stripped_prefix.clone(),
            parameters: entries(TensorRole::Parameter),
            buffers: entries(TensorRole::Buffer),
            metadata: self.metadata.clone(),
            tensors,
        })
    }
}

fn inspect(name: &str, tensor: &Tensor) -> Result<TensorInspection> {
    let real = tensor.dtype().is_float();
    let entries = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let finite = || entries.iter().copied().filter(|x| x.is_finite());
    let some = finite().next().is_some();
    Ok(TensorInspection {
        name: name.to_string(),
        shape: tensor.dims().to_vec(),
        dtype: tensor.dtype().as_str().to_string(),
        role: TensorRole::of(name, tensor),
        norm: real.then(|| finite().map(|x| x * x).sum::<f64>().sqrt()),
        min: some.then(|| finite().fold(f64::INFINITY, f64::min)),
        max: some.then(|| finite().fold(f64::NEG_INFINITY, f64::max)),
        non_finite: entries.len() - finite().count(),
    })
}
