//! Which end of the spectrum is wanted, and what that means for Ritz values.

use serde::{Deserialize, Serialize};

use super::krylov::Ritz;

/// Distance, in tolerances, below which values are not told apart.
pub(super) const CLOSE: f64 = 2.0;

/// Share of the gap between wanted and unwanted values that must be known to be empty.
const GAP: f64 = 0.25;

/// Which eigenvalues, and how many. Multiple eigenvalues count as often as they occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The k algebraically largest.
    Largest {
        /// How many.
        k: usize,
    },
    /// The k algebraically smallest.
    Smallest {
        /// How many.
        k: usize,
    },
    /// Both ends at once.
    Both {
        /// How many of the largest.
        largest: usize,
        /// How many of the smallest.
        smallest: usize,
    },
    /// The k largest in magnitude.
    Magnitude {
        /// How many.
        k: usize,
    },
}

/// One end of the spectrum, seen so that it is the upper one.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// -1 where values are negated for that.
    pub(super) sign: f64,
    /// The least value wanted there.
    pub(super) bar: f64,
}

impl End {
    /// The largest of ascending values.
    pub(super) fn highest(&self, ascending: &[f64]) -> f64 {
        let end = if self.sign > 0.0 { ascending.last() } else { ascending.first() };
        end.map_or(f64::NEG_INFINITY, |x| self.sign * x)
    }

    /// The largest Ritz value, and its residual.
    pub(super) fn leading(&self, ritz: &Ritz) -> (f64, f64) {
        let i = if self.sign > 0.0 { ritz.values.len() - 1 } else { 0 };
        (self.sign * ritz.values[i], ritz.residuals[i])
    }

    /// Where everything unwanted should be known to lie below, given its largest value seen: short of the wanted values by
    /// some of their gap, or a distance above at which values are not told apart.
    pub(super) fn between(&self, next: f64, tolerance: f64) -> f64 {
        (self.bar - GAP * (self.bar - next)).max(next + CLOSE * tolerance)
    }
}

/// Values beyond which no unwanted eigenvalue was seen, residuals included: below the largest, above the smallest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outside {
    pub(super) highest: f64,
    pub(super) lowest: f64,
}

impl Outside {
    /// The extremes of all Ritz values but the `chosen`, with their residuals.
    pub(super) fn of(ritz: &Ritz, chosen: &[usize]) -> Self {
        let mut outside = Self { highest: f64::NEG_INFINITY, lowest: f64::INFINITY };
        for i in (0..ritz.values.len()).filter(|i| !chosen.contains(i)) {
            outside.highest = outside.highest.max(ritz.values[i] + ritz.residuals[i]);
            outside.lowest = outside.lowest.min(ritz.values[i] - ritz.residuals[i]);
        }
        outside
    }
}

impl Wanted {
    /// How many pairs in all.
    pub fn total(&self) -> usize {
        match *self {
            Self::Largest { k } | Self::Smallest { k } | Self::Magnitude { k } => k,
            Self::Both { largest, smallest } => largest + smallest,
        }
    }

    /// Indices of the wanted ones among ascending values, in the order in which they are reported; fewer where there are
    /// fewer values.
    pub(super) fn select(&self, ascending: &[f64]) -> Vec<usize> {
        let m = ascending.len();
        match *self {
            Self::Largest { k } => (0..m).rev().take(k).collect(),
            Self::Smallest { k } => (0..m).take(k).collect(),
            Self::Both { largest, smallest } => {
                let top = largest.min(m);
                (m - top..m).rev().chain(0..smallest.min(m - top)).collect()
            }
            Self::Magnitude { k } => {
                let mut order: Vec<usize> = (0..m).collect();
                order.sort_by(|&a, &b| ascending[b].abs().total_cmp(&ascending[a].abs()));
                order.truncate(k);
                order
            }
        }
    }

    /// As [`select`](Self::select) with `count` in all, shared between the ends as the wanted ones are.
    pub(super) fn select_more(&self, ascending: &[f64], count: usize) -> Vec<usize> {
        let more = match *self {
            Self::Largest { .. } => Self::Largest { k: count },
            Self::Smallest { .. } => Self::Smallest { k: count },
            Self::Magnitude { .. } => Self::Magnitude { k: count },
            Self::Both { largest, smallest } => {
                let low = (count * smallest).div_ceil((largest + smallest).max(1)).min(count);
                Self::Both { largest: count - low, smallest: low }
            }
        };
        more.select(ascending)
    }

    /// Whether pair number `position` of the report is one of the largest (by whatever measure).
    pub(super) fn is_top(&self, position: usize) -> bool {
        match *self {
            Self::Largest { .. } | Self::Magnitude { .. } => true,
            Self::Smallest { .. } => false,
            Self::Both { largest, .. } => position < largest,
        }
    }

    /// The ends of the spectrum at which something is wanted, and was `found` (in the order of the report).
    pub(super) fn ends(&self, found: &[f64]) -> Vec<End> {
        let end = |sign: f64| {
            let there = found.iter().enumerate().filter(|(i, _)| self.is_top(*i) == (sign > 0.0));
            let bar = match self {
                Self::Magnitude { .. } => found.iter().fold(f64::INFINITY, |bar, x| bar.min(x.abs())),
                _ => there.fold(f64::INFINITY, |bar, (_, x)| bar.min(sign * x)),
            };
            End { sign, bar }
        };
        [1.0, -1.0].into_iter().map(end).filter(|end| end.bar.is_finite()).collect()
    }

    /// Whether pair number `position` of the report, of this `value`, is wanted at the end with this sign.
    pub(super) fn at_end(&self, sign: f64, position: usize, value: f64) -> bool {
        match self {
            Self::Magnitude { .. } => sign * value >= 0.0,
            _ => self.is_top(position) == (sign > 0.0),
        }
    }

    /// Distance from pair `position` of the report (values and residuals in that order) to everything else; below zero
    /// where the complement reaches beyond the pair, which can be by no more than the tolerance.
    pub(super) fn gap(&self, position: usize, pairs: &[(f64, f64)], outside: Outside) -> f64 {
        let value = pairs[position].0;
        let others = pairs.iter().enumerate().filter(|(i, _)| *i != position);
        let near = others.map(|(_, (v, r))| (value - v).abs() - r).fold(f64::INFINITY, f64::min);
        let far = self.distance(position, value, outside);
        if far < 0.0 { far } else { near.min(far) }
    }

    /// Distance of the `value` of pair `position` from everything that is not wanted; below zero where that reaches beyond.
    pub(super) fn distance(&self, position: usize, value: f64, outside: Outside) -> f64 {
        match self {
            Self::Magnitude { .. } if value >= 0.0 => value - outside.highest,
            Self::Magnitude { .. } => outside.lowest - value,
            _ if self.is_top(position) => value - outside.highest,
            _ => outside.lowest - value,
        }
    }
}
