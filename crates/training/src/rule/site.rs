//! Where a rule stands: the point, the step and its mini-batch.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, FiniteSum, Objective, Parameters, Result, SymmetricOperator, gradient,
};

use crate::Work;

/// The point of a step with its mini-batch. Everything that a rule computes goes through here, and is counted.
pub(crate) struct Site<'a> {
    /// All examples.
    pub(crate) sum: &'a dyn FiniteSum,
    /// Those of the mini-batch.
    pub(crate) examples: &'a [u32],
    /// The mean loss over them.
    pub(crate) objective: &'a dyn Objective,
    /// The point.
    pub(crate) at: &'a Parameters,
    /// The step, from 0.
    pub(crate) step: usize,
    /// Steps of an epoch.
    pub(crate) per_epoch: usize,
    /// The step size.
    pub(crate) eta: f64,
    /// The training's seed.
    pub(crate) seed: u64,
    /// What was computed so far.
    pub(crate) work: Work,
}

impl Site<'_> {
    /// Mean loss and gradient of the mini-batch at the point.
    pub(crate) fn gradient(&mut self) -> Result<(f64, Vec<f64>)> {
        self.gradient_at(self.at)
    }

    /// The same at the point moved by `perturbation`.
    pub(crate) fn perturbed_gradient(&mut self, perturbation: &[f64]) -> Result<(f64, Vec<f64>)> {
        self.gradient_at(&self.at.displaced(perturbation, 1.0)?)
    }

    /// The same anywhere.
    pub(crate) fn gradient_at(&mut self, at: &Parameters) -> Result<(f64, Vec<f64>)> {
        self.work.gradients += self.examples.len();
        gradient(self.objective, at)
    }

    /// Products of the mini-batch's Hessian at the point, with a matrix that `use_it` may take any number of; it is linearized
    /// once, and that counts as a gradient.
    pub(crate) fn with_hessian<R>(
        &mut self,
        use_it: impl FnOnce(&dyn SymmetricOperator) -> Result<(R, usize)>,
    ) -> Result<R> {
        let curvature = Curvature::new(self.objective, self.at, DEFAULT_MEMORY)?;
        let (result, products) = use_it(&curvature.hessian())?;
        self.work.gradients += self.examples.len() * curvature.gradients();
        self.work.products += self.examples.len() * products;
        Ok(result)
    }

    /// Random numbers of this step, for one of its purposes.
    pub(crate) fn random(&self, purpose: u32) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ (u64::from(purpose) << 32));
        random.set_stream(self.step as u64);
        random
    }
}
