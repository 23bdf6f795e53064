//! Det-SAM (Bahri et al. 2024): the determinant of the Hessian as sharpness.

use rand::Rng;
use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::universal::{Penalty, problem};
use super::{Site, Update, not_finite};

/// The gradient of L + lambda (mean exp(-d/2))^-2, d = (L(theta + rho v) - L(theta))/rho^2 for v uniform in a cube. At a
/// critical point, with a small rho and a cube in which exp(-v'Hv/4) vanishes towards the border, the mean is a Gaussian
/// integral and the penalty proportional to det H; in a small cube it is close to a trace. One gradient more a step than
/// there are draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetSam {
    /// Length of a step along v.
    pub rho: f64,
    /// Factor of the penalty.
    pub lambda: f64,
    /// Random directions a step.
    pub draws: usize,
    /// Half the length of the cube's edges.
    pub half_edge: f64,
}

impl Default for DetSam {
    fn default() -> Self {
        Self { rho: 1.0, lambda: 1.0, draws: 1, half_edge: 0.01 }
    }
}

impl DetSam {
    pub(super) fn problem(&self) -> Option<String> {
        problem(self.lambda, self.draws, 1).or_else(|| not_finite("half the cube's edge", self.half_edge))
    }

    pub(super) fn update(&self, site: &Site<'_>) -> Result<Update> {
        let Self { rho, lambda, draws, half_edge } = *self;
        let psi = |d: f64| {
            let value = (-0.5 * d).exp();
            (value, -0.5 * value)
        };
        let penalty = Penalty { rho, lambda, draws, psi, slope: |mean| -2.0 / mean.powi(3) };
        penalty.update(site, |random| half_edge * (2.0 * random.random::<f64>() - 1.0))
    }
}
