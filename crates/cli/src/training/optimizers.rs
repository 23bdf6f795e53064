//! Optimizers by name, and what turns their gradients into steps.

use clap::ValueEnum;
use relief_training::{Adam, Momentum, Optimiser};

use super::arguments::{Base, RecipeArguments};
use crate::exit::Failure;

/// How steps are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimizer {
    /// Gradient descent
    Sgd,
    /// Adam (Kingma & Ba 2015)
    Adam,
    /// Adam that shrinks the weights (Loshchilov & Hutter 2019)
    Adamw,
    /// Sharpness-aware minimization (Foret et al. 2021)
    Sam,
    /// Its adaptive form (Kwon et al. 2021)
    Asam,
    /// SAM turned towards the Hessian's top eigenvector (Luo et al. 2024)
    EigenSam,
    /// SAM with the perturbation turned around
    ReverseSam,
    /// The gradient of loss and gradient norm (Zhao et al. 2022)
    Egr,
    /// SAM with a perturbation from earlier gradients (Wang et al. 2024)
    GraphSam,
    /// SAM every few steps (Liu et al. 2022)
    LookSam,
    /// SAM that also closes the gap between perturbed and own loss (Zhuang et al. 2022)
    Gsam,
    /// The gradient of the loss and the Hessian's squared Frobenius norm (Tahmasebi et al. 2024)
    FrobSam,
    /// The same with its determinant
    DetSam,
    /// The same with its trace
    TraceSam,
    /// A random perturbation of SAM's length, for comparison
    Random,
    /// SAM with the perturbation rho g, not divided by |g| (Andriushchenko & Flammarion 2022)
    UnnormalisedSam,
}

impl RecipeArguments {
    /// What turns gradients into steps.
    pub(crate) fn base(&self) -> Result<Base, Failure> {
        let own = match self.optimizer {
            Optimizer::Sgd => Base::Sgd,
            Optimizer::Adam => Base::Adam,
            Optimizer::Adamw => Base::Adamw,
            _ => return Ok(self.base.unwrap_or(Base::Sgd)),
        };
        if self.base.is_some() {
            return Err(unknown(self.optimizer, "--base"));
        }
        Ok(own)
    }

    pub(crate) fn optimiser(&self, base: Base) -> Result<Optimiser, Failure> {
        let Self { momentum, nesterov, beta1, beta2, .. } = *self;
        let refused = |option: &str, by: &str| {
            Err(Failure::Usage(format!("{option} is not an option of {by}: leave it out")))
        };
        if base == Base::Sgd {
            if beta1.or(beta2).is_some() {
                return refused(if beta1.is_some() { "--beta1" } else { "--beta2" }, "SGD");
            }
            return Ok(Optimiser::Sgd(Momentum { momentum: momentum.unwrap_or(0.9), nesterov }));
        }
        if momentum.is_some() || nesterov {
            return refused(if nesterov { "--nesterov" } else { "--momentum" }, "Adam, which has --beta1");
        }
        let usual = Adam::default();
        Ok(Optimiser::Adam(Adam {
            beta1: beta1.unwrap_or(usual.beta1),
            beta2: beta2.unwrap_or(usual.beta2),
            ..usual
        }))
    }
}

impl Optimizer {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }
}

/// An option that an optimizer does not know.
pub(super) fn unknown(optimizer: Optimizer, option: &str) -> Failure {
    Failure::Usage(format!(
        "{option} is not an option of --optimizer {}: leave it out, or choose an optimizer that has it (see `relief train --help`)",
        optimizer.name()
    ))
}
