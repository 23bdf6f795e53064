//! Stochastic differential equations of sharpness-aware minimization.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Epochs, Error, FiniteSum, Objective, Parameters, Result,
    SymmetricOperator, third_products,
};
use relief_sharpness::Perturbation;
use serde::{Deserialize, Serialize};

use super::{FlowState, add, dot, finite, fits, positive};
use crate::Ending;

/// Where the expansion of SAM's gradient in its radius ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SdeOrder {
    /// grad f + rho H u (Compagnoni et al. 2023): the drift is -grad E(f + rho |grad f|).
    Second,
    /// The same and rho^2/2 D3 f(u, u) (Luo et al. 2024), which leads down the largest eigenvalue where u is its eigenvector.
    #[default]
    Third,
}

/// SAM's gradient at theta + rho u on one mini-batch, u = grad f / |grad f|, by its expansion in rho.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expansion {
    /// The radius.
    pub rho: f64,
    /// Where it ends.
    pub order: SdeOrder,
}

impl Expansion {
    /// Loss, the gradient's norm and the expanded gradient. An error where the gradient is zero.
    pub fn gradient(&self, objective: &dyn Objective, at: &Parameters) -> Result<(f64, f64, Vec<f64>)> {
        let curvature = Curvature::new(objective, at, DEFAULT_MEMORY)?;
        let mut sum = curvature.gradient().to_vec();
        if self.rho != 0.0 {
            let u = Perturbation::default().direction(curvature.gradient(), at)?;
            let mut product = vec![0.0; at.len()];
            curvature.hessian().apply(&u, &mut product)?;
            add(self.rho, &product, &mut sum);
            if self.order == SdeOrder::Third {
                let third = third_products(objective, at, &[(&u, &u)])?;
                add(0.5 * self.rho * self.rho, &third[0], &mut sum);
            }
        }
        Ok((curvature.loss(), curvature.gradient_norm(), sum))
    }
}

/// d theta = -E\[g\] dt + sqrt(eta Cov g) dW with g the [`Expansion`] of SAM's gradient on a random mini-batch, by
/// Euler-Maruyama with dt = eta: the step beside a step of SAM with step size eta.
///
/// Mean and covariance are those over the mini-batches into which all examples are cut, anew at every step; the noise is
/// Gaussian with that covariance, made from the mini-batches' deviations with independent normal weights. Examples that fill
/// no mini-batch are left out of a step. Without mini-batches there is no noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamSde {
    /// Where the expansion ends.
    pub order: SdeOrder,
    /// The step size, and the length of a step in time.
    pub eta: f64,
    /// The radius.
    pub rho: f64,
    /// Steps.
    pub steps: usize,
    /// Examples of a mini-batch; all if absent.
    pub batch: Option<usize>,
    /// Seed of the cuts and of the noise.
    pub seed: u64,
}

impl Default for SamSde {
    fn default() -> Self {
        Self { order: SdeOrder::Third, eta: 0.1, rho: 0.05, steps: 1000, batch: None, seed: 0 }
    }
}

/// What a step saw, before it moved the point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamSdeStep {
    /// The step, from 0.
    pub step: usize,
    /// Mean loss over the mini-batches.
    pub loss: f64,
    /// Mean norm of their gradients.
    pub gradient_norm: f64,
    /// Norm of the noise that the step added, in units of gradients.
    pub noise_norm: f64,
}

/// Keeps the noise apart from the cuts, which have the seed itself.
const NOISE: u64 = 0x5DE0_0000_0000_0000;

impl SamSde {
    /// Takes the steps that the state lacks. `told` hears of every step, with the state after it.
    ///
    /// A step costs a gradient, a Hessian product and, to third order, a third-order product over all examples. Fails where
    /// a mini-batch's gradient is zero or the point would not be finite; the state is then the last finite one.
    pub fn run(
        &self,
        sum: &dyn FiniteSum,
        state: &mut FlowState,
        told: &mut dyn FnMut(&SamSdeStep, &FlowState) -> Control,
    ) -> Result<Ending> {
        positive("eta", self.eta)?;
        fits(state, sum.parameters())?;
        if !(self.rho >= 0.0 && self.rho.is_finite()) {
            return Err(Error::Input(format!("rho is {}, but must be 0 or more and finite", self.rho)));
        }
        let size = self.batch.unwrap_or(sum.examples());
        let epochs = Epochs::new(sum.examples(), size, self.seed)?;
        while state.step < self.steps {
            let step = self.step(sum, &epochs, state)?;
            if told(&step, state) == Control::Interrupt && state.step < self.steps {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    fn step(&self, sum: &dyn FiniteSum, epochs: &Epochs, state: &mut FlowState) -> Result<SamSdeStep> {
        let at = sum.parameters().at(&state.point)?;
        let whole = epochs.examples / epochs.size;
        let expansion = Expansion { rho: self.rho, order: self.order };
        let (mut loss, mut gradient_norm, mut parts) = (0.0, 0.0, Vec::with_capacity(whole));
        for nth in 0..whole {
            let batch = sum.over(&epochs.at(state.step * epochs.per_epoch() + nth))?;
            let (value, norm, part) = expansion.gradient(&*batch, &at)?;
            loss += value / whole as f64;
            gradient_norm += norm / whole as f64;
            parts.push(part);
        }
        let mut mean = vec![0.0; at.len()];
        parts.iter().for_each(|part| add(1.0 / whole as f64, part, &mut mean));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ NOISE);
        random.set_stream(state.step as u64);
        let mut noise = vec![0.0; at.len()];
        for part in &parts {
            let weight = random.sample::<f64, _>(StandardNormal) / (whole as f64).sqrt();
            noise.iter_mut().zip(part).zip(&mean).for_each(|((n, p), m)| *n += weight * (p - m));
        }
        let mut point = state.point.clone();
        add(-self.eta, &mean, &mut point);
        add(self.eta, &noise, &mut point);
        finite(loss, &point, "the equation of SAM", state.step, &format!("take an eta below {}", self.eta))?;
        let step = state.step;
        (state.step, state.time, state.point) = (step + 1, self.eta * (step + 1) as f64, point);
        Ok(SamSdeStep { step, loss, gradient_norm, noise_norm: dot(&noise, &noise).sqrt() })
    }
}
