//! The density and the cumulative share as curves to draw.

use std::f64::consts::PI;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Cumulative, Spectrum};
use crate::{Error, Result};

/// The density of eigenvalues, smoothed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DensityCurve {
    /// Places, evenly spaced, five and a half standard deviations beyond the Ritz values at both ends.
    pub x: Vec<f64>,
    /// Share of eigenvalues per unit of x.
    pub density: Vec<f64>,
    /// Standard deviation of the Gaussians.
    pub sigma: f64,
}

/// The densities of positive and of negative eigenvalues over their magnitude, smoothed in its logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogDensityCurve {
    /// log10 of the magnitude, evenly spaced.
    pub log10: Vec<f64>,
    /// Share of eigenvalues that are positive, per decade.
    pub positive: Vec<f64>,
    /// Share of eigenvalues that are negative, per decade.
    pub negative: Vec<f64>,
    /// Share that is zero up to rounding, and not in the curves.
    pub zero: f64,
    /// Standard deviation of the Gaussians in decades.
    pub sigma: f64,
}

/// The share of eigenvalues up to each of some places, as [`Cumulative`] has it for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CumulativeCurve {
    /// Places, ascending: half of them evenly spaced, half closer and closer together towards the median.
    pub x: Vec<f64>,
    /// [`Cumulative::value`] of each.
    pub value: Vec<f64>,
    /// [`Cumulative::quadrature_lower`] of each.
    pub quadrature_lower: Vec<f64>,
    /// [`Cumulative::quadrature_upper`] of each.
    pub quadrature_upper: Vec<f64>,
    /// [`Cumulative::lower`] of each.
    pub lower: Vec<f64>,
    /// [`Cumulative::upper`] of each.
    pub upper: Vec<f64>,
}

/// Steps that an exact probe counts for in the choice of a width.
const STEPS_OF_EXACT: usize = 100;
/// Standard deviations beyond the outermost values that are drawn: down to less than a millionth of a peak.
const MARGIN: f64 = 5.5;
/// Share of the spread by which places of a cumulative curve reach beyond the Ritz values.
const BEYOND: f64 = 0.02;
/// Width in decades unless given.
const DECADES: f64 = 0.1;

impl Spectrum {
    /// The width that [`density`](Self::density) takes by default: the spread of the Ritz values over the number of steps.
    /// Inside a bulk, m Ritz values lie up to pi / 2 times that far apart, and Gaussians of this width still merge to
    /// within a per mille. (The width 2 / ((m - 1) sqrt(8 ln 3)) of half the spread that Papyan 2019 takes from Lin, Saad &
    /// Yang 2016 is a third of that, and leaves ripples that look like structure.)
    pub fn default_sigma(&self) -> f64 {
        let steps = |exact, m: usize| if exact { m.max(STEPS_OF_EXACT) } else { m };
        let m = self.probes.iter().map(|p| steps(p.exact, p.values.len())).max().unwrap_or(1);
        let (smallest, largest) = (self.smallest(), self.largest());
        let spread = largest - smallest;
        let size = largest.abs().max(smallest.abs());
        if spread > self.rounding() {
            spread / m as f64
        } else if size > 0.0 {
            // One value only: any width shows the same picture.
            size / 100.0
        } else {
            0.01
        }
    }

    /// The mean of the probes' quadratures, each Ritz value a Gaussian of standard deviation `sigma` and of its weight, at
    /// `points` places; they should lie closer together than sigma.
    pub fn density(&self, sigma: Option<f64>, points: usize) -> Result<DensityCurve> {
        let sigma = positive_width(sigma.unwrap_or(self.default_sigma()))?;
        let x = grid(self.smallest() - MARGIN * sigma, self.largest() + MARGIN * sigma, points)?;
        let masses: Vec<(f64, f64)> = self.masses().collect();
        let density = x.iter().map(|x| smoothed(&masses, *x, sigma)).collect();
        Ok(DensityCurve { x, density, sigma })
    }

    /// The same over log10 of the magnitude, with a `sigma` in decades (0.1 unless given), split by sign. Below about the
    /// spread over the number of steps squared, the places of Ritz values say little about those of eigenvalues.
    pub fn log_density(&self, sigma: Option<f64>, points: usize) -> Result<LogDensityCurve> {
        let sigma = positive_width(sigma.unwrap_or(DECADES))?;
        enough(points)?;
        let floor = self.rounding();
        let side = |sign: f64| -> Vec<(f64, f64)> {
            let beyond = self.masses().filter(|(at, _)| sign * at > floor);
            beyond.map(|(at, mass)| (at.abs().log10(), mass)).collect()
        };
        let (above, below) = (side(1.0), side(-1.0));
        let ends = above.iter().chain(&below).map(|(at, _)| *at);
        let (low, high) =
            ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        let log10 =
            if low <= high { grid(low - MARGIN * sigma, high + MARGIN * sigma, points)? } else { vec![] };
        let curve = |masses: &[(f64, f64)]| log10.iter().map(|x| smoothed(masses, *x, sigma)).collect();
        let zero = self.masses().filter(|(at, _)| at.abs() <= floor).fold(0.0, |sum, (_, mass)| sum + mass);
        Ok(LogDensityCurve { positive: curve(&above), negative: curve(&below), log10, zero, sigma })
    }

    /// The cumulative share with its bounds at `points` places or a few less. Most eigenvalues of a network lie in a narrow
    /// bulk and the largest far away, so that half of the places are evenly spaced over the range of Ritz values, and the
    /// distances of the others from the median Ritz value grow in equal ratios, from a tenth of the spread over the number
    /// of steps squared on.
    pub fn cumulative_curve(&self, points: usize) -> Result<CumulativeCurve> {
        let places = self.places(points)?;
        let found: Vec<Cumulative> = places.par_iter().map(|x| self.cumulative(*x)).collect();
        let column = |of: fn(&Cumulative) -> f64| found.iter().map(of).collect();
        Ok(CumulativeCurve {
            value: column(|c| c.value),
            quadrature_lower: column(|c| c.quadrature_lower),
            quadrature_upper: column(|c| c.quadrature_upper),
            lower: column(|c| c.lower),
            upper: column(|c| c.upper),
            x: places,
        })
    }

    fn places(&self, points: usize) -> Result<Vec<f64>> {
        let (smallest, largest) = (self.smallest(), self.largest());
        let spread = (largest - smallest).max(self.default_sigma());
        let ends = [smallest - BEYOND * spread, largest + BEYOND * spread];
        let mut places = grid(ends[0], ends[1], (points / 2).max(2))?;
        let steps = self.probes.iter().map(|p| p.values.len()).max().unwrap_or(1) as f64;
        let (median, unit) = (self.median(), 0.1 * spread / (steps * steps));
        let [low, high] = ends.map(|end| ((end - median) / unit).asinh());
        let inner = grid(low, high, (points - points / 2).max(2))?;
        places.extend(inner.into_iter().map(|t| (median + unit * t.sinh()).clamp(ends[0], ends[1])));
        places.sort_by(f64::total_cmp);
        places.dedup();
        Ok(places)
    }

    /// The median Ritz value by weight.
    fn median(&self) -> f64 {
        let mut masses: Vec<(f64, f64)> = self.masses().collect();
        masses.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        let middle = masses.iter().find(|(_, mass)| {
            sum += mass;
            sum >= 0.5
        });
        middle.map_or(self.largest(), |(at, _)| *at)
    }

    /// Places and masses of the mean quadrature.
    fn masses(&self) -> impl Iterator<Item = (f64, f64)> {
        let share = 1.0 / self.probes.len() as f64;
        self.probes.iter().flat_map(move |p| {
            p.values.iter().zip(&p.weights).map(move |(value, weight)| (*value, share * weight))
        })
    }
}

fn smoothed(masses: &[(f64, f64)], x: f64, sigma: f64) -> f64 {
    let sum: f64 = masses.iter().map(|(at, mass)| mass * (-0.5 * ((x - at) / sigma).powi(2)).exp()).sum();
    sum / (sigma * (2.0 * PI).sqrt())
}

fn grid(from: f64, to: f64, points: usize) -> Result<Vec<f64>> {
    enough(points)?;
    Ok((0..points).map(|i| from + (to - from) * i as f64 / (points - 1) as f64).collect())
}

fn enough(points: usize) -> Result<()> {
    if points < 2 {
        return Err(Error::Input(format!("{points} points make no curve: at least 2 are needed")));
    }
    Ok(())
}

fn positive_width(sigma: f64) -> Result<f64> {
    if sigma > 0.0 && sigma.is_finite() {
        return Ok(sigma);
    }
    Err(Error::Input(format!("the width of the Gaussians is {sigma}, but must be positive")))
}
