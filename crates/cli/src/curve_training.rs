//! Training a curve between two checkpoints: mini-batches, progress, and the state to go on from.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};
use relief_hessian::{Control, Epochs, Error, FiniteSum, Objective, gradient};
use relief_landscape::{
    BandLoss, BandProgress, BandState, Curve, CurveKind, CurveTraining, ElasticBand, Ending, LossAndGradient,
    TrainingState,
};
use relief_models::architecture::BatchNormMode;
use relief_models::task::{Measure, Minibatches, StatisticsPass, TaskError, TaskOptions};
use serde::Serialize;

use crate::curve_state::CurveState;
use crate::exit::Failure;
use crate::interrupt;
use crate::load::Loaded;
use crate::progress::StepBar;

/// How a curve is made.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct TrainingArguments {
    /// A smooth curve, a chain of straight segments, or an elastic band (`AutoNEB`)
    #[arg(long, value_enum, default_value = "bezier", help_heading = "Curve")]
    pub(crate) curve: CurveArgument,

    /// Points that bend the curve, besides its ends
    #[arg(long, value_name = "K", default_value_t = 1, help_heading = "Curve")]
    pub(crate) bends: usize,

    /// Passes over the data
    #[arg(long, value_name = "E", default_value_t = 100, help_heading = "Curve")]
    pub(crate) epochs: usize,

    /// Step size of the first half of the epochs; then it falls to a hundredth
    #[arg(long, value_name = "ETA", default_value_t = 0.05, help_heading = "Curve")]
    pub(crate) eta: f64,

    /// Momentum
    #[arg(long, value_name = "MU", default_value_t = 0.9, help_heading = "Curve")]
    pub(crate) momentum: f64,

    /// Examples of a mini-batch [default: 128, or all if they are fewer]
    #[arg(long, value_name = "B", help_heading = "Curve")]
    pub(crate) mini_batch: Option<usize>,

    /// The factor w of w/2 |theta|^2 on the weights on the curve, for training alone
    #[arg(long, value_name = "W", default_value_t = 1e-4, help_heading = "Curve")]
    pub(crate) l2: f64,

    /// Length of the elastic band's schedule as a share of the published one, which has 16,000 steps
    #[arg(long, value_name = "F", default_value_t = 0.05, help_heading = "Curve")]
    pub(crate) band_schedule: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CurveArgument {
    Bezier,
    Chain,
    Band,
}

/// A curve in training.
pub(crate) struct Trainer<'a> {
    loaded: &'a Loaded,
    arguments: &'a TrainingArguments,
    minibatches: Minibatches,
    epochs: Epochs,
    statistics: Option<StatisticsPass>,
    seed: u64,
    /// The saved state, and what it must agree with.
    state: &'a Path,
    context: String,
    /// Examples whose gradients were computed.
    seen: AtomicUsize,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        loaded: &'a Loaded,
        arguments: &'a TrainingArguments,
        seed: u64,
        ends: &str,
        state: &'a Path,
    ) -> Result<Self, Failure> {
        let Loaded { architecture, tensors, data, .. } = loaded;
        let options = TaskOptions { weight_decay: 0.0, ..loaded.options.clone() };
        let size = arguments.mini_batch.unwrap_or(128.min(data.examples()));
        let epochs = Epochs::new(data.examples(), size, seed)?;
        let in_training = TaskOptions { batch_norm: BatchNormMode::Batch, ..options.clone() };
        let minibatches = Minibatches::new(architecture, tensors, data, &in_training)?;
        let statistics = StatisticsPass::new(architecture, tensors, data, &options)?;
        let settings = serde_json::to_string(arguments).map_err(|e| Failure::Numbers(e.to_string()))?;
        let context = format!("relief-curve-1 {} {ends} {settings} {size} {seed}", loaded.identity());
        Ok(Self {
            loaded,
            arguments,
            minibatches,
            epochs,
            statistics,
            seed,
            state,
            context,
            seen: AtomicUsize::new(0),
        })
    }

    /// Trains from where the saved state stands if there is one to go on from; none after Ctrl-C, with the state saved. Also
    /// the steps it took.
    pub(crate) fn run(
        &self,
        start: Vec<f64>,
        end: Vec<f64>,
        resume: bool,
        record: &mut dyn FnMut(usize, f64) -> Result<(), Failure>,
    ) -> Result<Option<(Curve, usize)>, Failure> {
        let saved = if resume { Some(CurveState::load(self.state, &self.context)?) } else { None };
        match self.arguments.curve {
            CurveArgument::Bezier => self.curve(CurveKind::Bezier, start, end, saved, record),
            CurveArgument::Chain => self.curve(CurveKind::Chain, start, end, saved, record),
            CurveArgument::Band => self.band(start, end, saved, record),
        }
    }

    fn curve(
        &self,
        kind: CurveKind,
        start: Vec<f64>,
        end: Vec<f64>,
        saved: Option<CurveState>,
        record: &mut dyn FnMut(usize, f64) -> Result<(), Failure>,
    ) -> Result<Option<(Curve, usize)>, Failure> {
        let TrainingArguments { epochs, eta, momentum, l2, bends, .. } = *self.arguments;
        let per_epoch = self.epochs.per_epoch();
        let training = CurveTraining {
            epochs,
            batches_per_epoch: per_epoch,
            eta,
            momentum,
            nesterov: false,
            weight_decay: l2,
            seed: self.seed,
        };
        let mut state = match saved {
            Some(saved) => TrainingState {
                step: saved.counts[0],
                curve: Curve::new(kind, saved.points)?,
                velocities: saved.velocities,
            },
            None => TrainingState::new(Curve::straight(kind, start, end, bends)?),
        };
        let mut bar = StepBar::new("curve", training.steps(), state.step);
        let mut gradient = |step: usize, point: &[f64]| self.gradient(step, point);
        let (mut sum, mut failure) = (0.0, None);
        let ending = training.run(&mut state, &mut gradient, &mut |step, state| {
            sum += step.loss;
            if state.step % per_epoch == 0 {
                failure = failure.take().or(record(state.step, sum / per_epoch as f64).err());
                sum = 0.0;
            }
            let saved = || CurveState {
                points: state.curve.points().to_vec(),
                velocities: state.velocities.clone(),
                counts: vec![state.step],
                ..CurveState::default()
            };
            self.after(bar.at(state.step, ""), &saved, &mut failure)
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok((ending? == Ending::Finished).then_some((state.curve, state.step)))
    }

    fn band(
        &self,
        start: Vec<f64>,
        end: Vec<f64>,
        saved: Option<CurveState>,
        record: &mut dyn FnMut(usize, f64) -> Result<(), Failure>,
    ) -> Result<Option<(Curve, usize)>, Failure> {
        let TrainingArguments { eta, momentum, l2, band_schedule, .. } = *self.arguments;
        let mut band = ElasticBand { momentum, weight_decay: l2, ..ElasticBand::published(band_schedule) };
        // The published rates are shares of 0.1.
        band.cycles.iter_mut().for_each(|cycle| cycle.eta *= eta / 0.1);
        let mut state = match saved {
            Some(saved) => BandState {
                pivots: saved.points,
                velocities: saved.velocities,
                shares: saved.shares,
                losses: saved.losses,
                cycle: saved.counts[0],
                step: saved.counts[1],
                inserted: saved.counts[2] == 1,
            },
            None => BandState::new(Curve::straight(CurveKind::Chain, start, end, 0)?)?,
        };
        let before = |state: &BandState| {
            band.cycles[..state.cycle].iter().map(|cycle| cycle.steps).sum::<usize>() + state.step
        };
        let mut bar = StepBar::new("curve", band.steps(), before(&state));
        let mut failure = None;
        let ending = band.run(&mut state, self, &mut |progress, state| {
            if let BandProgress::Stepped { step, highest, .. } = progress
                && (step + 1) % self.epochs.per_epoch() == 0
            {
                failure = failure.take().or(record(step + 1, *highest).err());
            }
            let saved = || CurveState {
                points: state.pivots.clone(),
                velocities: state.velocities.clone(),
                shares: state.shares.clone(),
                losses: state.losses.clone(),
                counts: vec![state.cycle, state.step, usize::from(state.inserted)],
            };
            self.after(bar.at(before(state), ""), &saved, &mut failure)
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok((ending? == Ending::Finished).then_some((state.chain()?, band.steps())))
    }

    /// Saves the state where that is due, and goes on unless something went wrong.
    fn after(&self, due: bool, state: &dyn Fn() -> CurveState, failure: &mut Option<Failure>) -> Control {
        let stop = interrupt::requested();
        if due || stop {
            *failure = failure.take().or(state().save(self.state, &self.context).err());
        }
        if stop || failure.is_some() { Control::Interrupt } else { Control::Continue }
    }

    /// Gradients over the whole data set that the mini-batches so far make up.
    pub(crate) fn gradients(&self) -> usize {
        self.seen.load(Ordering::Relaxed).div_ceil(self.minibatches.examples())
    }

    fn gradient(&self, step: usize, point: &[f64]) -> relief_hessian::Result<LossAndGradient> {
        let at = self.minibatches.parameters().at(point)?;
        let examples = self.epochs.at(step);
        self.seen.fetch_add(examples.len(), Ordering::Relaxed);
        gradient(&*self.minibatches.over(&examples)?, &at)
    }
}

impl BandLoss for Trainer<'_> {
    fn gradient(&self, step: usize, _: usize, point: &[f64]) -> relief_hessian::Result<LossAndGradient> {
        Trainer::gradient(self, step, point)
    }

    fn loss(&self, point: &[f64]) -> relief_hessian::Result<f64> {
        let at = self.loaded.task.objective.parameters().at(point)?;
        let statistics = self.statistics.as_ref().map(|pass| pass.at(&at)).transpose().map_err(other)?;
        let how = Measure { statistics: statistics.as_ref(), ..Measure::default() };
        Ok(self.loaded.task.measure_as(&at, &how).map_err(other)?.loss)
    }
}

fn other(error: TaskError) -> Error {
    Error::Other(error.to_string())
}
