//! Sharpness of the losses of mini-batches.

use relief_hessian::{Epochs, FiniteSum, Parameters, Result};
use serde::{Deserialize, Serialize};

use super::centre::Centre;
use super::mean::Mean;
use super::measure::{Cost, Invariance, Measure, Uncertainty};
use super::worst_case::check_radius;
use crate::Perturbation;

/// The mean over mini-batches B of m examples of `L_B(w + epsilon_B)` - `L_B(w)`, each with the perturbation of its own
/// gradient (Foret et al. 2021).
///
/// Its mini-batches are those of one epoch without the last where that has fewer examples; the standard error is over them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MSharpness {
    /// Examples m of a mini-batch.
    pub m: usize,
    /// The radius rho.
    pub rho: f64,
    /// The perturbation of radius 1.
    #[serde(default)]
    pub perturbation: Perturbation,
    /// Seed of the order of the examples.
    #[serde(default)]
    pub seed: u64,
}

impl MSharpness {
    /// One epoch: a gradient and an evaluation over the data. m must lie in 1..=examples.
    pub fn measure(&self, examples: &dyn FiniteSum, at: &Parameters) -> Result<Measure> {
        check_radius(self.rho)?;
        let rises = over_mini_batches(examples, at, (self.m, self.seed), |centre| {
            // A batch whose gradient vanishes has no steepest ascent, and rises nowhere in first order.
            if centre.gradient().iter().all(|g| *g == 0.0) {
                return Ok(0.0);
            }
            let mut epsilon = self.perturbation.direction(centre.gradient(), at)?;
            epsilon.iter_mut().for_each(|e| *e *= self.rho);
            centre.rise(&epsilon)
        })?;
        let mean = Mean::of(&rises);
        let uncertainty = if rises.len() > 1 {
            Uncertainty::StandardError { size: mean.standard_error }
        } else {
            Uncertainty::Exact
        };
        let scale = self.perturbation.scale;
        let measure = Measure::new(
            format!("{}m-sharpness-l{}", scale.prefix(), self.perturbation.norm),
            format!(
                "mean over batches B of m of L_B(w + e_B) - L_B(w), e_B = argmax g_B'e over |e/T|_{} <= rho, {}",
                self.perturbation.norm,
                scale.formula()
            ),
            mean.value,
            uncertainty,
            Invariance::of(scale),
        );
        Ok(measure
            .with_setting("rho", self.rho)
            .with_setting("m", self.m as f64)
            .with_beside("batches", rises.len() as f64)
            .with_cost(Cost { products: 0, gradients: 1, evaluations: 1 }))
    }
}

/// A number for every mini-batch of one epoch, without the last where that has fewer than m examples.
pub(super) fn over_mini_batches(
    examples: &dyn FiniteSum,
    at: &Parameters,
    (m, seed): (usize, u64),
    mut one: impl FnMut(&Centre<'_>) -> Result<f64>,
) -> Result<Vec<f64>> {
    let epochs = Epochs::new(examples.examples(), m, seed)?;
    let count = (examples.examples() / m).max(1);
    let of = |step| {
        let objective = examples.over(&epochs.at(step))?;
        one(&Centre::new(objective.as_ref(), at)?)
    };
    (0..count).map(of).collect()
}
