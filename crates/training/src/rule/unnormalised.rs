//! SAM without the gradient's norm (Andriushchenko & Flammarion 2022; Agarwala & Dauphin 2023).

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::{Site, Update, vectors::scaled};

/// The gradient at theta + rho g. Two gradients a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnnormalisedSam {
    /// Factor of the gradient.
    pub rho: f64,
}

impl Default for UnnormalisedSam {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl UnnormalisedSam {
    pub(super) fn perturbation(self, gradient: &[f64]) -> Vec<f64> {
        scaled(self.rho, gradient)
    }

    pub(super) fn update(self, site: &Site<'_>) -> Result<Update> {
        let (loss, slope) = site.gradient()?;
        site.ascended(loss, &slope, &self.perturbation(&slope))
    }
}
