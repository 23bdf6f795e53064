//! A matrix in the coordinates of an optimizer: P^-1/2 A P^-1/2.

pub(crate) mod adam;

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use relief_hessian::{Parameters, Scaled, SymmetricOperator};
use relief_models::checkpoint::AdamMemory;
use relief_sharpness::{Scale, adam_edge};
use relief_training::Adam;
use serde::Serialize;

use crate::exit::Failure;
use crate::numbers;

use adam::AdamArguments;

/// Which preconditioner.
#[derive(Debug, Clone, Args)]
pub(crate) struct PreconditionArguments {
    /// The matrix in other coordinates: `adam:FILE`, P^-1/2 A P^-1/2 with Adam's preconditioner P, from the second moments in
    /// FILE (safetensors by the parameters' names, a PyTorch optimizer, or the folder of a `relief train` run); or `weights`,
    /// |W| A |W|, every entry relative to its weight's size
    #[arg(long, value_name = "adam:FILE|weights", help_heading = "Matrix")]
    precondition: Option<Source>,

    #[command(flatten, next_help_heading = "Matrix")]
    adam: AdamArguments,

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
        let given = self.adam_steps.is_some() || self.adam.is_given();
        if matches!(self.precondition, Some(Source::Weights)) && given {
            return Err(Failure::Usage(
                "--precondition weights has nothing to do with Adam: leave out --adam-beta1, --adam-beta2, --adam-eps and --adam-steps".into(),
            ));
        }
        if self.precondition.is_none() && given {
            return Err(Failure::Usage(
                "Adam is described, but no matrix is in its coordinates: give --precondition adam:FILE"
                    .into(),
            ));
        }
        self.adam.check()?;
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
        let mut memory = adam::read(path)?;
        memory.steps = self.adam_steps.or(memory.steps).filter(|steps| *steps > 0);
        let adam = self.adam.settings(&memory)?;
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
