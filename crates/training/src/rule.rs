//! Which gradient a step follows: the mini-batch's own, or one that looks around.

mod sam;
mod site;

use std::collections::BTreeMap;

use relief_hessian::{Parameters, Result};
use serde::{Deserialize, Serialize};

pub use sam::Sam;
pub(crate) use site::Site;

/// Which gradient a step follows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The mini-batch's own gradient.
    #[default]
    Plain,
    /// The gradient at the point perturbed towards where the loss rises fastest.
    Sam(Sam),
}

/// What a rule remembers from step to step: lists of numbers, and counts. Saved with the training's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// Lists by name, such as an eigenvector.
    pub vectors: BTreeMap<String, Vec<f64>>,
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    /// The mini-batch's mean loss at the point itself.
    pub(crate) loss: f64,
    /// The norm of the mini-batch's gradient at the point itself.
    pub(crate) gradient_norm: f64,
    /// The norm of the perturbation, 0 without one; where it has parts, the root of their mean square.
    pub(crate) perturbation_norm: f64,
    /// What the optimiser follows.
    pub(crate) gradient: Vec<f64>,
}

impl Rule {
    /// The gradient to follow on the step's mini-batch.
    pub(crate) fn update(&self, site: &mut Site<'_>, memory: &mut Memory) -> Result<Update> {
        let _ = &memory;
        match self {
            Self::Plain => {
                let (loss, gradient) = site.gradient()?;
                Ok(Update { loss, gradient_norm: norm(&gradient), perturbation_norm: 0.0, gradient })
            }
            Self::Sam(sam) => sam.update(site),
        }
    }

    /// The perturbation that the rule makes of a gradient at a point, with what it remembers: what is compared with the
    /// Hessian's eigenvectors. None without one.
    pub fn perturbation(
        &self,
        gradient: &[f64],
        at: &Parameters,
        memory: &Memory,
    ) -> Result<Option<Vec<f64>>> {
        let _ = memory;
        match self {
            Self::Plain => Ok(None),
            Self::Sam(sam) => sam.perturbation(gradient, at).map(Some),
        }
    }
}

pub(crate) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}
