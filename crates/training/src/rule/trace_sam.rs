//! Trace-SAM (Bahri et al. 2024): the trace of the Hessian as sharpness.

use rand_distr::{Distribution, StandardNormal};
use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::universal::{Penalty, problem};
use super::{Site, Update};

/// The gradient of L + lambda mean d, d = (L(theta + rho v) - L(theta))/rho^2 for normal v: in expectation the penalty is
/// lambda/2 tr H up to terms in rho^2. One gradient more a step than there are draws.
///
/// The authors' code leaves out 1/rho^2 in the gradient, so that its lambda of 1 is rho^2 here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceSam {
    /// Length of a step along v.
    pub rho: f64,
    /// Factor of the penalty.
    pub lambda: f64,
    /// Random directions a step.
    pub draws: usize,
}

impl Default for TraceSam {
    fn default() -> Self {
        Self { rho: 0.01, lambda: 1e-4, draws: 1 }
    }
}

impl TraceSam {
    pub(super) fn problem(&self) -> Option<String> {
        problem(self.lambda, self.draws, 1)
    }

    pub(super) fn update(&self, site: &Site<'_>) -> Result<Update> {
        let Self { rho, lambda, draws } = *self;
        let penalty = Penalty { rho, lambda, draws, psi: |d| (d, 1.0), slope: |_| 1.0 };
        penalty.update(site, |random| StandardNormal.sample(random))
    }
}
