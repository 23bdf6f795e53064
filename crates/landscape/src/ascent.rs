//! Directions that the gradient g gives: the perturbations of sharpness-aware minimization, and Adam's step.
//!
//! A coordinate along a perturbation is its radius rho.

use relief_hessian::{Error, Result};

/// A direction made from the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ascent {
    /// g / |g|: steepest ascent, and the perturbation of SAM with the Euclidean norm (Foret et al. 2021, eq. 2 with p = 2).
    Gradient,
    /// sign(g): the perturbation of SAM with the maximum norm (Foret et al. 2021, eq. 2 with p = infinity).
    Sign,
    /// w^2 g / |w g|, entry by entry: the perturbation of adaptive SAM with the Euclidean norm (Kwon et al. 2021, eq. 9).
    Adaptive,
    /// -g / (|g| + epsilon), entry by entry: Adam's first step per unit of its step size, epsilon 1e-8 (Kingma & Ba 2015).
    Adam,
}

impl Ascent {
    /// The direction at the point `at` with gradient `gradient`; an error where the gradient is zero or not finite.
    pub fn direction(self, gradient: &[f64], at: &[f64]) -> Result<Vec<f64>> {
        let square: f64 = gradient.iter().map(|g| g * g).sum();
        if !square.is_finite() || square == 0.0 {
            return Err(Error::Input(format!(
                "the gradient's norm is {}, so it has no direction here: take another direction",
                square.sqrt()
            )));
        }
        Ok(match self {
            Self::Gradient => gradient.iter().map(|g| g / square.sqrt()).collect(),
            Self::Sign => gradient.iter().map(|g| if *g == 0.0 { 0.0 } else { g.signum() }).collect(),
            Self::Adaptive => {
                let weighted: f64 = gradient.iter().zip(at).map(|(g, w)| (g * w).powi(2)).sum();
                if weighted == 0.0 {
                    return Err(Error::Input(
                        "gradient times weights is zero everywhere, so adaptive SAM has no direction here"
                            .into(),
                    ));
                }
                gradient.iter().zip(at).map(|(g, w)| w * w * g / weighted.sqrt()).collect()
            }
            Self::Adam => gradient.iter().map(|g| -g / (g.abs() + 1e-8)).collect(),
        })
    }
}
