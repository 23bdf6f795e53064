//! The loop.

use relief_hessian::{Control, Epochs, Error, FiniteSum, Parameters, Result};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, Site, norm};
use crate::{Optimiser, Schedule, TrainingState};

/// Settings of a training: with the start and the examples, all that its digits depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// From a gradient to a step.
    pub optimiser: Optimiser,
    /// Which gradient.
    pub rule: Rule,
    /// Step size.
    pub eta: f64,
    /// Its factor over the steps.
    pub schedule: Schedule,
    /// The factor w of w/2 |theta|^2, whose gradient at the point itself is added to what the rule gives.
    pub weight_decay: f64,
    /// Take eta w theta off the point instead, beside the optimiser's step (Loshchilov & Hutter 2019: `AdamW`).
    pub decoupled: bool,
    /// Shorten what the rule gives to this norm, where it is longer.
    pub clip: Option<f64>,
    /// Probability with which a label is drawn anew, evenly from all classes, every time it is seen.
    pub label_noise: f64,
    /// Steps.
    pub steps: usize,
    /// Examples of a mini-batch; all if absent.
    pub batch: Option<usize>,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            optimiser: Optimiser::default(),
            rule: Rule::Plain,
            eta: 0.1,
            schedule: Schedule::default(),
            weight_decay: 0.0,
            decoupled: false,
            clip: None,
            label_noise: 0.0,
            steps: 1000,
            batch: None,
            seed: 0,
        }
    }
}

/// What was computed, counted in examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Work {
    /// Examples whose gradient was computed.
    pub gradients: usize,
    /// Examples whose Hessian was multiplied with a vector.
    pub products: usize,
}

/// What a step saw, before it moved the point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The step, from 0.
    pub step: usize,
    /// The step size.
    pub eta: f64,
    /// Mean loss of the mini-batch, without weight decay; at the perturbed point where a rule computes no other
    /// ([`RandomSam`](crate::RandomSam), most steps of [`GraphSam`](crate::GraphSam)).
    pub loss: f64,
    /// Norm of its gradient.
    pub gradient_norm: f64,
    /// Norm of the rule's perturbation; 0 without one. Where there are several, the root of their mean square.
    pub perturbation_norm: f64,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are taken.
    Finished,
    /// The observer stopped it; the state goes on from there.
    Interrupted,
}

impl Training {
    /// The order in which it goes through so many examples.
    pub fn epochs(&self, examples: usize) -> Result<Epochs> {
        Epochs::new(examples, self.batch.unwrap_or(examples), self.seed)
    }

    /// Takes the steps that `state` lacks. `told` hears of every step, with the state after it.
    ///
    /// The sum must be without weight decay. Fails where a loss, a gradient or the point would not be finite, and names the
    /// step; the state is then the last finite one.
    pub fn run(
        &self,
        sum: &dyn FiniteSum,
        state: &mut TrainingState,
        told: &mut dyn FnMut(&Step, &TrainingState) -> Control,
    ) -> Result<Ending> {
        let epochs = self.epochs(sum.examples())?;
        self.validate(sum, state)?;
        let mut epoch = state.step / epochs.per_epoch();
        let mut order = epochs.order(epoch);
        while state.step < self.steps {
            if state.step / epochs.per_epoch() != epoch {
                epoch = state.step / epochs.per_epoch();
                order = epochs.order(epoch);
            }
            let examples = &order[epochs.range(state.step)];
            let step = self.step(sum, &epochs, examples, state)?;
            if told(&step, state) == Control::Interrupt && state.step < self.steps {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    /// Takes one step. The state changes only once all of the step is known to be finite.
    fn step(
        &self,
        sum: &dyn FiniteSum,
        epochs: &Epochs,
        examples: &[u32],
        state: &mut TrainingState,
    ) -> Result<Step> {
        let step = state.step;
        let at = sum.parameters().at(&state.point)?;
        let eta = self.eta * self.schedule.factor(step, self.steps);
        let site = Site::new(self, sum, epochs, (step, examples), &at)?;
        let mut update = self.rule.update(&site, &state.memory).map_err(|error| match error {
            Error::NonFinite(what) => self.diverged(step, &what),
            error @ Error::NonFiniteLoss { .. } => self.diverged(step, &error.to_string()),
            other => other,
        })?;
        let gradient = &mut update.gradient;
        let length = norm(gradient);
        if let Some(most) = self.clip.filter(|most| length > *most) {
            gradient.iter_mut().for_each(|g| *g *= most / length);
        }
        let (mut point, mut kept) = (state.point.clone(), 1.0);
        if self.decoupled {
            kept -= eta * self.weight_decay;
        } else if self.weight_decay > 0.0 {
            gradient.iter_mut().zip(&point).for_each(|(g, x)| *g += self.weight_decay * x);
        }
        point.iter_mut().for_each(|x| *x *= kept);
        if !self.optimiser.stays_finite(eta, step, &point, &state.means, gradient) {
            let what = format!("the loss is {}, but the step is too large for a number", update.loss);
            return Err(self.diverged(step, &what));
        }
        self.optimiser.step(eta, step, &mut point, &mut state.means, gradient);
        state.point = point;
        state.memory.vectors.extend(update.remember.into_iter().map(|(name, list)| (name.to_string(), list)));
        let work = site.work();
        state.work.gradients += work.gradients;
        state.work.products += work.products;
        state.step += 1;
        let (gradient_norm, perturbation_norm) = (update.gradient_norm, update.perturbation_norm);
        Ok(Step { step, eta, loss: update.loss, gradient_norm, perturbation_norm })
    }

    fn diverged(&self, step: usize, what: &str) -> Error {
        Error::NonFinite(format!(
            "training diverged at step {step} of {}: {what}; take a step size below {}",
            self.steps, self.eta
        ))
    }

    /// Refuses settings that make no sense, and states that belong to others; [`run`](Self::run) does so too.
    pub fn validate(&self, sum: &dyn FiniteSum, state: &TrainingState) -> Result<()> {
        let n = sum.parameters().len();
        let problem = if !(self.eta > 0.0 && self.eta.is_finite()) {
            format!("eta is {}, but must be above 0 and finite", self.eta)
        } else if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            format!("the weight decay is {}, but must be 0 or more and finite", self.weight_decay)
        } else if !(0.0..=1.0).contains(&self.label_noise) {
            format!("the label noise is {}, but is a probability", self.label_noise)
        } else if self.clip.is_some_and(|c| c.is_nan() || c <= 0.0) {
            "the norm to clip at must be above 0".into()
        } else if state.point.len() != n || state.means.iter().any(|m| m.len() != n) {
            format!(
                "the state is of another network: it has {} numbers for {n} parameters",
                state.point.len()
            )
        } else if state.memory.vectors.values().any(|list| list.len() != n && list.len() != 1) {
            "the state is of another network: what the rule remembers has another length".into()
        } else if state.step > self.steps {
            format!("the state is at step {}, but there are {} steps", state.step, self.steps)
        } else {
            self.rule.validate(self.epochs(sum.examples())?.per_epoch(), sum.examples())?;
            return self.optimiser.validate();
        };
        Err(Error::Input(problem))
    }

    /// The point of a state, as the network has it.
    pub fn point(sum: &dyn FiniteSum, state: &TrainingState) -> Result<Parameters> {
        sum.parameters().at(&state.point)
    }
}
