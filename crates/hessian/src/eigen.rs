//! Eigenpairs that say how good they are.

use serde::{Deserialize, Serialize};

use crate::lanczos::Wanted;
use crate::spectrum::Probe;

/// An eigenvalue and its certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EigenPair {
    /// Rayleigh quotient y'Ay of the unit vector y.
    pub value: f64,
    /// |A y - value y|, computed with a product of its own (estimated where the budget was spent).
    pub residual: f64,
    /// The eigenvalue of this rank lies within this distance: min(r, r^2 / gap) once missed copies were looked for and the
    /// gap to the others exceeds r; else no less than r, nor than the distance at which values are not told apart. An
    /// allowance for the rounding of the products is part of it.
    pub error_bound: f64,
    /// Radians between y and an eigenvector, at most arcsin(r / gap); `None` where the gap is not known to exceed r: there
    /// only the subspace of neighbours means anything.
    pub angle_bound: Option<f64>,
    /// Whether the residual met the tolerance, as did all before it in its list, and missed copies were looked for (where
    /// the settings say so): only then is its rank known.
    pub converged: bool,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every pair met the tolerance.
    Converged,
    /// The products were used up first.
    BudgetSpent,
    /// The products' own rounding (or randomness) keeps the residuals above the tolerance.
    NoiseFloor,
}

impl Status {
    /// What to do about it, where there is something to do.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Converged => None,
            Self::BudgetSpent => Some("the products were used up; allow more, or ask for a larger tolerance"),
            Self::NoiseFloor => {
                Some("the products are not exact enough for this tolerance; use f64 or ask for a larger one")
            }
        }
    }
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eigen {
    /// The largest, descending.
    pub largest: Vec<EigenPair>,
    /// The smallest, ascending.
    pub smallest: Vec<EigenPair>,
    /// The largest in magnitude, descending in magnitude.
    pub magnitude: Vec<EigenPair>,
    /// Unit eigenvectors in the order of [`pairs`](Self::pairs).
    #[serde(skip)]
    pub vectors: Vec<Vec<f64>>,
    /// What the random vector that the search began with saw of the whole spectrum before the first restart, at no cost: a
    /// coarse [`Spectrum`](crate::Spectrum). `None` for a search that began elsewhere.
    #[serde(skip)]
    pub probe: Option<Probe>,
    /// How it ended.
    pub status: Status,
    /// Products used, those for the residuals included.
    pub products: usize,
    /// Whether the complement of what was found was searched for missed copies.
    pub checked_for_missed_copies: bool,
    /// Relative residual that the converged pairs met: larger than asked where rounding allows no more.
    pub tolerance_used: f64,
    /// Radians between the space of all vectors found and the eigenvectors' own, at most arcsin(|R| / gap) with R the residuals
    /// and the gap to what was not wanted (Davis & Kahan 1970); `None` where that gap is not known to exceed |R|. Pairs that
    /// lie too close together to have an angle of their own may have this one.
    pub subspace_angle_bound: Option<f64>,
    /// Largest rounding of the products that was seen, relative to [`scale`](Self::scale).
    pub noise_floor: f64,
    /// The largest |Ritz value|.
    pub scale: f64,
}

impl Eigen {
    /// Sorts pairs that are in the order of `wanted` under their headings.
    pub(crate) fn new(wanted: Wanted, mut pairs: Vec<EigenPair>, vectors: Vec<Vec<f64>>) -> Self {
        let (mut largest, mut smallest, mut magnitude) = (vec![], vec![], vec![]);
        match wanted {
            Wanted::Largest { .. } => largest = pairs,
            Wanted::Smallest { .. } => smallest = pairs,
            Wanted::Magnitude { .. } => magnitude = pairs,
            Wanted::Both { largest: k, .. } => {
                smallest = pairs.split_off(k.min(pairs.len()));
                largest = pairs;
            }
        }
        Self {
            largest,
            smallest,
            magnitude,
            vectors,
            probe: None,
            status: Status::BudgetSpent,
            products: 0,
            checked_for_missed_copies: false,
            tolerance_used: 0.0,
            subspace_angle_bound: None,
            noise_floor: 0.0,
            scale: 0.0,
        }
    }

    pub(crate) fn with_work(self, status: Status, products: usize, checked: bool) -> Self {
        Self { status, products, checked_for_missed_copies: checked, ..self }
    }

    pub(crate) fn with_accuracy(self, tolerance_used: f64, noise_floor: f64, scale: f64) -> Self {
        Self { tolerance_used, noise_floor, scale, ..self }
    }

    /// All pairs: the largest, then the smallest, then those by magnitude.
    pub fn pairs(&self) -> impl Iterator<Item = &EigenPair> {
        self.largest.iter().chain(&self.smallest).chain(&self.magnitude)
    }
}
