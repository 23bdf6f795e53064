//! Sharpness-aware minimization (Foret et al. 2021) and what differs from it in the perturbation alone.

use relief_hessian::{Parameters, Result};
use relief_sharpness::{Perturbation, Scale};
use serde::{Deserialize, Serialize};

use super::{Site, Update};

/// The gradient at theta + epsilon, epsilon the perturbation of radius rho; none where the gradient is 0. Two gradients a
/// step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sam {
    /// The radius.
    pub rho: f64,
    /// Norm and scales of the ball.
    pub perturbation: Perturbation,
}

impl Default for Sam {
    fn default() -> Self {
        Self { rho: 0.05, perturbation: Perturbation::default() }
    }
}

impl Sam {
    /// ASAM (Kwon et al. 2021) as its authors released it: scales |w| + 0.01 for weights and 1 for the rest, rho 0.5.
    pub fn adaptive() -> Self {
        Self { rho: 0.5, perturbation: Perturbation { norm: 2.0, scale: Scale::Weights { eta: 0.01 } } }
    }

    pub(super) fn perturbation(&self, gradient: &[f64], at: &Parameters, sign: f64) -> Result<Vec<f64>> {
        if gradient.iter().all(|g| *g == 0.0) {
            return Ok(vec![0.0; gradient.len()]);
        }
        let mut epsilon = self.perturbation.direction(gradient, at)?;
        epsilon.iter_mut().for_each(|e| *e *= sign * self.rho);
        Ok(epsilon)
    }

    pub(super) fn update(&self, site: &Site<'_>, sign: f64) -> Result<Update> {
        let (loss, slope) = site.gradient()?;
        let epsilon = self.perturbation(&slope, site.at, sign)?;
        site.ascended(loss, &slope, &epsilon)
    }
}
