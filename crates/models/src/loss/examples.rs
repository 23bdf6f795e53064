//! The loss of every example by itself, for spreads and classes.

use candle_core::{DType, Tensor};

use super::Loss;
use crate::task::TaskError;

impl Loss {
    /// The loss of each example, whose mean is [`Loss::value`]: from outputs [n, ..] and targets made by
    /// [`Loss::target_tensor`]. Computed in f64.
    pub fn of_examples(
        self,
        outputs: &Tensor,
        targets: &Tensor,
        smoothing: f64,
    ) -> Result<Vec<f64>, TaskError> {
        let (n, width) = (outputs.dim(0)?, outputs.dims().last().copied().unwrap_or(1));
        let entries = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        if matches!(self, Self::CrossEntropy | Self::NextToken) {
            let labels = targets.flatten_all()?.to_vec1::<u32>()?;
            let positions = labels.len() / n.max(1);
            let all: Vec<f64> = entries
                .chunks_exact(width)
                .zip(labels)
                .map(|(z, y)| cross_entropy(z, y, smoothing))
                .collect();
            return Ok(means(&all, positions));
        }
        let targets = targets.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let pairs = entries.iter().zip(&targets);
        let all: Vec<f64> = match self {
            Self::BinaryCrossEntropy => pairs.map(|(z, t)| softplus(*z) - z * t).collect(),
            _ => pairs.map(|(x, t)| (x - t).powi(2)).collect(),
        };
        let each = all.len() / n.max(1);
        Ok(match self {
            Self::HalfSquaredError => {
                all.chunks_exact(each).map(|part| 0.5 * part.iter().sum::<f64>()).collect()
            }
            _ => means(&all, each),
        })
    }
}

/// Means of consecutive entries, so many at a time.
fn means(all: &[f64], each: usize) -> Vec<f64> {
    all.chunks_exact(each).map(|part| part.iter().sum::<f64>() / each as f64).collect()
}

fn cross_entropy(logits: &[f64], label: u32, smoothing: f64) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let partition = largest + logits.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
    let mut loss = (1.0 - smoothing) * (partition - logits[label as usize]);
    if smoothing > 0.0 {
        let mean = logits.iter().sum::<f64>() / logits.len() as f64;
        loss += smoothing * (partition - mean);
    }
    loss
}

/// ln(1 + e^z), which neither overflows nor loses small values.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}
