//! Optimizers by name: the rule, what turns its gradient into a step, and the options that each one knows.

use clap::{Args, ValueEnum};
use relief_sharpness::{Perturbation, Scale};
use relief_training::{Adam, Momentum, Optimiser, Rule, Sam};

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
}

/// Options of sharpness-aware optimizers; which of them one knows depends on it.
#[derive(Debug, Clone, Args)]
pub(crate) struct RuleArguments {
    /// Radius of the perturbation [default: 0.05; asam 0.5]
    #[arg(long, value_name = "RHO", help_heading = "Sharpness-aware optimizers")]
    rho: Option<f64>,

    /// sam, asam: the norm p of the ball, from 1 to `inf` [default: 2]
    #[arg(long, value_name = "P", help_heading = "Sharpness-aware optimizers")]
    norm: Option<f64>,

    /// asam: which entries are scaled with their magnitude [default: weights]
    #[arg(long, value_enum, help_heading = "Sharpness-aware optimizers")]
    scale: Option<ScaleArgument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScaleArgument {
    /// Those of tensors whose name contains `weight`, by |w| + 0.01, as the authors do
    Weights,
    /// All, by |w| + 0.01
    Shifted,
    /// All, by |w|
    Magnitude,
}

impl From<ScaleArgument> for Scale {
    fn from(argument: ScaleArgument) -> Self {
        match argument {
            ScaleArgument::Weights => Self::Weights { eta: 0.01 },
            ScaleArgument::Shifted => Self::Shifted { eta: 0.01 },
            ScaleArgument::Magnitude => Self::Magnitude,
        }
    }
}

impl RuleArguments {
    /// The rule of an optimizer, which takes the options that it knows; one that is left over is refused.
    pub(crate) fn rule(&self, optimizer: Optimizer) -> Result<Rule, Failure> {
        let mut options = self.clone();
        let rule = match optimizer {
            Optimizer::Sgd | Optimizer::Adam | Optimizer::Adamw => Rule::Plain,
            Optimizer::Sam => Rule::Sam(Sam {
                rho: options.rho(0.05)?,
                perturbation: Perturbation { norm: options.norm.take().unwrap_or(2.0), scale: Scale::None },
            }),
            Optimizer::Asam => Rule::Sam(Sam {
                rho: options.rho(0.5)?,
                perturbation: Perturbation {
                    norm: options.norm.take().unwrap_or(2.0),
                    scale: options.scale.take().unwrap_or(ScaleArgument::Weights).into(),
                },
            }),
        };
        match options.left() {
            None => Ok(rule),
            Some(option) => Err(unknown(optimizer, option)),
        }
    }

    fn rho(&mut self, default: f64) -> Result<f64, Failure> {
        let rho = self.rho.take().unwrap_or(default);
        if rho.is_finite() && rho >= 0.0 {
            return Ok(rho);
        }
        Err(Failure::Usage(format!("--rho is {rho}: give a radius not below 0")))
    }

    /// The first option that nothing took.
    fn left(&self) -> Option<&'static str> {
        let Self { rho, norm, scale } = self;
        let left = [("--rho", rho.is_some()), ("--norm", norm.is_some()), ("--scale", scale.is_some())];
        left.into_iter().find_map(|(name, given)| given.then_some(name))
    }
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

fn unknown(optimizer: Optimizer, option: &str) -> Failure {
    Failure::Usage(format!(
        "{option} is not an option of --optimizer {}: leave it out, or choose an optimizer that has it (see `relief train --help`)",
        optimizer.name()
    ))
}
