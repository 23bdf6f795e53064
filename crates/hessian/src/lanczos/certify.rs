//! The last products: whether the pairs' residuals are what the recurrence says, and the bounds that follow from them.
//!
//! A random combination of all pairs is multiplied, and compared with what the recurrence expects of the product. If the
//! products' errors have put a pair's residual off by more than F times the discrepancy, then the combination was nearly
//! blind to it by chance, which s combinations all are with probability (sqrt(2 k / pi) / F)^s at most. So F follows from
//! the risk, and the residuals that are returned are the recurrence's plus F discrepancies. Where the products are too
//! inexact for that to be little, every residual is computed anew instead.

use super::complement::RISK;
use super::krylov::Krylov;
use super::state::{LanczosState, Phase};
use super::vector::Vector;
use super::wanted::CLOSE;
use super::{Lanczos, Progress, ROUNDING_UNITS, vectors};
use crate::eigen::{Eigen, EigenPair, Status};
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// Relative residual above which rounding is no excuse: something other than the precision is wrong.
const ROUNDING_LIMIT: f64 = 1e-4;
/// Units of roundoff that a discrepancy is expected to have before one was seen.
const EXPECTED_UNITS: f64 = 4.0;
/// Share of the tolerance that may go into the allowance for discrepancies.
const SHARE: f64 = 0.1;

/// What one call did.
pub(super) enum Step {
    /// A product.
    One(Progress),
    /// Nothing: all is done.
    Finished(Eigen),
}

/// What is known of one pair: its value, its residual (certified or not), and the recurrence's residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    pub(super) value: f64,
    pub(super) residual: f64,
    pub(super) estimate: f64,
    pub(super) certified: bool,
}

/// What the next product is of.
enum Next {
    Combination,
    Pair(usize),
    Nothing,
}

impl LanczosState {
    /// Turns the multiplied vectors, which must be Ritz vectors, into the pairs to certify.
    pub(super) fn begin_certifying(&mut self) {
        let pair = |(i, value)| {
            let residual = self.krylov.outside(i);
            Known { value, residual, estimate: residual, certified: false }
        };
        self.pairs = self.krylov.diagonal(self.krylov.len()).into_iter().enumerate().map(pair).collect();
        self.phase = Phase::Certify;
    }

    /// By how much residuals may be off after so many combinations of this discrepancy at most.
    fn allowance(&self, combinations: usize, discrepancy: f64) -> f64 {
        let single = (2.0 * self.pairs.len() as f64 / std::f64::consts::PI).sqrt();
        single * RISK.powf(-1.0 / combinations as f64) * discrepancy
    }

    /// The largest discrepancy seen.
    fn discrepancy(&self) -> f64 {
        self.discrepancies.iter().copied().fold(0.0, f64::max)
    }
}

impl Lanczos {
    /// The next product that certifies residuals, while the budget lasts.
    pub(super) fn certify(&self, operator: &dyn SymmetricOperator, state: &mut LanczosState) -> Result<Step> {
        match self.next_certificate(state) {
            Next::Nothing => return Ok(Step::Finished(self.finish(state)?)),
            Next::Combination => self.combine(operator, state)?,
            Next::Pair(i) => {
                let y = &state.krylov.vectors[i];
                let (y, mut product) = (std::slice::from_ref(y), multiply(operator, y)?);
                let value = product.coefficients(y)?[0];
                product.subtract(y, &[value])?;
                let pair = &mut state.pairs[i];
                *pair = Known { value, residual: product.norm()?, estimate: pair.estimate, certified: true };
            }
        }
        state.products += 1;
        let bar = self.tolerance * state.scale;
        Ok(Step::One(Progress {
            products: state.products,
            max_products: self.max_products,
            leading_value: state.pairs.first().map(|p| p.value),
            leading_residual: state.pairs.first().map_or(f64::INFINITY, |p| p.residual),
            converged: state.pairs.iter().filter(|p| p.residual <= bar).count(),
            wanted: self.wanted.total(),
        }))
    }

    /// As few products as can certify all pairs.
    fn next_certificate(&self, state: &LanczosState) -> Next {
        let left = self.max_products - state.products.min(self.max_products);
        let Some(first) = state.pairs.iter().position(|p| !p.certified).filter(|_| left > 0) else {
            return Next::Nothing;
        };
        let (k, done) = (state.pairs.len(), state.discrepancies.len());
        let expected = EXPECTED_UNITS * self.unit_roundoff * state.scale;
        let discrepancy = if done == 0 { expected } else { state.discrepancy() };
        let enough = |s: &usize| state.allowance(*s, discrepancy) <= self.allowed(state);
        let combinations = (done.max(1)..done + k).find(enough);
        // Where it turns out that combinations cannot do, something must be left to certify one by one.
        let fits = |s: usize| s - done + k <= left;
        if first == 0 && combinations.is_some_and(fits) { Next::Combination } else { Next::Pair(first) }
    }

    /// How far off residuals may be: little beside the tolerance, and beside the errors of values.
    fn allowed(&self, state: &LanczosState) -> f64 {
        let values = self.tolerance.powi(2).max(ROUNDING_UNITS * self.unit_roundoff);
        state.scale * values.min(SHARE * self.tolerance)
    }

    /// What must be allowed for where combinations were enough to certify all pairs.
    fn combined(&self, state: &LanczosState) -> Option<f64> {
        let combinations = state.discrepancies.len();
        let allowance = (combinations > 0).then(|| state.allowance(combinations, state.discrepancy()));
        allowance.filter(|allowance| *allowance <= self.allowed(state))
    }

    /// Multiplies a random combination of the pairs, and takes them for certified once that tells enough.
    fn combine(&self, operator: &dyn SymmetricOperator, state: &mut LanczosState) -> Result<()> {
        state.draws += 1;
        let mut weights = vectors::random(state.pairs.len(), state.seed, state.draws);
        let length = vectors::norm(&weights);
        vectors::scale(&mut weights, 1.0 / length);
        let Krylov { vectors: basis, coupling, .. } = &state.krylov;
        let y = Vector::combination(&basis[..weights.len()], &weights)?;
        let mut product = multiply(operator, &y)?;
        let expected: Vec<f64> = state
            .pairs
            .iter()
            .zip(&weights)
            .map(|(pair, w)| pair.value * w)
            .chain(coupling.iter().map(|row| vectors::dot(row, &weights)))
            .collect();
        product.subtract(basis, &expected)?;
        state.discrepancies.push(product.norm()?);
        if let Some(allowance) = self.combined(state) {
            for pair in &mut state.pairs {
                pair.residual = pair.estimate + allowance;
                pair.certified = true;
            }
        }
        Ok(())
    }

    fn finish(&self, state: &mut LanczosState) -> Result<Eigen> {
        let scale = state.scale;
        let relative = |x: f64| if scale > 0.0 { x / scale } else { 0.0 };
        // What the residual has beyond its estimate is rounding of the products.
        let excess = |p: &Known| (p.residual * p.residual - p.estimate * p.estimate).max(0.0).sqrt();
        let certified = || state.pairs.iter().filter(|p| p.certified);
        let allowance = self.combined(state);
        let noise = allowance.map_or_else(
            || certified().map(excess).fold(0.0, f64::max),
            |_| state.discrepancies.iter().copied().fold(0.0, f64::max),
        );
        // A check begins only once all estimates have met the tolerance; what it adds to them is rounding.
        let settled = |p: &&Known| p.certified && (state.checked || relative(p.estimate) <= self.tolerance);
        let worst = relative(certified().filter(settled).map(|p| p.residual).fold(0.0, f64::max));
        let accepts = self.accept_rounding && worst <= ROUNDING_LIMIT;
        let tolerance_used = if accepts { self.tolerance.max(worst) } else { self.tolerance };
        let met = |p: &Known| settled(&p) && relative(p.residual) <= tolerance_used;

        let order = self.report_order(state);
        let measured: Vec<(f64, f64)> =
            order.iter().map(|&i| (state.pairs[i].value, state.pairs[i].residual)).collect();
        // A value's rank is only as good as the values before it, and as the search for missed copies.
        let mut ranked = [state.checked || !self.checks(); 2];
        let converged: Vec<bool> = order
            .iter()
            .enumerate()
            .map(|(position, &i)| {
                let so_far = &mut ranked[usize::from(self.wanted.is_top(position))];
                *so_far &= met(&state.pairs[i]);
                *so_far
            })
            .collect();
        let rounding = ROUNDING_UNITS * self.unit_roundoff * scale + allowance.unwrap_or(0.0);
        let pair = |position: usize| {
            let known = &state.pairs[order[position]];
            let r = known.residual;
            let gap =
                state.outside.filter(|_| state.checked).map(|o| self.wanted.gap(position, &measured, o));
            let separate = gap.filter(|gap| *gap > r.max(CLOSE * self.tolerance * scale));
            // Values closer together than some tolerances are not told apart: a rank is then no better known than that.
            let error = match (separate, gap) {
                (Some(gap), _) => r.min(r * (r / gap)),
                (None, gap) => r.max(-gap.unwrap_or(0.0)).max(CLOSE * self.tolerance * scale),
            };
            EigenPair {
                value: known.value,
                residual: r,
                error_bound: error + rounding,
                angle_bound: separate.map(|gap| ((r + rounding) / gap).min(1.0).asin()),
                converged: converged[position],
            }
        };
        let pairs: Vec<EigenPair> = (0..order.len()).map(pair).collect();
        let complete = pairs.len() == self.wanted.total();
        let status = if complete && pairs.iter().all(|p| p.converged) {
            Status::Converged
        } else if complete && state.pairs.iter().all(|p| settled(&p)) && !state.pairs.iter().all(met) {
            Status::NoiseFloor
        } else {
            Status::BudgetSpent
        };
        let basis = &mut state.krylov.vectors;
        let taken = order.iter().map(|&i| std::mem::replace(&mut basis[i], Vector::Host(vec![])));
        let vectors = taken.map(Vector::into_entries).collect::<Result<_>>()?;
        let subspace_angle_bound = state.outside.filter(|_| state.checked).and_then(|outside| {
            let distance =
                |(position, pair): (usize, &(f64, f64))| self.wanted.distance(position, pair.0, outside);
            let gap = measured.iter().enumerate().map(distance).fold(f64::INFINITY, f64::min);
            let size = measured.iter().map(|(_, r)| (r + rounding).powi(2)).sum::<f64>().sqrt();
            (gap > size).then(|| (size / gap).asin())
        });
        let eigen = Eigen {
            probe: state.probe.clone(),
            subspace_angle_bound,
            ..Eigen::new(self.wanted, pairs, vectors)
        };
        let eigen = eigen.with_work(status, state.products, state.checked);
        Ok(eigen.with_accuracy(tolerance_used, relative(noise), scale))
    }

    /// The pairs as they are reported: Rayleigh quotients may order near-equal ones anew.
    fn report_order(&self, state: &LanczosState) -> Vec<usize> {
        let mut order: Vec<usize> = (0..state.pairs.len()).collect();
        let values: Vec<f64> = state.pairs.iter().map(|p| p.value).collect();
        let magnitude = matches!(self.wanted, super::Wanted::Magnitude { .. });
        order.sort_by(|&a, &b| {
            let (top_a, top_b) = (self.wanted.is_top(a), self.wanted.is_top(b));
            let within = match (magnitude, top_a) {
                (true, _) => values[b].abs().total_cmp(&values[a].abs()),
                (false, true) => values[b].total_cmp(&values[a]),
                (false, false) => values[a].total_cmp(&values[b]),
            };
            top_b.cmp(&top_a).then(within).then(a.cmp(&b))
        });
        order
    }
}

/// A y, of which every entry is finite.
fn multiply(operator: &dyn SymmetricOperator, y: &Vector) -> Result<Vector> {
    let product = y.multiplied(operator)?;
    if product.not_finite(product.norm()?)?.is_some() {
        return Err(Error::NonFinite("a matrix-vector product is not finite: try f64".into()));
    }
    Ok(product)
}
