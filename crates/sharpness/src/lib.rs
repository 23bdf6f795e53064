//! What curvature means for training: thresholds of stability, the perturbations of sharpness-aware minimization and how
//! they lie to the top eigenvectors, and measures of sharpness.
//!
//! A [`Probe`] measures a point of a training in one go. Points and vectors are flat lists in the order of
//! [`relief_hessian::Parameters`].

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod alignment;
mod arithmetic;
mod edge;
mod kernel_norm;
pub mod measures;
mod noise;
mod perturbation;
mod phantom;
mod probe;

pub use alignment::{Alignment, HessianGradient};
pub use edge::{
    adam_edge, gradient_descent_edge, heavy_ball_edge, nesterov_edge, sam_edge, sam_edge_below,
    unnormalised_sam_edge,
};
pub use kernel_norm::{KernelNorm, MeasuredKernelNorm, Sgd, kernel_norm};
pub use noise::{Mean, MeasuredNoise, Noise};
pub use perturbation::{Perturbation, Scale};
pub use phantom::{Phantom, gini, output_slopes};
pub use probe::{AdamSetting, Edges, Perturb, Probe, Probed, Setting, ThirdOrder};
