//! From a gradient to a step.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Momentum;

/// How a gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Gradient descent with momentum (0 for none).
    Sgd(Momentum),
    /// Adam.
    Adam(Adam),
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Sgd(Momentum::default())
    }
}

impl Optimiser {
    /// Moves a point; `step` counts from 0, and `means` are what it remembers, empty before the first step.
    pub(crate) fn step(
        &self,
        eta: f64,
        step: usize,
        point: &mut [f64],
        means: &mut Vec<Vec<f64>>,
        gradient: &[f64],
    ) {
        match self {
            Self::Sgd(momentum) => {
                means.resize(1, vec![0.0; point.len()]);
                momentum.step(eta, point, &mut means[0], 1.0, gradient);
            }
            Self::Adam(adam) => {
                means.resize(2, vec![0.0; point.len()]);
                let [mean, square] = &mut means[..] else { unreachable!("two means were made") };
                adam.step(eta, step, point, mean, square, gradient);
            }
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let share = |name: &str, value: f64| {
            if (0.0..1.0).contains(&value) {
                return Ok(());
            }
            Err(Error::Input(format!("{name} is {value}, but must be in 0..1")))
        };
        match self {
            Self::Sgd(momentum) => share("the momentum", momentum.momentum),
            Self::Adam(adam) => share("beta1", adam.beta1).and_then(|()| share("beta2", adam.beta2)),
        }
    }
}

/// Adam (Kingma & Ba 2015, algorithm 1), as PyTorch has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adam {
    /// Factor of the mean gradient.
    pub beta1: f64,
    /// Factor of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Adam {
    /// Moves a point; `step` counts from 0, `mean` and `square` are the running means before it.
    pub fn step(
        &self,
        eta: f64,
        step: usize,
        point: &mut [f64],
        mean: &mut [f64],
        square: &mut [f64],
        gradient: &[f64],
    ) {
        let power = (step + 1) as i32;
        let (first, second) = (1.0 - self.beta1.powi(power), 1.0 - self.beta2.powi(power));
        for (((x, m), s), g) in point.iter_mut().zip(mean).zip(square).zip(gradient) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *s = self.beta2 * *s + (1.0 - self.beta2) * g * g;
            *x -= eta / first * *m / ((*s / second).sqrt() + self.epsilon);
        }
    }

    /// The diagonal of the preconditioner P after `steps` steps with that mean of squared gradients: Adam's step without
    /// momentum is P^-1 g, and its edge of stability is about P^-1/2 H P^-1/2 (Cohen et al. 2022, eq. 4).
    pub fn preconditioner(&self, steps: usize, square: &[f64]) -> Vec<f64> {
        let power = steps.max(1) as i32;
        let (first, second) = (1.0 - self.beta1.powi(power), 1.0 - self.beta2.powi(power));
        square.iter().map(|s| first * ((s / second).sqrt() + self.epsilon)).collect()
    }
}
