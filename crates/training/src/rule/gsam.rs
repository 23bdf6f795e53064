//! GSAM (Zhuang et al. 2022): SAM that also closes the gap between the perturbed loss and the loss itself.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::vectors::{add, dot};
use super::{Sam, Site, Update, not_finite};

/// SAM's gradient p minus alpha times the part of the own gradient that is orthogonal to p (algorithm 1): to first order that
/// part lowers the loss only by widening the gap. Two gradients a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gsam {
    /// The radius.
    pub rho: f64,
    /// Factor of the orthogonal part.
    pub alpha: f64,
    /// With it, the radius falls with the step size, from rho to this where the step size is 0.
    pub least_rho: Option<f64>,
}

impl Default for Gsam {
    fn default() -> Self {
        Self { rho: 0.05, alpha: 0.4, least_rho: None }
    }
}

impl Gsam {
    pub(super) fn problem(&self) -> Option<String> {
        match self.least_rho {
            Some(least) if !(least >= 0.0 && least <= self.rho) => Some(format!(
                "the least rho is {least}, but must lie between 0 and rho, which is {}",
                self.rho
            )),
            _ => not_finite("alpha", self.alpha),
        }
    }

    /// What perturbs, at a share of the largest step size.
    pub(super) fn sam(&self, share: f64) -> Sam {
        let least = self.least_rho.unwrap_or(self.rho);
        Sam { rho: least + (self.rho - least) * share, ..Sam::default() }
    }

    pub(super) fn update(&self, site: &Site<'_>) -> Result<Update> {
        let (loss, slope) = site.gradient()?;
        let epsilon = self.sam(site.factor()).perturbation(&slope, site.at, 1.0)?;
        let mut update = site.ascended(loss, &slope, &epsilon)?;
        let square = dot(&update.gradient, &update.gradient);
        if square > 0.0 {
            // p - alpha (g - (g'p)/|p|^2 p)
            let along = dot(&slope, &update.gradient) / square;
            update.gradient.iter_mut().for_each(|p| *p *= 1.0 + self.alpha * along);
            add(&mut update.gradient, -self.alpha, &slope);
        }
        Ok(update)
    }
}
