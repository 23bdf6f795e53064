//! How far the one step of sharpness-aware minimization climbs.

use relief_hessian::Result;

use super::centre::Centre;
use super::measure::{Invariance, Measure, Uncertainty};
use super::worst_case::check_radius;
use crate::Perturbation;

/// L(w + epsilon) - L(w) for the perturbation epsilon of radius rho: the linearized maximum over a ball (Foret et al. 2021,
/// eq. 2; adaptive: Kwon et al. 2021, eq. 8). Exact, one evaluation.
pub fn sam_ascent(centre: &Centre<'_>, perturbation: &Perturbation, rho: f64) -> Result<Measure> {
    check_radius(rho)?;
    let before = centre.cost();
    let mut epsilon = perturbation.direction(centre.gradient(), centre.at())?;
    epsilon.iter_mut().for_each(|e| *e *= rho);
    let scale = perturbation.scale;
    let slope: f64 = epsilon.iter().zip(centre.gradient()).map(|(e, g)| e * g).sum();
    let measure = Measure::new(
        format!("{}sam-ascent-l{}", scale.prefix(), perturbation.norm),
        format!(
            "L(w + e) - L(w), e = argmax g'e over |e/T|_{} <= rho, {}",
            perturbation.norm,
            scale.formula()
        ),
        centre.rise(&epsilon)?,
        Uncertainty::Exact,
        Invariance::of(scale),
    );
    let measure =
        measure.with_setting("rho", rho).with_beside("first_order", slope).with_cost(centre.cost() - before);
    Ok(scale.eta().iter().fold(measure, |measure, eta| measure.with_setting("eta", *eta)))
}
