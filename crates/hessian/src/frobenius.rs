//! The Frobenius norm of a symmetric operator from random products, with a standard error.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::lanczos::{Observer, Outcome};
use crate::operator::SymmetricOperator;
use crate::sampling::independent::Forms;
use crate::sampling::leave_out::LeaveOut;
use crate::sampling::probes::Entries;
use crate::sampling::run::{Ending, Method};
use crate::sampling::sketch::Sketch;
use crate::sampling::statistics::{Scalar, exchangeable, independent};
use crate::sampling::work::{Work, misplaced};
use crate::sampling::{EstimateState, EstimateStatus, Estimating, Interim, Sampling};

/// How the Frobenius norm is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrobeniusMethod {
    /// The mean of |Aw|^2 over random w with |w|^2 = n. Keeps no vectors.
    Independent,
    /// Every probe, tested on what the others leave of the matrix, as in XTrace and from the same products. With P the
    /// projection onto what the others found, |A|^2 = 2 |AP|^2 - |PAP|^2 + |(I - P) A (I - P)|^2 for symmetric A: all but
    /// the last are computed.
    #[default]
    LeaveOneOut,
}

/// Settings of the estimate of a Frobenius norm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Frobenius {
    /// How.
    pub method: FrobeniusMethod,
    /// How many products, and which.
    pub sampling: Sampling,
}

/// An estimate of a Frobenius norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrobeniusEstimate {
    /// |A|_F: the root of an estimate of |A|_F^2 that has no bias for a given number of products.
    pub value: f64,
    /// Standard error, with an allowance for rounding.
    pub error_estimate: f64,
    /// Samples behind the error estimate; none where the value is exact.
    pub samples: usize,
    /// Products used.
    pub products: usize,
    /// How it was estimated.
    pub method: FrobeniusMethod,
    /// How it ended.
    pub status: EstimateStatus,
    /// Roots of the samples one by one, estimates of |A|^2 whose mean the square of the value is; 0 where
    /// one is negative.
    #[serde(default)]
    pub estimates: Vec<f64>,
    /// What was concluded on the way, the last being this estimate.
    #[serde(default)]
    pub history: Vec<Interim>,
}

impl Frobenius {
    /// Estimates the norm.
    ///
    /// Errors: settings that do not fit together, products that are not finite.
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<FrobeniusEstimate, EstimateState>> {
        let (n, seed) = (operator.dim(), self.sampling.seed);
        let work = match self.method {
            FrobeniusMethod::Independent => Work::Forms(Forms::new(n, seed)),
            FrobeniusMethod::LeaveOneOut => Work::Sketch(Sketch::new(n, seed, Entries::Normal)),
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
    ) -> Result<Outcome<FrobeniusEstimate, EstimateState>> {
        state.belongs_to(&format!("{self:?}"), operator.dim())?;
        let outcome =
            self.sampling.run(&self.method(), operator, state, observer, |work| self.conclude(work))?;
        Ok(outcome.map(|Ending { conclusion, status, products, history }| FrobeniusEstimate {
            value: conclusion.value,
            error_estimate: conclusion.error,
            samples: conclusion.samples.len(),
            products,
            method: self.method,
            status,
            estimates: conclusion.samples,
            history,
        }))
    }

    fn method(&self) -> Method {
        let (name, least, keeps_vectors) = match self.method {
            FrobeniusMethod::Independent => ("the mean of |Aw|^2", 2, false),
            FrobeniusMethod::LeaveOneOut => ("the norm by leaving one out", 4, true),
        };
        Method { name, least, keeps_vectors, by_columns: true, tall: false }
    }

    fn conclude(&self, work: &Work) -> Result<Scalar> {
        let square = match work {
            Work::Columns(columns) => Scalar::exact(columns.norm().powi(2)),
            Work::Forms(forms) => independent(&forms.squares),
            Work::Sketch(sketch) => square(sketch),
            _ => return Err(misplaced()),
        };
        let value = square.value.sqrt();
        // d sqrt(x) = dx / (2 sqrt(x)).
        let error = if value > 0.0 { 0.5 * square.error / value } else { 0.0 };
        let samples = square.samples.iter().map(|x| x.max(0.0).sqrt()).collect();
        Ok(Scalar { value, error, samples }.with_rounding(0.0, self.sampling.unit_roundoff))
    }
}

fn square(sketch: &Sketch) -> Scalar {
    let left_out = LeaveOut::new(sketch);
    if sketch.exhausted() {
        return Scalar::exact(left_out.inside.square);
    }
    let (own, without) = left_out.samples();
    let own: Vec<f64> = own.iter().map(|s| s.square).collect();
    let without: Vec<Vec<f64>> = without.iter().map(|row| row.iter().map(|s| s.square).collect()).collect();
    exchangeable(&own, &without)
}
