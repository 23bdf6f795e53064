//! Gradient flow.

use relief_hessian::{Control, Curvature, DEFAULT_MEMORY, Objective, Parameters, Result, gradient};
use serde::{Deserialize, Serialize};

use super::top::top;
use super::{FlowState, add, dot, finite, fits, positive};
use crate::Ending;

/// d theta / dt = -grad L by the classical Runge-Kutta method of fourth order (Kutta 1901), with steps of
/// min(alpha / `lambda_1`, most) as Cohen et al. (2021) have them. Stable for alpha below 2.78.
///
/// With `alpha` halved, the error at a time falls sixteenfold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GradientFlow {
    /// Length of a step in units of 1 / `lambda_1`.
    pub alpha: f64,
    /// The longest step.
    pub most: f64,
    /// The time at which it ends.
    pub until: f64,
    /// A step ends at every multiple of this time, so that the flow can be compared with gradient descent there.
    pub marks: Option<f64>,
    /// Steps between two computations of `lambda_1`.
    pub refresh: usize,
    /// Seed of the search for `lambda_1`.
    pub seed: u64,
}

impl Default for GradientFlow {
    fn default() -> Self {
        Self { alpha: 1.0, most: 1.0, until: 100.0, marks: None, refresh: 10, seed: 0 }
    }
}

/// What a step saw, before it moved the point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientFlowStep {
    /// The step, from 0.
    pub step: usize,
    /// The time before it.
    pub time: f64,
    /// The loss there.
    pub loss: f64,
    /// Norm of the gradient there.
    pub gradient_norm: f64,
    /// `lambda_1` when it was last computed.
    pub sharpness: f64,
}

impl GradientFlow {
    /// Goes from the state's time to the end. `told` hears of every step, with the state after it.
    ///
    /// Costs four gradients a step, and every `refresh` steps some ten products. Fails where the point would not be finite;
    /// the state is then the last finite one.
    pub fn run(
        &self,
        objective: &dyn Objective,
        state: &mut FlowState,
        told: &mut dyn FnMut(&GradientFlowStep, &FlowState) -> Control,
    ) -> Result<Ending> {
        positive("alpha", self.alpha)?;
        positive("the longest step", self.most)?;
        self.marks.map_or(Ok(()), |marks| positive("the time between marks", marks))?;
        fits(state, objective.parameters())?;
        while state.time < self.until {
            let step = self.step(objective, state)?;
            if told(&step, state) == Control::Interrupt && state.time < self.until {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    fn step(&self, objective: &dyn Objective, state: &mut FlowState) -> Result<GradientFlowStep> {
        let at = objective.parameters().at(&state.point)?;
        let (mut sharpness, mut vectors) = (state.sharpness, None);
        if state.step.is_multiple_of(self.refresh.max(1)) || sharpness.is_nan() {
            let found = top(&Curvature::new(objective, &at, DEFAULT_MEMORY)?, 1, &state.vectors, self.seed)?;
            (sharpness, vectors) = (found.values[0], Some(found.vectors));
        }
        let free = if sharpness > 0.0 { (self.alpha / sharpness).min(self.most) } else { self.most };
        let mut end = (state.time + free).min(self.until);
        if let Some(marks) = self.marks {
            // A mark that rounding puts just ahead has been reached.
            let next = ((state.time / marks + 1e-9).floor() + 1.0) * marks;
            end = end.min(next);
        }
        let (loss, slope, point) = runge_kutta(objective, &at, &state.point, end - state.time)?;
        let remedy = format!("take an alpha below {}", self.alpha);
        finite(loss, &point, "gradient flow", state.step, &remedy)?;
        let (step, time) = (state.step, state.time);
        *state = FlowState {
            step: step + 1,
            time: end,
            point,
            sharpness,
            vectors: vectors.unwrap_or_else(|| std::mem::take(&mut state.vectors)),
        };
        Ok(GradientFlowStep { step, time, loss, gradient_norm: dot(&slope, &slope).sqrt(), sharpness })
    }
}

/// Loss and gradient at the beginning, and the point after a step of this length.
fn runge_kutta(
    objective: &dyn Objective,
    at: &Parameters,
    point: &[f64],
    length: f64,
) -> Result<(f64, Vec<f64>, Vec<f64>)> {
    let (loss, first) = gradient(objective, at)?;
    let (mut end, mut last) = (point.to_vec(), first.clone());
    add(-length / 6.0, &first, &mut end);
    for (way, weight) in [(0.5, 2.0), (0.5, 2.0), (1.0, 1.0)] {
        last = gradient(objective, &at.displaced(&last, -way * length)?)?.1;
        add(-weight * length / 6.0, &last, &mut end);
    }
    Ok((loss, first, end))
}
