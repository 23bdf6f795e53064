//! How evenly examples weigh in the gradient, at a point and at the perturbed one.

use candle_core::DType;
use relief_hessian::{Objective, Parameters, Result};
use serde::Serialize;

/// Gini coefficients of the examples' |dl/df|, the slopes of their losses in the model's outputs: 0 where all examples weigh
/// the same in the gradient, near 1 where a few make it up. Sharpness-aware minimization takes its gradient at the
/// perturbed point, where the weights are more even (Springer, Nagarajan & Raghunathan 2024).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Phantom {
    /// At the point itself.
    pub at_point: f64,
    /// At the perturbed point.
    pub at_phantom: f64,
}

impl Phantom {
    /// At a point and at the point moved by `perturbation`; each takes a gradient. None where all slopes are zero.
    pub fn new(objective: &dyn Objective, at: &Parameters, perturbation: &[f64]) -> Result<Option<Self>> {
        let at_point = gini(&output_slopes(objective, at)?);
        let at_phantom = gini(&output_slopes(objective, &at.displaced(perturbation, 1.0)?)?);
        Ok(at_point.zip(at_phantom).map(|(at_point, at_phantom)| Self { at_point, at_phantom }))
    }
}

/// |dl/df| of every example, in the order of the batches: the norm of the slope of the example's share of the mean loss in its
/// outputs.
pub fn output_slopes(objective: &dyn Objective, at: &Parameters) -> Result<Vec<f64>> {
    let mut slopes = vec![];
    for batch in 0..objective.batches() {
        let slope = objective.linearize(at, batch)?.output_gradient()?;
        let examples = slope.dims().first().copied().unwrap_or(1).max(1);
        let entries = slope.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let weight = objective.weight(batch);
        let width = (entries.len() / examples).max(1);
        let lengths = entries.chunks_exact(width).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt());
        slopes.extend(lengths.map(|length| weight * length));
    }
    Ok(slopes)
}

/// The Gini coefficient of numbers that are not negative: half the mean absolute difference of two of them over the mean. None where
/// there are none, or all are zero.
pub fn gini(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let total: f64 = sorted.iter().sum();
    let ranked: f64 = sorted.iter().enumerate().map(|(i, x)| (i + 1) as f64 * x).sum();
    (total > 0.0 && total.is_finite()).then(|| 2.0 * ranked / (n * total) - (n + 1.0) / n)
}
