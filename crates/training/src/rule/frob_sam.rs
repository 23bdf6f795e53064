//! Frob-SAM (Bahri et al. 2024): the Frobenius norm of the Hessian as sharpness.

use rand_distr::{Distribution, StandardNormal};
use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::universal::{look_around, problem};
use super::vectors::{add, norm, scaled};
use super::{Site, Update};

/// g + lambda/rho^2 Cov(L(theta + rho v), grad L(theta + rho v)) over draws of a normal v, with n - 1 in the covariance: in
/// expectation the gradient of L + lambda/(2 rho^2) Var L(theta + rho v), and that variance is rho^2 |g|^2 +
/// rho^4/2 |H|_F^2 up to higher terms. One gradient more a step than there are draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrobSam {
    /// Length of a step along v.
    pub rho: f64,
    /// Factor of the penalty.
    pub lambda: f64,
    /// Random directions a step, at least 2.
    pub draws: usize,
}

impl Default for FrobSam {
    fn default() -> Self {
        Self { rho: 0.005, lambda: 0.005, draws: 2 }
    }
}

impl FrobSam {
    pub(super) fn problem(&self) -> Option<String> {
        problem(self.lambda, self.draws, 2)
    }

    pub(super) fn update(&self, site: &Site<'_>) -> Result<Update> {
        let (loss, mut gradient) = site.gradient()?;
        let gradient_norm = norm(&gradient);
        // Sums of rises L(theta + rho v) - L(theta), of gradients, and of their products.
        let (mut rises, mut sum, mut products) = (0.0, scaled(0.0, &gradient), scaled(0.0, &gradient));
        let entry = |random: &mut _| StandardNormal.sample(random);
        let perturbation_norm = look_around(site, self.rho, self.draws, entry, |ahead, there| {
            rises += ahead - loss;
            add(&mut sum, 1.0, there);
            add(&mut products, ahead - loss, there);
        })?;
        let factor = self.lambda / (self.rho * self.rho * (self.draws - 1) as f64);
        add(&mut gradient, factor, &products);
        add(&mut gradient, -factor * rises / self.draws as f64, &sum);
        Ok(Update { loss, gradient_norm, perturbation_norm, gradient, remember: vec![] })
    }
}
