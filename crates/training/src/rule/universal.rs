//! Sharpness as a function of second differences along random directions (Bahri et al. 2024, "A universal class of
//! sharpness-aware minimization algorithms").

use rand_chacha::ChaCha8Rng;
use relief_hessian::Result;

use super::site::Purpose;
use super::vectors::{add, norm, scaled};
use super::{Site, Update};

/// Calls `seen` with loss and gradient at theta + rho v for every draw of v, whose entries come from `entry`. Answers with
/// the root of the mean of |rho v|^2.
pub(super) fn look_around(
    site: &Site<'_>,
    rho: f64,
    draws: usize,
    mut entry: impl FnMut(&mut ChaCha8Rng) -> f64,
    mut seen: impl FnMut(f64, &[f64]),
) -> Result<f64> {
    let mut random = site.random(Purpose::Perturbation);
    let mut square = 0.0;
    for _ in 0..draws {
        let step: Vec<f64> = (0..site.at.len()).map(|_| rho * entry(&mut random)).collect();
        square += norm(&step).powi(2) / draws as f64;
        let (loss, gradient) = site.perturbed_gradient(&step)?;
        seen(loss, &gradient);
    }
    Ok(square.sqrt())
}

/// The objective L + lambda phi(mean psi(d)), d = (L(theta + rho v) - L(theta))/rho^2 over draws of v (eq. 8).
pub(super) struct Penalty {
    pub(super) rho: f64,
    pub(super) lambda: f64,
    pub(super) draws: usize,
    /// psi and its derivative.
    pub(super) psi: fn(f64) -> (f64, f64),
    /// The derivative of phi.
    pub(super) slope: fn(f64) -> f64,
}

impl Penalty {
    /// The objective's gradient for the draws of this step.
    pub(super) fn update(
        &self,
        site: &Site<'_>,
        entry: impl FnMut(&mut ChaCha8Rng) -> f64,
    ) -> Result<Update> {
        let (loss, mut gradient) = site.gradient()?;
        let gradient_norm = norm(&gradient);
        let (mut mean, mut sum) = (0.0, scaled(0.0, &gradient));
        let share = 1.0 / self.draws as f64;
        let square = self.rho * self.rho;
        let perturbation_norm = look_around(site, self.rho, self.draws, entry, |ahead, there| {
            let (value, slope) = (self.psi)((ahead - loss) / square);
            mean += share * value;
            let factor = share * slope / square;
            sum.iter_mut().zip(there).zip(&gradient).for_each(|((s, a), b)| *s += factor * (a - b));
        })?;
        add(&mut gradient, self.lambda * (self.slope)(mean), &sum);
        Ok(Update { loss, gradient_norm, perturbation_norm, gradient, remember: vec![] })
    }
}

/// What is wrong with the settings that all rules of the class have.
pub(super) fn problem(lambda: f64, draws: usize, least: usize) -> Option<String> {
    if draws < least {
        return Some(format!("{draws} random directions are wanted a step: give at least {least}"));
    }
    super::not_finite("lambda", lambda)
}
