//! Gradient descent with momentum.

use serde::{Deserialize, Serialize};

/// Heavy ball (Polyak 1964) or Nesterov's variant, as PyTorch has them: v becomes mu v + g, and the point moves by -eta v,
/// or by -eta (g + mu v) with Nesterov (Sutskever et al. 2013).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Momentum {
    /// The factor mu.
    pub momentum: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
}

impl Momentum {
    /// Moves a point along `factor` times a gradient.
    pub fn step(&self, eta: f64, point: &mut [f64], velocity: &mut [f64], factor: f64, gradient: &[f64]) {
        for ((x, v), g) in point.iter_mut().zip(velocity).zip(gradient) {
            (*x, *v) = self.moved(eta, *x, *v, factor * g);
        }
    }

    /// Whether [`step`](Self::step) would leave point and velocity finite, asked before anything is overwritten.
    pub fn stays_finite(
        &self,
        eta: f64,
        point: &[f64],
        velocity: &[f64],
        factor: f64,
        gradient: &[f64],
    ) -> bool {
        point.iter().zip(velocity).zip(gradient).all(|((x, v), g)| {
            let (x, v) = self.moved(eta, *x, *v, factor * g);
            x.is_finite() && v.is_finite()
        })
    }

    fn moved(&self, eta: f64, x: f64, v: f64, g: f64) -> (f64, f64) {
        let v = self.momentum * v + g;
        let direction = if self.nesterov { g + self.momentum * v } else { v };
        (x - eta * direction, v)
    }
}
