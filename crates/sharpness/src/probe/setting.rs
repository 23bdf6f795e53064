//! What training was doing at a point.

use relief_hessian::{Error, Parameters, Result};

use crate::Perturbation;

/// A training rule's perturbation of the gradient over all examples at a point; none where it makes none.
pub type Perturb<'a> = &'a dyn Fn(&[f64], &Parameters) -> Result<Option<Vec<f64>>>;

/// What training was doing at the point: what is left out is unknown, and what depends on it is not given.
#[derive(Default, Clone, Copy)]
pub struct Setting<'a> {
    /// Step size.
    pub eta: Option<f64>,
    /// Radius of the sharpness-aware perturbation rho g/|g|.
    pub rho: Option<f64>,
    /// The perturbation is rho g instead.
    pub unnormalised: bool,
    /// Factor mu of the momentum.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Where the optimiser is Adam.
    pub adam: Option<AdamSetting<'a>>,
    /// Examples of a mini-batch.
    pub batch: Option<usize>,
    /// The training rule's perturbation; by default the one of radius `rho`.
    pub perturb: Option<Perturb<'a>>,
}

/// What Adam was doing at the point.
#[derive(Debug, Clone, Copy)]
pub struct AdamSetting<'a> {
    /// Factor of the mean gradient.
    pub beta1: f64,
    /// The diagonal of the preconditioner, one entry a parameter.
    pub preconditioner: &'a [f64],
}

impl Setting<'_> {
    pub(super) fn validate(&self, n: usize) -> Result<()> {
        let problem = if let Some(eta) = self.eta.filter(|eta| !(eta.is_finite() && *eta > 0.0)) {
            format!("the step size is {eta}, but must be above 0 and finite")
        } else if let Some(rho) = self.rho.filter(|rho| !(rho.is_finite() && *rho >= 0.0)) {
            format!("the radius rho is {rho}, but must be 0 or more and finite")
        } else if !(0.0..1.0).contains(&self.momentum) {
            format!("the momentum is {}, but must be in 0..1", self.momentum)
        } else if let Some(adam) = self.adam.filter(|adam| !(0.0..1.0).contains(&adam.beta1)) {
            format!("beta1 is {}, but must be in 0..1", adam.beta1)
        } else if let Some(adam) = self.adam.filter(|adam| adam.preconditioner.len() != n) {
            format!(
                "the preconditioner has {} entries, but there are {n} parameters: give one for each",
                adam.preconditioner.len()
            )
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }

    /// The perturbation of a gradient over all examples, where there is one.
    pub(super) fn perturbation(&self, gradient: &[f64], at: &Parameters) -> Result<Option<Vec<f64>>> {
        if gradient.iter().all(|g| *g == 0.0) {
            return Ok(None);
        }
        if let Some(perturb) = self.perturb {
            return perturb(gradient, at);
        }
        let Some(rho) = self.rho.filter(|rho| *rho > 0.0) else { return Ok(None) };
        let direction = if self.unnormalised {
            gradient.to_vec()
        } else {
            Perturbation::default().direction(gradient, at)?
        };
        Ok(Some(direction.iter().map(|d| rho * d).collect()))
    }
}
