//! The mean loss under noise in the weights.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::centre::Centre;
use super::mean::Mean;
use super::measure::{Invariance, Measure, Uncertainty};
use super::noise::Noise;
use super::worst_case::check_radius;
use crate::Scale;

/// E L(w + rho T z) - L(w) for random z (Andriushchenko et al. 2023): rho^2/2 Var(z) tr(T H T) to second order.
///
/// Every draw is used with both signs: in the mean of the two all odd terms of the loss cancel, of which the gradient's is
/// the largest, so that what is left has the error of the curvature alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AverageCase {
    /// How z is distributed.
    pub noise: Noise,
    /// The standard deviation of Gaussian noise, the half width of uniform noise, before T.
    pub rho: f64,
    /// The scales T.
    pub scale: Scale,
    /// Draws until twice the standard error is at most this share of the value.
    pub relative_error: f64,
    /// Pairs at most, at least 2.
    pub max_pairs: usize,
    /// Seed of the noise: pair number i is what stream i of `ChaCha8Rng` draws.
    pub seed: u64,
}

impl Default for AverageCase {
    fn default() -> Self {
        Self {
            noise: Noise::Gaussian,
            rho: 0.05,
            scale: Scale::None,
            relative_error: 0.05,
            max_pairs: 1000,
            seed: 0,
        }
    }
}

impl AverageCase {
    /// The mean over pairs with its standard error; two evaluations a pair.
    pub fn measure(&self, centre: &Centre<'_>) -> Result<Measure> {
        check_radius(self.rho)?;
        let before = centre.cost();
        let scales = self.scale.at(centre.at())?;
        let n = centre.point().len();
        let (mean, reached) = Mean::until(self.relative_error, self.max_pairs, |number| {
            let draw = self.noise.draw(self.seed, number, n, scales.as_deref());
            let there: Vec<f64> = draw.iter().map(|z| self.rho * z).collect();
            let back: Vec<f64> = there.iter().map(|e| -e).collect();
            Ok(0.5 * (centre.rise(&there)? + centre.rise(&back)?))
        })?;
        let (name, law) = match self.noise {
            Noise::Gaussian => ("gaussian", "normal"),
            Noise::Uniform => ("uniform", "uniform in -1..1"),
        };
        let measure = Measure::new(
            format!("{}average-case-{name}", self.scale.prefix()),
            format!("E L(w + rho T z) - L(w), z {law}, {}", self.scale.formula()),
            mean.value,
            Uncertainty::StandardError { size: mean.standard_error },
            Invariance::of(self.scale),
        );
        let remedy = "the draws were used up; allow more, or ask for a larger error";
        let measure = measure
            .with_setting("rho", self.rho)
            .with_beside("pairs", mean.samples as f64)
            .with_cost(centre.cost() - before)
            .with_remedy((!reached).then_some(remedy));
        Ok(self.scale.eta().iter().fold(measure, |measure, eta| measure.with_setting("eta", *eta)))
    }

    /// What the measure is to second order, from tr(T H T): exact where the loss is quadratic.
    pub fn second_order(&self, trace: f64) -> f64 {
        0.5 * self.rho.powi(2) * self.noise.variance() * trace
    }
}
