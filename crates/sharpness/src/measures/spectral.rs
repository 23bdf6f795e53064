//! Measures that are functions of the Hessian's eigenvalues, and the gradient's norm.

use relief_hessian::{
    Eigen, EigenPair, Error, EstimateStatus, Frobenius, Lanczos, Outcome, Result, Sampling, Silent,
    SpectralSum, Summand, SymmetricOperator, Trace, Wanted,
};

use super::centre::Centre;
use super::measure::{Cost, Invariance, Measure, Uncertainty};
use crate::alignment::Alignment;

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

/// Largest eigenvalue and trace of a matrix that stands in for H: `matrix` is its letter and what it is, such as
/// `("G", "Gauss-Newton")`, in the definitions. Of the search's settings, `wanted` is replaced.
pub fn stand_in(
    (letter, matrix): (&str, &str),
    operator: &dyn SymmetricOperator,
    settings: &Lanczos,
    sampling: &Sampling,
) -> Result<[Measure; 2]> {
    let name = matrix.to_lowercase().replace(' ', "-");
    let found = search(operator, &Lanczos { wanted: Wanted::Largest { k: 1 }, ..settings.clone() })?;
    let top = (format!("{name}-lambda-max"), format!("largest eigenvalue of {letter}, {matrix}"));
    let all = (format!("{name}-trace"), format!("tr {letter}, {matrix}"));
    Ok([
        eigenvalue((&top.0, &top.1, Invariance::Nothing), &found.largest[0], &found),
        trace_of((&all.0, &all.1, Invariance::Nothing), operator, sampling)?,
    ])
}

/// |H|, the largest magnitude of an eigenvalue, from both ends of the spectrum: the larger of the two, with its own bound.
pub fn operator_norm(lambda_max: &Measure, lambda_min: &Measure) -> Measure {
    let larger = if lambda_max.value.abs() >= lambda_min.value.abs() { lambda_max } else { lambda_min };
    let definition = "|H| = max(|lambda-max|, |lambda-min|)";
    Measure::new("operator-norm", definition, larger.value.abs(), larger.uncertainty, Invariance::Nothing)
        .with_remedy(larger.remedy.as_deref())
}

/// How far the top k eigenvectors V stand out: `lambda_1` / `lambda_k` (Jastrzebski et al. 2020, for k = 5), and |V'g| / |g|, the share
/// of the gradient in their space, each with its bound. Of the settings, `wanted` is replaced; k is cut to the dimension.
///
/// A ratio that is not between positive eigenvalues is left out, and so is the share of a gradient of zero, or one whose space
/// is not told apart from the rest of the spectrum.
pub fn confinement(
    hessian: &dyn SymmetricOperator,
    centre: &Centre<'_>,
    k: usize,
    settings: &Lanczos,
) -> Result<Vec<Measure>> {
    let k = k.clamp(1, hessian.dim());
    let found = search(hessian, &Lanczos { wanted: Wanted::Largest { k }, ..settings.clone() })?;
    let remedy = found.status.remedy();
    let pairs = &found.largest;
    let (first, last) = (&pairs[0], &pairs[pairs.len() - 1]);
    let mut rows = vec![];
    if last.value > last.error_bound {
        let ratio = first.value / last.value;
        let size = (first.error_bound + ratio * last.error_bound) / (last.value - last.error_bound);
        rows.push(Measure::new(
            "lambda-ratio",
            "lambda_1 / lambda_k",
            ratio,
            Uncertainty::Bound { size },
            Invariance::LossScale,
        ));
    }
    if let Some((share, size)) =
        Alignment::new(centre.gradient(), &found).and_then(|a| Some((a.top, a.top_bound?)))
    {
        rows.push(Measure::new(
            "gradient-confinement",
            "|V'g| / |g|, V the top k eigenvectors of H",
            share,
            Uncertainty::Bound { size },
            Invariance::LossScale,
        ));
    }
    // One search found all.
    let cost = Cost::products(found.products);
    let with = |(i, row): (usize, Measure)| {
        let row = row.with_setting("k", pairs.len() as f64).with_remedy(remedy);
        if i == 0 { row.with_cost(cost) } else { row }
    };
    Ok(rows.into_iter().enumerate().map(with).collect())
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
