//! Adam's second moments at the checkpoints of a training.

use std::path::{Path, PathBuf};

use clap::Args;
use relief_hessian::Parameters;
use relief_models::checkpoint::AdamMemory;
use relief_training::Optimiser;
use serde::Serialize;

use super::files::step_of;
use crate::exit::Failure;
use crate::points;
use crate::preconditioning::Preconditioner;
use crate::preconditioning::adam::{self, AdamArguments};
use crate::run_folder::STATE;
use crate::training::recorder::moments;
use crate::training::settings::Settings;

/// Where they are.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub(crate) struct AdamStateArguments {
    /// Training was with Adam: files with its second moments (as `relief eigenvalues --precondition adam:` reads them), each of
    /// the checkpoint with the same last number in its name, or of the step that it says itself; or the folder of a `relief
    /// train` run, which is looked into anyway where the checkpoints lie in one. A PyTorch checkpoint with its optimizer in it
    /// may be its own
    #[arg(long, value_name = "FILES", help_heading = "Training")]
    adam_state: Option<String>,

    #[command(flatten, next_help_heading = "Training")]
    adam: AdamArguments,
}

/// Adam at a checkpoint.
pub(super) struct AdamThere {
    pub(super) beta1: f64,
    /// Step size, where the file has it.
    pub(super) eta: Option<f64>,
    pub(super) preconditioner: Vec<f64>,
}

impl AdamStateArguments {
    /// Refuses what no file could make right.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.adam.check()
    }

    /// Whether the training that left this checkpoint was with Adam, as far as is known.
    pub(super) fn concerns(&self, checkpoint: &Path) -> bool {
        self.adam_state.is_some() || run_of(checkpoint).is_some()
    }

    /// Adam at the checkpoint of a step; none where its second moments are not known.
    pub(super) fn at(
        &self,
        checkpoint: &Path,
        step: usize,
        at: &Parameters,
    ) -> Result<Option<AdamThere>, Failure> {
        let memory = match &self.adam_state {
            None => run_of(checkpoint).map(|run| in_run(&run, step)),
            Some(folder) if Path::new(folder).is_dir() => Some(in_run(Path::new(folder), step)),
            Some(pattern) => Some(among(pattern, step)),
        };
        let Some(memory) = memory.transpose()?.flatten() else { return Ok(None) };
        let settings = self.adam.settings(&memory)?;
        let (beta1, eta) = (settings.beta1, memory.eta.filter(|eta| *eta > 0.0));
        let preconditioner = Preconditioner::Adam(memory, settings).diagonal(at)?.unwrap_or_default();
        Ok(Some(AdamThere { beta1, eta, preconditioner }))
    }
}

/// The folder of the `relief train` run with Adam that a checkpoint lies in.
fn run_of(checkpoint: &Path) -> Option<PathBuf> {
    let folder = checkpoint.parent()?;
    let run = folder.parent().filter(|_| folder.file_name().is_some_and(|name| name == "checkpoints"))?;
    let run = if run.as_os_str().is_empty() { Path::new(".") } else { run };
    let settings = Settings::load(run).ok()?;
    matches!(settings.training.optimiser, Optimiser::Adam(_)).then(|| run.to_path_buf())
}

/// The second moments that a run kept of a step, or those it goes on with.
fn in_run(run: &Path, step: usize) -> Result<Option<AdamMemory>, Failure> {
    let kept = run.join(moments(step));
    if kept.is_file() {
        return adam::read(&kept).map(Some);
    }
    // A run without a state has none left to go on with; one that took no step remembers nothing.
    if step == 0 || !run.join(STATE).is_file() {
        return Ok(None);
    }
    Ok(Some(adam::read(run)?).filter(|memory| memory.steps == Some(step)))
}

/// The file of a step among those that match.
fn among(pattern: &str, step: usize) -> Result<Option<AdamMemory>, Failure> {
    let literal = PathBuf::from(pattern);
    let files = if literal.is_file() { vec![literal] } else { points::matching(pattern)? };
    if let Some(named) = files.iter().find(|file| step_of(file) == Some(step)) {
        return adam::read(named).map(Some);
    }
    let [only] = &files[..] else { return Ok(None) };
    Ok(Some(adam::read(only)?).filter(|memory| memory.steps == Some(step)))
}
