//! How large an eigenvalue a random vector can have overlooked.
//!
//! Let B be the operator on the complement of the multiplied vectors, and u a random unit vector there. Lanczos from u
//! determines the first moments of u's spectral measure, so that an eigenvalue x above all Ritz values has at most the mass
//! `1 / sum_j p_j(x)^2` (Christoffel; the `p_j` are the measure's orthonormal polynomials, which the recurrence gives). That mass is
//! the squared component of u along an eigenvector, and is small with small probability. So an x at which the sum is large
//! enough bounds B's eigenvalues from above, whatever the spectrum; the bound of Kuczynski & Wozniakowski (1992) is this
//! one for the worst of all spectra.

use super::krylov::{Krylov, Ritz};
use super::wanted::Wanted;

/// Probability at most that a bound fails because a random vector happened to be nearly orthogonal to what was missed.
pub(super) const RISK: f64 = 1e-6;

/// Lanczos' coefficients from a random vector.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    diagonal: Vec<f64>,
    /// One a step; the last couples to what is outside.
    beta: Vec<f64>,
    /// The least component that the random vector can be relied on to have along any one direction.
    component: f64,
}

impl Recurrence {
    /// Of the vectors from number `kept` on, of which the first was random, in a space of `n` dimensions, for so many `ends`
    /// of the spectrum. The last vector is `exhausted` where nothing is left outside.
    pub(super) fn of(krylov: &Krylov, (kept, n): (usize, usize), ends: usize, exhausted: bool) -> Self {
        let m = krylov.len();
        let last = if exhausted { 0.0 } else { krylov.outside(m - 1) };
        let diagonal = (kept..m).map(|i| krylov.projected[i][i]).collect();
        let beta = (kept + 1..m).map(|i| krylov.projected[i][i - 1].abs()).chain([last]).collect();
        // A random unit vector's component in N dimensions is below c with probability c sqrt(2 N / pi) at most.
        let component = RISK / ends as f64 / (2.0 * (n - kept) as f64 / std::f64::consts::PI).sqrt();
        Self { diagonal, beta, component }
    }

    /// Bounds all eigenvalues of the complement from above, or those of its negative if `sign` is -1. `top` is the largest
    /// Ritz value of the same.
    pub(super) fn bound(&self, sign: f64, top: f64) -> f64 {
        let (first, last) = (self.beta[0], self.beta[self.beta.len() - 1]);
        if last == 0.0 {
            return top;
        }
        let far = top.max(sign * self.diagonal[0] + first / self.component);
        least(top, far, |x| self.excludes(sign, x))
    }

    /// Whether an eigenvalue at `x`, above all Ritz values, would have shown itself.
    fn excludes(&self, sign: f64, x: f64) -> bool {
        let (mut before, mut p, mut sum, mut coupling) = (0.0, 1.0, 1.0, 0.0);
        for (alpha, beta) in self.diagonal.iter().zip(&self.beta) {
            (before, p) = (p, ((x - sign * alpha) * p - coupling * before) / beta);
            coupling = *beta;
            sum += p * p;
            if sum * self.component * self.component >= 1.0 {
                return true;
            }
        }
        false
    }
}

/// Bounds all eigenvalues of the operator on the complement of the wanted vectors from above, where `y` bounds those on the
/// complement of the multiplied ones: beside the wanted, these hold `others`, as Ritz values and residuals.
///
/// With B <= y < x the operator is at most x where Theta + C'C / (x - y) is (Schur complement), C being the residuals of the
/// Ritz values Theta; and that is so where the sum of r^2 / (x - theta) is at most x - y.
pub(super) fn highest(y: f64, others: &[(f64, f64)]) -> f64 {
    let start = others.iter().fold(y, |a, o| a.max(o.0));
    let reach = others.iter().fold(0.0, |sum: f64, o| sum.hypot(o.1));
    if reach == 0.0 || start.is_infinite() {
        return start;
    }
    let sum = |x: f64| others.iter().map(|(theta, r)| r * (r / (x - theta))).sum::<f64>();
    least(start, start + reach, |x| sum(x) <= x - y)
}

/// Of the Ritz pairs that are not `chosen`, those that may stand beside the multiplied vectors of which
/// [`highest`] speaks: their residuals raise its bound by half of what it may be raised at most.
pub(super) fn beside(wanted: Wanted, ritz: &Ritz, chosen: &[usize], tolerance: f64) -> Vec<usize> {
    let found: Vec<f64> = chosen.iter().map(|&i| ritz.values[i]).collect();
    let others: Vec<usize> = (0..ritz.values.len()).filter(|i| !chosen.contains(i)).collect();
    let values: Vec<f64> = others.iter().map(|&i| ritz.values[i]).collect();
    let ends: Vec<(f64, f64, f64)> = wanted
        .ends(&found)
        .iter()
        .map(|end| {
            let next = end.highest(&values);
            let limit = end.between(next, tolerance);
            (end.sign, limit, 0.5 * (limit - next))
        })
        .collect();
    // The largest share of what is allowed at any end.
    let share = |i: usize| {
        let cost = |&(sign, limit, allowed): &(f64, f64, f64)| {
            ritz.residuals[i] * (ritz.residuals[i] / (limit - sign * ritz.values[i])) / allowed
        };
        ends.iter().map(cost).fold(0.0, f64::max)
    };
    let mut shares: Vec<(f64, usize)> = others.into_iter().map(|i| (share(i), i)).collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut total = 0.0;
    let fits = |(share, _): &&(f64, usize)| {
        total += share;
        total <= 1.0
    };
    shares.iter().take_while(fits).map(|(_, i)| *i).collect()
}

/// The least x between `low` and `high` for which `holds`, which once true stays true, up to rounding and from above.
fn least(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::{Recurrence, highest};
    use crate::lanczos::krylov::Krylov;
    use crate::lanczos::vector::Vector;
    use crate::lanczos::vectors;
    use crate::operator::Dense;

    fn diagonal(values: &[f64]) -> Dense {
        let n = values.len();
        Dense::new(n, (0..n * n).map(|i| if i % (n + 1) == 0 { values[i / n] } else { 0.0 }).collect())
            .unwrap()
    }

    /// With the component that a vector really has along an eigenvector, the bound is no matter of chance.
    #[test]
    fn no_eigenvalue_with_a_known_component_exceeds_the_bound() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for trial in 0..100 {
            let mut values: Vec<f64> = (0..40).map(|_| random.random_range(-1.0..1.0)).collect();
            values[0] = random.random_range(1.0..3.0);
            let operator = diagonal(&values);
            let mut start: Vec<f64> = (0..40).map(|_| random.random_range(-1.0..1.0)).collect();
            start[0] *= 10f64.powi(-(trial % 9));
            let length = vectors::norm(&start);
            vectors::scale(&mut start, 1.0 / length);
            let component = start[0].abs();
            let mut krylov = Krylov::default();
            krylov.give(Vector::Host(start));
            let mut after = f64::INFINITY;
            for _ in 0..25 {
                let exhausted = krylov.extend(&operator).unwrap();
                let top = krylov.ritz(0).unwrap().values.pop().unwrap();
                let recurrence = Recurrence { component, ..Recurrence::of(&krylov, (0, 40), 1, exhausted) };
                let before = after;
                after = recurrence.bound(1.0, top);
                assert!(after >= values[0] - 1e-12, "trial {trial}: {after} {}", values[0]);
                assert!(after <= before + 1e-9, "trial {trial}: {after} after {before}");
            }
            assert!(after <= values[0] + 0.1, "trial {trial}: {after} {}", values[0]);
        }
    }

    #[test]
    fn couplings_raise_the_bound_by_enough() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..200 {
            let n = random.random_range(2..12);
            let m = random.random_range(1..n);
            let entries: Vec<f64> = (0..n * n).map(|_| random.random_range(-1.0..1.0)).collect();
            // Diagonal where the Ritz vectors are, anything elsewhere.
            let entry = |i: usize, j: usize| {
                let (i, j) = (i.max(j), i.min(j));
                if i < m && i != j { 0.0 } else { entries[i * n + j] }
            };
            let largest = |first: usize| {
                let values = faer::Mat::from_fn(n - first, n - first, |i, j| entry(first + i, first + j))
                    .self_adjoint_eigenvalues(faer::Side::Lower)
                    .unwrap();
                values[n - first - 1]
            };
            let residual = |j: usize| (m..n).map(|i| entry(i, j).powi(2)).sum::<f64>().sqrt();
            let others: Vec<(f64, f64)> = (0..m).map(|j| (entry(j, j), residual(j))).collect();
            assert!(highest(largest(m), &others) >= largest(0) - 1e-12);
        }
    }
}
