//! `LookSAM` (Liu et al. 2022): SAM every few steps, and a part of its gradient between.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::vectors::{add, dot, norm};
use super::{Memory, Sam, Site, Update};

/// SAM at every `every`th step, which keeps the part v of its gradient that is orthogonal to the own gradient g; at the steps
/// between g + alpha |g|/|v| v (algorithm 1, without layer-wise rates). One gradient a step, two at SAM's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookSam {
    /// The radius.
    pub rho: f64,
    /// Factor of the part that is used again.
    pub alpha: f64,
    /// Steps from one with two gradients to the next.
    pub every: usize,
}

impl Default for LookSam {
    fn default() -> Self {
        Self { rho: 0.1, alpha: 0.7, every: 10 }
    }
}

const PART: &str = "orthogonal";

impl LookSam {
    pub(super) fn problem(&self) -> Option<String> {
        if self.every == 0 {
            return Some("SAM's gradient is wanted every 0 steps: give at least 1".into());
        }
        super::not_finite("alpha", self.alpha)
    }

    pub(super) fn sam(&self) -> Sam {
        Sam { rho: self.rho, ..Sam::default() }
    }

    pub(super) fn update(&self, site: &Site<'_>, memory: &Memory) -> Result<Update> {
        let (loss, slope) = site.gradient()?;
        let length = norm(&slope);
        if let Some(part) = memory.get(PART).filter(|_| !site.step.is_multiple_of(self.every)) {
            let mut gradient = slope;
            let size = norm(part);
            if size > 0.0 {
                add(&mut gradient, self.alpha * length / size, part);
            }
            return Ok(Update { loss, gradient_norm: length, gradient, ..Update::default() });
        }
        let epsilon = self.sam().perturbation(&slope, site.at, 1.0)?;
        let mut update = site.ascended(loss, &slope, &epsilon)?;
        let mut part = update.gradient.clone();
        if length > 0.0 {
            add(&mut part, -dot(&slope, &update.gradient) / (length * length), &slope);
        }
        update.remember = vec![(PART, part)];
        Ok(update)
    }
}
