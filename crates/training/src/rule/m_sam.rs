//! SAM with m-sharpness: the mini-batch falls into parts, each with a perturbation of its own (Foret et al. 2021, section 4.1).

use relief_hessian::Result;
use relief_sharpness::Perturbation;
use serde::{Deserialize, Serialize};

use super::{Sam, Site, Update, norm, vectors::add};

/// The mean of SAM's gradients over parts of m examples, weighted by their sizes. Two gradients a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MSam {
    /// The radius.
    pub rho: f64,
    /// Norm and scales of the ball.
    pub perturbation: Perturbation,
    /// Examples of a part; the last may have fewer.
    pub m: usize,
}

impl Default for MSam {
    fn default() -> Self {
        let Sam { rho, perturbation } = Sam::default();
        Self { rho, perturbation, m: 32 }
    }
}

impl MSam {
    pub(super) fn problem(&self) -> Option<String> {
        (self.m == 0).then(|| "parts of 0 examples are wanted: give at least 1".into())
    }

    pub(super) fn sam(&self) -> Sam {
        Sam { rho: self.rho, perturbation: self.perturbation }
    }

    pub(super) fn update(&self, site: &Site<'_>) -> Result<Update> {
        let n = site.at.len();
        let (mut loss, mut slope, mut gradient, mut square) = (0.0, vec![0.0; n], vec![0.0; n], 0.0);
        for (nth, examples) in site.examples.chunks(self.m).enumerate() {
            let part = site.part(examples, nth)?;
            let share = examples.len() as f64 / site.examples.len() as f64;
            let (own, here) = part.gradient()?;
            let epsilon = self.sam().perturbation(&here, site.at, 1.0)?;
            let (_, ahead) = part.perturbed_gradient(&epsilon)?;
            loss += share * own;
            square += share * norm(&epsilon).powi(2);
            add(&mut slope, share, &here);
            add(&mut gradient, share, &ahead);
            site.goes_on(&part);
        }
        Ok(Update {
            loss,
            gradient_norm: norm(&slope),
            perturbation_norm: square.sqrt(),
            gradient,
            remember: vec![],
        })
    }
}
