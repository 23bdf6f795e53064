//! How much higher the loss is between two points than at them.

use serde::{Deserialize, Serialize};

/// Barriers on a path from t = 0 to t = 1, by the definitions in use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Barrier {
    /// Largest height above the straight line between the losses at the ends (Entezari et al. 2022; Frankle et al. 2020
    /// where both ends are equal).
    pub above_line: f64,
    /// Height of the highest loss above the mean of those at the ends (Ainsworth et al. 2023).
    pub above_mean: f64,
    /// Height of the highest loss above the higher of those at the ends.
    pub above_ends: f64,
    /// Mean of the losses at the ends minus the loss that is farthest from it, whichever side it is on: negative for a
    /// barrier (mode connectivity of Yang et al. 2021).
    pub mode_connectivity: f64,
    /// Where the loss is highest above the line.
    pub at: f64,
}

impl Barrier {
    /// From losses along a path; only what lies between t = 0 and t = 1 counts, and both ends must be there.
    pub fn new(t: &[f64], loss: &[f64]) -> Option<Self> {
        let at = |end: f64| {
            t.iter().position(|t| (t - end).abs() < 1e-9).map(|i| loss[i]).filter(|l| l.is_finite())
        };
        let (first, last) = (at(0.0)?, at(1.0)?);
        let mean = f64::midpoint(first, last);
        let inside: Vec<(f64, f64)> = t
            .iter()
            .copied()
            .zip(loss.iter().copied())
            .filter(|(t, loss)| (0.0..=1.0).contains(t) && !loss.is_nan())
            .collect();
        let highest = inside.iter().map(|(_, loss)| *loss).fold(f64::NEG_INFINITY, f64::max);
        let above = |(t, loss): &(f64, f64)| loss - (first + t * (last - first));
        let top = inside.iter().copied().max_by(|a, b| above(a).total_cmp(&above(b)))?;
        let farthest = inside
            .iter()
            .map(|(_, loss)| *loss)
            .max_by(|a, b| (a - mean).abs().total_cmp(&(b - mean).abs()))?;
        Some(Self {
            above_line: above(&top),
            above_mean: highest - mean,
            above_ends: highest - first.max(last),
            mode_connectivity: mean - farthest,
            at: top.0,
        })
    }
}
