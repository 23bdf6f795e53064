//! Extreme eigenvalues of a symmetric operator: thick-restart Lanczos with full orthogonalisation.
//!
//! Every product is orthogonalised against the whole basis, and its coefficients are the projected matrix, so that
//! the projection stays exact after restarts, breakdowns and fresh random vectors (Wu & Simon 2000; Stewart 2001). A search
//! may start from many vectors: what their products have outside the basis waits, and each step multiplies where the
//! leading pair's residual points. When the wanted Ritz values have converged, the orthogonal complement of all that is
//! known is searched from a random vector, to find copies of multiple eigenvalues that one Krylov space cannot see, until it
//! is all but certain that there are none. At the end the residuals are certified with products of their own.

mod certify;
mod check;
mod complement;
pub(crate) mod krylov;
mod progress;
mod search;
mod state;
pub(crate) mod vector;
pub(crate) mod vectors;
mod wanted;

use serde::{Deserialize, Serialize};

use crate::eigen::Eigen;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

pub use progress::{Control, Observer, Progress, Silent};
pub use state::LanczosState;
pub use wanted::Wanted;

use state::Phase;

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
/// Numbers that the basis holds by default, where that is not too few vectors: half a gigabyte.
const BASIS_ENTRIES: usize = 1 << 26;

impl Lanczos {
    /// Runs from a random vector, or from `start` vectors (eigenvectors of a nearby matrix): from each of them where the
    /// product with their sum shows that they are near, at a product each, and otherwise from that sum.
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
        // A restart holds the old vectors and the new.
        state.krylov.settle(operator, state.n, 2 * self.basis_size(state.n) + self.wanted.total())?;
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
}
