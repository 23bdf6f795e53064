//! How far an interpolated surface is from the one that was not measured.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use crate::Nested;

/// Distances between a surface and its interpolant, in the units of the values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// The largest.
    pub largest: f64,
    /// The mean over all points at which there is one.
    pub mean: f64,
}

/// What is known of the interpolant through the nodes of a level once that level is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// Which level.
    pub level: usize,
    /// Its spacing in nodes of the full grid.
    pub stride: usize,
    /// Points measured up to this level.
    pub measured: usize,
    /// Points of the full grid.
    pub total: usize,
    /// Measured: what the interpolant of the level before was wrong by at the new points of this one. None at the first
    /// level, and where nothing could be compared.
    pub holdout: Option<Errors>,
    /// Estimated: what the interpolant of this level is wrong by at the points of the full grid that are not measured.
    /// Zero at the last level; none where there is no hold-out error.
    pub error: Option<Errors>,
    /// The observed order of convergence, from the mean hold-out errors of the two levels before: about 4 for a smooth
    /// surface, 0 for noise. None before there are two.
    pub order: Option<f64>,
    /// New points without a finite value where a finite one was predicted: how far such points extend is not settled.
    pub missed: usize,
    /// Points of the full grid of which nothing can be said yet, because they lie beside one without a finite value.
    pub unknown: usize,
}

impl Assessment {
    /// Whether the surface is known to a tolerance: the largest error is estimated to be no larger, and no point without
    /// a finite value came as a surprise. Points of which nothing can be said are not counted.
    pub fn within(&self, tolerance: f64) -> bool {
        self.stride == 1 || self.missed == 0 && self.error.is_some_and(|error| error.largest <= tolerance)
    }
}

/// Order of the differences that tell what a level's nodes are too far apart to resolve.
const ORDER: usize = 8;
/// Binomial coefficient of 16 and 8: the variance of eighth differences of independent values of variance 1.
const GAIN: f64 = 12870.0;
/// What the geometric mean of the two predictions of unresolved errors is multiplied by: for white noise the mean comes
/// out right, and the largest error is not underestimated though it is that of many points, predicted from few.
const FACTOR: Errors = Errors { largest: 2.1, mean: 1.15 };

impl Nested {
    /// Estimates the error of a level's interpolant, given the values at all nodes up to that level; others are ignored.
    /// A value that is not finite counts as measured without success. Take logarithms first where errors are to be
    /// relative.
    ///
    /// The larger of two estimates. One is for what is resolved: the hold-out error of a smooth surface falls by 16 from
    /// level to level. The other is for what is not, and is the geometric mean of two predictions. Eighth differences
    /// along both axes, scaled so that those of white noise have its size, hardly see what is resolved, but kinks and
    /// noise fully; r <= 1 is the ratio of their mean to that of the level before. The predictions are the hold-out error
    /// times r, and the differences' size times the root of r.
    ///
    /// That second estimate is calibrated, not derived. On 48 planes of trained networks that had no part in choosing its
    /// factors (17 x 17 and 33 x 33 nodes out of 65 x 65) the largest error was estimated at 0.4 to 3.5 times itself, in
    /// the middle at 1.3, and within a factor of two in 83 cases of 96. For white noise it is 0.9 to 2, for kinks along
    /// lines 0.5 to 2.4. A point or dip between nodes that is much narrower than their spacing is missed by this as by any
    /// other estimate.
    pub fn assess(&self, values: &[f64], level: usize) -> Result<Assessment> {
        let found = self.level(values, level)?;
        let measured = self.levels()[..=level].iter().map(|l| l.new.len()).sum();
        let mut out = Assessment {
            level,
            stride: found.stride,
            measured,
            total: values.len(),
            holdout: None,
            error: None,
            order: None,
            missed: 0,
            unknown: 0,
        };
        let surface = self.interpolant(values, level)?;
        let others = self.levels()[level + 1..].iter().flat_map(|level| &level.new);
        out.unknown = others.filter(|&&point| self.predicted(&surface, level, point).is_nan()).count();
        if level > 0 {
            (out.holdout, out.missed) = self.held_out(values, level)?;
        }
        if let (Some(now), true) = (out.holdout, level > 1) {
            let (before, _) = self.held_out(values, level - 1)?;
            out.order =
                before.map(|before| (before.mean / now.mean).log2()).filter(|order| order.is_finite());
        }
        out.error = match out.holdout {
            _ if found.stride == 1 => Some(Errors { largest: 0.0, mean: 0.0 }),
            None => None,
            Some(holdout) => Some(self.estimate(values, level, holdout)),
        };
        Ok(out)
    }

    /// Errors of the interpolant of the level before at the new points of a level, with how many were missed.
    fn held_out(&self, values: &[f64], level: usize) -> Result<(Option<Errors>, usize)> {
        let surface = self.interpolant(values, level - 1)?;
        let new = &self.levels()[level].new;
        let predicted = new.iter().map(|&point| (self.predicted(&surface, level - 1, point), values[point]));
        let (known, missed): (Vec<_>, Vec<_>) = predicted
            .filter(|(predicted, _)| predicted.is_finite())
            .partition(|(_, value)| value.is_finite());
        let errors: Vec<f64> = known.iter().map(|(predicted, value)| (predicted - value).abs()).collect();
        Ok((summary(&errors), missed.len()))
    }

    fn estimate(&self, values: &[f64], level: usize, holdout: Errors) -> Errors {
        let unresolved =
            |level: usize| summary(&differences(self.levels()[level].counts, &self.of_level(values, level)));
        let Some(now) = unresolved(level) else {
            // Too many holes to see how rough the surface is: no convergence is assumed.
            return Errors { largest: 2.0 * holdout.largest, mean: holdout.mean };
        };
        let decay = unresolved(level - 1).map_or(1.0, |before| (now.mean / before.mean).min(1.0));
        let larger = |holdout: f64, size: f64, factor: f64| {
            (holdout / 16.0).max(factor * (holdout * decay * size * decay.sqrt()).sqrt())
        };
        Errors {
            largest: larger(holdout.largest, now.largest, FACTOR.largest),
            mean: larger(holdout.mean, now.mean, FACTOR.mean),
        }
    }
}

/// Sizes of the differences of order 8 along both axes, over the standard deviation that noise of size 1 gives them;
/// stencils with holes are left out.
fn differences(counts: [usize; 2], values: &[f64]) -> Vec<f64> {
    let mut out = vec![];
    for (axis, step) in [(0, 1), (1, counts[0])] {
        for start in 0..values.len() {
            let place = [start % counts[0], start / counts[0]][axis];
            if place + ORDER < counts[axis] {
                let mut stencil: Vec<f64> = (0..=ORDER).map(|k| values[start + k * step]).collect();
                while stencil.len() > 1 {
                    stencil = stencil.windows(2).map(|pair| pair[1] - pair[0]).collect();
                }
                out.push(stencil[0].abs() / GAIN.sqrt());
            }
        }
    }
    out.retain(|difference| difference.is_finite());
    out
}

fn summary(sizes: &[f64]) -> Option<Errors> {
    (!sizes.is_empty()).then(|| Errors {
        largest: sizes.iter().copied().fold(0.0, f64::max),
        mean: sizes.iter().sum::<f64>() / sizes.len() as f64,
    })
}
