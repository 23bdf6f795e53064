//! Curvature relative to the size of every weight.

use relief_hessian::{Lanczos, Parameters, Result, Sampling, Scaled, SymmetricOperator, Wanted};

use super::measure::{Invariance, Measure};
use super::spectral::{eigenvalue, search, trace_of};
use crate::Scale;

/// tr(diag(w)^2 H), with its standard error: twice the mean rise for noise of relative size 1, to second order.
pub fn weighted_trace(
    hessian: &dyn SymmetricOperator,
    at: &Parameters,
    sampling: &Sampling,
) -> Result<Measure> {
    let what = ("weighted-trace", "tr(diag|w| H diag|w|)", Invariance::Rescaling);
    trace_of(what, &scaled(hessian, at)?, sampling)
}

/// The largest eigenvalue of diag|w| H diag|w|, with its bound: twice the adaptive worst case for a radius of 1, to second
/// order. Of the settings, `wanted` is replaced.
pub fn weighted_lambda_max(
    hessian: &dyn SymmetricOperator,
    at: &Parameters,
    settings: &Lanczos,
) -> Result<Measure> {
    let settings = Lanczos { wanted: Wanted::Largest { k: 1 }, ..settings.clone() };
    let found = search(&scaled(hessian, at)?, &settings)?;
    let what = ("weighted-lambda-max", "largest eigenvalue of diag|w| H diag|w|", Invariance::Rescaling);
    Ok(eigenvalue(what, &found.largest[0], &found))
}

fn scaled<'h>(
    hessian: &'h dyn SymmetricOperator,
    at: &Parameters,
) -> Result<Scaled<&'h dyn SymmetricOperator>> {
    Scaled::new(hessian, Scale::Magnitude.at(at)?.unwrap_or_default())
}
