//! Sums over the eigenvalues of a positive semidefinite operator, with a damping: the logarithm of a determinant, the
//! effective dimension.

mod quadrature;

use serde::{Deserialize, Serialize};

use crate::lanczos::{Observer, Outcome};
use crate::operator::SymmetricOperator;
use crate::sampling::run::{Ending, Method};
use crate::sampling::work::{Work, misplaced};
use crate::sampling::{EstimateState, EstimateStatus, Estimating, Interim, Sampling};
use crate::{Error, Result};

pub(crate) use quadrature::Quadrature;
use quadrature::Sum;

/// What is summed over all n eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Summand {
    /// log(lambda + damping): the sum is log det(A + damping I).
    Logarithm,
    /// lambda / (lambda + damping): the sum is tr A (A + damping I)^-1, the number of parameters that the data determine
    /// (MacKay 1992).
    EffectiveDimension,
}

/// Settings of a sum over eigenvalues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectralSum {
    /// Of what.
    pub summand: Summand,
    /// What is added to every eigenvalue; above 0.
    pub damping: f64,
    /// How many products, and which.
    #[serde(default)]
    pub sampling: Sampling,
}

/// An estimate of a sum over eigenvalues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectralSumEstimate {
    /// The estimate.
    pub value: f64,
    /// Standard error over the probes, with half the distance between the bounds that the quadratures leave, and an
    /// allowance for rounding.
    pub error_estimate: f64,
    /// Probes, each with a quadrature of its own.
    pub probes: usize,
    /// Half the distance between the quadratures' bounds: what more steps for each probe could still change.
    pub quadrature_error: f64,
    /// Products used.
    pub products: usize,
    /// How it ended.
    pub status: EstimateStatus,
    /// The probes one by one, whose mean the value is.
    #[serde(default)]
    pub estimates: Vec<f64>,
    /// What was concluded on the way, the last being this estimate.
    #[serde(default)]
    pub history: Vec<Interim>,
}

impl SpectralSum {
    /// Estimates the sum by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017), each probe with as many steps as it
    /// needs.
    ///
    /// Errors: a damping that is not above 0, settings that do not fit together, products that are not finite, and a matrix
    /// that is seen not to be positive semidefinite.
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<SpectralSumEstimate, EstimateState>> {
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            let found = self.damping;
            return Err(Error::Input(format!("the damping is {found}, but must be a finite number above 0")));
        }
        let n = operator.dim();
        let work = Work::Quadrature(Quadrature::new(self, n));
        let state = self.sampling.begin(&METHOD, format!("{self:?}"), n, work)?;
        self.resume(operator, state, observer)
    }

    /// Goes on from the state of an interrupted run with the same settings and operator, to the same digits.
    pub fn resume(
        &self,
        operator: &dyn SymmetricOperator,
        state: EstimateState,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<SpectralSumEstimate, EstimateState>> {
        state.belongs_to(&format!("{self:?}"), operator.dim())?;
        let conclude = |work: &Work| match work {
            Work::Quadrature(task) => Ok(task.conclude()),
            _ => Err(misplaced()),
        };
        let outcome = self.sampling.run(&METHOD, operator, state, observer, conclude)?;
        Ok(outcome.map(
            |Ending { conclusion: Sum { scalar, quadrature_error }, status, products, history }| {
                SpectralSumEstimate {
                    value: scalar.value,
                    error_estimate: scalar.error,
                    probes: scalar.samples.len(),
                    quadrature_error,
                    products,
                    status,
                    estimates: scalar.samples,
                    history,
                }
            },
        ))
    }
}

const METHOD: Method =
    Method { name: "a sum over eigenvalues", least: 2, keeps_vectors: false, by_columns: false, tall: false };
