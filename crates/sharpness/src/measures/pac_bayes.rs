//! How much noise in the weights the accuracy stands, and the bounds made of it.

use relief_hessian::{Error, Parameters, Result};
use serde::{Deserialize, Serialize};

use super::centre::Centre;
use super::mean::Mean;
use super::measure::{Cost, Invariance, Measure, Uncertainty};
use super::noise::Noise;
use crate::Scale;

/// The largest sigma for which the mean accuracy at w + sigma T z, z normal, is lower than at w by no more than `drop`
/// (Neyshabur et al. 2017; Jiang et al. 2020). Its noise has the standard deviation sigma, not sigma^2.
///
/// Every sigma is tried with the same draws, so that the mean accuracy is one function of sigma, and bisection ends where
/// it crosses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PacBayesSigma {
    /// The drop of accuracy, a share of 1.
    pub drop: f64,
    /// The scales T.
    pub scale: Scale,
    /// Draws of noise, at least 2.
    pub draws: usize,
    /// Relative width to which sigma is bracketed.
    pub tolerance: f64,
    /// Seed of the noise: draw number i is what stream i of `ChaCha8Rng` draws.
    pub seed: u64,
}

impl Default for PacBayesSigma {
    fn default() -> Self {
        Self { drop: 0.1, scale: Scale::None, draws: 10, tolerance: 0.01, seed: 0 }
    }
}

/// Doublings and halvings of sigma before the search gives up.
const MOST_SCALINGS: usize = 60;

impl PacBayesSigma {
    /// sigma with its standard error: that of the mean accuracy, over the accuracy's slope at sigma, with half the bracket.
    /// `accuracy` is that on the training set, a share of 1.
    ///
    /// Errors: an accuracy that cannot fall by the drop, or does not under any noise.
    pub fn measure(
        &self,
        centre: &Centre<'_>,
        accuracy: &dyn Fn(&Parameters) -> Result<f64>,
    ) -> Result<Measure> {
        if self.draws < 2 || !(self.tolerance > 0.0 && self.tolerance < 1.0) || self.drop <= 0.0 {
            return Err(Error::Input(format!(
                "{} draws, a tolerance of {} and a drop of {}: give at least 2, one between 0 and 1, and one above 0",
                self.draws, self.tolerance, self.drop
            )));
        }
        let clean = accuracy(centre.at())?;
        let floor = clean - self.drop;
        if floor <= 0.0 {
            return Err(Error::Input(format!(
                "the accuracy is {clean}, so it cannot fall by {}: ask for a smaller drop, or take a trained network",
                self.drop
            )));
        }
        let scales = self.scale.at(centre.at())?;
        let mut means = 0;
        let mut mean = |sigma: f64| {
            means += 1;
            let all = (0..self.draws as u64).map(|number| {
                let mut noise =
                    Noise::Gaussian.draw(self.seed, number, centre.point().len(), scales.as_deref());
                noise.iter_mut().for_each(|z| *z *= sigma);
                accuracy(&centre.displaced(&noise)?)
            });
            Ok::<_, Error>(Mean::of(&all.collect::<Result<Vec<f64>>>()?))
        };
        let (lower, upper) = self.bracket(|sigma| Ok(mean(sigma)?.value >= floor))?;
        let there = mean(lower)?;
        let fall = (mean(0.9 * lower)?.value - mean(1.1 * lower)?.value) / (0.2 * lower);
        // Where the accuracy jumps or stands still, the bracket is all that is known.
        let by_draws = if fall > 0.0 { there.standard_error / fall } else { 0.0 };
        let evaluations = 1 + means * self.draws;
        let measure = Measure::new(
            format!("{}pac-bayes-sigma", self.scale.prefix()),
            format!(
                "largest s: accuracy falls by <= drop in the mean at w + s T z, z normal, {}",
                self.scale.formula()
            ),
            lower,
            Uncertainty::StandardError { size: by_draws.hypot(0.5 * (upper - lower)) },
            Invariance::of(self.scale),
        );
        Ok(measure
            .with_setting("drop", self.drop)
            .with_beside("draws", self.draws as f64)
            .with_beside("accuracy", clean)
            .with_cost(Cost { evaluations, ..Cost::default() }))
    }

    /// Two sigmas within the tolerance of each other: the accuracy is good enough at the first only.
    fn bracket(&self, mut good: impl FnMut(f64) -> Result<bool>) -> Result<(f64, f64)> {
        let mut sigma = 0.1;
        let begun = good(sigma)?;
        let factor = if begun { 2.0 } else { 0.5 };
        for _ in 0..MOST_SCALINGS {
            let next = sigma * factor;
            if good(next)? == begun {
                sigma = next;
                continue;
            }
            let (mut lower, mut upper) = (sigma.min(next), sigma.max(next));
            while upper > (1.0 + self.tolerance) * lower {
                let middle = (lower * upper).sqrt();
                *(if good(middle)? { &mut lower } else { &mut upper }) = middle;
            }
            return Ok((lower, upper));
        }
        Err(Error::Input(format!(
            "noise of standard deviation {sigma:.1e} {} the accuracy by {}: there is no sigma to be found",
            if begun { "does not lower" } else { "still lowers" },
            self.drop
        )))
    }
}

/// sqrt((|w|^2 / (4 sigma^2) + ln(m / sigma) + 10) / m): the bound for a Gaussian prior around the origin (Jiang et al. 2020). m is the number of training examples, `sigma` that of [`PacBayesSigma`] with T = 1.
pub fn pac_bayes_origin(sigma: &Measure, centre: &Centre<'_>, examples: usize) -> Measure {
    let square: f64 = centre.point().iter().map(|w| w * w).sum();
    let definition = "sqrt((|w|^2 / (4 s^2) + ln(m / s) + 10) / m), s = pac-bayes-sigma";
    gaussian(sigma, ("pac-bayes-origin", definition), square, examples)
}

/// sqrt((|w - w0|^2 / (4 sigma^2) + ln(m / sigma) + 10) / m): the same for a prior around the weights w0 that training started at.
/// Errors: another number of weights.
pub fn pac_bayes_start(
    sigma: &Measure,
    centre: &Centre<'_>,
    start: &[f64],
    examples: usize,
) -> Result<Measure> {
    if start.len() != centre.point().len() {
        return Err(Error::Input(format!(
            "the start has {} weights, but the point {}: give the start of this training",
            start.len(),
            centre.point().len()
        )));
    }
    let square: f64 = centre.point().iter().zip(start).map(|(w, start)| (w - start).powi(2)).sum();
    let definition = "sqrt((|w - w0|^2 / (4 s^2) + ln(m / s) + 10) / m), s = pac-bayes-sigma, w0 the start";
    let measure = gaussian(sigma, ("pac-bayes-start", definition), square, examples);
    Ok(measure.with_beside("distance", square.sqrt()))
}

/// The bound for a Gaussian prior at this squared distance from w.
fn gaussian(sigma: &Measure, (name, definition): (&str, &str), square: f64, examples: usize) -> Measure {
    let m = examples as f64;
    let bound = |s: f64| ((square / (4.0 * s * s) + (m / s).ln() + 10.0) / m).sqrt();
    let measure = derived(sigma, name, definition, m, bound);
    Measure { invariance: Invariance::Nothing, ..measure }
}

/// sqrt(1 / (sigma^2 m)) (Jiang et al. 2020, as for a sigma relative to the weights).
pub fn pac_bayes_flatness(sigma: &Measure, examples: usize) -> Measure {
    let m = examples as f64;
    let name = sigma.name.replace("sigma", "flatness");
    derived(sigma, &name, &format!("1 / (s sqrt(m)), s = {}", sigma.name), m, |s| 1.0 / (s * m.sqrt()))
}

/// A function of sigma that falls, with the error that sigma's makes in it.
fn derived(sigma: &Measure, name: &str, definition: &str, m: f64, f: impl Fn(f64) -> f64) -> Measure {
    let value = f(sigma.value);
    let uncertainty = match sigma.uncertainty {
        Uncertainty::StandardError { size } => {
            Uncertainty::StandardError { size: (value - f(sigma.value + size)).abs() }
        }
        other => other,
    };
    Measure::new(name, definition, value, uncertainty, sigma.invariance).with_setting("m", m)
}
