//! What Adam remembers, from a file: running means of squared gradients, and how it was set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use relief_hessian::Parameters;
use sha2::{Digest, Sha256};

use super::inspect::TensorRole;
use super::signature::{self, Signature};
use super::{Checkpoint, CheckpointError, Result, ShapeMismatch, hexadecimal, optimizer, read_file};

/// What Adam (or `AdamW`) remembers of a training, and its settings as far as the file has them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AdamMemory {
    /// v, the running mean of the squared gradient before any correction, by the parameters' names. With `AMSGrad` the largest
    /// so far, which takes its place in the step.
    pub second_moments: BTreeMap<String, Tensor>,
    /// Steps taken.
    pub steps: Option<usize>,
    /// Factor of the mean gradient.
    pub beta1: Option<f64>,
    /// Factor of the mean squared gradient.
    pub beta2: Option<f64>,
    /// Added to the root.
    pub epsilon: Option<f64>,
    /// Step size.
    pub eta: Option<f64>,
    /// The file.
    pub source: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
}

impl AdamMemory {
    /// Reads a file: the `state_dict` of PyTorch's Adam, alone or under one of the usual keys beside the model's own, which
    /// then gives the parameters their names; else tensors that have the parameters' names, in safetensors or PyTorch's
    /// format, with `steps`, `beta1`, `beta2`, `epsilon` and `eta` in the metadata if there.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let mut memory = match signature::identify(&bytes) {
            Signature::Zip => optimizer::read(path, &bytes)?,
            _ => None,
        };
        if memory.is_none() {
            memory = Some(Self::from_named(Checkpoint::from_contents(path, &bytes)?));
        }
        let memory = memory.unwrap_or_default();
        Ok(Self { source: path.into(), sha256: hexadecimal(&Sha256::digest(&bytes)), ..memory })
    }

    /// The second moments of some parameters as a flat vector in their order. Names that are missing, other shapes, and means
    /// of squares that are below 0 or not finite are refused.
    pub fn of(&self, parameters: &Parameters) -> Result<Vec<f64>> {
        let (mut missing, mut mismatched, mut all) = (vec![], vec![], Vec::with_capacity(parameters.len()));
        for (name, like) in parameters.iter() {
            match self.second_moments.get(name) {
                None => missing.push((name.to_string(), like.dims().to_vec())),
                Some(v) if v.dims() != like.dims() => mismatched.push(ShapeMismatch {
                    name: name.to_string(),
                    found: v.dims().to_vec(),
                    expected: like.dims().to_vec(),
                }),
                Some(v) => {
                    let entries = v.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
                    if let Some(bad) = entries.iter().find(|v| !(v.is_finite() && **v >= 0.0)) {
                        let found = format!(
                            "a second moment of `{name}` is {bad}, but a mean of squares is 0 or more"
                        );
                        return Err(self.refused(found));
                    }
                    all.extend(entries);
                }
            }
        }
        if missing.is_empty() && mismatched.is_empty() {
            return Ok(all);
        }
        Err(CheckpointError::Mismatch { path: self.source.clone(), missing, extra: vec![], mismatched })
    }

    /// The second moments of a training as a flat vector over all parameters of a checkpoint of it, in the order of their
    /// names, with the file that they were read from.
    pub fn of_training(checkpoint: &Checkpoint, square: &[f64], steps: usize, source: &Path) -> Result<Self> {
        let sha256 = hexadecimal(&Sha256::digest(read_file(source)?));
        let trained = checkpoint
            .tensors
            .iter()
            .filter(|(name, tensor)| TensorRole::of(name, tensor.dtype().is_int()) == TensorRole::Parameter);
        let (mut second_moments, mut rest) = (BTreeMap::new(), square);
        for (name, like) in trained {
            let (own, tail) = rest.split_at_checked(like.elem_count()).unwrap_or_default();
            if own.len() == like.elem_count() {
                second_moments.insert(name.clone(), Tensor::from_slice(own, like.shape(), &Device::Cpu)?);
            }
            rest = tail;
        }
        Ok(Self { second_moments, steps: Some(steps), source: source.into(), sha256, ..Self::default() })
    }

    fn refused(&self, found: String) -> CheckpointError {
        CheckpointError::NoAdam { path: self.source.clone(), found }
    }

    /// From tensors that have the parameters' names.
    fn from_named(file: Checkpoint) -> Self {
        let number = |key: &str| file.metadata.get(key).and_then(|text| text.parse::<f64>().ok());
        let steps = file.metadata.get("steps").and_then(|text| text.parse().ok());
        let (beta1, beta2) = (number("beta1"), number("beta2"));
        let (epsilon, eta) = (number("epsilon"), number("eta"));
        Self { steps, beta1, beta2, epsilon, eta, second_moments: file.tensors, ..Self::default() }
    }
}
