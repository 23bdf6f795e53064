//! The search of the complement of what was found, from a random vector, for what one Krylov space cannot see.

use super::complement::{Recurrence, beside, highest};
use super::krylov::Ritz;
use super::state::{LanczosState, Phase};
use super::wanted::Outside;
use super::{Lanczos, Progress};
use crate::Result;
use crate::operator::SymmetricOperator;

/// Vectors that a check has room for at least.
const ROOM: usize = 4;
/// Steps after which the complement's leading pair may be taken for what it has converged to.
const STEPS: usize = 6;
/// Share of the tolerance that its residual must then not exceed.
const SETTLED: f64 = 0.1;

impl Lanczos {
    /// Keeps the wanted pairs, and those that may stand beside them, and turns to the complement: the more is kept, the less
    /// is there. Where it holds values too close to the wanted ones for that, these are kept alone.
    pub(super) fn begin_check(&self, state: &mut LanczosState, ritz: &Ritz, chosen: &[usize]) -> Result<()> {
        let tolerance = self.tolerance * state.scale;
        let others = if state.crowded { vec![] } else { beside(self.wanted, ritz, chosen, tolerance) };
        let room = self.kept_at_restart(state.n).saturating_sub(chosen.len());
        let kept: Vec<usize> = chosen.iter().copied().chain(others.into_iter().take(room)).collect();
        state.krylov.keep(0, ritz, &kept)?;
        state.first_cycle = false;
        state.give_random_across()?;
        state.phase = Phase::Check { kept: kept.len(), steps: 0 };
        Ok(())
    }

    /// One product in the complement of the `kept` vectors, of which the first are the wanted ones, after so many `steps`.
    pub(super) fn search_complement(
        &self,
        operator: &dyn SymmetricOperator,
        state: &mut LanczosState,
        kept: usize,
        steps: usize,
    ) -> Result<Progress> {
        let k = self.wanted.total();
        let exhausted = state.krylov.extend(operator)?;
        state.products += 1;
        let steps = steps + 1;
        state.phase = Phase::Check { kept, steps };
        let found = state.krylov.diagonal(kept);
        let progress = Progress {
            products: state.products,
            max_products: self.max_products,
            leading_value: found.first().copied(),
            leading_residual: state.krylov.residual(0, kept),
            converged: k,
            wanted: k,
        };
        let inside = state.krylov.ritz(kept)?;
        let tolerance = self.tolerance * state.scale;
        let ends = self.wanted.ends(&found[..k]);
        // A restart ends the recurrence.
        let recurrence = (steps == state.krylov.len() - kept)
            .then(|| Recurrence::of(&state.krylov, (kept, state.n), ends.len(), exhausted));
        let (mut enters, mut crowded, mut clear) = (false, false, true);
        let mut outside = Outside { highest: f64::NEG_INFINITY, lowest: f64::INFINITY };
        for end in ends {
            let others: Vec<(f64, f64)> = (0..kept)
                .filter(|&i| i >= k || !self.wanted.at_end(end.sign, i, found[i]))
                .map(|i| (end.sign * found[i], state.krylov.residual(i, kept)))
                .collect();
            let known = others.iter().fold(f64::NEG_INFINITY, |a, o| a.max(o.0));
            let (top, residual) = end.leading(&inside);
            enters |= top > end.bar + tolerance;
            crowded |= kept > k && top > 0.5 * (known + end.between(known, tolerance));
            let settled = steps >= STEPS && residual <= SETTLED * tolerance;
            let proven = recurrence.as_ref().map_or(f64::INFINITY, |r| r.bound(end.sign, top));
            let y = if settled { proven.min(top + residual) } else { proven };
            let bound = highest(y, &others);
            clear &= bound <= end.between(known.max(top), tolerance);
            if end.sign > 0.0 { outside.highest = bound } else { outside.lowest = -bound }
        }
        let whole = state.krylov.len() == state.n;
        let stuck = !clear && (exhausted || (crowded && !state.crowded));
        if whole || enters || stuck {
            // What was missed is searched for with all that is known.
            state.crowded |= stuck;
            let all = state.krylov.ritz(0)?;
            let chosen = self.wanted.select(&all.values);
            state.phase = Phase::Search;
            self.go_on(state, &all, &chosen)?;
        } else if clear || state.products + k >= self.max_products {
            state.checked = clear;
            state.outside = Some(outside).filter(|_| clear);
            state.krylov.demote(k);
            state.begin_certifying();
        } else {
            let mut last = vec![0.0; state.krylov.len()];
            last[state.krylov.len() - 1] = 1.0;
            state.krylov.aim(&last)?;
            if state.krylov.len() >= self.basis_size(state.n).max(kept + ROOM) {
                let extra = self.wanted.select_more(&inside.values, (state.krylov.len() - kept) / 2);
                state.krylov.keep(kept, &inside, &extra)?;
            }
        }
        Ok(progress)
    }
}
