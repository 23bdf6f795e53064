//! How the step size changes over training.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// A factor on the step size for every step: a linear warm-up, then a shape.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Steps over which the factor rises linearly from 1/(warmup + 1).
    pub warmup: usize,
    /// What it does then.
    pub shape: Shape,
}

/// What a schedule does after the warm-up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// 1 throughout.
    #[default]
    Constant,
    /// Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, without restarts).
    Cosine,
    /// Multiplied by `factor` at each of some steps.
    Steps {
        /// The steps.
        at: Vec<usize>,
        /// What happens there.
        factor: f64,
    },
}

impl Schedule {
    /// The factor at a step (from 0) of so many.
    pub fn factor(&self, step: usize, steps: usize) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        match &self.shape {
            Shape::Constant => 1.0,
            Shape::Cosine => {
                let share = (step - self.warmup) as f64 / steps.saturating_sub(self.warmup).max(1) as f64;
                0.5 * (1.0 + (PI * share).cos())
            }
            Shape::Steps { at, factor } => factor.powi(at.iter().filter(|s| **s <= step).count() as i32),
        }
    }
}
