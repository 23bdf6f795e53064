//! The last products: the residual of every pair that is returned, and the bounds that follow from it.

use super::state::{LanczosState, Phase};
use super::{Lanczos, Progress, ROUNDING_UNITS, vectors};
use crate::eigen::{Eigen, EigenPair, Status};
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// Relative residual above which rounding is no excuse: something other than the precision is wrong.
const ROUNDING_LIMIT: f64 = 1e-4;

/// Distance, in tolerances, below which values are not told apart.
const CLOSE: f64 = 2.0;

/// What one call did.
pub(super) enum Step {
    /// A product.
    One(Progress),
    /// Nothing: all is done.
    Finished(Eigen),
}

/// What is known of one pair: its value, its residual (computed or estimated), and the estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    pub(super) value: f64,
    pub(super) residual: f64,
    pub(super) estimate: f64,
    pub(super) certified: bool,
}

impl LanczosState {
    /// Turns the chosen Ritz vectors into the pairs to certify.
    pub(super) fn begin_certifying(&mut self, ritz: &super::krylov::Ritz, chosen: &[usize]) {
        self.krylov.vectors.truncate(self.krylov.len());
        self.krylov.keep(ritz, chosen);
        self.pairs = chosen
            .iter()
            .map(|&i| {
                let residual = ritz.residuals[i];
                Known { value: ritz.values[i], residual, estimate: residual, certified: false }
            })
            .collect();
        self.phase = Phase::Certify;
    }
}

impl Lanczos {
    /// The residual of the next pair, while the budget lasts.
    pub(super) fn certify(&self, operator: &dyn SymmetricOperator, state: &mut LanczosState) -> Result<Step> {
        let next = state.pairs.iter().position(|p| !p.certified);
        let Some(i) = next.filter(|_| state.products < self.max_products) else {
            return Ok(Step::Finished(self.finish(state)));
        };
        let y = &mut state.krylov.vectors[i];
        let length = vectors::norm(y);
        vectors::scale(y, 1.0 / length);
        let mut product = vec![0.0; y.len()];
        operator.apply(y, &mut product)?;
        if product.iter().any(|x| !x.is_finite()) {
            return Err(Error::NonFinite("a matrix-vector product is not finite: try f64".into()));
        }
        state.products += 1;
        let y = std::slice::from_ref(y);
        let value = vectors::coefficients(y, &product)[0];
        vectors::subtract(y, &[value], &mut product);
        let pair = &mut state.pairs[i];
        *pair = Known { value, residual: vectors::norm(&product), estimate: pair.estimate, certified: true };
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

    fn finish(&self, state: &LanczosState) -> Eigen {
        let scale = state.scale;
        let relative = |x: f64| if scale > 0.0 { x / scale } else { 0.0 };
        // What the residual has beyond its estimate is rounding of the products.
        let excess = |p: &Known| (p.residual * p.residual - p.estimate * p.estimate).max(0.0).sqrt();
        let certified = || state.pairs.iter().filter(|p| p.certified);
        let noise_floor = relative(certified().map(excess).fold(0.0, f64::max));
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
        let rounding = ROUNDING_UNITS * self.unit_roundoff * scale;
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
        let vectors = order.iter().map(|&i| state.krylov.vectors[i].clone()).collect();
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
        eigen.with_work(status, state.products, state.checked).with_accuracy(
            tolerance_used,
            noise_floor,
            scale,
        )
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
