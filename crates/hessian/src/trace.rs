//! The trace of a symmetric operator from random products, with a standard error.

mod hutch_plus_plus;
mod hutchinson;
mod xnystrace;
mod xtrace;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::lanczos::{Observer, Outcome};
use crate::operator::SymmetricOperator;
use crate::sampling::independent::Forms;
use crate::sampling::probes::Entries;
use crate::sampling::run::{Ending, Method};
use crate::sampling::sketch::Sketch;
use crate::sampling::statistics::Scalar;
use crate::sampling::work::{Work, misplaced};
use crate::sampling::{EstimateState, EstimateStatus, Estimating, Interim, Sampling};

pub(crate) use hutch_plus_plus::HutchPlusPlus;
pub(crate) use xnystrace::Nystrom;

/// How the trace is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceMethod {
    /// The mean of w'Aw over random w with |w|^2 = n (Girard 1989, Hutchinson 1990). Keeps no vectors. Its error falls as
    /// 1 / sqrt(products), whatever the spectrum.
    Hutchinson,
    /// The trace on the range that a third of the products find, and Hutchinson's estimate outside (Meyer, Musco, Musco &
    /// Woodruff 2021).
    #[serde(rename = "hutch++")]
    HutchPlusPlus,
    /// Every probe, tested on what the others leave of the matrix (Epperly, Tropp & Webber 2024): the best for indefinite
    /// matrices whose spectrum decays, as Hessians' do.
    #[default]
    #[serde(rename = "xtrace")]
    XTrace,
    /// The same with Nystrom approximations, which find twice as much from as many products (same paper). For positive
    /// semidefinite matrices only: Gauss-Newton, Fisher. One product looks for negative eigenvalues in the most doubtful
    /// direction, and a matrix that has some there is refused; one that passes although it has some is estimated without bias,
    /// but not to be relied on.
    #[serde(rename = "xnystrace")]
    XNysTrace,
}

/// Settings of the estimate of a trace.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trace {
    /// How.
    pub method: TraceMethod,
    /// How many products, and which.
    pub sampling: Sampling,
}

/// An estimate of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceEstimate {
    /// The estimate. For a given number of products it has no bias.
    pub value: f64,
    /// Standard error, estimated from the same products, with an allowance for their rounding: an error exceeds it in about
    /// a third of all runs, and twice it in about a twentieth.
    pub error_estimate: f64,
    /// Samples behind the error estimate, which is known to about a share of 1 / sqrt(2 samples). None where the value is
    /// exact.
    pub samples: usize,
    /// Products used.
    pub products: usize,
    /// How it was estimated.
    pub method: TraceMethod,
    /// How it ended.
    pub status: EstimateStatus,
    /// The samples one by one, whose mean the value is.
    #[serde(default)]
    pub estimates: Vec<f64>,
    /// What was concluded on the way, the last being this estimate.
    #[serde(default)]
    pub history: Vec<Interim>,
}

impl Trace {
    /// Estimates the trace.
    ///
    /// Errors: settings that do not fit together, products that are not finite, and for [`TraceMethod::XNysTrace`] a matrix
    /// that is seen not to be positive semidefinite.
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Outcome<TraceEstimate, EstimateState>> {
        let (n, seed) = (operator.dim(), self.sampling.seed);
        let work = match self.method {
            TraceMethod::Hutchinson => Work::Forms(Forms::new(n, seed)),
            TraceMethod::HutchPlusPlus => Work::HutchPlusPlus(HutchPlusPlus::new(n, seed)),
            TraceMethod::XTrace => Work::Sketch(Sketch::new(n, seed, Entries::Normal)),
            TraceMethod::XNysTrace => Work::Nystrom(Nystrom::new(n, seed, self.sampling.unit_roundoff)),
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
    ) -> Result<Outcome<TraceEstimate, EstimateState>> {
        state.belongs_to(&format!("{self:?}"), operator.dim())?;
        let outcome =
            self.sampling.run(&self.method(), operator, state, observer, |work| self.conclude(work))?;
        Ok(outcome.map(|Ending { conclusion, status, products, history }| TraceEstimate {
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
            TraceMethod::Hutchinson => ("Hutchinson's estimator", 2, false),
            TraceMethod::HutchPlusPlus => ("Hutch++", 4, true),
            TraceMethod::XTrace => ("XTrace", 4, true),
            TraceMethod::XNysTrace => ("XNysTrace", 3, true),
        };
        let tall = self.method == TraceMethod::XNysTrace;
        Method { name, least, keeps_vectors, by_columns: true, tall }
    }

    fn conclude(&self, work: &Work) -> Result<Scalar> {
        let rounding = self.sampling.unit_roundoff;
        match work {
            Work::Columns(columns) => {
                let trace = Scalar::exact(columns.diagonal.iter().sum());
                Ok(trace.with_rounding(columns.norm(), rounding))
            }
            Work::Forms(forms) => Ok(hutchinson::conclude(forms, rounding)),
            Work::HutchPlusPlus(task) => Ok(task.conclude(rounding)),
            Work::Sketch(sketch) => Ok(xtrace::conclude(sketch, rounding)),
            Work::Nystrom(task) => task.conclude(),
            _ => Err(misplaced()),
        }
    }
}
