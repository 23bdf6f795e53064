//! Eigenvalues that stand apart from the bulk.

use serde::{Deserialize, Serialize};

use super::{Probe, Spectrum};

/// What stands apart at either end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outliers {
    /// Below the bulk.
    pub below: Tail,
    /// Above the bulk.
    pub above: Tail,
}

/// One end of the spectrum, outside the bulk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Middle of the gap between the bulk and what stands apart; the outermost Ritz value, and rounding, where
    /// nothing does.
    pub edge: f64,
    /// The Ritz values beyond the edge, from outside inwards. Copies of a multiple eigenvalue are seen once.
    pub values: Vec<f64>,
    /// At least as many eigenvalues lie beyond the edge, for certain.
    pub at_least: usize,
    /// At most as many, with the confidence of the [`Spectrum`].
    pub at_most: usize,
}

/// Gap, in widest spacings of what lies inside, that sets values apart.
const APART: f64 = 2.0;
/// Residual, as a share of the distance to the nearest Ritz value, at which a value counts as found.
const FOUND: f64 = 0.1;
/// Spacings inside that a gap must be compared with.
const COMPARED: usize = 3;

impl Spectrum {
    /// Values that stand apart from the bulk, by this definition: going outwards from the median Ritz value (by weight),
    /// the bulk ends at the first gap that is at least twice as wide as the widest spacing before it and beyond which every
    /// Ritz value has converged, with a residual of at most a tenth of the distance to its neighbours. Of several probes,
    /// the one that sees the fewest decides.
    ///
    /// Where the bulk ends is a matter of definition, and this one, like others, depends on the number of steps: a heavy
    /// tail has no end, and a bulk whose own outermost eigenvalues have been resolved may end before them. What is certain,
    /// or has a stated probability, is how many eigenvalues lie beyond the edge that was chosen.
    pub fn outliers(&self) -> Outliers {
        Outliers { below: self.tail(-1.0), above: self.tail(1.0) }
    }

    fn tail(&self, sign: f64) -> Tail {
        let fewest = self.probes.iter().map(|p| beyond_gap(p, sign)).min_by_key(|(values, _)| values.len());
        let (values, edge) = fewest.unwrap_or_default();
        let edge = match (values.is_empty(), sign > 0.0) {
            (false, _) => edge,
            (true, true) => self.largest() + 2.0 * self.rounding(),
            (true, false) => self.smallest() - 2.0 * self.rounding(),
        };
        let n = self.n as f64;
        let (at_least, at_most) = if sign > 0.0 {
            let up_to = self.cumulative(edge);
            (1.0 - up_to.upper, 1.0 - up_to.lower)
        } else {
            let before = self.cumulative(edge.next_down());
            (before.lower, before.upper)
        };
        Tail {
            edge,
            values,
            at_least: (n * at_least).round() as usize,
            at_most: (n * at_most).round() as usize,
        }
    }
}

/// The Ritz values beyond the bulk on the side of `sign`, from outside inwards, and the middle of the gap.
fn beyond_gap(probe: &Probe, sign: f64) -> (Vec<f64>, f64) {
    let m = probe.values.len();
    // Ascending towards the side.
    let index = |i: usize| if sign > 0.0 { i } else { m - 1 - i };
    let value = |i: usize| sign * probe.values[index(i)];
    let spacing = |i: usize| value(i + 1) - value(i);
    let mut mass = 0.0;
    let median = (0..m).find(|i| {
        mass += probe.weights[index(*i)];
        mass >= 0.5
    });
    let median = median.unwrap_or(m - 1);
    let found = |i: usize| {
        let inwards = spacing(i - 1);
        let nearest = if i + 1 < m { inwards.min(spacing(i)) } else { inwards };
        probe.residuals[index(i)] <= FOUND * nearest
    };
    // All from here on have converged.
    let resolved = (median + 1..m).rev().take_while(|i| found(*i)).last().unwrap_or(m);
    let mut widest = 0.0f64;
    for i in median..m - 1 {
        let enough = i >= median + COMPARED;
        if enough && i + 1 >= resolved && spacing(i) >= APART * widest {
            let values = (i + 1..m).rev().map(|i| sign * value(i)).collect();
            return (values, sign * 0.5 * (value(i) + value(i + 1)));
        }
        widest = widest.max(spacing(i));
    }
    (vec![], 0.0)
}
