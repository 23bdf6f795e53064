//! The step size at which gradient descent stops going down.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::centre::Centre;
use super::measure::{Invariance, Measure, Uncertainty};

/// The smallest eta with L(w - eta g) > L(w), bracketed; 2/eta is the critical sharpness, which is g'Hg / g'g where the loss
/// is quadratic. Forward passes only.
///
/// The search follows (L(w - eta g) - L(w)) / eta, which is a straight line in eta where the loss is quadratic and begins
/// at -|g|^2: a secant then hits at once. A loss that rises, falls and rises again may hide a smaller eta.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CriticalStep {
    /// The first eta that is tried.
    pub guess: f64,
    /// Relative width of the bracket.
    pub tolerance: f64,
    /// Evaluations at most.
    pub max_evaluations: usize,
}

impl Default for CriticalStep {
    fn default() -> Self {
        Self { guess: 1.0, tolerance: 0.01, max_evaluations: 40 }
    }
}

/// Most that a secant may go beyond the largest eta known to go down.
const LARGEST_FACTOR: f64 = 8.0;

/// An eta with (L(w - eta g) - L(w)) / eta.
#[derive(Clone, Copy)]
struct Tried {
    eta: f64,
    climb: f64,
}

impl CriticalStep {
    /// The critical sharpness 2/eta, with eta beside it. Errors: a gradient of zero, and a loss that never rises.
    pub fn measure(&self, centre: &Centre<'_>) -> Result<Measure> {
        let before = centre.cost();
        let (lower, upper, reached) = self.bracket(centre)?;
        let eta = 0.5 * (lower + upper);
        let measure = Measure::new(
            "critical-sharpness",
            "2/eta, eta the smallest with L(w - eta g) > L(w)",
            2.0 / eta,
            Uncertainty::Bound { size: (2.0 / lower - 2.0 / eta).max(2.0 / eta - 2.0 / upper) },
            Invariance::Nothing,
        );
        let remedy = "the evaluations were used up; allow more, or ask for a larger tolerance";
        Ok(measure
            .with_beside("critical_step", eta)
            .with_cost(centre.cost() - before)
            .with_remedy((!reached).then_some(remedy)))
    }

    /// Two etas, of which the loss is higher at the second only, and whether they are as close as asked.
    fn bracket(&self, centre: &Centre<'_>) -> Result<(f64, f64, bool)> {
        let square: f64 = centre.gradient().iter().map(|g| g * g).sum();
        if square == 0.0 {
            return Err(Error::Input("the gradient is zero, so there is no step along it".into()));
        }
        if !(self.guess > 0.0 && self.guess.is_finite() && self.tolerance > 0.0) {
            return Err(Error::Input(format!(
                "the first step is {} and the tolerance {}: both must be finite and above 0",
                self.guess, self.tolerance
            )));
        }
        let mut lower = Tried { eta: 0.0, climb: -square };
        let mut upper: Option<Tried> = None;
        let mut eta = self.guess;
        // How often in a row the loss rose (above 0) or fell (below).
        let mut run = 0i32;
        for _ in 0..self.max_evaluations {
            let step: Vec<f64> = centre.gradient().iter().map(|g| -eta * g).collect();
            let climb = centre.any_rise(&step)? / eta;
            // A loss that is no number any more has risen, too.
            if climb > 0.0 || climb.is_nan() {
                upper = Some(Tried { eta, climb: if climb.is_finite() { climb } else { f64::INFINITY } });
                run = run.max(0) + 1;
            } else {
                lower = Tried { eta, climb };
                run = run.min(0) - 1;
            }
            eta = match upper {
                None => secant(Tried { eta: 0.0, climb: -square }, lower)
                    .filter(|e| *e > lower.eta)
                    .unwrap_or(f64::INFINITY)
                    .clamp(2.0 * lower.eta, LARGEST_FACTOR * lower.eta),
                Some(high) if high.eta - lower.eta <= self.tolerance * high.eta => {
                    return Ok((lower.eta, high.eta, true));
                }
                // Where the secant creeps from one side, half the bracket is more.
                Some(high) if run.abs() > 2 => 0.5 * (lower.eta + high.eta),
                Some(high) => self.between(lower, high),
            };
        }
        let found = upper.map(|high| (lower.eta, high.eta, false)).filter(|(low, ..)| *low > 0.0);
        found.ok_or_else(|| {
            Error::Input(format!(
                "after {} evaluations no critical step is bracketed (the last tried was {eta:.3e}): give a better guess",
                self.max_evaluations
            ))
        })
    }

    /// Where the secant says, a little inside both ends, so that a good guess closes the bracket from the other side.
    fn between(&self, low: Tried, high: Tried) -> f64 {
        let margin = 0.5 * self.tolerance * high.eta;
        let guess = secant(low, high).unwrap_or(0.5 * (low.eta + high.eta));
        let (least, most) = (low.eta + margin, high.eta - margin);
        if most <= least { 0.5 * (low.eta + high.eta) } else { guess.clamp(least, most) }
    }
}

/// Where the line through two points is zero.
fn secant(a: Tried, b: Tried) -> Option<f64> {
    let found = a.eta - a.climb * (b.eta - a.eta) / (b.climb - a.climb);
    found.is_finite().then_some(found)
}
