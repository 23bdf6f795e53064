//! What happens beside the steps: rows, checkpoints, saved states, the bar.

use std::path::PathBuf;

use relief_hessian::{Control, FiniteSum};
use relief_training::{Step, TrainingState};

use super::problem::Problem;
use super::saved_state::{self, Recorded};
use crate::exit::Failure;
use crate::progress::StepBar;
use crate::run_folder::{Row, RunFolder, STATE};
use crate::{interrupt, numbers};

/// Records a run in its folder.
pub(crate) struct Recorder<'a> {
    problem: &'a Problem,
    pub(crate) folder: RunFolder,
    /// What a saved state must agree with.
    context: String,
    recorded: Recorded,
    bar: StepBar,
    /// The first thing that went wrong; the training stops for it.
    failure: Option<Failure>,
}

/// The checkpoint of a step in a run's folder.
pub(crate) fn checkpoint(step: usize) -> String {
    format!("checkpoints/step-{step:06}.safetensors")
}

/// Adam's second moments at a step in a run's folder.
pub(crate) fn moments(step: usize) -> String {
    format!("moments/step-{step:06}.safetensors")
}

impl<'a> Recorder<'a> {
    /// A recorder with the state to go on from, which is the start where none was saved.
    pub(crate) fn new(problem: &'a Problem, folder: RunFolder) -> Result<(Self, TrainingState), Failure> {
        remove_partial(folder.subfolder("checkpoints")?);
        if problem.settings.record.moments {
            remove_partial(folder.subfolder("moments")?);
        }
        let context = problem.settings.text()?;
        let path = folder.file(STATE);
        let (state, recorded) = if path.exists() {
            saved_state::load(&path, &context)?
        } else {
            (TrainingState::new(problem.minibatches.parameters())?, Recorded::default())
        };
        let bar = StepBar::new("training", problem.settings.training.steps, state.step);
        Ok((Self { problem, folder, context, recorded, bar, failure: None }, state))
    }

    /// Does what is due at a step and was not done before; the training asks after every step, and it is asked once before.
    pub(crate) fn told(&mut self, step: Option<&Step>, state: &TrainingState) -> Control {
        if let Some(step) = step {
            self.recorded.losses[0] += step.loss;
            self.recorded.losses[1] += 1.0;
        }
        let message = step.map_or(String::new(), |step| format!("loss {}", numbers::two_digits(step.loss)));
        let due = self.bar.at(state.step, &message);
        let recorded = self.record(state);
        let stop = interrupt::requested();
        let saved = recorded.and_then(|new| if new || due || stop { self.save(state) } else { Ok(()) });
        self.failure = self.failure.take().or(saved.err());
        if stop || self.failure.is_some() { Control::Interrupt } else { Control::Continue }
    }

    /// What stopped the training, if anything did.
    pub(crate) fn failed(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Notes that there is no going on from a state, and keeps it.
    pub(crate) fn diverged(&mut self, state: &TrainingState, what: &str) -> Result<(), Failure> {
        self.folder.remark(state.step, what)?;
        self.save_checkpoint(state)?;
        self.save(state)
    }

    /// The row and the checkpoint of a step that has them; whether there was one. What Ctrl-C cut short is due again.
    fn record(&mut self, state: &TrainingState) -> Result<bool, Failure> {
        let record = &self.problem.settings.record;
        let steps = self.problem.settings.training.steps;
        let due = |every: usize| state.step == steps || state.step.is_multiple_of(every);
        let probe = record.probe.as_ref().is_some_and(|probe| due(probe.every));
        let row = (probe || due(record.measure_every)) && self.recorded.row != Some(state.step);
        if row && !self.row(state, probe)? {
            return Ok(false);
        }
        let checkpoint = due(record.checkpoint_every.unwrap_or(steps.max(1)));
        if checkpoint {
            self.save_checkpoint(state)?;
        }
        Ok(row || checkpoint)
    }

    /// Measures a point, and probes it if asked for; false after Ctrl-C.
    fn row(&mut self, state: &TrainingState, probe: bool) -> Result<bool, Failure> {
        let Problem { settings, minibatches, prober, .. } = self.problem;
        let training = &settings.training;
        let at = minibatches.parameters().at(&state.point)?;
        let next = state.step.min(training.steps.saturating_sub(1));
        let eta = training.eta * training.schedule.factor(next, training.steps);
        let mut row = Row::new();
        if let Some(prober) = prober.as_ref().filter(|_| probe) {
            let vectors = &mut self.recorded.vectors;
            let Some(probed) = prober.row(training, (state, &at, eta), vectors)? else { return Ok(false) };
            row = probed;
        }
        row.extend(self.problem.measure(&at)?);
        let epoch = training.epochs(self.problem.examples())?.per_epoch();
        row.insert("epoch".into(), (state.step as f64 / epoch as f64).into());
        row.insert("eta".into(), eta.into());
        let [sum, count] = self.recorded.losses;
        if count > 0.0 {
            row.insert("loss/batch".into(), (sum / count).into());
        }
        self.work(state, &mut row);
        self.folder.record(state.step, row)?;
        self.recorded.row = Some(state.step);
        self.recorded.losses = [0.0; 2];
        Ok(true)
    }

    /// Gradients and products over the whole training split that the steps so far amount to.
    fn work(&self, state: &TrainingState, row: &mut Row) {
        let n = self.problem.examples() as f64;
        row.insert("work/gradients".into(), (state.work.gradients as f64 / n).into());
        row.insert("work/products".into(), (state.work.products as f64 / n).into());
    }

    fn save_checkpoint(&self, state: &TrainingState) -> Result<(), Failure> {
        let at = self.problem.minibatches.parameters().at(&state.point)?;
        self.problem.save(&at, &self.folder.file(&checkpoint(state.step)), state.step)?;
        // Before its first step Adam remembers nothing.
        let square = state.means.get(1).filter(|_| self.problem.settings.record.moments);
        square.map_or(Ok(()), |square| {
            self.problem.save_moments(square, &self.folder.file(&moments(state.step)), state.step)
        })
    }

    fn save(&self, state: &TrainingState) -> Result<(), Failure> {
        self.folder.settle()?;
        saved_state::save(&self.folder.file(STATE), &self.context, state, &self.recorded)
    }
}

/// Removes what a process that was killed left of checkpoints.
fn remove_partial(folder: PathBuf) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == "partial") {
            // What cannot be removed is only in the way of tidiness.
            let _ = std::fs::remove_file(path);
        }
    }
}
