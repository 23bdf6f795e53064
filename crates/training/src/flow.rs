//! Differential equations beside the discrete rules: gradient flow, the central flow of gradient descent, and the
//! stochastic equations of sharpness-aware minimization.
//!
//! Each is settings with a `run` that takes a [`FlowState`] from step to step, and goes on from any state to the same digits.

mod central;
mod complementarity;
mod gradient;
mod sam_sde;
mod state;
mod top;

pub use central::{CentralFlow, CentralStep};
pub use complementarity::{Complementarity, ComplementarySolution};
pub use gradient::{GradientFlow, GradientFlowStep};
pub use sam_sde::{Expansion, SamSde, SamSdeStep, SdeOrder};
pub use state::FlowState;

use relief_hessian::{Error, Parameters, Result};

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// y <- y + factor x.
fn add(factor: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// Refuses a setting that is no step size.
fn positive(name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Input(format!("{name} is {value}, but must be above 0 and finite")))
}

/// Refuses a state of another network.
fn fits(state: &FlowState, parameters: &Parameters) -> Result<()> {
    let n = parameters.len();
    if state.point.len() == n && state.vectors.iter().all(|v| v.len() == n) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "the state is of another network: it has {} numbers for {n} parameters",
        state.point.len()
    )))
}

/// Refuses a loss that is not finite, and a point after it.
fn finite(loss: f64, point: &[f64], flow: &str, step: usize, remedy: &str) -> Result<()> {
    if loss.is_finite() && point.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Error::NonFinite(format!("{flow} diverged at step {step}, where the loss is {loss}: {remedy}")))
}
