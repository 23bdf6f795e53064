//! Elastic bands: chains of pivots that relax onto a path of low loss.

mod force;
mod measure;
mod schedule;
mod state;

use rayon::prelude::*;
use relief_hessian::{Control, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Ending, LossAndGradient, add_weight_decay, check_gradient};
use relief_training::Momentum;

pub use schedule::{Cycle, Insertion, Spacing};
pub use state::{BandProfile, BandState};

/// What a band is drawn through. Asked at several pivots side by side.
pub trait BandLoss: Sync {
    /// Loss and gradient, without weight decay, at a pivot on the mini-batch of a step, counted through all cycles. All
    /// pivots of a step should see one mini-batch: their losses are compared.
    fn gradient(&self, step: usize, pivot: usize, point: &[f64]) -> Result<LossAndGradient>;

    /// The loss of [`gradient`](Self::gradient) alone, asked at the ends, where that is cheaper.
    fn batch_loss(&self, step: usize, pivot: usize, point: &[f64]) -> Result<f64> {
        Ok(self.gradient(step, pivot, point)?.0)
    }

    /// The loss over all the data, without weight decay.
    fn loss(&self, point: &[f64]) -> Result<f64>;
}

/// Relaxes a chain of pivots onto a minimum energy path and refines it where the loss between pivots is high: `AutoNEB` of
/// Draxler et al. (2018), with the forces of Henkelman & Jonsson (2000). The ends stay.
///
/// Every cycle inserts pivots, whose velocities begin at zero, and then takes steps of momentum down the gradient's part
/// perpendicular to the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ElasticBand {
    /// What is done, one after another.
    pub cycles: Vec<Cycle>,
    /// What keeps the pivots apart.
    pub spacing: Spacing,
    /// The factor mu of the velocity.
    pub momentum: f64,
    /// The factor w of w/2 |x|^2, which is added to every loss.
    pub weight_decay: f64,
    /// Points on every segment where the loss is measured before pivots are inserted and at the end.
    pub sub_pivots: usize,
    /// A pivot is inserted where the loss exceeds the straight line between those of the neighbouring pivots by more than
    /// this share of the range of all pivots' losses.
    pub threshold: f64,
}

impl Default for ElasticBand {
    fn default() -> Self {
        Self::published(1.0)
    }
}

/// What a band is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BandProgress {
    /// The loss is measured along the chain.
    Measured {
        /// The cycle, from 0; the number of cycles at the end.
        cycle: usize,
        /// Points measured.
        done: usize,
        /// Points in all.
        of: usize,
    },
    /// A step was taken.
    Stepped {
        /// The cycle, from 0.
        cycle: usize,
        /// The step, from 0, counted through all cycles.
        step: usize,
        /// Steps of all cycles.
        steps: usize,
        /// Number of pivots, both ends included.
        pivots: usize,
        /// The highest mini-batch loss of a pivot before the step.
        highest: f64,
    },
}

impl ElasticBand {
    /// Steps of all cycles.
    pub fn steps(&self) -> usize {
        self.cycles.iter().map(|cycle| cycle.steps).sum()
    }

    /// Does what `state` lacks, until all is done and measured or `told` asks to stop.
    ///
    /// `told` hears of every step and of every few points measured, with the state after them. Fails where the loss, a
    /// gradient or the step of a pivot is not finite; the state is then that before the step. Losses between pivots, and
    /// those of the [`profile`](Self::profile), may be anything.
    pub fn run(
        &self,
        state: &mut BandState,
        loss: &dyn BandLoss,
        told: &mut dyn FnMut(&BandProgress, &BandState) -> Control,
    ) -> Result<Ending> {
        self.validate(state)?;
        while let Some(cycle) = self.cycles.get(state.cycle) {
            if !state.inserted {
                if matches!(cycle.insertion, Insertion::Highest(_))
                    && self.measure(state, loss, told)? == Ending::Interrupted
                {
                    return Ok(Ending::Interrupted);
                }
                let into = cycle.insertion.places(
                    &state.losses,
                    state.pivots.len() - 1,
                    self.sub_pivots,
                    self.threshold,
                );
                state.insert(&into);
                state.inserted = true;
            }
            while state.step < cycle.steps {
                let progress = self.step(state, cycle.eta, loss)?;
                if told(&progress, state) == Control::Interrupt {
                    return Ok(Ending::Interrupted);
                }
            }
            (state.cycle, state.step, state.inserted) = (state.cycle + 1, 0, false);
        }
        self.measure(state, loss, told)
    }

    /// Takes a step with all pivots between the ends.
    fn step(&self, state: &mut BandState, eta: f64, loss: &dyn BandLoss) -> Result<BandProgress> {
        let before: usize = self.cycles[..state.cycle].iter().map(|cycle| cycle.steps).sum();
        let step = before + state.step;
        let last = state.pivots.len() - 1;
        let found: Vec<Result<LossAndGradient>> = state
            .pivots
            .par_iter()
            .enumerate()
            .map(|(pivot, point)| {
                let (mut value, mut gradient) = if pivot == 0 || pivot == last {
                    (loss.batch_loss(step, pivot, point)?, vec![])
                } else {
                    let found = loss.gradient(step, pivot, point)?;
                    check_gradient(&found.1, point)?;
                    found
                };
                add_weight_decay(self.weight_decay, point, &mut value, &mut gradient);
                Ok((value, gradient))
            })
            .collect();
        let (losses, mut gradients): (Vec<f64>, Vec<Vec<f64>>) =
            found.into_iter().collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let diverged = |pivot: usize, what: &str| {
            Error::NonFinite(format!(
                "{what} at pivot {pivot} of {last} in step {step} of {}: the band diverged, so take an eta below {eta}; or an \
                 end of the band is not finite",
                self.steps()
            ))
        };
        if let Some(pivot) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(diverged(pivot, &format!("the loss is {}", losses[pivot])));
        }
        let optimiser = Momentum { momentum: self.momentum, nesterov: false };
        let lengths = force::lengths(&state.pivots);
        for (pivot, gradient) in gradients.iter_mut().enumerate().take(last).skip(1) {
            if gradient.iter().any(|g| !g.is_finite()) {
                return Err(diverged(pivot, "the gradient is not finite"));
            }
            let spring = match self.spacing {
                Spacing::Redistributed => 0.0,
                Spacing::Springs(constant) => constant * force::stretch(&lengths, &state.shares, pivot),
            };
            force::project(gradient, &force::tangent(&state.pivots, &losses, pivot), spring);
            let (point, velocity) = (&state.pivots[pivot], &state.velocities[pivot - 1]);
            if !optimiser.stays_finite(eta, point, velocity, 1.0, gradient) {
                return Err(diverged(pivot, "the step is too large for a number"));
            }
        }
        let moves = state.pivots[1..last].iter_mut().zip(&mut state.velocities).zip(&gradients[1..last]);
        for ((point, velocity), gradient) in moves {
            optimiser.step(eta, point, velocity, 1.0, gradient);
        }
        if self.spacing == Spacing::Redistributed {
            force::redistribute(&mut state.pivots, &state.shares);
        }
        state.step += 1;
        Ok(BandProgress::Stepped {
            cycle: state.cycle,
            step,
            steps: self.steps(),
            pivots: state.pivots.len(),
            highest: losses.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    fn validate(&self, state: &BandState) -> Result<()> {
        state.validate()?;
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let problem = if let Some(cycle) = self.cycles.iter().find(|cycle| !positive(cycle.eta)) {
            format!("eta is {} in a cycle, but must be above 0 and finite", cycle.eta)
        } else if !(0.0..1.0).contains(&self.momentum) {
            format!("the momentum is {}, but must be in 0..1", self.momentum)
        } else if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            format!("the weight decay is {}, but must be 0 or more and finite", self.weight_decay)
        } else if !(self.threshold >= 0.0 && self.threshold.is_finite()) {
            format!("the threshold is {}, but must be 0 or more and finite", self.threshold)
        } else if matches!(self.spacing, Spacing::Springs(constant) if !positive(constant)) {
            "the springs' constant must be above 0 and finite: for infinite ones redistribute the pivots"
                .into()
        } else if state.cycle > self.cycles.len()
            || self.cycles.get(state.cycle).map_or(0, |cycle| cycle.steps) < state.step
            || state.losses.len() > self.samples(state)
        {
            "the state is further than the schedule goes: it belongs to other settings".into()
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }
}
