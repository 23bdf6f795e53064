//! What curvature means for training: thresholds of stability, the perturbations of sharpness-aware minimization and how
//! they lie to the top eigenvectors, and measures of sharpness.
//!
//! Points and vectors are flat lists in the order of [`relief_hessian::Parameters`].

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod edge;
pub mod measures;
mod perturbation;

pub use edge::{gradient_descent_edge, sam_edge, unnormalised_sam_edge};
pub use perturbation::{Perturbation, Scale};
