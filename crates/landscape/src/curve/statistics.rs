//! What is measured along a curve, in a few numbers.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Barrier;

/// One measure along a curve, such as the loss or the test error (the columns of Garipov et al. 2018, table 1).
///
/// One NaN makes extremes and means NaN: what is not known is not left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurveStatistics {
    /// At the first sample.
    pub start: f64,
    /// At the last sample.
    pub end: f64,
    /// The smallest.
    pub min: f64,
    /// Where it is.
    pub min_at: f64,
    /// The largest.
    pub max: f64,
    /// Where it is.
    pub max_at: f64,
    /// Mean over the samples.
    pub mean: f64,
    /// Mean over the curve's length: sum of (`v_i` + `v_{i+1}`)/2 `dl_i` over sum of `dl_i`; `mean` where the length is 0.
    pub integral: f64,
}

impl CurveStatistics {
    /// From samples in the order of t, with the cumulative lengths that
    /// [`Curve::lengths`](crate::Curve::lengths) gives for the same t.
    pub fn new(t: &[f64], values: &[f64], lengths: &[f64]) -> Result<Self> {
        if t.len() < 2 || values.len() != t.len() || lengths.len() != t.len() {
            return Err(Error::Input(format!(
                "a curve has {} samples with {} values and {} lengths, but needs two or more, each with its value and \
                 length",
                t.len(),
                values.len(),
                lengths.len()
            )));
        }
        let samples = || t.iter().copied().zip(values.iter().copied());
        // A NaN, once met, stays: nothing is below or above it.
        let extreme = |beyond: fn(f64, f64) -> bool| {
            samples()
                .reduce(|best, next| if beyond(next.1, best.1) || next.1.is_nan() { next } else { best })
                .unwrap_or((f64::NAN, f64::NAN))
        };
        let ((min_at, min), (max_at, max)) = (extreme(|a, b| a < b), extreme(|a, b| a > b));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let pieces =
            values.windows(2).zip(lengths.windows(2)).map(|(v, l)| (f64::midpoint(v[0], v[1]), l[1] - l[0]));
        let (area, length) = pieces
            .filter(|(_, length)| *length != 0.0)
            .fold((0.0, 0.0), |(area, sum), (value, length)| (area + value * length, sum + length));
        let integral = if length == 0.0 { mean } else { area / length };
        Ok(Self { start: values[0], end: values[values.len() - 1], min, min_at, max, max_at, mean, integral })
    }
}

/// The loss along a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurveReport {
    /// Length of the polygon through the samples.
    pub length: f64,
    /// The loss in numbers.
    pub loss: CurveStatistics,
    /// How much higher it is than at the ends, over t; absent where an end is not among the samples or not finite.
    pub barrier: Option<Barrier>,
}

impl CurveReport {
    /// From samples in the order of t, with their cumulative lengths.
    pub fn new(t: &[f64], loss: &[f64], lengths: &[f64]) -> Result<Self> {
        let statistics = CurveStatistics::new(t, loss, lengths)?;
        Ok(Self {
            length: lengths[lengths.len() - 1] - lengths[0],
            loss: statistics,
            barrier: Barrier::new(t, loss),
        })
    }
}
