//! How every example's loss changes along a direction of the outputs.

use candle_core::{DType, Tensor};

use super::Loss;
use crate::task::TaskError;

impl Loss {
    /// The derivative of the loss of each example, as [`Loss::of_examples`] gives it, along `direction`, which has the shape
    /// of the outputs [n, ..]. Computed in f64.
    pub fn slopes_of_examples(
        self,
        outputs: &Tensor,
        targets: &Tensor,
        direction: &Tensor,
        smoothing: f64,
    ) -> Result<Vec<f64>, TaskError> {
        if outputs.dims() != direction.dims() {
            return Err(TaskError::Option(format!(
                "a direction has shape {:?}, but the outputs have {:?}: they must agree",
                direction.dims(),
                outputs.dims()
            )));
        }
        let numbers = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (n, width) = (outputs.dim(0)?, outputs.dims().last().copied().unwrap_or(1));
        let (z, d) = (numbers(outputs)?, numbers(direction)?);
        if matches!(self, Self::CrossEntropy | Self::NextToken) {
            let labels = targets.flatten_all()?.to_vec1::<u32>()?;
            let positions = labels.len() / n.max(1);
            let rows = z.chunks_exact(width).zip(d.chunks_exact(width)).zip(labels);
            let all: Vec<f64> =
                rows.map(|((z, d), label)| cross_entropy_slope(z, d, label, smoothing)).collect();
            return Ok(sums(&all, positions, 1.0 / positions as f64));
        }
        let targets = numbers(targets)?;
        let each = z.len() / n.max(1);
        let entries = z.iter().zip(&targets).zip(&d);
        let (all, factor): (Vec<f64>, f64) = match self {
            Self::BinaryCrossEntropy => {
                (entries.map(|((z, t), d)| (1.0 / (1.0 + (-z).exp()) - t) * d).collect(), 1.0 / each as f64)
            }
            Self::HalfSquaredError => (entries.map(|((x, t), d)| (x - t) * d).collect(), 1.0),
            _ => (entries.map(|((x, t), d)| 2.0 * (x - t) * d).collect(), 1.0 / each as f64),
        };
        Ok(sums(&all, each, factor))
    }
}

/// Sums of consecutive entries, so many at a time, times a factor.
fn sums(all: &[f64], each: usize, factor: f64) -> Vec<f64> {
    all.chunks_exact(each).map(|part| factor * part.iter().sum::<f64>()).collect()
}

/// <softmax(z) - y, d> with y the smoothed label.
fn cross_entropy_slope(z: &[f64], d: &[f64], label: u32, smoothing: f64) -> f64 {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = z.iter().map(|z| (z - largest).exp()).collect();
    let partition: f64 = weights.iter().sum();
    let mean: f64 = weights.iter().zip(d).map(|(w, d)| w / partition * d).sum();
    let even = d.iter().sum::<f64>() / d.len() as f64;
    mean - (1.0 - smoothing) * d[label as usize] - smoothing * even
}
