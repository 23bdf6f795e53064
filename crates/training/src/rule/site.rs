//! Where a rule stands: the point, the step and its mini-batch.

use std::cell::Cell;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Epochs, Error, FiniteSum, Objective, Parameters, Result, gradient,
};

use super::{Update, norm};
use crate::{Training, Work};

/// The point of a step with its mini-batch. Everything that a rule computes goes through here, and is counted.
pub(crate) struct Site<'a> {
    training: &'a Training,
    sum: &'a dyn FiniteSum,
    /// Examples of the mini-batch.
    pub(crate) examples: &'a [u32],
    objective: Box<dyn Objective>,
    /// The point.
    pub(crate) at: &'a Parameters,
    /// The step, from 0.
    pub(crate) step: usize,
    /// Steps of an epoch.
    pub(crate) per_epoch: usize,
    work: Cell<Work>,
}

/// What random numbers are for. 0 is the order of the examples.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The perturbations of a step.
    Perturbation = 1,
    /// Where a search for an eigenvector begins.
    Eigenvector = 2,
    /// The examples of an estimate.
    Examples = 3,
}

impl<'a> Site<'a> {
    /// A step of a training.
    pub(crate) fn new(
        training: &'a Training,
        sum: &'a dyn FiniteSum,
        epochs: &Epochs,
        (step, examples): (usize, &'a [u32]),
        at: &'a Parameters,
    ) -> Result<Self> {
        let objective = objective(training, sum, step, examples, 0)?;
        let per_epoch = epochs.per_epoch();
        Ok(Self { training, sum, examples, objective, at, step, per_epoch, work: Cell::default() })
    }

    /// Some of the mini-batch's examples, the `nth` such choice from 0: with label noise they get labels of their own.
    pub(crate) fn part(&self, examples: &'a [u32], nth: usize) -> Result<Self> {
        let objective = objective(self.training, self.sum, self.step, examples, nth)?;
        Ok(Self { examples, objective, work: self.work.clone(), ..*self })
    }

    /// Takes over what a part has counted.
    pub(crate) fn goes_on(&self, part: &Self) {
        self.work.set(part.work.get());
    }

    /// What was computed at this step.
    pub(crate) fn work(&self) -> Work {
        self.work.get()
    }

    /// The step's share of the largest step size.
    pub(crate) fn factor(&self) -> f64 {
        self.training.schedule.factor(self.step, self.training.steps)
    }

    /// The epoch, from 0, and the step in it.
    pub(crate) fn epoch(&self) -> (usize, usize) {
        (self.step / self.per_epoch, self.step % self.per_epoch)
    }

    /// Mean loss and gradient of the mini-batch at the point.
    pub(crate) fn gradient(&self) -> Result<(f64, Vec<f64>)> {
        self.gradient_at(self.at)
    }

    /// The same at the point moved by `perturbation`.
    pub(crate) fn perturbed_gradient(&self, perturbation: &[f64]) -> Result<(f64, Vec<f64>)> {
        self.gradient_at(&self.at.displaced(perturbation, 1.0)?)
    }

    fn gradient_at(&self, at: &Parameters) -> Result<(f64, Vec<f64>)> {
        let Work { gradients, products } = self.work.get();
        self.work.set(Work { gradients: gradients + self.examples.len(), products });
        let (loss, gradient) = gradient(&*self.objective, at)?;
        if loss.is_finite() && finite(&gradient) {
            return Ok((loss, gradient));
        }
        Err(Error::NonFinite(format!("the loss is {loss} and its gradient's norm {}", norm(&gradient))))
    }

    /// The answer of a rule that follows the gradient at the point moved by `perturbation`, after loss and gradient at the
    /// point itself.
    pub(crate) fn ascended(&self, loss: f64, gradient: &[f64], perturbation: &[f64]) -> Result<Update> {
        let (_, ahead) = self.perturbed_gradient(perturbation)?;
        Ok(Update {
            loss,
            gradient_norm: norm(gradient),
            perturbation_norm: norm(perturbation),
            gradient: ahead,
            remember: vec![],
        })
    }

    /// The mini-batch's loss, linearized at the point. What is done with it must be [`count`](Self::count)ed.
    pub(crate) fn curvature(&self) -> Result<Curvature<'_>> {
        Curvature::new(&*self.objective, self.at, DEFAULT_MEMORY)
    }

    /// The mean loss over `count` examples of all, the same at every step.
    pub(crate) fn sample(&self, count: usize) -> Result<Box<dyn Objective>> {
        let mut random = self.random_once(Purpose::Examples);
        let mut chosen: Vec<u32> = index::sample(&mut random, self.sum.examples(), count)
            .iter()
            .map(|example| example as u32)
            .collect();
        chosen.sort_unstable();
        self.sum.over(&chosen)
    }

    /// Counts the work of a linearization of so many examples.
    pub(crate) fn count(&self, examples: usize, curvature: &Curvature<'_>, products: usize) {
        let work = self.work.get();
        self.work.set(Work {
            gradients: work.gradients + examples * curvature.gradients(),
            products: work.products + examples * products,
        });
    }

    /// Random numbers of this step.
    pub(crate) fn random(&self, purpose: Purpose) -> ChaCha8Rng {
        let mut random = self.random_once(purpose);
        random.set_stream(self.step as u64 + 1);
        random
    }

    fn random_once(&self, purpose: Purpose) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.training.seed ^ ((purpose as u64) << 32))
    }

    /// A direction with independent standard normal entries.
    pub(crate) fn normal(&self, purpose: Purpose) -> Vec<f64> {
        let random = self.random(purpose);
        StandardNormal.sample_iter(random).take(self.at.len()).collect()
    }
}

/// The loss of some examples at a step, with labels drawn anew where the training has label noise.
fn objective(
    training: &Training,
    sum: &dyn FiniteSum,
    step: usize,
    examples: &[u32],
    part: usize,
) -> Result<Box<dyn Objective>> {
    if training.label_noise == 0.0 {
        return sum.over(examples);
    }
    let shift = (step as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let shift = shift.wrapping_add((part as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    sum.over_relabelled(examples, training.label_noise, training.seed.wrapping_add(shift))
}

/// Whether all numbers are finite, without a branch for each.
pub(crate) fn finite(x: &[f64]) -> bool {
    x.iter().fold(true, |all, x| all & x.is_finite())
}
