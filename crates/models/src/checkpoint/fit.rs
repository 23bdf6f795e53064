//! Comparing a checkpoint with what a model wants.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::{Checkpoint, CheckpointError, ShapeMismatch};

impl Checkpoint {
    /// The tensors that a model wants, by the names and shapes it gives, in the precision they were stored in.
    ///
    /// Everything that does not agree is collected into one error. Tensors of integers that the model does not want
    /// (`num_batches_tracked`, positions) are no disagreement.
    ///
    /// # Errors
    /// [`CheckpointError::Mismatch`] with all that is missing, extra or of another shape;
    /// [`CheckpointError::Unsupported`] when a tensor the model wants holds integers.
    pub fn fit(&self, wanted: &[(String, Vec<usize>)]) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
        let mut fitting = BTreeMap::new();
        let mut missing = Vec::new();
        let mut mismatched = Vec::new();
        for (name, expected) in wanted {
            match self.tensors.get(name) {
                None => missing.push(name.clone()),
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
        let extra: Vec<String> = self
            .tensors
            .iter()
            .filter(|(name, tensor)| !known.contains(name.as_str()) && !tensor.dtype().is_int())
            .map(|(name, _)| name.clone())
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
