//! Slopes of the loss for targets drawn from what the model itself predicts: what Fisher matrices are made of.

use candle_core::{DType, Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Loss;
use crate::task::TaskError;

impl Loss {
    /// Gradients of every example's loss in its outputs [n, ..], for targets drawn from the model's own distribution:
    /// softmax probabilities for cross-entropies, those of each logit for the binary one, a Gaussian around the outputs for
    /// squared errors. Their mean outer product tends to the second derivatives of the loss in the outputs, and so the
    /// mean over examples of J' c c' J to the Gauss-Newton matrix (Martens 2020, section 9.2). Label smoothing has no part
    /// in it.
    pub fn sampled_slopes(self, outputs: &Tensor, random: &mut ChaCha8Rng) -> Result<Tensor, TaskError> {
        let (n, width) = (outputs.dim(0)?, outputs.dims().last().copied().unwrap_or(1));
        let entries = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let each = entries.len() / n.max(1);
        let slopes: Vec<f64> = match self {
            Self::CrossEntropy | Self::NextToken => {
                // The mean over positions, whose targets are drawn one by one.
                let scale = (width as f64 / each as f64).sqrt();
                entries.chunks_exact(width).flat_map(|z| softmax_slope(z, scale, random)).collect()
            }
            Self::BinaryCrossEntropy => {
                let scale = (1.0 / each as f64).sqrt();
                let slope = |z: &f64| {
                    let p = 1.0 / (1.0 + (-z).exp());
                    scale * (p - f64::from(u8::from(random.random::<f64>() < p)))
                };
                entries.iter().map(slope).collect()
            }
            Self::Mse | Self::HalfSquaredError => {
                let scale = if self == Self::Mse { (2.0 / each as f64).sqrt() } else { 1.0 };
                entries
                    .iter()
                    .map(|_| {
                        let draw: f64 = StandardNormal.sample(random);
                        scale * draw
                    })
                    .collect()
            }
        };
        Ok(Tensor::from_vec(slopes, outputs.dims(), &Device::Cpu)?)
    }
}

/// scale (p - `e_y`) for a label y drawn from p = softmax(z).
fn softmax_slope(z: &[f64], scale: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = z.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let mut left = random.random::<f64>() * sum;
    let mut label = 0;
    for (class, weight) in weights.iter().enumerate() {
        label = class;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    let slope = |(class, weight): (usize, &f64)| scale * (weight / sum - f64::from(u8::from(class == label)));
    weights.iter().enumerate().map(slope).collect()
}
