//! Sharpness-aware minimization (Foret et al. 2021) and what differs from it in the perturbation alone.

use relief_hessian::{Parameters, Result};
use relief_sharpness::Perturbation;
use serde::{Deserialize, Serialize};

use super::{Site, Update, norm};

/// The gradient at theta + epsilon, epsilon the perturbation of radius rho.
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
    pub(super) fn perturbation(&self, gradient: &[f64], at: &Parameters) -> Result<Vec<f64>> {
        let mut epsilon = self.perturbation.direction(gradient, at)?;
        epsilon.iter_mut().for_each(|e| *e *= self.rho);
        Ok(epsilon)
    }

    pub(super) fn update(&self, site: &mut Site<'_>) -> Result<Update> {
        let (loss, slope) = site.gradient()?;
        let epsilon = self.perturbation(&slope, site.at)?;
        let (_, gradient) = site.perturbed_gradient(&epsilon)?;
        Ok(Update { loss, gradient_norm: norm(&slope), perturbation_norm: norm(&epsilon), gradient })
    }
}
