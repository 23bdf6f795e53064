//! Training the bends of a curve.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Open01};
use relief_hessian::{Control, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Curve, LossAndGradient, add_weight_decay, check_gradient};
use relief_training::Momentum;

/// Minimises the mean loss E L(phi(t)), t uniform in (0, 1), over a curve's bends by the procedure of Garipov et al.
/// (2018): one t and one mini-batch a step, momentum, and an eta that falls in the second half. The ends stay.
///
/// By default with their published settings, except that the number of batches is the caller's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CurveTraining {
    /// Passes over the data.
    pub epochs: usize,
    /// Steps of a pass.
    pub batches_per_epoch: usize,
    /// Learning rate of the first half.
    pub eta: f64,
    /// The factor mu of the velocity.
    pub momentum: f64,
    /// Nesterov's momentum rather than the heavy ball.
    pub nesterov: bool,
    /// The factor w of w/2 |phi(t)|^2, which is added to the loss: on the weights on the curve, not on the bends.
    pub weight_decay: f64,
    /// Seed of the t.
    pub seed: u64,
}

impl Default for CurveTraining {
    fn default() -> Self {
        Self {
            epochs: 200,
            batches_per_epoch: 1,
            eta: 0.01,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-4,
            seed: 1,
        }
    }
}

/// Where a training stands: with its settings, all that is needed to go on to the same digits.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState {
    /// Steps taken.
    pub step: usize,
    /// The curve after them.
    pub curve: Curve,
    /// The velocity of each bend.
    pub velocities: Vec<Vec<f64>>,
}

impl TrainingState {
    /// Before the first step.
    pub fn new(curve: Curve) -> Self {
        let velocities = vec![vec![0.0; curve.dim()]; curve.bends().len()];
        Self { step: 0, curve, velocities }
    }
}

/// What a step saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingStep {
    /// The step, from 0.
    pub step: usize,
    /// Steps of the whole training.
    pub steps: usize,
    /// Where on the curve it was.
    pub t: f64,
    /// The learning rate.
    pub eta: f64,
    /// The mini-batch loss there before the step, weight decay term included.
    pub loss: f64,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are taken.
    Finished,
    /// The observer stopped it; the state goes on from there.
    Interrupted,
}

impl CurveTraining {
    /// Steps of the whole training.
    pub fn steps(&self) -> usize {
        self.epochs.saturating_mul(self.batches_per_epoch)
    }

    /// Where on the curve a step (from 0) looks: a number of that step and the seed alone.
    pub fn t(&self, step: usize) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(step as u64);
        Open01.sample(&mut random)
    }

    /// The learning rate of a step (from 0): eta for half of the steps, falling linearly to 0.01 eta at 90 % of them.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let share = (step + 1) as f64 / self.steps() as f64;
        let factor = if share <= 0.5 {
            1.0
        } else if share <= 0.9 {
            1.0 - (share - 0.5) / 0.4 * 0.99
        } else {
            0.01
        };
        factor * self.eta
    }

    /// Takes the steps that `state` lacks, until all are taken or `told` asks to stop.
    ///
    /// `gradient` gives loss and gradient, without weight decay, at a point on the mini-batch of a step (from 0).
    /// `told` hears of every step, with the state after it. Fails where a loss, a gradient or the step is not finite;
    /// the state is then that before the step.
    pub fn run(
        &self,
        state: &mut TrainingState,
        gradient: &mut dyn FnMut(usize, &[f64]) -> Result<LossAndGradient>,
        told: &mut dyn FnMut(&TrainingStep, &TrainingState) -> Control,
    ) -> Result<Ending> {
        self.validate(state)?;
        while state.step < self.steps() {
            let step = self.step(state, gradient)?;
            if told(&step, state) == Control::Interrupt && state.step < self.steps() {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    fn step(
        &self,
        state: &mut TrainingState,
        gradient: &mut dyn FnMut(usize, &[f64]) -> Result<LossAndGradient>,
    ) -> Result<TrainingStep> {
        let (t, eta) = (self.t(state.step), self.learning_rate(state.step));
        let coefficients = state.curve.coefficients(t);
        let point = state.curve.at(t);
        let (mut loss, mut slope) = gradient(state.step, &point)?;
        check_gradient(&slope, &point)?;
        add_weight_decay(self.weight_decay, &point, &mut loss, &mut slope);

        let optimiser = Momentum { momentum: self.momentum, nesterov: self.nesterov };
        let moves = || coefficients[1..].iter().copied().zip(state.curve.bends()).zip(&state.velocities);
        let finite = moves().all(|((c, bend), v)| optimiser.stays_finite(eta, bend, v, c, &slope));
        let problem = if !loss.is_finite() {
            Some(format!("the loss is {loss}"))
        } else if slope.iter().any(|g| !g.is_finite()) {
            Some("the gradient is not finite".into())
        } else {
            (!finite).then(|| "the step is too large for a number".into())
        };
        if let Some(problem) = problem {
            return Err(Error::NonFinite(format!(
                "{problem} at step {} of {} (t = {t}): the training of the curve diverged, so take an eta below {}; or an \
                 end of the curve is not finite",
                state.step,
                self.steps(),
                self.eta
            )));
        }
        let TrainingState { curve, velocities, .. } = state;
        for ((c, bend), velocity) in coefficients[1..].iter().zip(curve.bends_mut()).zip(velocities) {
            optimiser.step(eta, bend, velocity, *c, &slope);
        }
        let taken = TrainingStep { step: state.step, steps: self.steps(), t, eta, loss };
        state.step += 1;
        Ok(taken)
    }

    fn validate(&self, state: &TrainingState) -> Result<()> {
        let problem = if !(self.eta > 0.0 && self.eta.is_finite()) {
            format!("eta is {}, but must be above 0 and finite", self.eta)
        } else if !(0.0..1.0).contains(&self.momentum) {
            format!("the momentum is {}, but must be in 0..1", self.momentum)
        } else if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            format!("the weight decay is {}, but must be 0 or more and finite", self.weight_decay)
        } else if self.steps() == 0 {
            "no steps are asked for: give at least one epoch of one batch".into()
        } else if state.curve.bends().is_empty() {
            "the curve has no bends to train: give it one or more".into()
        } else if state.step > self.steps() {
            format!("the state is at step {}, but there are {} steps", state.step, self.steps())
        } else if state.velocities.len() != state.curve.bends().len()
            || state.velocities.iter().any(|v| v.len() != state.curve.dim())
        {
            "the state's velocities are not those of its curve's bends: load both from one file".into()
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }
}
