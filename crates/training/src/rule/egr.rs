//! Explicit gradient norm regularisation: what SAM does to first order in its radius.

use relief_hessian::{Error, Result, SymmetricOperator};
use serde::{Deserialize, Serialize};

use super::{Site, Update, norm, vectors::add, vectors::scaled};

/// g + rho H g/|g|, the gradient of f + rho |grad f| (Zhao et al. 2022, eq. 7; the second-order model of SAM in Compagnoni et
/// al. 2023). One linearization and one product a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Egr {
    /// Factor of the gradient's norm.
    pub rho: f64,
}

impl Default for Egr {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl Egr {
    pub(super) fn update(self, site: &Site<'_>) -> Result<Update> {
        let curvature = site.curvature()?;
        let mut gradient = curvature.gradient().to_vec();
        let length = norm(&gradient);
        if length > 0.0 {
            let mut product = vec![0.0; gradient.len()];
            curvature.hessian().apply(&scaled(1.0 / length, &gradient), &mut product)?;
            add(&mut gradient, self.rho, &product);
        }
        site.count(site.examples.len(), &curvature, usize::from(length > 0.0));
        let loss = curvature.loss();
        if !super::site::finite(&gradient) {
            return Err(Error::NonFinite(format!("the loss is {loss}, but its Hessian is not finite")));
        }
        Ok(Update { loss, gradient_norm: length, gradient, ..Update::default() })
    }
}
