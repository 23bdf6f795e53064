//! How a vector lies to the Hessian's top eigenvectors.

use relief_hessian::Eigen;
use serde::Serialize;

use crate::arithmetic::{dot, norm};

/// How a vector u, such as the gradient or a perturbation, lies to the top eigenvectors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alignment {
    /// |cos| of the angle between u and the computed first eigenvector y.
    pub first: f64,
    /// The same with the true eigenvector lies within this distance, the sine of the bound on the angle between y and it;
    /// none where that angle is not known, as among eigenvalues that are too close together.
    pub first_bound: Option<f64>,
    /// |U' u| / |u|: the share of u's length inside the space of all computed eigenvectors U.
    pub top: f64,
    /// The same for the true eigenvectors' space lies within this distance, the sine of the bound on the angle between the spaces.
    pub top_bound: Option<f64>,
}

impl Alignment {
    /// Of a vector with eigenvectors of the largest eigenvalues; none where the vector is zero or not finite, or there are no
    /// eigenvectors.
    ///
    /// Both bounds follow from a fact about lines and spaces: the projections of a unit vector onto two spaces of one dimension
    /// differ in length by no more than the sine of the largest angle between the spaces.
    pub fn new(u: &[f64], eigen: &Eigen) -> Option<Self> {
        let length = norm(u);
        if length == 0.0 || !length.is_finite() || eigen.vectors.is_empty() {
            return None;
        }
        let along: Vec<f64> = eigen.vectors.iter().map(|v| dot(v, u) / length).collect();
        Some(Self {
            first: along[0].abs().min(1.0),
            first_bound: eigen.largest.first().and_then(|pair| pair.angle_bound).map(f64::sin),
            top: norm(&along).min(1.0),
            top_bound: eigen.subspace_angle_bound.map(f64::sin),
        })
    }
}

/// How a gradient lies to the Hessian at the same point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HessianGradient {
    /// g'Hg / (|g| |Hg|): 1 where the gradient is an eigenvector of a positive eigenvalue.
    pub cosine: f64,
    /// g'Hg / |g|^2: the curvature along the gradient.
    pub rayleigh: f64,
}

impl HessianGradient {
    /// From g and Hg; none where one of them is zero or not finite.
    pub fn new(gradient: &[f64], product: &[f64]) -> Option<Self> {
        let (g, p) = (norm(gradient), norm(product));
        let curvature = dot(gradient, product);
        let usable = g > 0.0 && p > 0.0 && curvature.is_finite();
        usable.then(|| Self { cosine: curvature / g / p, rayleigh: curvature / g / g })
    }
}
