//! Comparing a checkpoint with what a model wants.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};

use super::{Checkpoint, CheckpointError, Result, ShapeMismatch};
use crate::architecture::Architecture;

impl Checkpoint {
    /// The tensors that a model wants, by the names and shapes it gives, in the precision they were stored in.
    ///
    /// Everything that does not agree is collected into one error. Tensors of integers that the model does not want
    /// (`num_batches_tracked`, positions) are no disagreement.
    ///
    /// # Errors
    /// [`CheckpointError::Mismatch`] with all that is missing, extra or of another shape;
    /// [`CheckpointError::Unsupported`] when a tensor the model wants holds integers.
    pub fn fit(&self, wanted: &[(String, Vec<usize>)]) -> Result<BTreeMap<String, Tensor>> {
        self.compare(wanted, |_| false)
    }

    /// The tensors that an architecture wants for examples of this shape (without the batch axis), as [`fit`](Self::fit)
    /// gives them; what the architecture ignores is no disagreement.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); [`CheckpointError::TiedDiffer`] when the checkpoint has two different tensors where the
    /// architecture has one; [`CheckpointError::Architecture`] when it cannot take such examples.
    pub fn fit_model(
        &self,
        model: &Architecture,
        example_shape: &[usize],
    ) -> Result<BTreeMap<String, Tensor>> {
        let wanted: Vec<_> =
            model.wanted(example_shape)?.into_iter().map(|(name, shape, _)| (name, shape)).collect();
        let fitting = self.compare(&wanted, |name| model.ignores(name))?;
        for (name, copy) in &self.tensors {
            if let Some(original) = model.tied(name)
                && let Some(tensor) = fitting.get(original)
                && !equal(copy, tensor)?
            {
                return Err(CheckpointError::TiedDiffer {
                    path: self.source.clone(),
                    name: name.clone(),
                    original: original.into(),
                });
            }
        }
        Ok(fitting)
    }

    fn compare(
        &self,
        wanted: &[(String, Vec<usize>)],
        ignores: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Tensor>> {
        let mut fitting = BTreeMap::new();
        let mut missing = Vec::new();
        let mut mismatched = Vec::new();
        for (name, expected) in wanted {
            match self.tensors.get(name) {
                None => missing.push((name.clone(), expected.clone())),
                Some(tensor) if tensor.dims() != expected => mismatched.push(ShapeMismatch {
                    name: name.clone(),
                    found: tensor.dims().to_vec(),
                    expected: expected.clone(),
                }),
                Some(tensor) => {
                    fitting.insert(name.clone(), tensor.clone());
                }
            }
        }
        let known: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let extra: Vec<_> = self
            .tensors
            .iter()
            .filter(|(name, tensor)| {
                !known.contains(name.as_str()) && !tensor.dtype().is_int() && !ignores(name)
            })
            .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
            .collect();
        if !(missing.is_empty() && extra.is_empty() && mismatched.is_empty()) {
            return Err(CheckpointError::Mismatch { path: self.source.clone(), missing, extra, mismatched });
        }
        match fitting.iter().find(|(_, tensor)| tensor.dtype().is_int()) {
            None => Ok(fitting),
            Some((name, _)) => Err(CheckpointError::Unsupported {
                path: self.source.clone(),
                name: name.clone(),
                found: "integers where the model wants floating-point numbers".into(),
            }),
        }
    }
}

/// Whether two tensors have the same shape and the same numbers.
fn equal(one: &Tensor, other: &Tensor) -> Result<bool> {
    if one.dims() != other.dims() {
        return Ok(false);
    }
    let entries = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    Ok(entries(one)? == entries(other)?)
}
