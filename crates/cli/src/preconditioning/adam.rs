//! What Adam remembers of a training, and how it was set.

use std::path::Path;

use clap::Args;
use relief_models::checkpoint::{AdamMemory, Checkpoint};
use relief_training::{Adam, Optimiser, Training, TrainingState};
use serde::Serialize;

use crate::exit::Failure;
use crate::run_folder::STATE;
use crate::training::settings::Settings;

/// How Adam was set, where its file does not say so.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub(crate) struct AdamArguments {
    /// Adam's beta1 [default: what the file says, or 0.9]
    #[arg(id = "adam_beta1", long = "adam-beta1", value_name = "B")]
    beta1: Option<f64>,

    /// Adam's beta2 [default: what the file says, or 0.999]
    #[arg(id = "adam_beta2", long = "adam-beta2", value_name = "B")]
    beta2: Option<f64>,

    /// Adam's epsilon [default: what the file says, or 1e-8]
    #[arg(id = "adam_eps", long = "adam-eps", value_name = "E")]
    epsilon: Option<f64>,
}

impl AdamArguments {
    /// Whether anything is said.
    pub(crate) fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// Refuses what no file could make right.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if let Some(beta) = beta.filter(|beta| !(0.0..1.0).contains(beta)) {
                return Err(Failure::Usage(format!(
                    "--adam-{name} is {beta}: give a number from 0 to below 1"
                )));
            }
        }
        match self.epsilon.filter(|epsilon| !(epsilon.is_finite() && *epsilon >= 0.0)) {
            Some(epsilon) => {
                Err(Failure::Usage(format!("--adam-eps is {epsilon}: give a number not below 0")))
            }
            None => Ok(()),
        }
    }

    /// Adam as it was set: what is said here, then what the file says, then what is usual.
    pub(crate) fn settings(&self, memory: &AdamMemory) -> Result<Adam, Failure> {
        let usual = Adam::default();
        let adam = Adam {
            beta1: self.beta1.or(memory.beta1).unwrap_or(usual.beta1),
            beta2: self.beta2.or(memory.beta2).unwrap_or(usual.beta2),
            epsilon: self.epsilon.or(memory.epsilon).unwrap_or(usual.epsilon),
        };
        for (name, beta) in [("beta1", adam.beta1), ("beta2", adam.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Failure::Input(format!(
                    "`{}` has a {name} of {beta}, which is not in 0..1: give --adam-{name}",
                    memory.source.display()
                )));
            }
        }
        Ok(adam)
    }
}

/// Reads a file, or the folder of a `relief train` run.
pub(crate) fn read(path: &Path) -> Result<AdamMemory, Failure> {
    if path.is_dir() { of_run(path) } else { Ok(AdamMemory::load(path)?) }
}

/// What Adam remembers in a `relief train` run.
fn of_run(folder: &Path) -> Result<AdamMemory, Failure> {
    let settings = Settings::load(folder)?;
    let Optimiser::Adam(adam) = settings.training.optimiser else {
        return Err(Failure::Input(format!(
            "the run in `{}` was not with Adam: its optimizer is {}",
            folder.display(),
            settings.optimizer
        )));
    };
    let path = folder.join(STATE);
    let state = TrainingState::load(&path, &settings.text()?)?;
    let Some(square) = state.means.get(1) else {
        return Err(Failure::Input(format!(
            "the run in `{}` took no step yet: Adam remembers nothing",
            folder.display()
        )));
    };
    let start = Checkpoint::load(&folder.join(crate::training::recorder::checkpoint(0)))?;
    let mut memory = AdamMemory::of_training(&start, square, state.step, &path)?;
    let Training { eta, schedule, steps, .. } = &settings.training;
    memory.eta = Some(eta * schedule.factor(state.step.saturating_sub(1), *steps));
    (memory.beta1, memory.beta2, memory.epsilon) = (Some(adam.beta1), Some(adam.beta2), Some(adam.epsilon));
    Ok(memory)
}
