//! The highest loss within a ball around the weights.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ascent::{Apgd, Ascent, Ball, Chart};
use super::centre::Centre;
use super::measure::{Invariance, Measure, Uncertainty};
use crate::Scale;

/// max L(w + epsilon) - L(w) over |T^-1 epsilon| <= rho (Keskar et al. 2017; Andriushchenko et al. 2023).
///
/// With scales T the ball is an ellipsoid or a box; entries with T = 0 stay. A search finds a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// The norm.
    pub ball: Ball,
    /// The radius rho.
    pub rho: f64,
    /// The scales T.
    #[serde(default)]
    pub scale: Scale,
    /// How it is searched.
    #[serde(default)]
    pub search: Apgd,
}

impl WorstCase {
    /// The highest point found. A radius must be finite and not negative.
    pub fn ascend(&self, centre: &Centre<'_>) -> Result<Ascent> {
        check_radius(self.rho)?;
        let scales = self.scale.at(centre.at())?;
        let chart = scales.as_deref().map_or(Chart::Whole, Chart::Scaled);
        self.search.maximise(centre, &chart, self.ball, self.rho)
    }

    /// The rise found.
    pub fn measure(&self, centre: &Centre<'_>) -> Result<Measure> {
        let before = centre.cost();
        let found = self.ascend(centre)?;
        let (name, norm) = match self.ball {
            Ball::L2 => ("l2", "|e/T|_2"),
            Ball::Linf => ("linf", "|e/T|_inf"),
        };
        let length = found.displacement.iter().map(|e| e * e).sum::<f64>().sqrt();
        let measure = Measure::new(
            format!("{}worst-case-{name}", self.scale.prefix()),
            format!("max L(w + e) - L(w) over {norm} <= rho, {}", self.scale.formula()),
            found.rise,
            Uncertainty::LowerBound,
            Invariance::of(self.scale),
        );
        let measure = measure
            .with_setting("rho", self.rho)
            .with_beside("displacement_norm", length)
            .with_cost(centre.cost() - before);
        Ok(self.scale.eta().iter().fold(measure, |measure, eta| measure.with_setting("eta", *eta)))
    }
}

/// Radii are finite and not negative.
pub(crate) fn check_radius(rho: f64) -> Result<()> {
    if rho.is_finite() && rho >= 0.0 {
        return Ok(());
    }
    Err(Error::Input(format!("the radius is {rho}: give a finite number not below 0")))
}
