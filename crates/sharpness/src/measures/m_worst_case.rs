//! The highest losses of mini-batches within balls.

use relief_hessian::{FiniteSum, Parameters, Result};
use serde::{Deserialize, Serialize};

use super::ascent::Ball;
use super::m_sharpness::over_mini_batches;
use super::mean::Mean;
use super::measure::{Cost, Invariance, Measure, Uncertainty};
use super::worst_case::WorstCase;

/// The mean over mini-batches B of m examples of max `L_B(w + epsilon)` - `L_B(w)` over |T^-1 epsilon| <= rho, each searched for by
/// itself (Foret et al. 2021, eq. 4; with this search Andriushchenko et al. 2023).
///
/// The mini-batches are those of [`MSharpness`](super::MSharpness), which takes one step in place of the search. The mean
/// is a lower bound; beside it stands its standard error over the mini-batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MWorstCase {
    /// Examples m of a mini-batch.
    pub m: usize,
    /// The ball, and how it is searched.
    pub worst: WorstCase,
    /// Seed of the order of the examples.
    #[serde(default)]
    pub seed: u64,
}

impl MWorstCase {
    /// m must lie in 1..=examples.
    pub fn measure(&self, examples: &dyn FiniteSum, at: &Parameters) -> Result<Measure> {
        let mut gradients = 0;
        let rises = over_mini_batches(examples, at, (self.m, self.seed), |centre| {
            let found = self.worst.ascend(centre)?;
            gradients += centre.cost().gradients;
            Ok(found.rise)
        })?;
        let mean = Mean::of(&rises);
        let WorstCase { ball, rho, scale, .. } = self.worst;
        let (name, norm) = match ball {
            Ball::L2 => ("l2", "2"),
            Ball::Linf => ("linf", "inf"),
        };
        let measure = Measure::new(
            format!("{}m-worst-case-{name}", scale.prefix()),
            format!(
                "mean over batches B of m of max L_B(w + e) - L_B(w) over |e/T|_{norm} <= rho, {}",
                scale.formula()
            ),
            mean.value,
            Uncertainty::LowerBound,
            Invariance::of(scale),
        );
        let measure = measure
            .with_setting("rho", rho)
            .with_setting("m", self.m as f64)
            .with_beside("batches", rises.len() as f64)
            .with_cost(Cost { gradients: gradients.div_ceil(rises.len()), ..Cost::default() });
        let error = Some(mean.standard_error).filter(|error| error.is_finite());
        let measure = error.iter().fold(measure, |m, error| m.with_beside("standard_error", *error));
        Ok(scale.eta().iter().fold(measure, |measure, eta| measure.with_setting("eta", *eta)))
    }
}
