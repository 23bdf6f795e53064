//! Checkpoints of a training, one after the other: a probe each, warm from the one before.

pub(crate) mod adam;
mod bar;
mod files;
mod folder;
pub(crate) mod report;

use std::path::Path;

use relief_hessian::{Objective, Outcome, Status};
use relief_models::checkpoint::Checkpoint;
use relief_models::data::Dataset;
use relief_models::loss::Loss;
use relief_models::task::{Measured, Minibatches, Task};
use relief_sharpness::{AdamSetting, Probe, Setting};
use serde_json::Value;

use crate::arguments::{SplitArgument, TaskArguments};
use crate::commands::track::TrainingArguments;
use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::numbers;
use crate::run_folder::{Row, STEP};
use crate::saved::stem;

use bar::CheckpointBar;
use folder::Folder;

pub(crate) use files::Files;
pub(crate) use report::Track;

/// What a file came to.
pub(crate) enum Tracked {
    /// Its row is there; the line says it, if it is new.
    Done(Option<String>),
    /// Ctrl-C stopped its probe, which leaves no row.
    Interrupted,
}

/// What all checkpoints have in common, and what was found so far.
pub(crate) struct Tracker {
    loaded: Loaded,
    test: Option<Dataset>,
    probe: Probe,
    training: TrainingArguments,
    folder: Option<Folder>,
    rows: Vec<Row>,
    /// Where the next probe starts from.
    vectors: Vec<Vec<f64>>,
    work: [usize; 2],
    bar: CheckpointBar,
}

impl Tracker {
    /// `loaded` is the first checkpoint, whose model and data are those of all.
    pub(crate) fn new(
        loaded: Loaded,
        task: &TaskArguments,
        probe: Probe,
        training: TrainingArguments,
        run: Option<&Path>,
    ) -> Result<Self, Failure> {
        let checkpoint = Checkpoint::load(Path::new(&loaded.checkpoint_path))?;
        let all = TaskArguments { limit: None, split: SplitArgument::Test, ..task.clone() };
        let described = TaskArguments { limit: None, ..load::described(&all, &checkpoint) };
        // Many data sets have no test split, which is no reason to stop.
        let test = load::data(&described, &checkpoint, loaded.options.dtype).ok();
        let test = test.filter(|_| task.split == SplitArgument::Train);
        let settings = folder::settings(&loaded, &probe, &training);
        let mut folder = run.map(|path| Folder::open(path, &settings)).transpose()?;
        let (rows, vectors) = match &mut folder {
            Some(folder) => (folder.rows()?, folder.vectors()?),
            None => (vec![], vec![]),
        };
        let bar = CheckpointBar::new();
        Ok(Self { loaded, test, probe, training, folder, rows, vectors, work: [0; 2], bar })
    }

    /// So many checkpoints are known of.
    pub(crate) fn expects(&self, files: usize) {
        self.bar.expects(files);
    }

    /// Probes a checkpoint, unless it has a row.
    pub(crate) fn take(&mut self, path: &Path) -> Result<Tracked, Failure> {
        self.bar.begins(&stem(&path.display().to_string()));
        let named = files::step_of(path);
        if named.is_some_and(|step| self.has(step)) {
            return Ok(Tracked::Done(None));
        }
        let checkpoint = Checkpoint::load(path)?;
        checkpoint.require_finite()?;
        let said = checkpoint.metadata.get(STEP).and_then(|step| step.parse().ok());
        let Some(step) = named.or(said) else {
            return Err(Failure::Usage(format!(
                "the file name of `{}` has no number, so its step is unknown: name it like step-100.safetensors",
                path.display()
            )));
        };
        if self.has(step) {
            return Ok(Tracked::Done(None));
        }
        if let Some(last) = self.rows.last().and_then(row_step).filter(|last| *last > step) {
            return Err(Failure::Input(format!(
                "`{}` is of step {step}, but a row of step {last} was recorded already: name another folder with --run",
                path.display()
            )));
        }
        let Some(row) = self.row(&checkpoint, path, step)? else { return Ok(Tracked::Interrupted) };
        if let Some(folder) = &mut self.folder {
            folder.record(step, row.clone(), &self.vectors)?;
        }
        let line = report::line(&row);
        self.rows.push(row);
        Ok(Tracked::Done(Some(line)))
    }

    fn has(&self, step: usize) -> bool {
        self.rows.iter().any(|row| row_step(row) == Some(step))
    }

    /// The row of a checkpoint; none after Ctrl-C.
    fn row(&mut self, checkpoint: &Checkpoint, path: &Path, step: usize) -> Result<Option<Row>, Failure> {
        let Loaded { architecture, data, options, .. } = &self.loaded;
        let tensors = checkpoint.fit_model(architecture, data.example_shape())?;
        let task = Task::new(architecture, &tensors, data, options)?;
        let sum = Minibatches::new(architecture, &tensors, data, options)?;
        let at = task.objective.parameters();
        let states = &self.training.adam;
        let adam = states.at(path, step, at)?;
        // Where Adam's second moments are not known, neither is what binds it.
        let eta = match &adam {
            Some(adam) => self.training.eta.or(adam.eta),
            None => self.training.eta.filter(|_| !states.concerns(path)),
        };
        let setting = Setting {
            eta,
            rho: self.training.rho,
            momentum: self.training.momentum,
            nesterov: self.training.nesterov,
            batch: self.training.batch,
            adam: adam
                .as_ref()
                .map(|adam| AdamSetting { beta1: adam.beta1, preconditioner: &adam.preconditioner }),
            ..Setting::default()
        };
        let start = Some(self.vectors.as_slice()).filter(|vectors| !vectors.is_empty());
        let outcome = self.probe.run(&sum, &task.objective, at, &setting, start, &mut self.bar)?;
        let Outcome::Done(found) = outcome else { return Ok(None) };
        let mut row: Row = [(STEP.to_string(), step.into())].into_iter().collect();
        row.insert("checkpoint".into(), stem(&path.display().to_string()).into());
        row.extend(found.metrics().into_iter().map(|(tag, value)| (tag, Value::from(value))));
        if found.status != Status::Converged {
            row.insert("status".into(), serde_json::to_value(found.status).unwrap_or_default());
        }
        let Measured { accuracy, .. } = task.measure(at)?;
        row.extend(accuracy.map(|accuracy| ("accuracy/train".to_string(), accuracy.into())));
        if let Some(test) = &self.test {
            let Measured { loss, accuracy, .. } =
                Task::new(architecture, &tensors, test, options)?.measure(at)?;
            row.insert("loss/test".into(), loss.into());
            row.extend(accuracy.map(|accuracy| ("accuracy/test".to_string(), accuracy.into())));
        }
        self.work[0] += found.products;
        self.work[1] += found.gradients;
        self.vectors = found.vectors;
        Ok(Some(row))
    }

    /// What was found, with the products and gradients of this time.
    pub(crate) fn finish(self) -> (Loaded, Track, [usize; 2]) {
        let entropic =
            matches!(self.loaded.task.loss, Loss::CrossEntropy | Loss::NextToken | Loss::BinaryCrossEntropy);
        let adam = self.training.adam.concerns(Path::new(&self.loaded.checkpoint_path));
        (self.loaded, Track::new(self.rows, entropic, adam), self.work)
    }
}

/// The step of a row.
fn row_step(row: &Row) -> Option<usize> {
    row.get(STEP)?.as_u64().map(|step| step as usize)
}

/// A number of a row for people.
fn shown(row: &Row, tag: &str) -> Option<String> {
    let value = row.get(tag)?.as_f64()?;
    Some(numbers::with_bound(value, value.abs() * 1e-4))
}
