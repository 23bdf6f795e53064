//! A description of a checkpoint that can be printed or written as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::non_finite::entries;
use super::{Checkpoint, Format, Result};

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The file's format.
    pub format: Format,
    /// The keys that lead to the state dict inside a PyTorch file.
    pub nested_under: Option<String>,
    /// What was taken off the front of every name.
    pub stripped_prefix: Option<String>,
    /// What the file says beside its tensors.
    pub metadata: BTreeMap<String, String>,
    /// Entries of all parameters together.
    pub parameters: usize,
    /// Entries of all buffers together.
    pub buffers: usize,
    /// The tensors by name, sorted.
    pub tensors: Vec<TensorInspection>,
}

/// One tensor in numbers; the arithmetic is in double precision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TensorInspection {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its entries in the file.
    pub dtype: String,
    /// What it is for, as far as its name and type tell.
    pub role: TensorRole,
    /// The number of its entries.
    pub entries: usize,
    /// The square root of the sum of the squares of its finite entries; `None` for integers.
    pub norm: Option<f64>,
    /// The least finite entry, if there is one.
    pub min: Option<f64>,
    /// The greatest finite entry, if there is one.
    pub max: Option<f64>,
    /// How many entries are infinite or not numbers.
    pub non_finite: usize,
}

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TensorRole {
    /// Trained: every floating-point tensor that is not known as a buffer.
    Parameter,
    /// Kept by batch normalisation: `running_mean`, `running_var`, `num_batches_tracked`.
    Buffer,
    /// Any other tensor of integers.
    Integer,
}

impl fmt::Display for TensorRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Parameter => "parameter",
            Self::Buffer => "buffer",
            Self::Integer => "integer",
        })
    }
}

impl TensorRole {
    pub(super) fn of(name: &str, integer: bool) -> Self {
        match name.rsplit('.').next() {
            Some("running_mean" | "running_var" | "num_batches_tracked") => Self::Buffer,
            _ if integer => Self::Integer,
            _ => Self::Parameter,
        }
    }
}

impl Checkpoint {
    /// Describes every tensor.
    ///
    /// # Errors
    /// Candle's error when it cannot convert a tensor to double precision.
    pub fn inspect(&self) -> Result<Inspection> {
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let entries = entries(tensor)?;
                let floating = tensor.dtype().is_float();
                let finite = || entries.iter().copied().filter(|entry| entry.is_finite());
                Ok(TensorInspection {
                    name: name.clone(),
                    shape: tensor.dims().to_vec(),
                    dtype: self.stored_dtypes[name].to_string(),
                    role: TensorRole::of(name, !floating),
                    entries: entries.len(),
                    norm: floating.then(|| finite().map(|entry| entry * entry).sum::<f64>().sqrt()),
                    min: finite().reduce(f64::min),
                    max: finite().reduce(f64::max),
                    non_finite: entries.len() - finite().count(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let total =
            |role| tensors.iter().filter(|tensor| tensor.role == role).map(|tensor| tensor.entries).sum();
        Ok(Inspection {
            format: self.format,
            nested_under: self.nested_under.clone(),
            stripped_prefix: self.stripped_prefix.clone(),
            metadata: self.metadata.clone(),
            parameters: total(TensorRole::Parameter),
            buffers: total(TensorRole::Buffer),
            tensors,
        })
    }
}
