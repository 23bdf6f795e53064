//! Looking for entries that are not numbers or infinite.

use candle_core::{DType, Tensor};
use serde::Serialize;

use super::{Checkpoint, CheckpointError, Result};

/// An entry that is not a finite number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NonFiniteEntry {
    /// The tensor it is in.
    pub name: String,
    /// Where in the tensor, one index a dimension.
    pub index: Vec<usize>,
    /// Not a number, or an infinity.
    pub value: f64,
}

impl Checkpoint {
    /// The first entry, by name and then by index, that is not a finite number.
    ///
    /// # Errors
    /// Candle's error when it cannot convert a tensor to double precision.
    pub fn non_finite(&self) -> Result<Option<NonFiniteEntry>> {
        for (name, tensor) in &self.tensors {
            if tensor.dtype().is_int() {
                continue;
            }
            let entries = entries(tensor)?;
            if let Some(place) = entries.iter().position(|entry| !entry.is_finite()) {
                return Ok(Some(NonFiniteEntry {
                    name: name.clone(),
                    index: index_of(place, tensor.dims()),
                    value: entries[place],
                }));
            }
        }
        Ok(None)
    }

    /// Refuses a checkpoint with an entry that is not a finite number.
    ///
    /// # Errors
    /// [`CheckpointError::NonFinite`] with the first such entry; candle's error when it cannot convert a tensor.
    pub fn require_finite(&self) -> Result<()> {
        match self.non_finite()? {
            None => Ok(()),
            Some(entry) => Err(CheckpointError::NonFinite { path: self.source.clone(), entry }),
        }
    }
}

/// All entries in double precision, last dimension fastest.
pub(super) fn entries(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn index_of(place: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = place;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|length| {
            let here = rest % length;
            rest /= length;
            here
        })
        .collect();
    index.reverse();
    index
}
