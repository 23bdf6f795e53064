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

    /// Whether [`step`](Self::step) would leave everything finite, asked before anything is overwritten.
    pub(crate) fn stays_finite(
        &self,
        eta: f64,
        step: usize,
        point: &[f64],
        means: &[Vec<f64>],
        gradient: &[f64],
    ) -> bool {
        let none = vec![0.0; if means.is_empty() { point.len() } else { 0 }];
        let mean = |nth: usize| means.get(nth).map_or(&none[..], Vec::as_slice);
        match self {
            Self::Sgd(momentum) => momentum.stays_finite(eta, point, mean(0), 1.0, gradient),
            Self::Adam(adam) => adam.stays_finite(eta, step, point, mean(0), mean(1), gradient),
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
        let corrections = self.corrections(step + 1);
        for (((x, m), s), g) in point.iter_mut().zip(mean).zip(square).zip(gradient) {
            (*x, *m, *s) = self.moved(eta, corrections, (*x, *m, *s), *g);
        }
    }

    fn stays_finite(
        &self,
        eta: f64,
        step: usize,
        point: &[f64],
        mean: &[f64],
        square: &[f64],
        gradient: &[f64],
    ) -> bool {
        let corrections = self.corrections(step + 1);
        point.iter().zip(mean).zip(square).zip(gradient).all(|(((x, m), s), g)| {
            let (x, m, s) = self.moved(eta, corrections, (*x, *m, *s), *g);
            x.is_finite() && m.is_finite() && s.is_finite()
        })
    }

    /// One entry of the point and its two means after a step.
    fn moved(
        &self,
        eta: f64,
        (first, second): (f64, f64),
        (x, m, s): (f64, f64, f64),
        g: f64,
    ) -> (f64, f64, f64) {
        let m = self.beta1 * m + (1.0 - self.beta1) * g;
        let s = self.beta2 * s + (1.0 - self.beta2) * g * g;
        (x - eta / first * m / ((s / second).sqrt() + self.epsilon), m, s)
    }

    /// What both means are divided by after so many steps, because they began at 0.
    fn corrections(&self, steps: usize) -> (f64, f64) {
        (1.0 - self.beta1.powi(steps as i32), 1.0 - self.beta2.powi(steps as i32))
    }

    /// The first step, per unit of step size: -g / (|g| + epsilon), entry by entry.
    pub fn first_step(&self, gradient: &[f64]) -> Vec<f64> {
        gradient.iter().map(|g| -g / (g.abs() + self.epsilon)).collect()
    }

    /// The diagonal of the preconditioner P after `steps` steps with that mean of squared gradients: Adam's step without
    /// momentum is P^-1 g, and its edge of stability is about P^-1/2 H P^-1/2 (Cohen et al. 2022, eq. 4).
    pub fn preconditioner(&self, steps: usize, square: &[f64]) -> Vec<f64> {
        let (first, second) = self.corrections(steps.max(1));
        square.iter().map(|s| first * ((s / second).sqrt() + self.epsilon)).collect()
    }
}
