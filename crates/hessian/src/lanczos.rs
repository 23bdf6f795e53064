//! Extreme eigenvalues of a symmetric operator: thick-restart Lanczos with full orthogonalisation.
//!
//! Every product is orthogonalised twice against the whole basis, and its coefficients are the projected matrix, so that
//! the projection stays exact after restarts, breakdowns and fresh random vectors (Wu & Simon 2000; Stewart 2001). When
//! the wanted Ritz values have converged, the search goes on in their orthogonal complement from a random vector, to find
//! copies of multiple eigenvalues that one Krylov space cannot see. At the end each residual is computed anew.

mod certify;
pub(crate) mod krylov;
mod progress;
mod state;
pub(crate) mod vectors;
mod wanted;

use serde::{Deserialize, Serialize};

use crate::eigen::Eigen;
use crate::operator::SymmetricOperator;
use crate::spectrum::Probe;
use crate::{Error, Result};

pub use progress::{Control, Observer, Progress, Silent};
pub use state::LanczosState;
pub use wanted::Wanted;

use state::Phase;
use wanted::Outside;

/// Settings of the solver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lanczos {
    /// Which eigenvalues, and how many.
    pub wanted: Wanted,
    /// Residual |A y - theta y| to reach, relative to the largest |Ritz value|.
    pub tolerance: f64,
    /// Accept a residual that the products' own rounding does not let fall to the tolerance; [`Eigen::tolerance_used`]
    /// then says what was met.
    pub accept_rounding: bool,
    /// Unit roundoff of the products: 2^-53 for f64, 2^-24 for f32. Bounds allow for it.
    pub unit_roundoff: f64,
    /// Products at most, those for the final residuals included.
    pub max_products: usize,
    /// Vectors held at once; by default what fits half a gigabyte, at least max(20, 2 k + 10) for k wanted pairs and at
    /// most max(100, 4 k + 20). More vectors mean fewer products.
    pub basis: Option<usize>,
    /// Seed of all random vectors.
    pub seed: u64,
    /// Whether to look for missed copies.
    pub check: MissedCopies,
}

impl Default for Lanczos {
    fn default() -> Self {
        Self {
            wanted: Wanted::Largest { k: 1 },
            tolerance: 1e-6,
            accept_rounding: true,
            unit_roundoff: f64::EPSILON / 2.0,
            max_products: 1000,
            basis: None,
            seed: 0,
            check: MissedCopies::Auto,
        }
    }
}

/// Whether the orthogonal complement of the eigenvectors found is searched for what was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissedCopies {
    /// When more than one pair is wanted, and for a single one where its residual does not fall fast.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: bounds are then no better than the residuals, nor than two tolerances.
    Never,
}

/// How a run ended: with a result (here the pairs, converged or not), or in a state to go on from.
#[derive(Debug, Clone)]
pub enum Outcome<T = Eigen, S = LanczosState> {
    /// The result.
    Done(T),
    /// The observer interrupted; `resume` ([`Lanczos::resume`]) goes on from here to the same digits.
    Interrupted(S),
}

impl<T, S> Outcome<T, S> {
    /// The result turned into another.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U, S> {
        match self {
            Self::Done(result) => Outcome::Done(change(result)),
            Self::Interrupted(state) => Outcome::Interrupted(state),
        }
    }
}

/// Units of roundoff, relative to the largest |Ritz value|, by which a Rayleigh quotient may be off because the products
/// were rounded. An allowance, not a worst case: what a network's layers really lose is of this size.
pub(crate) const ROUNDING_UNITS: f64 = 16.0;
/// Share of the tolerance that estimates must reach, so that the residuals computed at the end do too.
const SAFETY: f64 = 0.9;
/// Numbers that the basis holds by default, where that is not too few vectors: half a gigabyte.
const BASIS_ENTRIES: usize = 1 << 26;
/// Share of the residual one step before, above which a residual is not falling fast.
const LINGERING: f64 = 0.35;
/// Steps in the complement before it may be called empty of wanted values.
const CHECK_STEPS: usize = 6;

impl Lanczos {
    /// Runs from a random vector, or from the normalised sum of the `start` vectors (eigenvectors of a nearby matrix).
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        start: Option<&[Vec<f64>]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.validate(operator.dim())?;
        let state = LanczosState::new(self, operator.dim(), start)?;
        self.resume(operator, state, observer)
    }

    /// Goes on from the state of an interrupted run with the same settings and operator.
    pub fn resume(
        &self,
        operator: &dyn SymmetricOperator,
        mut state: LanczosState,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.validate(operator.dim())?;
        state.belongs_to(self, operator.dim())?;
        loop {
            let progress = match state.phase {
                Phase::Search => self.search(operator, &mut state)?,
                Phase::Check { kept, steps } => self.search_complement(operator, &mut state, kept, steps)?,
                Phase::Certify => match self.certify(operator, &mut state)? {
                    certify::Step::One(progress) => progress,
                    certify::Step::Finished(eigen) => return Ok(Outcome::Done(eigen)),
                },
            };
            if observer.product(&progress) == Control::Interrupt {
                return Ok(Outcome::Interrupted(state));
            }
        }
    }

    fn validate(&self, n: usize) -> Result<()> {
        let k = self.wanted.total();
        let problem = if k == 0 {
            "no eigenvalue is wanted: ask for at least one".to_string()
        } else if k > n {
            format!("{k} eigenvalues are wanted, but the matrix has {n} rows: ask for at most {n}")
        } else if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            format!("the tolerance is {}, but must lie between 0 and 1", self.tolerance)
        } else if self.max_products < 2 {
            format!(
                "{} products are allowed, but one to search and one to certify are needed",
                self.max_products
            )
        } else if self.basis.is_some_and(|b| b < (k + 2).min(n)) {
            format!("the basis must hold at least {} vectors for {k} eigenvalues", (k + 2).min(n))
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }

    fn basis_size(&self, n: usize) -> usize {
        let k = self.wanted.total();
        let affordable = BASIS_ENTRIES / n;
        self.basis.unwrap_or(affordable.clamp((2 * k + 10).max(20), (4 * k + 20).max(100))).min(n)
    }

    fn checks(&self) -> bool {
        match self.check {
            MissedCopies::Auto => self.wanted.total() > 1,
            MissedCopies::Always => true,
            MissedCopies::Never => false,
        }
    }

    /// One product that extends the search for the wanted values.
    fn search(&self, operator: &dyn SymmetricOperator, state: &mut LanczosState) -> Result<Progress> {
        let k = self.wanted.total();
        let n = operator.dim();
        let step = state.krylov.extend(operator)?;
        state.products += 1;
        let ritz = state.krylov.ritz(step.beta, 0)?;
        state.scale = ritz.scale();
        let chosen = self.wanted.select(&ritz.values);
        let target = self.target(state);
        let whole = state.krylov.len() == n;
        if state.first_cycle {
            state.probe = Some(Probe::of(&ritz, step.exhausted || whole));
        }
        let converged = chosen.iter().filter(|&&i| ritz.residuals[i] <= target).count();
        let progress = Progress {
            products: state.products,
            max_products: self.max_products,
            leading_value: chosen.first().map(|&i| ritz.values[i]),
            leading_residual: chosen.first().map_or(f64::INFINITY, |&i| ritz.residuals[i]),
            converged: converged.min(k),
            wanted: k,
        };
        let found = chosen.len() == k && converged == k;
        let affordable = !whole && state.products + k < self.max_products;
        let last = std::mem::replace(&mut state.last_residual, progress.leading_residual);
        // A single value is not checked while its residual falls fast; where it lingers, two values may lie too close
        // together to be told apart yet.
        let single = found && affordable && self.check == MissedCopies::Auto && k == 1;
        if single && last > target {
            state.push(step)?;
            return Ok(progress);
        }
        let lingers = single && progress.leading_residual > LINGERING * last;
        if found && affordable && (self.checks() || lingers) {
            state.krylov.keep(&ritz, &chosen);
            state.krylov.defects = chosen.iter().map(|&i| ritz.residuals[i]).collect();
            state.phase = Phase::Check { kept: k, steps: 0 };
            state.push_random()?;
        } else if found || whole || state.products + k >= self.max_products {
            if whole {
                state.outside = Some(Outside::of(&ritz, &chosen));
                state.checked = true;
            }
            state.begin_certifying(&ritz, &chosen);
        } else {
            if state.krylov.len() >= self.basis_size(n) {
                let kept = self.wanted.select_more(&ritz.values, self.kept_at_restart(n));
                state.krylov.keep(&ritz, &kept);
                state.first_cycle = false;
            }
            state.push(step)?;
        }
        Ok(progress)
    }

    /// One product in the complement of the `kept` vectors found, of which `steps` were done.
    fn search_complement(
        &self,
        operator: &dyn SymmetricOperator,
        state: &mut LanczosState,
        kept: usize,
        steps: usize,
    ) -> Result<Progress> {
        let k = self.wanted.total();
        let n = operator.dim();
        let step = state.krylov.extend(operator)?;
        state.products += 1;
        let steps = steps + 1;
        let inside = state.krylov.ritz(step.beta, kept)?;
        let found = state.krylov.diagonal(kept);
        let tolerance = self.tolerance * state.scale;
        let whole = state.krylov.len() == n;
        let verdict = self.wanted.judge(&found, &inside, tolerance, (n, steps));
        let enough = steps >= CHECK_STEPS.min(n - kept);
        let progress = Progress {
            products: state.products,
            max_products: self.max_products,
            leading_value: found.first().copied(),
            leading_residual: state.krylov.defects[0],
            converged: k,
            wanted: k,
        };
        state.phase = Phase::Check { kept, steps };
        if verdict.enters {
            // Something was missed: search on, with all that is known.
            state.phase = Phase::Search;
        }
        let passed = whole || (enough && verdict.clear);
        if (!verdict.enters && passed) || state.products + k >= self.max_products {
            let all = state.krylov.ritz(step.beta, 0)?;
            let chosen = self.wanted.select(&all.values);
            state.checked = passed && !verdict.enters;
            if state.checked {
                state.outside = Some(Outside::of(&inside, &[]));
            }
            state.begin_certifying(&all, &chosen);
            return Ok(progress);
        }
        if whole {
            // The projection is the matrix itself, and one more look at it settles everything.
            let all = state.krylov.ritz(step.beta, 0)?;
            let chosen = self.wanted.select(&all.values);
            state.outside = Some(Outside::of(&all, &chosen));
            state.checked = true;
            state.begin_certifying(&all, &chosen);
            return Ok(progress);
        }
        if state.krylov.len() >= self.basis_size(n).max(kept + 4) {
            let extra = self.wanted.select_more(&inside.values, (state.krylov.len() - kept) / 2);
            state.krylov.keep_trailing(kept, &inside, &extra);
        }
        state.push(step)?;
        Ok(progress)
    }

    /// Estimate at which a pair counts as found. What earlier searches left undone stays part of every estimate, so the
    /// bar lies above that and below the tolerance.
    fn target(&self, state: &LanczosState) -> f64 {
        let tolerance = self.tolerance * state.scale;
        let left = state.krylov.defects.iter().copied().fold(0.0, f64::max);
        let target = SAFETY * tolerance;
        if left == 0.0 { target } else { 0.5 * (target.max(left.min(tolerance)) + tolerance) }
    }

    /// The wanted vectors and half of the rest: enough to keep what was learnt, with room for new steps.
    fn kept_at_restart(&self, n: usize) -> usize {
        let (k, m) = (self.wanted.total(), self.basis_size(n));
        (k + (m - k) / 2).min(m - 1).max(1)
    }
}
