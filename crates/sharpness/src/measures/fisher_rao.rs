//! The Fisher-Rao norm of the weights.

use candle_core::Tensor;
use relief_hessian::{Error, Result};

use super::centre::Centre;
use super::measure::{Cost, Invariance, Measure, Uncertainty};

/// What the measure must know of the loss: for a batch (by its place), its outputs and a direction shaped like them, the
/// derivative of every example's loss along the direction.
pub type Slopes<'s> = dyn Fn(usize, &Tensor, &Tensor) -> Result<Vec<f64>> + 's;

/// sqrt(mean over examples of <w, grad `l_i`>^2) (Liang et al. 2019, with the empirical Fisher matrix), from
/// one product with the Jacobian: <w, grad `l_i`> = <d`l_i`/df, J w>.
///
/// Beside it, as `homogeneous`, the form for networks of so many `layers` without biases, where J w = layers f: layers sqrt(mean <d`l_i`/df, f>^2). Weight decay is left out.
pub fn fisher_rao(centre: &Centre<'_>, layers: usize, slopes: &Slopes<'_>) -> Result<Measure> {
    let (objective, at) = (centre.objective(), centre.at());
    let direction = at.unflatten(centre.point())?;
    let (mut square, mut homogeneous) = (0.0, 0.0);
    for batch in 0..objective.batches() {
        let outputs = objective.evaluate(at, batch)?.outputs.ok_or_else(|| {
            Error::Input("this objective does not tell its outputs, so it has no Fisher-Rao norm".into())
        })?;
        let along = rayon::scope(|_| objective.linearize(at, batch)?.jvp(&direction))?;
        let weight = objective.weight(batch);
        square += weight * mean_square(&slopes(batch, &outputs, &along)?);
        homogeneous += weight * mean_square(&slopes(batch, &outputs, &outputs)?);
    }
    let measure = Measure::new(
        "fisher-rao",
        "sqrt(mean over examples of (w'g_i)^2), g_i the gradient of an example's loss",
        square.sqrt(),
        Uncertainty::Exact,
        Invariance::Rescaling,
    );
    Ok(measure.with_beside("homogeneous", layers as f64 * homogeneous.sqrt()).with_cost(Cost {
        products: 1,
        gradients: 0,
        evaluations: 1,
    }))
}

fn mean_square(slopes: &[f64]) -> f64 {
    slopes.iter().map(|s| s * s).sum::<f64>() / slopes.len().max(1) as f64
}
