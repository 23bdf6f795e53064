//! Where the loss rises fastest within a small ball: the perturbations of sharpness-aware minimization.

use relief_hessian::{Error, Parameters, Result};
use serde::{Deserialize, Deserializer, Serialize};

/// The maximiser of the linearized loss over the ball |T^-1 epsilon|_p <= rho: epsilon = rho T sign(g) |T g|^(q-1) /
/// |T g|_q^(q/p) with 1/p + 1/q = 1 (Foret et al. 2021, eq. 2; with scales T, Kwon et al. 2021, eq. 8 and 9).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Perturbation {
    /// The norm p, from 1 to infinity. JSON has no infinity: there it is null.
    #[serde(deserialize_with = "null_is_infinite")]
    pub norm: f64,
    /// The scales T.
    pub scale: Scale,
}

impl Default for Perturbation {
    fn default() -> Self {
        Self { norm: 2.0, scale: Scale::None }
    }
}

fn null_is_infinite<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

/// The scales of an adaptive perturbation, entry by entry. Published implementations differ.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// T = 1.
    #[default]
    None,
    /// T = |w| everywhere.
    Magnitude,
    /// T = |w| + eta everywhere.
    Shifted {
        /// Added to the magnitudes.
        eta: f64,
    },
    /// T = |w| + eta where the tensor's name contains `weight`, 1 elsewhere: the authors' own (eta 0.01).
    Weights {
        /// Added to the magnitudes.
        eta: f64,
    },
}

impl Scale {
    /// T, one number an entry; none where it is 1.
    pub fn at(self, point: &Parameters) -> Result<Option<Vec<f64>>> {
        let eta = match self {
            Self::None => return Ok(None),
            Self::Magnitude => 0.0,
            Self::Shifted { eta } | Self::Weights { eta } => eta,
        };
        let mut scales: Vec<f64> = point.to_vec()?.iter().map(|w| w.abs() + eta).collect();
        if let Self::Weights { .. } = self {
            for (_, range) in point.ranges().into_iter().filter(|(name, _)| !name.contains("weight")) {
                scales[range].fill(1.0);
            }
        }
        Ok(Some(scales))
    }
}

impl Perturbation {
    /// The perturbation of radius 1 at a point with gradient `gradient`; an error where it has no direction.
    pub fn direction(&self, gradient: &[f64], at: &Parameters) -> Result<Vec<f64>> {
        if self.norm.is_nan() || self.norm < 1.0 {
            return Err(Error::Input(format!(
                "the norm p of the perturbation is {}: give a number from 1 to infinity",
                self.norm
            )));
        }
        let scales = self.scale.at(at)?;
        let scale = |i: usize| scales.as_ref().map_or(1.0, |t| t[i]);
        let slopes: Vec<f64> = gradient.iter().enumerate().map(|(i, g)| scale(i) * g).collect();
        let steepest = slopes.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
        if !steepest.is_finite() || slopes.iter().any(|s| s.is_nan()) || steepest == 0.0 {
            return Err(Error::Input(format!(
                "the largest slope is {steepest}, so that there is no steepest ascent here: the gradient is zero or not finite"
            )));
        }
        let sign = |s: f64| if s == 0.0 { 0.0 } else { s.signum() };
        let mut unit: Vec<f64> = if self.norm.is_infinite() {
            slopes.iter().map(|s| sign(*s)).collect()
        } else if self.norm <= 1.0 {
            let first = slopes.iter().position(|s| s.abs() >= steepest);
            slopes.iter().enumerate().map(|(i, s)| if Some(i) == first { sign(*s) } else { 0.0 }).collect()
        } else if (self.norm - 2.0).abs() < f64::EPSILON {
            // Without the powers, which would take longer than all else.
            let length = slopes.iter().map(|s| (s / steepest) * (s / steepest)).sum::<f64>().sqrt();
            slopes.iter().map(|s| s / steepest / length).collect()
        } else {
            let q = self.norm / (self.norm - 1.0);
            // Relative to the steepest slope, so that no power overflows.
            let powers: Vec<f64> =
                slopes.iter().map(|s| sign(*s) * (s.abs() / steepest).powf(q - 1.0)).collect();
            let sum: f64 = slopes.iter().map(|s| (s.abs() / steepest).powf(q)).sum();
            let length = sum.powf(1.0 / self.norm);
            powers.iter().map(|x| x / length).collect()
        };
        unit.iter_mut().enumerate().for_each(|(i, x)| *x *= scale(i));
        Ok(unit)
    }
}
