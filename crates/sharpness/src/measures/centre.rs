//! A loss at a point, and around it.

use std::sync::atomic::{AtomicUsize, Ordering};

use relief_hessian::{Error, Objective, Parameters, Result, gradient, loss};

use super::measure::Cost;

/// The point in the middle of balls and noise, with its loss and gradient. It counts the passes over the data.
pub struct Centre<'a> {
    objective: &'a dyn Objective,
    at: Parameters,
    point: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    evaluations: AtomicUsize,
    gradients: AtomicUsize,
}

impl<'a> Centre<'a> {
    /// One gradient. An error where loss or gradient are not finite.
    pub fn new(objective: &'a dyn Objective, at: &Parameters) -> Result<Self> {
        let (loss, gradient) = rayon::scope(|_| gradient(objective, at))?;
        if !loss.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(Error::NonFiniteLoss { loss });
        }
        let point = at.to_vec()?;
        let (evaluations, gradients) = (AtomicUsize::new(0), AtomicUsize::new(1));
        Ok(Self { objective, at: at.clone(), point, loss, gradient, evaluations, gradients })
    }

    /// The loss.
    pub fn objective(&self) -> &'a dyn Objective {
        self.objective
    }

    /// The point w.
    pub fn at(&self) -> &Parameters {
        &self.at
    }

    /// The point as a flat vector.
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// L(w), with its weight decay term.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The gradient at w as a flat vector.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// The point w + epsilon.
    pub fn displaced(&self, epsilon: &[f64]) -> Result<Parameters> {
        if epsilon.len() != self.point.len() {
            return Err(Error::Input(format!(
                "a displacement has {} entries, but there are {} parameters",
                epsilon.len(),
                self.point.len()
            )));
        }
        let there: Vec<f64> = self.point.iter().zip(epsilon).map(|(w, e)| w + e).collect();
        self.at.at(&there)
    }

    /// L(w + epsilon) - L(w), which may be infinite or NaN.
    pub(crate) fn any_rise(&self, epsilon: &[f64]) -> Result<f64> {
        let there = self.displaced(epsilon)?;
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        // Inside rayon's pool from the start, so that the steps between batches need not wake it up.
        Ok(rayon::scope(|_| loss(self.objective, &there))? - self.loss)
    }

    /// L(w + epsilon) - L(w): one evaluation. An error where it is not finite.
    pub fn rise(&self, epsilon: &[f64]) -> Result<f64> {
        finite(self.any_rise(epsilon)?, epsilon)
    }

    /// L(w + epsilon) - L(w) and the gradient at w + epsilon. An error where they are not finite.
    pub fn slope(&self, epsilon: &[f64]) -> Result<(f64, Vec<f64>)> {
        let there = self.displaced(epsilon)?;
        self.gradients.fetch_add(1, Ordering::Relaxed);
        let (loss, gradient) = rayon::scope(|_| gradient(self.objective, &there))?;
        let sum = gradient.iter().fold(0.0, |sum, g| sum + g.abs());
        finite(sum, epsilon)?;
        Ok((finite(loss - self.loss, epsilon)?, gradient))
    }

    /// Passes over the data so far.
    pub fn cost(&self) -> Cost {
        Cost {
            products: 0,
            gradients: self.gradients.load(Ordering::Relaxed),
            evaluations: self.evaluations.load(Ordering::Relaxed),
        }
    }
}

fn finite(value: f64, epsilon: &[f64]) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    let distance = epsilon.iter().map(|e| e * e).sum::<f64>().sqrt();
    Err(Error::NonFinite(format!(
        "the loss or its gradient is not finite at a distance of {distance:.3e} from the point: ask for a smaller radius"
    )))
}
