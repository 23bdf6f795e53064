//! What the noise of mini-batches does, as measures.

use relief_hessian::{Curvature, FiniteSum, Result, Silent, SymmetricOperator};

use super::measure::{Cost, Invariance, Measure, Uncertainty};
use super::spectral::done;
use crate::alignment::HessianGradient;
use crate::noise::{Mean, Noise};

/// Batch sharpness, gradient-noise interaction, and the two scales of the gradient's noise, each with its standard error over
/// mini-batches that are drawn until the batch sharpness is as exact as `settings` ask (see [`Noise`]). What needs noise or a
/// gradient is left out where there is none, and the second scale where the loss does not bend up along the gradient.
pub fn gradient_noise(
    examples: &dyn FiniteSum,
    curvature: &Curvature<'_>,
    settings: &Noise,
    seed: u64,
) -> Result<Vec<Measure>> {
    let found = done(settings.run(examples, curvature, None, seed, &mut Silent)?)?;
    let slope = curvature.gradient();
    let mut product = vec![0.0; slope.len()];
    curvature.hessian().apply(slope, &mut product)?;
    let scale = HessianGradient::new(slope, &product).and_then(|h| found.hessian_scale(h.rayleigh));
    let rows = [
        ("batch-sharpness", "mean over batches B of g_B'H_B g_B / |g_B|^2", Some(found.batch_sharpness)),
        ("gradient-noise-interaction", "mean over batches B of g_B'H g_B / |g|^2", found.interaction),
        ("gradient-noise-scale", "tr(Cov g_i) / |g|^2 of single examples, in examples", found.scale),
        ("hessian-noise-scale", "tr(H Cov g_i) / g'Hg of single examples, in examples", scale),
    ];
    let [gradients, products] = found.work.map(|work| work.div_ceil(examples.examples()));
    let mut cost = Cost { gradients, products: products + 1, evaluations: 0 };
    let measure = |(name, definition, mean): (&str, &str, Option<Mean>)| {
        let Mean { value, standard_error } = mean?;
        let uncertainty =
            standard_error.map_or(Uncertainty::Exact, |size| Uncertainty::StandardError { size });
        // Scales are ratios of what the loss's factor enters alike.
        let invariance = if name.ends_with("scale") { Invariance::LossScale } else { Invariance::Nothing };
        let remedy = "allow more draws of mini-batches, or ask for a larger error";
        Some(
            Measure::new(name, definition, value, uncertainty, invariance)
                .with_setting("m", found.batch as f64)
                .with_beside("batches", found.draws as f64)
                .with_cost(std::mem::take(&mut cost))
                .with_remedy((!found.reached && name == "batch-sharpness").then_some(remedy)),
        )
    };
    Ok(rows.into_iter().filter_map(measure).collect())
}
