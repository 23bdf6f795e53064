//! What a training is asked for on the command line.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use relief_training::{Schedule, Shape, Training};

use super::rules::{Optimizer, RuleArguments};
use crate::exit::Failure;

/// From gradients to steps, and how many.
#[derive(Debug, Args)]
pub(crate) struct RecipeArguments {
    /// How steps are found
    #[arg(long, value_enum, default_value = "sgd", help_heading = "Training")]
    pub(crate) optimizer: Optimizer,

    /// What turns the gradient of a sharpness-aware optimizer into a step [default: sgd]
    #[arg(long, value_enum, help_heading = "Training")]
    pub(crate) base: Option<Base>,

    /// Step size [default: 0.1; 0.001 with Adam]
    #[arg(long, value_name = "ETA", help_heading = "Training")]
    pub(crate) eta: Option<f64>,

    /// Passes over the data [default: 20]
    #[arg(long, value_name = "E", conflicts_with = "steps", help_heading = "Training")]
    pub(crate) epochs: Option<usize>,

    /// Steps, instead of passes over the data
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) steps: Option<usize>,

    /// Examples of a mini-batch, or `full` for all [default: 128, or all if they are fewer]
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub(crate) batch: Option<Batch>,

    /// The factor on the step size: `constant`, `cosine`, or `steps:30,60x0.1`, multiplied by 0.1 after 30 and after 60
    /// epochs, or steps where --steps is given
    #[arg(long, value_name = "SHAPE", default_value = "constant", help_heading = "Training")]
    pub(crate) schedule: String,

    /// Epochs, or steps where --steps is given, over which the step size rises from nearly 0
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Training")]
    pub(crate) warmup: usize,

    /// Momentum of SGD [default: 0.9]
    #[arg(long, value_name = "MU", help_heading = "Training")]
    pub(crate) momentum: Option<f64>,

    /// Nesterov's momentum
    #[arg(long, help_heading = "Training")]
    pub(crate) nesterov: bool,

    /// Adam's factor of the mean gradient [default: 0.9]
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub(crate) beta1: Option<f64>,

    /// Adam's factor of the mean squared gradient [default: 0.999]
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub(crate) beta2: Option<f64>,

    /// The factor w of w/2 |theta|^2, whose gradient the optimizer adds; AdamW shrinks the weights by it instead
    /// [default: 0; 0.01 with AdamW]
    #[arg(long, value_name = "W", help_heading = "Training")]
    pub(crate) weight_decay: Option<f64>,

    /// Shorten gradients to this norm where they are longer
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    pub(crate) clip: Option<f64>,

    /// Probability with which a label is drawn anew from all classes, every time it is seen
    #[arg(long, value_name = "P", default_value_t = 0.0, help_heading = "Training")]
    pub(crate) label_noise: f64,
}

/// From a gradient to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Base {
    Sgd,
    Adam,
    Adamw,
}

/// Examples of a mini-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    Full,
    Of(usize),
}

impl FromStr for Batch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("full", _) => Ok(Self::Full),
            (_, Ok(size)) if size > 0 => Ok(Self::Of(size)),
            _ => Err("give a number of examples, or `full`".into()),
        }
    }
}

impl RecipeArguments {
    /// The settings of a training on so many examples.
    pub(crate) fn training(
        &self,
        rule: &RuleArguments,
        examples: usize,
        seed: u64,
    ) -> Result<Training, Failure> {
        let batch = match self.batch {
            Some(Batch::Full) => None,
            Some(Batch::Of(size)) => Some(size),
            None => Some(128).filter(|size| *size < examples),
        };
        let base = self.base()?;
        let adam = base != Base::Sgd;
        let mut training = Training {
            optimiser: self.optimiser(base)?,
            rule: rule.rule(self.optimizer)?,
            eta: self.eta.unwrap_or(if adam { 1e-3 } else { 0.1 }),
            weight_decay: self.weight_decay.unwrap_or(if base == Base::Adamw { 0.01 } else { 0.0 }),
            decoupled: base == Base::Adamw,
            clip: self.clip,
            label_noise: self.label_noise,
            batch,
            seed,
            ..Training::default()
        };
        let epoch = training.epochs(examples).map_err(usage)?.per_epoch();
        let unit = if self.steps.is_some() { 1 } else { epoch };
        training.steps = self.steps.unwrap_or_else(|| self.epochs.unwrap_or(20) * epoch);
        training.schedule = Schedule { warmup: self.warmup * unit, shape: shape(&self.schedule, unit)? };
        Ok(training)
    }
}

fn usage(error: relief_hessian::Error) -> Failure {
    Failure::Usage(error.to_string())
}

/// Reads `constant`, `cosine` or `steps:30,60x0.1`, with a unit of so many steps.
fn shape(text: &str, unit: usize) -> Result<Shape, Failure> {
    let steps = || {
        let (at, factor) = text.strip_prefix("steps:")?.split_once('x')?;
        let at = at.split(',').map(|n| n.trim().parse::<usize>().ok().map(|n| n * unit));
        let factor = factor.trim().parse().ok().filter(|f: &f64| f.is_finite() && *f > 0.0)?;
        Some(Shape::Steps { at: at.collect::<Option<_>>()?, factor })
    };
    match text {
        "constant" => Ok(Shape::Constant),
        "cosine" => Ok(Shape::Cosine),
        _ => steps().ok_or_else(|| {
            Failure::Usage(format!(
                "--schedule is `{text}`: give `constant`, `cosine`, or epochs and a factor as in `steps:30,60x0.1`"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read() {
        assert_eq!(shape("steps:30,60x0.1", 10).unwrap(), Shape::Steps { at: vec![300, 600], factor: 0.1 });
        assert_eq!(shape("cosine", 3).unwrap(), Shape::Cosine);
        for bad in ["steps:30", "steps:ax0.1", "steps:3x0", "line"] {
            assert!(shape(bad, 1).is_err(), "{bad}");
        }
    }
}
