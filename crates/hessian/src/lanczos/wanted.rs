//! Which end of the spectrum is wanted, and what that means for Ritz values.

use serde::{Deserialize, Serialize};

use super::krylov::Ritz;

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

/// What the complement of the found vectors says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    /// A value there belongs among the wanted ones.
    pub(super) enters: bool,
    /// What is there lies clearly inside.
    pub(super) clear: bool,
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

    /// Compares what was `found` (in the order of the report) with the Ritz values of its complement, an operator of
    /// `n` rows, after `steps` from a random vector.
    pub(super) fn judge(
        &self,
        found: &[f64],
        inside: &Ritz,
        tolerance: f64,
        (n, steps): (usize, usize),
    ) -> Verdict {
        let mut verdict = Verdict { enters: false, clear: true };
        let all = found.iter().chain(&inside.values);
        let spread = all.clone().copied().fold(f64::NEG_INFINITY, f64::max)
            - all.copied().fold(f64::INFINITY, f64::min);
        let mut weigh = |margin: f64, residual: f64| {
            verdict.enters |= margin < -tolerance;
            verdict.clear &=
                residual <= 0.1 * tolerance || miss_probability(margin / spread, n, steps) <= MISS;
        };
        let m = inside.values.len();
        if let Self::Magnitude { .. } = self {
            let bar = found.iter().map(|x| x.abs()).fold(f64::INFINITY, f64::min);
            for i in [0, m - 1] {
                weigh(bar - inside.values[i].abs(), inside.residuals[i]);
            }
            return verdict;
        }
        let (top, bottom): (Vec<_>, Vec<_>) = found.iter().enumerate().partition(|(i, _)| self.is_top(*i));
        let bar = top.iter().map(|(_, v)| **v).fold(f64::INFINITY, f64::min);
        if bar.is_finite() {
            weigh(bar - inside.values[m - 1], inside.residuals[m - 1]);
        }
        let bar = bottom.iter().map(|(_, v)| **v).fold(f64::NEG_INFINITY, f64::max);
        if bar.is_finite() {
            weigh(inside.values[0] - bar, inside.residuals[0]);
        }
        verdict
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

/// Probability at most that a wanted value was missed in the complement, where its gap alone must exclude that.
const MISS: f64 = 1e-5;

/// Bounds the probability that the largest eigenvalue exceeds the largest Ritz value after `steps` steps of Lanczos from a
/// random vector by more than `share` of the spectrum's spread (Kuczynski & Wozniakowski 1992, theorem 4.2).
fn miss_probability(share: f64, n: usize, steps: usize) -> f64 {
    1.648 * (n as f64).sqrt() * (-share.max(0.0).sqrt() * (2.0 * steps as f64 - 1.0)).exp()
}
