//! Measures that are functions of the Hessian's eigenvalues, and the gradient's norm.

use relief_hessian::{
    Eigen, EigenPair, Error, EstimateStatus, Frobenius, Lanczos, Outcome, Result, Sampling, Silent,
    SpectralSum, Summand, SymmetricOperator, Trace, Wanted,
};

use super::centre::Centre;
use super::measure::{Cost, Invariance, Measure, Uncertainty};

/// The largest and the smallest eigenvalue from one search, each with its bound. Of the settings, `wanted` is replaced.
pub fn eigenvalues(hessian: &dyn SymmetricOperator, settings: &Lanczos) -> Result<[Measure; 2]> {
    let both = Wanted::Both { largest: 1, smallest: usize::from(hessian.dim() > 1) };
    let found = search(hessian, &Lanczos { wanted: both, ..settings.clone() })?;
    let largest = &found.largest[0];
    let smallest = found.smallest.first().unwrap_or(largest);
    let max = eigenvalue(("lambda-max", "largest eigenvalue of H", Invariance::Nothing), largest, &found);
    let min = eigenvalue(("lambda-min", "smallest eigenvalue of H", Invariance::Nothing), smallest, &found);
    // One search found both.
    Ok([max, min.with_cost(Cost::default())])
}

/// tr H, with its standard error.
pub fn trace(hessian: &dyn SymmetricOperator, sampling: &Sampling) -> Result<Measure> {
    trace_of(("trace", "tr H", Invariance::Nothing), hessian, sampling)
}

/// The Frobenius norm of H, with its standard error.
pub fn frobenius(hessian: &dyn SymmetricOperator, sampling: &Sampling) -> Result<Measure> {
    let settings = Frobenius { sampling: sampling.clone(), ..Frobenius::default() };
    let found = done(settings.run(hessian, &mut Silent)?)?;
    let what = ("frobenius", "|H|_F = sqrt(tr H^2)", Invariance::Nothing);
    Ok(estimate(what, (found.value, found.error_estimate), found.status, found.products))
}

/// tr G (G + damping)^-1 of the Gauss-Newton matrix G: how many parameters the data determine (`MacKay` 1992). G must have
/// no negative eigenvalues.
pub fn effective_dimension(
    gauss_newton: &dyn SymmetricOperator,
    damping: f64,
    sampling: &Sampling,
) -> Result<Measure> {
    let settings = SpectralSum { summand: Summand::EffectiveDimension, damping, sampling: sampling.clone() };
    let found = done(settings.run(gauss_newton, &mut Silent)?)?;
    let what = ("effective-dimension", "tr G (G + damping)^-1, G Gauss-Newton", Invariance::Nothing);
    let measure = estimate(what, (found.value, found.error_estimate), found.status, found.products);
    Ok(measure.with_setting("damping", damping))
}

/// The Euclidean norm of the gradient.
pub fn gradient_norm(centre: &Centre<'_>) -> Measure {
    let norm = centre.gradient().iter().map(|g| g * g).sum::<f64>().sqrt();
    let cost = Cost { gradients: 1, ..Cost::default() };
    Measure::new("gradient-norm", "|g|_2", norm, Uncertainty::Exact, Invariance::Nothing).with_cost(cost)
}

/// `lambda_max` / L: with cross-entropy, curvature falls with the loss itself, as the softmax saturates. None where the loss
/// is zero.
pub fn over_loss(lambda_max: &Measure, loss: f64) -> Option<Measure> {
    let uncertainty = match lambda_max.uncertainty {
        Uncertainty::Bound { size } => Uncertainty::Bound { size: size / loss.abs() },
        other => other,
    };
    let measure = Measure::new(
        "lambda-max-over-loss",
        "lambda-max / L(w)",
        lambda_max.value / loss,
        uncertainty,
        Invariance::LossScale,
    );
    (loss != 0.0).then_some(measure.with_remedy(lambda_max.remedy.as_deref()))
}

/// The result of a run that is watched by nobody.
pub(crate) fn done<T, S>(outcome: Outcome<T, S>) -> Result<T> {
    match outcome {
        Outcome::Done(result) => Ok(result),
        Outcome::Interrupted(_) => Err(Error::Other("the run was interrupted".into())),
    }
}

/// Name, definition and invariance.
pub(crate) type What<'w> = (&'w str, &'w str, Invariance);

pub(crate) fn trace_of(
    what: What<'_>,
    operator: &dyn SymmetricOperator,
    sampling: &Sampling,
) -> Result<Measure> {
    let settings = Trace { sampling: sampling.clone(), ..Trace::default() };
    let found = done(settings.run(operator, &mut Silent)?)?;
    Ok(estimate(what, (found.value, found.error_estimate), found.status, found.products))
}

pub(crate) fn search(operator: &dyn SymmetricOperator, settings: &Lanczos) -> Result<Eigen> {
    done(settings.run(operator, None, &mut Silent)?)
}

pub(crate) fn eigenvalue(
    (name, definition, invariance): What<'_>,
    pair: &EigenPair,
    found: &Eigen,
) -> Measure {
    let remedy = if pair.converged { None } else { found.status.remedy() };
    Measure::new(name, definition, pair.value, Uncertainty::Bound { size: pair.error_bound }, invariance)
        .with_beside("residual", pair.residual)
        .with_cost(Cost::products(found.products))
        .with_remedy(remedy)
}

pub(crate) fn estimate(
    (name, definition, invariance): What<'_>,
    (value, size): (f64, f64),
    status: EstimateStatus,
    products: usize,
) -> Measure {
    let uncertainty = match status {
        EstimateStatus::Exact => Uncertainty::Exact,
        _ => Uncertainty::StandardError { size },
    };
    Measure::new(name, definition, value, uncertainty, invariance)
        .with_cost(Cost::products(products))
        .with_remedy(status.remedy())
}
