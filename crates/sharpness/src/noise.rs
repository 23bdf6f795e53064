//! What the noise of mini-batches does at a point: curvature along their gradients, and how large their noise is.

mod draws;

use relief_hessian::{Control, Curvature, Error, FiniteSum, Observer, Outcome, Progress, Result};
use serde::{Deserialize, Serialize};

use crate::arithmetic::dot;
use crate::kernel_norm::KernelNorm;
use draws::{Batch, Draws, mean_of, ratio_of};

/// How mini-batches are drawn, and until when.
///
/// Each draw is a mini-batch without replacement, independent of the others. They come in pairs, each with the other's
/// Hessian, so that no product goes over all examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Noise {
    /// Examples of a mini-batch; by default what training uses.
    pub batch: Option<usize>,
    /// Draw until the batch sharpness has a standard error of this share of itself.
    pub relative_error: f64,
    /// Draws at most; an even number.
    pub max_draws: usize,
    /// Compute the kernel norm too, which costs some hundred products where there are more parameters than
    /// [`exact_up_to`](KernelNorm::exact_up_to).
    pub kernel_norm: Option<KernelNorm>,
}

impl Default for Noise {
    fn default() -> Self {
        Self { batch: None, relative_error: 0.005, max_draws: 1000, kernel_norm: None }
    }
}

/// A mean over draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error, from the spread of the draws; none where the value is exact.
    pub standard_error: Option<f64>,
}

/// What mini-batches of one size do at a point. g and H are of all examples, `g_B` and `H_B` of a mini-batch, E the mean over
/// mini-batches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredNoise {
    /// Examples of a mini-batch.
    pub batch: usize,
    /// Examples that they are drawn from.
    pub examples: usize,
    /// Mini-batches drawn.
    pub draws: usize,
    /// Whether the batch sharpness is as exact as asked.
    pub reached: bool,
    /// `E[g_B' H_B g_B / |g_B|^2]`: saturates at 2/eta at the edge of stochastic stability (arXiv 2412.20553).
    pub batch_sharpness: Mean,
    /// `E[g_B' H_B g_B] / E[|g_B|^2]`.
    pub ratio_of_means: Mean,
    /// `E[g_B' H g_B] / |g|^2`, gradient-noise interaction (same paper); none where g is zero.
    pub interaction: Option<Mean>,
    /// tr(Cov g) / |g|^2 of single examples' gradients, in examples: the size of mini-batch at which noise and gradient have equal
    /// weight (`McCandlish` et al. 2018). None for mini-batches of all examples, or where g is zero.
    pub scale: Option<Mean>,
    /// Examples whose gradient was computed, and whose Hessian was multiplied with a vector.
    pub work: [usize; 2],
}

impl Noise {
    /// Draws mini-batches at the point of `curvature`, which is of the loss over all examples of `sum`. Random numbers follow
    /// from the seed and the number of the draw. The observer is told after each pair, and may stop.
    pub fn run(
        &self,
        sum: &dyn FiniteSum,
        curvature: &Curvature<'_>,
        training_batch: Option<usize>,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<MeasuredNoise, ()>> {
        let examples = sum.examples();
        let batch = self.batch.or(training_batch).unwrap_or(examples);
        if batch == 0 || batch > examples {
            return Err(Error::Input(format!(
                "mini-batches of {batch} examples cannot be drawn from {examples}: give at least 1 and at most that many"
            )));
        }
        if self.max_draws < 2 || self.relative_error.is_nan() || self.relative_error <= 0.0 {
            return Err(Error::Input(format!(
                "{} draws and a relative error of {} are asked for: give at least 2 draws and an error above 0",
                self.max_draws, self.relative_error
            )));
        }
        let draws = Draws { sum, curvature, batch, seed };
        let full = curvature.gradient();
        let steepest = dot(full, full);
        let mut seen: Vec<Batch> = vec![];
        let mut crossed: Vec<f64> = vec![];
        loop {
            let exact = batch == examples;
            let [a, b] = draws.pair(seen.len() as u64, exact)?;
            crossed.push(0.5 * (a.crossed + b.crossed));
            seen.extend([a, b]);
            let sharpness = mean_of(seen.iter().filter_map(Batch::sharpness));
            let error = sharpness.standard_error.unwrap_or(f64::INFINITY);
            let reached = exact || error <= self.relative_error * sharpness.value.abs();
            let stopped = observer.product(&Progress {
                products: 2 * seen.len(),
                max_products: 2 * self.max_draws,
                leading_value: Some(sharpness.value),
                leading_residual: error,
                converged: usize::from(reached),
                wanted: 1,
            });
            if stopped == Control::Interrupt {
                return Ok(Outcome::Interrupted(()));
            }
            if (seen.len() < LEAST_DRAWS || !reached) && seen.len() + 2 <= self.max_draws && !exact {
                continue;
            }
            // Spread of the mini-batches' gradients in units of single examples'.
            let single = 1.0 / (1.0 / batch as f64 - 1.0 / examples as f64);
            let known = |mean: Mean| if exact { Mean { standard_error: None, ..mean } } else { mean };
            let over = |mean: Mean, factor: f64| Mean {
                value: mean.value * factor,
                standard_error: mean.standard_error.map(|e| e * factor),
            };
            let moving = steepest > 0.0;
            return Ok(Outcome::Done(MeasuredNoise {
                batch,
                examples,
                draws: seen.len(),
                reached,
                batch_sharpness: known(sharpness),
                ratio_of_means: known(ratio_of(seen.iter().map(|b| (b.curvature, b.square)))),
                interaction: moving.then(|| known(over(mean_of(crossed.iter().copied()), 1.0 / steepest))),
                scale: (moving && !exact)
                    .then(|| over(mean_of(seen.iter().map(|b| b.deviation)), single / steepest)),
                work: [seen.len() * batch, 2 * seen.len() * batch],
            }));
        }
    }
}

impl MeasuredNoise {
    /// tr(H Cov g) / (g'Hg) of single examples' gradients, in examples: beyond mini-batches of this size a step gains little more
    /// (`McCandlish` et al. 2018, eq. 2.8, with the Hessian). `rayleigh` is g'Hg / |g|^2. None for mini-batches of all
    /// examples, or where the loss does not bend up along g.
    pub fn hessian_scale(&self, rayleigh: f64) -> Option<Mean> {
        let mean = self.interaction.filter(|_| rayleigh > 0.0 && self.batch < self.examples)?;
        let single = 1.0 / (1.0 / self.batch as f64 - 1.0 / self.examples as f64);
        Some(Mean {
            value: single * (mean.value / rayleigh - 1.0),
            standard_error: mean.standard_error.map(|error| single * error / rayleigh),
        })
    }
}

/// Draws before the spread of so few is believed.
const LEAST_DRAWS: usize = 20;
