//! A random perturbation: what is left of SAM without its direction.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::site::Purpose;
use super::{Site, Update, norm};

/// The gradient at theta + rho z/|z|, z normal and new at every step: a control with SAM's radius. One gradient a step, so
/// that the loss seen is the one there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RandomSam {
    /// The radius.
    pub rho: f64,
}

impl Default for RandomSam {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl RandomSam {
    pub(super) fn update(self, site: &Site<'_>) -> Result<Update> {
        let mut epsilon = site.normal(Purpose::Perturbation);
        let length = norm(&epsilon);
        epsilon.iter_mut().for_each(|e| *e *= self.rho / length);
        let (loss, gradient) = site.perturbed_gradient(&epsilon)?;
        Ok(Update {
            loss,
            gradient_norm: norm(&gradient),
            perturbation_norm: self.rho,
            gradient,
            ..Update::default()
        })
    }
}
