//! `GraphSAM` (Wang et al. 2024): SAM with one gradient a step, because the perturbation comes from the gradients of earlier
//! steps.

use relief_hessian::{Parameters, Result};
use serde::{Deserialize, Serialize};

use super::vectors::{add, norm};
use super::{Memory, Site, Update, not_finite};

/// The gradient at theta + epsilon, epsilon along T^2 omega with T = |w| (or 1), of length rho in the norm |T^-1 epsilon|
/// and cut to a radius tensor by tensor. At the first step of an epoch omega is the gradient; then it becomes
/// beta omega + (1 - beta) g/|g| tensor by tensor, with g the gradient that was followed.
///
/// The loss seen is the one at the perturbed point, except at the first step of an epoch. The authors' code differs in two
/// places: it divides by the norm of a gradient that its caller has set to zero, so that every tensor's part is as long as
/// the radius; and the decay of rho is applied to what earlier epochs left of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphSam {
    /// The radius.
    pub rho: f64,
    /// Largest norm of a tensor's part.
    pub radius: f64,
    /// T = |w|, as in ASAM; otherwise 1.
    pub adaptive: bool,
    /// The share beta of omega that is kept.
    pub beta: f64,
    /// Both radii are multiplied by this...
    pub gamma: f64,
    /// ...every so many epochs.
    pub epochs: usize,
}

impl Default for GraphSam {
    fn default() -> Self {
        Self { rho: 0.05, radius: 0.05, adaptive: true, beta: 0.99, gamma: 0.5, epochs: 1 }
    }
}

const OMEGA: &str = "omega";
const DECAY: &str = "decay";

impl GraphSam {
    pub(super) fn problem(&self) -> Option<String> {
        if self.epochs == 0 {
            return Some("the radius is to decay every 0 epochs: give at least 1".into());
        }
        if !(0.0..=1.0).contains(&self.beta) {
            return Some(format!("beta is {}, but is a share: give a number in 0..=1", self.beta));
        }
        not_finite("gamma", self.gamma).or_else(|| not_finite("the radius", self.radius))
    }

    /// The perturbation along omega, at radii times `decay`.
    fn perturbation(&self, omega: &[f64], at: &Parameters, decay: f64) -> Result<Vec<f64>> {
        let scales = if self.adaptive { at.to_vec()? } else { vec![1.0; omega.len()] };
        let mut epsilon: Vec<f64> = omega.iter().zip(&scales).map(|(o, t)| t * o).collect();
        let length = norm(&epsilon);
        if length == 0.0 {
            return Ok(epsilon);
        }
        epsilon.iter_mut().zip(&scales).for_each(|(e, t)| *e *= t * decay * self.rho / length);
        let radius = decay * self.radius;
        for (_, range) in at.ranges() {
            let length = norm(&epsilon[range.clone()]);
            if length > radius {
                epsilon[range].iter_mut().for_each(|e| *e *= radius / length);
            }
        }
        Ok(epsilon)
    }

    /// What the next step uses, or from a gradient before there was one.
    pub(super) fn next_perturbation(
        &self,
        gradient: &[f64],
        at: &Parameters,
        memory: &Memory,
    ) -> Result<Vec<f64>> {
        let decay = memory.get(DECAY).map_or(1.0, |decay| decay[0]);
        self.perturbation(memory.get(OMEGA).unwrap_or(gradient), at, decay)
    }

    pub(super) fn update(&self, site: &Site<'_>, memory: &Memory) -> Result<Update> {
        let (epoch, step) = site.epoch();
        let decay = self.gamma.powi((epoch / self.epochs) as i32);
        let (mut omega, own) = match memory.get(OMEGA) {
            Some(omega) if step > 0 => (omega.to_vec(), None),
            _ => {
                let (loss, slope) = site.gradient()?;
                let length = norm(&slope);
                (slope, Some((loss, length)))
            }
        };
        let epsilon = self.perturbation(&omega, site.at, decay)?;
        let (ahead, gradient) = site.perturbed_gradient(&epsilon)?;
        let (loss, gradient_norm) = own.unwrap_or_else(|| (ahead, norm(&gradient)));
        omega.iter_mut().for_each(|o| *o *= self.beta);
        for (_, range) in site.at.ranges() {
            let part = &gradient[range.clone()];
            let length = norm(part);
            if length > 0.0 {
                add(&mut omega[range], (1.0 - self.beta) / length, part);
            }
        }
        let remember = vec![(OMEGA, omega), (DECAY, vec![decay])];
        Ok(Update { loss, gradient_norm, perturbation_norm: norm(&epsilon), gradient, remember })
    }
}
