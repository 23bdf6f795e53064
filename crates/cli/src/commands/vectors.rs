//! Eigenvectors on disk: one tensor per parameter, with a leading axis that counts the eigenvalues.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Eigen, Parameters};
use relief_models::checkpoint::{self, Checkpoint};

use crate::exit::Failure;

/// Saves all vectors in the parameters' type: the largest eigenvalues' first, then the smallest.
pub(crate) fn save(path: &Path, parameters: &Parameters, eigen: &Eigen) -> Result<(), Failure> {
    let vectors = &eigen.vectors;
    let mut tensors = BTreeMap::new();
    for ((name, range), tensor) in parameters.ranges().into_iter().zip(parameters.tensors()) {
        let entries: Vec<f64> = vectors.iter().flat_map(|v| &v[range.clone()]).copied().collect();
        let mut dims = vec![vectors.len()];
        dims.extend(tensor.dims());
        let stacked =
            Tensor::from_vec(entries, dims, &Device::Cpu).and_then(|t| t.to_dtype(parameters.dtype()));
        tensors.insert(name.to_string(), stacked.map_err(relief_hessian::Error::from)?);
    }
    let values: Vec<String> = eigen.pairs().map(|pair| format!("{:e}", pair.value)).collect();
    let metadata = BTreeMap::from([("eigenvalues".to_string(), values.join(","))]);
    Ok(checkpoint::save(path, &tensors, &metadata)?)
}

/// Loads vectors saved for a model with the same parameters.
pub(crate) fn load(path: &Path, parameters: &Parameters) -> Result<Vec<Vec<f64>>, Failure> {
    let saved = Checkpoint::load(path)?;
    let count = saved.tensors.values().next().and_then(|t| t.dims().first().copied()).unwrap_or(0);
    let wanted: Vec<(String, Vec<usize>)> = parameters
        .iter()
        .map(|(name, tensor)| (name.to_string(), [&[count], tensor.dims()].concat()))
        .collect();
    let tensors = saved.fit(&wanted)?;
    let mut vectors = vec![Vec::with_capacity(parameters.len()); count];
    for name in parameters.names() {
        let rows = tensors[name].to_dtype(DType::F64).and_then(|t| t.reshape((count, ()))?.to_vec2::<f64>());
        for (vector, row) in vectors.iter_mut().zip(rows.map_err(relief_hessian::Error::from)?) {
            vector.extend(row);
        }
    }
    Ok(vectors)
}
