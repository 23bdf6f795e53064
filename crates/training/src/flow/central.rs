//! The central flow of gradient descent.

use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Error, Objective, Parameters, Result, third_products,
};
use serde::{Deserialize, Serialize};

use super::complementarity::Complementarity;
use super::top::{Top, top};
use super::{FlowState, add, dot, finite, fits, positive};
use crate::Ending;

/// The smooth path that gradient descent oscillates around (Cohen et al. 2024, "Understanding optimization in deep learning
/// with central flows"): d theta / dt = -(grad L + grad <Sigma, H> / 2), with the oscillations' covariance Sigma = U X U' on
/// the top eigenvectors U such that the sharpness stays at most 2/eta.
///
/// X solves 0 <= X _|_ 2/eta I - U'HU >= 0 along the flow. Over an Euler step of length h, U'HU changes by
/// -h (A + M\[X\]) with `A_ij` = D3 L(`u_i`, `u_j`, grad L) and M\[X\]`_ij` = sum over a, b of `X_ab` <D3 L(`u_i`, `u_j`),
/// D3 L(`u_a`, `u_b`)> / 2, so that X is found from
/// 0 <= X _|_ 2/eta I - U'HU + h (A + M\[X\]) >= 0, whose limit for small h is the differential condition. What was
/// overstepped is undone within a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CentralFlow {
    /// Gradient descent's step size.
    pub eta: f64,
    /// Steps of gradient descent that the flow lasts.
    pub steps: usize,
    /// Euler steps for each at the edge; fewer where the sharpness is less.
    pub substeps: usize,
    /// Eigenvectors may oscillate whose eigenvalue exceeds this over eta.
    pub tracked: f64,
    /// More eigenvectors than this are refused.
    pub most: usize,
    /// Seed of the search for eigenvectors.
    pub seed: u64,
}

impl Default for CentralFlow {
    fn default() -> Self {
        Self { eta: 0.1, steps: 1000, substeps: 4, tracked: 1.95, most: 8, seed: 0 }
    }
}

/// What a step of gradient descent's length saw at its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct CentralStep {
    /// The step, from 0.
    pub step: usize,
    /// The loss on the flow.
    pub loss: f64,
    /// Norm of its gradient there.
    pub gradient_norm: f64,
    /// The eigenvalues that may oscillate, descending, and the next.
    pub eigenvalues: Vec<f64>,
    /// Trace of Sigma: the mean square distance of gradient descent from the flow.
    pub variance: f64,
    /// Relative residual of the complementarity problem: at most 1e-9.
    pub residual: f64,
    /// The loss that gradient descent has on average over its oscillations: L + tr(Sigma)/eta.
    pub mean_loss: f64,
}

/// The oscillations at a point, and how they bend the flow.
struct Oscillation {
    variance: f64,
    residual: f64,
    /// grad <Sigma, H> / 2.
    bend: Vec<f64>,
}

impl CentralFlow {
    /// Takes the steps that the state lacks. `told` hears of every step, with the state after it.
    ///
    /// Costs, for each Euler step with k oscillating eigenvectors, a search from the last ones and k (k + 1) / 2 third-order
    /// products. Fails where the point would not be finite; the state is then the last finite one.
    pub fn run(
        &self,
        objective: &dyn Objective,
        state: &mut FlowState,
        told: &mut dyn FnMut(&CentralStep, &FlowState) -> Control,
    ) -> Result<Ending> {
        positive("eta", self.eta)?;
        fits(state, objective.parameters())?;
        if self.substeps == 0 || self.most == 0 || !(0.0..2.0).contains(&self.tracked) {
            return Err(Error::Input(format!(
                "a central flow has {} substeps, {} eigenvectors at most and tracks above {}/eta: give at least one of each and \
                 a number below 2",
                self.substeps, self.most, self.tracked
            )));
        }
        while state.step < self.steps {
            let step = self.step(objective, state)?;
            if told(&step, state) == Control::Interrupt && state.step < self.steps {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    fn step(&self, objective: &dyn Objective, state: &mut FlowState) -> Result<CentralStep> {
        let (mut point, mut vectors) = (state.point.clone(), state.vectors.clone());
        let mut seen: Option<CentralStep> = None;
        let mut done = 0;
        while done < self.substeps {
            let at = objective.parameters().at(&point)?;
            let curvature = Curvature::new(objective, &at, DEFAULT_MEMORY)?;
            let top = self.tracked(&curvature, &vectors)?;
            let oscillating = top.values.iter().filter(|v| **v > self.tracked / self.eta).count();
            // Below the edge steps may be longer, as long as they are no longer in units of 1 / lambda_1.
            let slack = (2.0 / (self.eta * top.values[0].max(0.0))) as usize;
            let parts = if oscillating == 0 { slack.clamp(1, self.substeps - done) } else { 1 };
            let length = self.eta * parts as f64 / self.substeps as f64;
            let found = self.oscillation(objective, &at, &curvature, &top, oscillating, length)?;
            add(-length, curvature.gradient(), &mut point);
            add(-length, &found.bend, &mut point);
            done += parts;
            seen = seen.or_else(|| {
                Some(CentralStep {
                    step: state.step,
                    loss: curvature.loss(),
                    gradient_norm: curvature.gradient_norm(),
                    eigenvalues: top.values,
                    variance: found.variance,
                    residual: found.residual,
                    mean_loss: curvature.loss() + found.variance / self.eta,
                })
            });
            vectors = top.vectors;
        }
        let seen = seen.ok_or_else(|| Error::Input("a central flow needs at least one substep".into()))?;
        let remedy = format!("take an eta below {}", self.eta);
        finite(seen.loss, &point, "the central flow", state.step, &remedy)?;
        let step = state.step + 1;
        let time = self.eta * step as f64;
        *state = FlowState { step, time, point, sharpness: seen.eigenvalues[0], vectors };
        Ok(seen)
    }

    /// All eigenvalues above the threshold, and the next.
    fn tracked(&self, curvature: &Curvature<'_>, start: &[Vec<f64>]) -> Result<Top> {
        let n = curvature.parameters().len();
        let mut count = start.len().max(1);
        loop {
            let mut found = top(curvature, count, start, self.seed)?;
            let above = found.values.iter().filter(|v| **v > self.tracked / self.eta).count();
            if above > self.most {
                return Err(Error::Input(format!(
                    "more than {} eigenvalues exceed {}/eta: allow more, or take another eta than {}",
                    self.most, self.tracked, self.eta
                )));
            }
            if above < count || count == n {
                found.values.truncate(above + 1);
                found.vectors.truncate(above + 1);
                return Ok(found);
            }
            count = (count + 1).min(n);
        }
    }

    fn oscillation(
        &self,
        objective: &dyn Objective,
        at: &Parameters,
        curvature: &Curvature<'_>,
        top: &Top,
        k: usize,
        length: f64,
    ) -> Result<Oscillation> {
        let none = || Oscillation { variance: 0.0, residual: 0.0, bend: vec![0.0; at.len()] };
        if k == 0 {
            return Ok(none());
        }
        let pairs = Complementarity::pairs(k);
        let directions: Vec<_> =
            pairs.iter().map(|&(i, j)| (&top.vectors[i][..], &top.vectors[j][..])).collect();
        let thirds = third_products(objective, at, &directions)?;
        let mut constant = vec![0.0; k * k];
        for (&(i, j), third) in pairs.iter().zip(&thirds) {
            let diagonal = if i == j { 2.0 / self.eta - top.values[i] } else { 0.0 };
            let entry = diagonal + length * dot(third, curvature.gradient());
            (constant[i * k + j], constant[j * k + i]) = (entry, entry);
        }
        // Entries off the diagonal stand for two of Sigma's.
        let times = |(i, j): (usize, usize)| if i == j { 1.0 } else { 2.0 };
        let gram = pairs.iter().zip(&thirds).flat_map(|(&p, t)| {
            let row = pairs.iter().zip(&thirds);
            row.map(move |(&q, u)| 0.5 * length * times(p) * times(q) * dot(t, u))
        });
        let solution = Complementarity { k, constant, gram: gram.collect() }.solve()?;
        let mut found = Oscillation {
            variance: (0..k).map(|i| solution.x[i * k + i]).sum(),
            residual: solution.residual,
            ..none()
        };
        for (&(i, j), third) in pairs.iter().zip(&thirds) {
            add(0.5 * times((i, j)) * solution.x[i * k + j], third, &mut found.bend);
        }
        Ok(found)
    }
}
