//! Estimating from random products of a symmetric operator: settings and endings that all estimators share.
//!
//! An estimator plans some products, and draws a conclusion with an error estimate when they are done. Asked for a relative
//! error, it doubles its plan until the conclusion is good enough, and uses every product again. There are few conclusions,
//! so that stopping at a good one is hardly stopping by chance. Where the next plan would cost no less than computing the
//! matrix column by column, that is done instead, and the result is exact.

pub(crate) mod basis;
pub(crate) mod columns;
pub(crate) mod directions;
pub(crate) mod independent;
pub(crate) mod leave_out;
pub(crate) mod packed;
pub(crate) mod probes;
pub(crate) mod run;
pub(crate) mod sketch;
pub(crate) mod state;
pub(crate) mod statistics;
pub(crate) mod work;

use serde::{Deserialize, Serialize};

use crate::DEFAULT_MEMORY;

pub use state::EstimateState;

/// When an estimate is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Once [`Sampling::deviations`] error estimates are at most this share of the value.
    RelativeError(f64),
    /// After that many products, or the few less that the method can use. With as many as the matrix has rows, the result
    /// is exact.
    Products(usize),
}

/// Settings that all estimators share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// When to stop.
    pub target: Target,
    /// How many error estimates must fit into the target's relative error: twice its error estimate holds the error of an
    /// estimate in about 95 of 100 runs.
    pub deviations: f64,
    /// Products at most.
    pub max_products: usize,
    /// Bytes of vectors that may be kept from product to product. The methods that learn from earlier products keep one
    /// vector of n f64 for each product, the others at most two in all; a block of eight products comes and goes besides.
    pub memory: usize,
    /// Unit roundoff of the products: 2^-53 for f64, 2^-24 for f32. Error estimates allow for it.
    pub unit_roundoff: f64,
    /// Seed of all probes: probe number i has the entries that stream i of `ChaCha8Rng` draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            target: Target::RelativeError(0.01),
            deviations: 2.0,
            max_products: 1000,
            memory: DEFAULT_MEMORY,
            unit_roundoff: f64::EPSILON / 2.0,
            seed: 0,
        }
    }
}

/// How an estimation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EstimateStatus {
    /// Nothing was left to estimate: the value is exact to rounding.
    Exact,
    /// The target was reached.
    Reached,
    /// The products allowed were used up first.
    BudgetSpent,
    /// The vectors kept filled the memory allowed first.
    MemorySpent,
}

impl EstimateStatus {
    /// What to do about it, where there is something to do.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Exact | Self::Reached => None,
            Self::BudgetSpent => Some("the products were used up; allow more, or ask for a larger error"),
            Self::MemorySpent => {
                Some("the memory for vectors was used up; allow more, or use a method that keeps none")
            }
        }
    }
}

/// What was concluded from the products up to some point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interim {
    /// Products so far.
    pub products: usize,
    /// The value that they give; of a vector, its norm.
    pub value: f64,
    /// Its error estimate.
    pub error_estimate: f64,
}

/// Where an estimation stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimating {
    /// Products so far.
    pub products: usize,
    /// Products planned until the next conclusion.
    pub planned: usize,
    /// Products at most.
    pub max_products: usize,
    /// The size of the last conclusion's value (of a vector, its norm), where there was one.
    pub value: Option<f64>,
    /// Its error estimate.
    pub error_estimate: Option<f64>,
}
