//! The diagonal of a symmetric operator from random products, with standard errors.

mod xdiag;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::lanczos::{Observer, Outcome, ROUNDING_UNITS, vectors};
use crate::operator::SymmetricOperator;
use crate::sampling::independent::SignProducts;
use crate::sampling::probes::Entries;
use crate::sampling::run::{Conclusion, Ending, Method};
use crate::sampling::sketch::Sketch;
use crate::sampling::work::{Work, misplaced};
use crate::sampling::{EstimateState, EstimateStatus, Estimating, Interim, Sampling};

/// How the diagonal is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagonalMethod {
    /// The mean of w * Aw, entry by entry, over random vectors w of signs (Bekas, Kokiopoulou & Saad 2007). Keeps two
    /// vectors.
    Independent,
    /// Every probe of signs, tested on what the others leave of the matrix, on both sides: (I - P) A (I - P) instead of the
    /// (I - P) A of Epperly, Tropp & Webber (2024), since the matrix is symmetric and the products are there.
    #[default]
    #[serde(rename = "xdiag")]
    XDiag,
}

/// Settings of the estimate of a diagonal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagonal {
    /// How.
    pub method: DiagonalMethod,
    /// How many products, and which. A relative error is one of the Euclidean norm over all entries.
    pub sampling: Sampling,
}

/// An estimate of a diagonal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagonalEstimate {
    /// The estimate, n entries. For a given number of products it has no bias.
    pub values: Vec<f64>,
    /// Standard errors of the entries.
    pub standard_errors: Vec<f64>,
    /// The root mean square that the Euclidean norm of the whole error has, with an allowance for rounding.
    pub error_estimate: f64,
    /// Samples behind the errors; none where the values are exact.
    pub samples: usize,
    /// Products used.
    pub products: usize,
    /// How it was estimated.
    pub method: DiagonalMethod,
    /// How it ended.
    pub status: EstimateStatus,
    /// The Euclidean norm of the estimate at every conclusion, the last one being this estimate's.
    #[serde(default)]
    pub history: Vec<Interim>,
}

/// An estimated vector.
struct Vector {
    values: Vec<f64>,
    standard_errors: Vec<f64>,
    error: f64,
    samples: usize,
}

impl Conclusion for Vector {
    fn value(&self) -> f64 {
        vectors::norm(&self.values)
    }

    fn error(&self) -> f64 {
        self.error
    }
}

impl Diagonal {
    /// Estimates the diagonal.
    ///
    /// Errors: settings that do not fit together, products that are not finite.
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<DiagonalEstimate, EstimateState>> {
        let (n, seed) = (operator.dim(), self.sampling.seed);
        let work = match self.method {
            DiagonalMethod::Independent => Work::SignProducts(SignProducts::new(n, seed)),
            DiagonalMethod::XDiag => Work::Sketch(Sketch::new(n, seed, Entries::Sign)),
        };
        let state = self.sampling.begin(&self.method(), format!("{self:?}"), n, work)?;
        self.resume(operator, state, observer)
    }

    /// Goes on from the state of an interrupted run with the same settings and operator, to the same digits.
    pub fn resume(
        &self,
        operator: &dyn SymmetricOperator,
        state: EstimateState,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<DiagonalEstimate, EstimateState>> {
        state.belongs_to(&format!("{self:?}"), operator.dim())?;
        let outcome =
            self.sampling.run(&self.method(), operator, state, observer, |work| self.conclude(work))?;
        Ok(outcome.map(|Ending { conclusion, status, products, history }| DiagonalEstimate {
            values: conclusion.values,
            standard_errors: conclusion.standard_errors,
            error_estimate: conclusion.error,
            samples: conclusion.samples,
            products,
            method: self.method,
            status,
            history,
        }))
    }

    fn method(&self) -> Method {
        let (name, least, keeps_vectors) = match self.method {
            DiagonalMethod::Independent => ("the mean of w * Aw", 2, false),
            DiagonalMethod::XDiag => ("XDiag", 4, true),
        };
        Method { name, least, keeps_vectors, by_columns: true, tall: false }
    }

    fn conclude(&self, work: &Work) -> Result<Vector> {
        let (values, standard_errors, samples, norm) = match work {
            Work::Columns(all) => (all.diagonal.clone(), vec![0.0; all.n], 0, all.norm()),
            Work::SignProducts(sums) => {
                let (values, errors) = sums.mean_and_errors();
                (values, errors, sums.done, sums.norm())
            }
            Work::Sketch(sketch) => {
                let (values, errors) = xdiag::estimate(sketch);
                (values, errors, sketch.probes(), sketch.norm())
            }
            _ => return Err(misplaced()),
        };
        let rounding = ROUNDING_UNITS * self.sampling.unit_roundoff * (norm + vectors::norm(&values));
        let error = vectors::norm(&standard_errors).hypot(rounding);
        Ok(Vector { values, standard_errors, error, samples })
    }
}
