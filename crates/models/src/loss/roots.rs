//! Exact square roots of the second derivatives of the loss in the outputs.

use candle_core::{DType, Device, Tensor};

use super::Loss;
use crate::task::TaskError;

impl Loss {
    /// Columns of the square root of an example's second derivatives in its outputs of a shape: one for every output entry, so
    /// that of a classifier one for every class, and of a text one for every token of the vocabulary at every position.
    pub fn root_columns(self, outputs: &[usize]) -> usize {
        outputs.iter().product()
    }

    /// Column k of a matrix S with S S' = the second derivatives of every example's loss in its outputs [n, ..], shaped like
    /// them: `sqrt(p_k) (e_k - p)` for a softmax with probabilities p (Dangel, Kunstner & Hennig 2020),
    /// a multiple of `e_k` for the others. Label smoothing has no part in second derivatives. Computed in f64.
    pub fn root_column(self, outputs: &Tensor, k: usize) -> Result<Tensor, TaskError> {
        let (n, width) = (outputs.dim(0)?, outputs.dims().last().copied().unwrap_or(1));
        let entries = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let each = entries.len() / n.max(1);
        if k >= each {
            return Err(TaskError::Option(format!("there is no column {k}: an example has {each} outputs")));
        }
        let mut column = vec![0.0; entries.len()];
        for (z, c) in entries.chunks_exact(each).zip(column.chunks_exact_mut(each)) {
            match self {
                Self::CrossEntropy | Self::NextToken => {
                    // The mean over positions, each with its own block.
                    let (start, class) = (k / width * width, k % width);
                    let positions = (each / width) as f64;
                    softmax_root(&z[start..start + width], class, positions, &mut c[start..start + width]);
                }
                Self::BinaryCrossEntropy => {
                    let p = 1.0 / (1.0 + (-z[k]).exp());
                    let q = 1.0 / (1.0 + z[k].exp());
                    c[k] = (p * q / each as f64).sqrt();
                }
                Self::Mse => c[k] = (2.0 / each as f64).sqrt(),
                Self::HalfSquaredError => c[k] = 1.0,
            }
        }
        Ok(Tensor::from_vec(column, outputs.dims(), &Device::Cpu)?)
    }
}

/// `sqrt(p_k / positions) (e_k - p)` with p = softmax(z).
fn softmax_root(z: &[f64], class: usize, positions: f64, out: &mut [f64]) {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = z.iter().map(|z| (z - largest).exp()).sum();
    let p = |z: f64| (z - largest).exp() / sum;
    let root = (p(z[class]) / positions).sqrt();
    for (i, (z, out)) in z.iter().zip(out).enumerate() {
        *out = root * (f64::from(u8::from(i == class)) - p(*z));
    }
}
