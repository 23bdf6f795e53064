//! A matrix in the coordinates of an optimizer: P^-1/2 A P^-1/2.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use relief_hessian::{Parameters, Scaled, SymmetricOperator};
use relief_models::checkpoint::{AdamMemory, Checkpoint};
use relief_sharpness::{Scale, adam_edge};
use relief_training::{Adam, Optimiser, Training, TrainingState};
use serde::Serialize;

use crate::exit::Failure;
use crate::numbers;
use crate::run_folder::STATE;
use crate::training::settings::Settings;

/// Which preconditioner.
#[derive(Debug, Clone, Args)]
pub(crate) struct PreconditionArguments {
    /// The matrix in other coordinates: `adam:FILE`, P^-1/2 A P^-1/2 with Adam's preconditioner P, from the second moments in
    /// FILE (safetensors by the parameters' names, a PyTorch optimizer, or the folder of a `relief train` run); or `weights`,
    /// |W| A |W|, every entry relative to its weight's size
    #[arg(long, value_name = "adam:FILE|weights", help_heading = "Matrix")]
    precondition: Option<Source>,

    /// Adam's beta1 [default: what the file says, or 0.9]
    #[arg(long, value_name = "B", requires = "precondition", help_heading = "Matrix")]
    adam_beta1: Option<f64>,

    /// Adam's beta2 [default: what the file says, or 0.999]
    #[arg(long, value_name = "B", requires = "precondition", help_heading = "Matrix")]
    adam_beta2: Option<f64>,

    /// Adam's epsilon [default: what the file says, or 1e-8]
    #[arg(long, value_name = "E", requires = "precondition", help_heading = "Matrix")]
    adam_eps: Option<f64>,

    /// Steps that Adam took, for the correction of its means [default: what the file says; without, no correction]
    #[arg(long, value_name = "N", requires = "precondition", help_heading = "Matrix")]
    adam_steps: Option<usize>,
}

/// Where a preconditioner comes from.
#[derive(Debug, Clone)]
enum Source {
    Adam(PathBuf),
    Weights,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("adam", file)) if !file.is_empty() => Ok(Self::Adam(file.into())),
            None if text == "weights" => Ok(Self::Weights),
            _ => Err("give `adam:FILE` or `weights`".into()),
        }
    }
}

/// A preconditioner that was read, for any of the parameters that it covers.
pub(crate) enum Preconditioner {
    Adam(AdamMemory, Adam),
    Weights,
}

/// What a result says of its preconditioner.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Preconditioned {
    /// P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + epsilon), both corrections 1 where the number of steps t is not known.
    Adam {
        path: String,
        sha256: String,
        steps: Option<usize>,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        /// Step size, where the file has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        eta: Option<f64>,
        /// (2 + 2 beta1) / ((1 - beta1) eta).
        #[serde(skip_serializing_if = "Option::is_none")]
        edge: Option<f64>,
    },
    /// P = |w|^-2.
    Weights,
}

impl PreconditionArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.precondition.is_some()
    }

    /// In front of the operator's name.
    pub(crate) fn prefix(&self) -> &'static str {
        match self.precondition {
            None => "",
            Some(Source::Adam(_)) => "adam-preconditioned ",
            Some(Source::Weights) => "weight-scaled ",
        }
    }

    /// Refuses what no file could make right.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let own = [self.adam_beta1, self.adam_beta2, self.adam_eps];
        if matches!(self.precondition, Some(Source::Weights))
            && (self.adam_steps.is_some() || own.iter().any(Option::is_some))
        {
            return Err(Failure::Usage(
                "--precondition weights has nothing to do with Adam: leave out --adam-beta1, --adam-beta2, --adam-eps and --adam-steps".into(),
            ));
        }
        for (name, beta) in [("beta1", self.adam_beta1), ("beta2", self.adam_beta2)] {
            if let Some(beta) = beta.filter(|beta| !(0.0..1.0).contains(beta)) {
                return Err(Failure::Usage(format!(
                    "--adam-{name} is {beta}: give a number from 0 to below 1"
                )));
            }
        }
        if let Some(epsilon) = self.adam_eps.filter(|epsilon| !(epsilon.is_finite() && *epsilon >= 0.0)) {
            return Err(Failure::Usage(format!("--adam-eps is {epsilon}: give a number not below 0")));
        }
        if self.adam_steps == Some(0) {
            return Err(Failure::Usage(
                "--adam-steps is 0: before the first step there is no preconditioner".into(),
            ));
        }
        Ok(())
    }

    /// Reads the file, if there is one.
    pub(crate) fn read(&self) -> Result<Option<Preconditioner>, Failure> {
        let path = match &self.precondition {
            None => return Ok(None),
            Some(Source::Weights) => return Ok(Some(Preconditioner::Weights)),
            Some(Source::Adam(path)) => path,
        };
        let mut memory = if path.is_dir() { of_run(path)? } else { AdamMemory::load(path)? };
        memory.steps = self.adam_steps.or(memory.steps).filter(|steps| *steps > 0);
        let usual = Adam::default();
        let adam = Adam {
            beta1: self.adam_beta1.or(memory.beta1).unwrap_or(usual.beta1),
            beta2: self.adam_beta2.or(memory.beta2).unwrap_or(usual.beta2),
            epsilon: self.adam_eps.or(memory.epsilon).unwrap_or(usual.epsilon),
        };
        for (name, beta) in [("beta1", adam.beta1), ("beta2", adam.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Failure::Input(format!(
                    "`{}` has a {name} of {beta}, which is not in 0..1: give --adam-{name}",
                    path.display()
                )));
            }
        }
        Ok(Some(Preconditioner::Adam(memory, adam)))
    }
}

impl Preconditioner {
    /// P^-1/2 A P^-1/2 for a matrix over these parameters.
    pub(crate) fn apply<'c>(
        &self,
        operator: Box<dyn SymmetricOperator + 'c>,
        at: &Parameters,
    ) -> Result<Box<dyn SymmetricOperator + 'c>, Failure> {
        Ok(Box::new(match self.diagonal(at)? {
            Some(diagonal) => Scaled::preconditioned(operator, &diagonal)?,
            None => Scaled::new(operator, Scale::Magnitude.at(at)?.unwrap_or_default())?,
        }))
    }

    /// P, where it has to do with a file.
    pub(crate) fn diagonal(&self, at: &Parameters) -> Result<Option<Vec<f64>>, Failure> {
        let Self::Adam(memory, adam) = self else { return Ok(None) };
        let diagonal = adam.preconditioner(corrected_steps(memory), &memory.of(at)?);
        match diagonal.iter().find(|p| !(p.is_finite() && **p > 0.0)) {
            None => Ok(Some(diagonal)),
            Some(bad) => Err(Failure::Input(format!(
                "Adam's preconditioner from `{}` has an entry {bad} with an epsilon of {}: give --adam-eps above 0",
                memory.source.display(),
                adam.epsilon
            ))),
        }
    }

    /// What a result says of it.
    pub(crate) fn described(&self) -> Preconditioned {
        match self {
            Self::Weights => Preconditioned::Weights,
            Self::Adam(memory, adam) => Preconditioned::Adam {
                path: memory.source.display().to_string(),
                sha256: memory.sha256.clone(),
                steps: memory.steps,
                beta1: adam.beta1,
                beta2: adam.beta2,
                epsilon: adam.epsilon,
                eta: memory.eta,
                edge: memory.eta.filter(|eta| *eta > 0.0).map(|eta| adam_edge(eta, adam.beta1)),
            },
        }
    }
}

impl Preconditioned {
    /// What a reader should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        match self {
            Self::Weights => {
                vec!["the matrix is |W| A |W|: what a change relative to every weight's size meets".into()]
            }
            Self::Adam { path, steps, epsilon, edge, eta, .. } => {
                let means = match steps {
                    Some(steps) => format!("v after {} steps from {path}", numbers::count(*steps)),
                    None => format!(
                        "v from {path}, uncorrected, because the number of steps is not known (--adam-steps)"
                    ),
                };
                let definition =
                    format!("the matrix is P^-1/2 A P^-1/2 with Adam's P, sqrt(v) + {epsilon:e}; {means}");
                let edge = edge.zip(*eta).map(|(edge, eta)| {
                    format!(
                        "with step size {eta}, Adam's edge of stability is at {} (Cohen et al. 2022)",
                        numbers::plain(edge)
                    )
                });
                std::iter::once(definition).chain(edge).collect()
            }
        }
    }

    /// What a saved state must agree with.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Weights => "weights".into(),
            Self::Adam { sha256, steps, beta1, beta2, epsilon, .. } => {
                format!("adam {sha256} {steps:?} {beta1} {beta2} {epsilon}")
            }
        }
    }
}

/// Steps for the means' correction; so many that there is none where they are not known.
fn corrected_steps(memory: &AdamMemory) -> usize {
    memory.steps.unwrap_or(i32::MAX as usize).min(i32::MAX as usize)
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
