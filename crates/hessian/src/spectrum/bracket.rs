//! The quadrature with one node at a chosen place, and the bounds on the measure's mass that follow from it.
//!
//! The projected matrix, in the basis of its eigenvectors and bordered by one more row, is an arrowhead: the Ritz values t
//! on its diagonal, the residuals r as its border, a number in the corner. Its eigenvalues are the nodes of a quadrature
//! that agrees with the measure up to degree 2 m, and the corner is free: it is chosen so that x is one of them. The other
//! nodes z then solve 1 + sum of r^2 / ((t - x) (t - z)) = 0: one lies between any two neighbouring Ritz values and one
//! beyond each end, less the one whose place x has taken.

use super::Probe;

/// A Ritz value, as the bordered matrix sees it.
#[derive(Debug, Clone, Copy)]
struct Pole {
    at: f64,
    /// The random vector's component along the Ritz vector.
    along: f64,
    /// Coupling to what is outside the Krylov space.
    border: f64,
}

/// A probe's quadrature, prepared for brackets; lengths in units of `unit`.
#[derive(Debug)]
pub(super) struct Rule {
    unit: f64,
    poles: Vec<Pole>,
    /// Place and mass of what is decoupled: these are known exactly, up to rounding.
    settled: Vec<(f64, f64)>,
}

/// Coupling below which a Ritz value is settled, and distance below which two are one: rounding.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

impl Rule {
    pub(super) fn new(probe: &Probe) -> Self {
        let m = probe.values.len();
        let size = probe.values.iter().chain(&probe.residuals).fold(0.0, |size: f64, x| size.max(x.abs()));
        let unit = if size > 0.0 { size } else { 1.0 };
        let mut rule = Self { unit, poles: vec![], settled: vec![] };
        for j in 0..m {
            // First and last components of a tridiagonal matrix's eigenvectors have alternating signs.
            let sign = if (m - j).is_multiple_of(2) { -1.0 } else { 1.0 };
            let pole = Pole {
                at: probe.values[j] / unit,
                along: sign * probe.weights[j].sqrt(),
                border: probe.residuals[j] / unit,
            };
            if pole.border <= ROUNDING {
                rule.settled.push((pole.at, probe.weights[j]));
            } else if rule.poles.last().is_some_and(|last| pole.at - last.at <= ROUNDING) {
                rule.merge(pole);
            } else {
                rule.poles.push(pole);
            }
        }
        rule
    }

    /// Turns two Ritz vectors of the same value so that only one of them is coupled.
    fn merge(&mut self, pole: Pole) {
        let Some(last) = self.poles.last_mut() else { return };
        let border = last.border.hypot(pole.border);
        let (cosine, sine) = (last.border / border, pole.border / border);
        let decoupled = cosine * pole.along - sine * last.along;
        *last = Pole { at: last.at, along: cosine * last.along + sine * pole.along, border };
        self.settled.push((last.at, decoupled * decoupled));
    }

    /// Least and largest mass up to and including `x`.
    pub(super) fn bracket(&self, x: f64) -> (f64, f64) {
        let x = x / self.unit;
        let below: f64 = self.settled.iter().filter(|(at, _)| *at < x).map(|(_, mass)| mass).sum();
        let upto: f64 = self.settled.iter().filter(|(at, _)| *at <= x).map(|(_, mass)| mass).sum();
        let coupled: f64 = self.poles.iter().map(|p| p.along * p.along).sum();
        let (low, high) = if let Some(k) = self.poles.iter().position(|p| (p.at - x).abs() <= ROUNDING) {
            // The node is a Ritz value: the quadrature is Gauss's own.
            let low: f64 = self.poles[..k].iter().map(|p| p.along * p.along).sum();
            (low, low + self.poles[k].along.powi(2))
        } else {
            let index = self.poles.partition_point(|p| p.at < x);
            let at_node = mass(&self.poles, |p| x - p.at);
            // From the side that has fewer nodes.
            if 2 * index <= self.poles.len() {
                let low = below_interval(&self.poles, index, x);
                (low, low + at_node)
            } else {
                let mirrored: Vec<Pole> = self.poles.iter().rev().map(|p| Pole { at: -p.at, ..*p }).collect();
                let high = coupled - below_interval(&mirrored, self.poles.len() - index, -x);
                (high - at_node, high)
            }
        };
        // An empty sum is -0.
        ((below + low).clamp(0.0, 1.0) + 0.0, (upto + high).clamp(0.0, 1.0) + 0.0)
    }
}

/// Mass of a node, given its distances from the poles.
fn mass(poles: &[Pole], distance: impl Fn(&Pole) -> f64) -> f64 {
    let (mut along, mut length) = (0.0, 1.0);
    for pole in poles {
        let component = pole.border / distance(pole);
        along += pole.along * component;
        length += component * component;
    }
    along * along / length
}

/// Mass of all nodes in the intervals before number `index`, which holds `x`: interval number j ends at pole number j.
fn below_interval(poles: &[Pole], index: usize, x: f64) -> f64 {
    let couplings: Vec<f64> = poles.iter().map(|p| p.border * (p.border / (p.at - x))).collect();
    (0..index).map(|right| mass_of_node_before(poles, right, &couplings)).sum()
}

/// Mass of the node before pole number `right`, beyond which the chosen node lies; `couplings` are r^2 / (t - x).
fn mass_of_node_before(poles: &[Pole], right: usize, couplings: &[f64]) -> f64 {
    // Falls from positive values at the interval's left end to negative ones at its right end. Nodes are sought by their
    // distance from the nearer end, in its logarithm: converged Ritz values have them very close.
    let at = |origin: f64, offset: f64| {
        1.0 + poles.iter().zip(couplings).map(|(p, c)| c / ((p.at - origin) - offset)).sum::<f64>()
    };
    let end = poles[right].at;
    let start = right.checked_sub(1).map(|left| poles[left].at);
    let half = start.map_or(1e30, |start| 0.5 * (end - start));
    let (origin, side) = match start {
        Some(start) if at(end, -half) < 0.0 => (start, 1.0),
        _ => (end, -1.0),
    };
    let mut high = half.ln();
    let mut low = high.min(0.0) - 150.0;
    for _ in 0..44 {
        let middle = 0.5 * (low + high);
        // Positive values lie to the left of the node.
        let beyond = (at(origin, side * middle.exp()) > 0.0) == (side < 0.0);
        if beyond { high = middle } else { low = middle }
    }
    let offset = side * (0.5 * (low + high)).exp();
    mass(poles, |p| (origin - p.at) + offset)
}
