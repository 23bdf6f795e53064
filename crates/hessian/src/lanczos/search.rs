//! The search for the wanted values: Krylov steps from where the leading pair that is not found yet leaves the basis.

use super::krylov::Ritz;
use super::state::{LanczosState, Phase};
use super::wanted::Outside;
use super::{Lanczos, MissedCopies, Progress};
use crate::Result;
use crate::operator::SymmetricOperator;
use crate::spectrum::Probe;

/// Share of the tolerance that the recurrence's residuals must reach, so that the certified ones do too.
const SAFETY: f64 = 0.9;
/// Residual of the start vectors' sum, in targets, up to which each of them is worth steps of its own: fewer than one Krylov
/// space needs for all.
const NEAR: f64 = 50.0;
/// Share of the residual one step before, above which a residual is not falling fast.
const LINGERING: f64 = 0.35;

impl Lanczos {
    /// One product that extends the search for the wanted values.
    pub(super) fn search(
        &self,
        operator: &dyn SymmetricOperator,
        state: &mut LanczosState,
    ) -> Result<Progress> {
        let exhausted = state.krylov.extend(operator)?;
        state.products += 1;
        let ritz = state.krylov.ritz(0)?;
        state.scale = ritz.scale();
        if state.first_cycle {
            state.probe = Some(Probe::of(&ritz, exhausted || state.krylov.len() == state.n));
        }
        let chosen = self.wanted.select(&ritz.values);
        let target = self.target(state);
        let leading = chosen.first().map_or(f64::INFINITY, |&i| ritz.residuals[i]);
        let progress = Progress {
            products: state.products,
            max_products: self.max_products,
            leading_value: chosen.first().map(|&i| ritz.values[i]),
            leading_residual: leading,
            converged: chosen.iter().filter(|&&i| ritz.residuals[i] <= target).count(),
            wanted: self.wanted.total(),
        };
        self.go_on(state, &ritz, &chosen)?;
        state.last_residual = leading;
        Ok(progress)
    }

    /// Prepares for the next product, with what all multiplied vectors say.
    pub(super) fn go_on(&self, state: &mut LanczosState, ritz: &Ritz, chosen: &[usize]) -> Result<()> {
        let k = self.wanted.total();
        let target = self.target(state);
        let whole = state.krylov.len() == state.n;
        let spent = state.products + k >= self.max_products;
        if whole || spent {
            if whole {
                state.outside = Some(Outside::of(ritz, chosen));
                state.checked = true;
            }
            state.krylov.keep(0, ritz, chosen)?;
            state.begin_certifying();
            return Ok(());
        }
        if state.krylov.given > 0 {
            if state.products == 1 && state.krylov.outside_given() > NEAR * target {
                state.krylov.forget_given()?;
            }
            return Ok(());
        }
        let unsettled = chosen.iter().copied().find(|&i| ritz.residuals[i] > target);
        let next = if chosen.len() < k { chosen.last().copied() } else { unsettled };
        if let Some(next) = next {
            return self.step_towards(state, ritz, next);
        }
        // A single value from a random vector is not checked while its residual falls fast; where it lingers, two values may
        // lie too close together to be told apart yet.
        let single = self.check == MissedCopies::Auto && k == 1;
        if single && state.last_residual > target {
            return self.step_towards(state, ritz, chosen[0]);
        }
        let lingers = single && ritz.residuals[chosen[0]] > LINGERING * state.last_residual;
        if lingers || self.checks() {
            return self.begin_check(state, ritz, chosen);
        }
        state.krylov.keep(0, ritz, chosen)?;
        state.begin_certifying();
        Ok(())
    }

    /// Makes the next vector the residual of a Ritz pair, once the basis has room for it.
    fn step_towards(&self, state: &mut LanczosState, ritz: &Ritz, pair: usize) -> Result<()> {
        state.krylov.aim(&ritz.columns[pair])?;
        if state.krylov.len() >= self.basis_size(state.n) {
            let kept = self.wanted.select_more(&ritz.values, self.kept_at_restart(state.n));
            state.krylov.keep(0, ritz, &kept)?;
            state.first_cycle = false;
        }
        if state.krylov.coupling.is_empty() {
            state.first_cycle = false;
            state.give_random()?;
        }
        state.phase = Phase::Search;
        Ok(())
    }

    /// Whether this search looks for missed copies in any case.
    pub(super) fn checks(&self) -> bool {
        match self.check {
            MissedCopies::Auto => self.wanted.total() > 1,
            MissedCopies::Always => true,
            MissedCopies::Never => false,
        }
    }

    /// Residual at which a pair counts as found.
    fn target(&self, state: &LanczosState) -> f64 {
        SAFETY * self.tolerance * state.scale
    }

    /// The wanted vectors and half of the rest: enough to keep what was learnt, with room for new steps.
    pub(super) fn kept_at_restart(&self, n: usize) -> usize {
        let (k, m) = (self.wanted.total(), self.basis_size(n));
        (k + (m - k) / 2).min(m - 1).max(1)
    }
}
