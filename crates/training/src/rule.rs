//! Which gradient a step follows: the mini-batch's own, or one that looks around.

mod det_sam;
mod egr;
mod eigen_sam;
mod frob_sam;
mod graph_sam;
mod gsam;
mod look_sam;
mod m_sam;
mod named;
mod random;
mod sam;
mod site;
mod trace_sam;
mod universal;
mod unnormalised;
mod vectors;

use std::collections::BTreeMap;

use relief_hessian::{Error, Parameters, Result};
use serde::{Deserialize, Serialize};

pub use det_sam::DetSam;
pub use egr::Egr;
pub use eigen_sam::{EigenMethod, EigenSam, Every};
pub use frob_sam::FrobSam;
pub use graph_sam::GraphSam;
pub use gsam::Gsam;
pub use look_sam::LookSam;
pub use m_sam::MSam;
pub use random::RandomSam;
pub use sam::Sam;
pub(crate) use site::Site;
pub use trace_sam::TraceSam;
pub use unnormalised::UnnormalisedSam;
pub(crate) use vectors::norm;

/// Which gradient a step follows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The mini-batch's own gradient.
    #[default]
    Plain,
    /// The gradient at the point perturbed towards where the loss rises fastest.
    Sam(Sam),
    /// The same with the perturbation turned around, towards where it falls fastest.
    ReverseSam(Sam),
    /// SAM with a perturbation that is not divided by the gradient's norm.
    UnnormalisedSam(UnnormalisedSam),
    /// SAM with a perturbation for each part of the mini-batch.
    MSam(MSam),
    /// A perturbation in a random direction.
    Random(RandomSam),
    /// The gradient of loss and gradient norm.
    Egr(Egr),
    /// SAM whose perturbation is turned towards the top eigenvector.
    EigenSam(EigenSam),
    /// SAM with a perturbation from earlier gradients.
    GraphSam(GraphSam),
    /// SAM every few steps, of which the steps between keep a part.
    LookSam(LookSam),
    /// SAM that also closes the gap between the perturbed and the own loss.
    Gsam(Gsam),
    /// The gradient of the loss and of its Hessian's squared Frobenius norm.
    FrobSam(FrobSam),
    /// The gradient of the loss and of its Hessian's determinant.
    DetSam(DetSam),
    /// The gradient of the loss and of its Hessian's trace.
    TraceSam(TraceSam),
}

/// What a rule remembers from step to step. Saved with the training's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// Lists by name, such as an eigenvector.
    pub vectors: BTreeMap<String, Vec<f64>>,
}

impl Memory {
    /// A list, once the rule has made it.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.vectors.get(name).map(Vec::as_slice)
    }
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Update {
    /// The mini-batch's mean loss at the point itself; at the perturbed point where that is the only one seen.
    pub(crate) loss: f64,
    /// The norm of the mini-batch's gradient at the same point.
    pub(crate) gradient_norm: f64,
    /// The norm of the perturbation, 0 without one; where it has parts, the root of their mean square.
    pub(crate) perturbation_norm: f64,
    /// What the optimiser follows.
    pub(crate) gradient: Vec<f64>,
    /// What the rule's memory shall hold from now on, beside what it holds.
    pub(crate) remember: Vec<(&'static str, Vec<f64>)>,
}

impl Rule {
    /// The gradient to follow on the step's mini-batch.
    pub(crate) fn update(&self, site: &Site<'_>, memory: &Memory) -> Result<Update> {
        match self {
            Self::Plain => {
                let (loss, gradient) = site.gradient()?;
                Ok(Update { loss, gradient_norm: norm(&gradient), gradient, ..Update::default() })
            }
            Self::Sam(sam) => sam.update(site, 1.0),
            Self::ReverseSam(sam) => sam.update(site, -1.0),
            Self::UnnormalisedSam(sam) => sam.update(site),
            Self::MSam(sam) => sam.update(site),
            Self::Random(random) => random.update(site),
            Self::Egr(egr) => egr.update(site),
            Self::EigenSam(sam) => sam.update(site, memory),
            Self::GraphSam(sam) => sam.update(site, memory),
            Self::LookSam(sam) => sam.update(site, memory),
            Self::Gsam(sam) => sam.update(site),
            Self::FrobSam(sam) => sam.update(site),
            Self::DetSam(sam) => sam.update(site),
            Self::TraceSam(sam) => sam.update(site),
        }
    }

    /// The perturbation that the rule makes of a gradient at a point, with what it remembers: what is compared with the
    /// Hessian's eigenvectors. None without one, and where it is drawn at random.
    ///
    /// [`Gsam`] answers with its largest radius, [`GraphSam`] with what its next step uses.
    pub fn perturbation(
        &self,
        gradient: &[f64],
        at: &Parameters,
        memory: &Memory,
    ) -> Result<Option<Vec<f64>>> {
        let perturbation = match self {
            Self::Plain
            | Self::Random(_)
            | Self::Egr(_)
            | Self::FrobSam(_)
            | Self::DetSam(_)
            | Self::TraceSam(_) => return Ok(None),
            Self::Sam(sam) => sam.perturbation(gradient, at, 1.0)?,
            Self::ReverseSam(sam) => sam.perturbation(gradient, at, -1.0)?,
            Self::UnnormalisedSam(sam) => sam.perturbation(gradient),
            Self::MSam(sam) => sam.sam().perturbation(gradient, at, 1.0)?,
            Self::EigenSam(sam) => sam.perturbation(gradient, memory.get(EigenSam::EIGENVECTOR)),
            Self::GraphSam(sam) => sam.next_perturbation(gradient, at, memory)?,
            Self::LookSam(sam) => sam.sam().perturbation(gradient, at, 1.0)?,
            Self::Gsam(sam) => sam.sam(1.0).perturbation(gradient, at, 1.0)?,
        };
        Ok(Some(perturbation))
    }

    /// The radius of the rule's neighbourhood, as its settings have it; none for the plain gradient.
    pub fn rho(&self) -> Option<f64> {
        match self {
            Self::Plain => None,
            Self::Sam(Sam { rho, .. })
            | Self::ReverseSam(Sam { rho, .. })
            | Self::UnnormalisedSam(UnnormalisedSam { rho })
            | Self::MSam(MSam { rho, .. })
            | Self::Random(RandomSam { rho })
            | Self::Egr(Egr { rho })
            | Self::EigenSam(EigenSam { rho, .. })
            | Self::GraphSam(GraphSam { rho, .. })
            | Self::LookSam(LookSam { rho, .. })
            | Self::Gsam(Gsam { rho, .. })
            | Self::FrobSam(FrobSam { rho, .. })
            | Self::DetSam(DetSam { rho, .. })
            | Self::TraceSam(TraceSam { rho, .. }) => Some(*rho),
        }
    }

    /// Refuses settings that make no sense for a training with so many steps an epoch and examples in all.
    pub(crate) fn validate(&self, per_epoch: usize, examples: usize) -> Result<()> {
        let radius = self.rho().unwrap_or(0.0);
        let draws = matches!(self, Self::FrobSam(_) | Self::DetSam(_) | Self::TraceSam(_));
        let problem = if !(radius >= 0.0 && radius.is_finite()) {
            Some(format!("rho is {radius}, but must be 0 or more and finite; `reverse-sam` turns its sign"))
        } else if draws && radius == 0.0 {
            Some("rho is 0, but differences are divided by it: give a positive number".into())
        } else {
            match self {
                Self::MSam(sam) => sam.problem(),
                Self::EigenSam(sam) => sam.problem(per_epoch, examples),
                Self::GraphSam(sam) => sam.problem(),
                Self::LookSam(sam) => sam.problem(),
                Self::Gsam(sam) => sam.problem(),
                Self::FrobSam(sam) => sam.problem(),
                Self::DetSam(sam) => sam.problem(),
                Self::TraceSam(sam) => sam.problem(),
                _ => None,
            }
        };
        problem.map_or(Ok(()), |problem| Err(Error::Input(problem)))
    }
}

/// A sentence about a number that is not finite.
fn not_finite(name: &str, value: f64) -> Option<String> {
    (!value.is_finite()).then(|| format!("{name} is {value}, but must be finite"))
}
