//! Exact derivatives of network losses on candle tensors.
//!
//! A model and its loss are a [`Graph`] of four kinds of operation (linear, bilinear, elementwise, row by row), built with
//! [`GraphBuilder`] and candle's method names. At a point and a batch, [`Graph::linearize`] evaluates loss and gradient
//! and keeps what derivatives need; a [`Linearized`] then gives any number of products: Hessian, Gauss-Newton, J v, J'u
//! and the third derivative, on one vector or a block.
//!
//! This crate knows no files and no architectures.

#![warn(clippy::print_stdout, clippy::print_stderr)]

// The generic tests name the crate as those outside of it do.
#[cfg(test)]
extern crate self as relief_autodiff;

mod affine;
mod axes;
mod builder;
mod cotangents;
mod device;
mod error;
mod forward;
mod fusion;
mod graph;
mod host;
mod jet;
mod kernels;
mod layers;
mod linearize;
mod operations;
mod order;
mod permutations;
mod pointwise;
mod product;
pub mod rule;
mod tangents;
pub mod vectors;

pub use affine::{AffineCost, AffineGraph, KeptValues, Motion, NUMBER_COST};
pub use builder::{GraphBuilder, Value};
pub use device::{
    Precision, cuda_count, cuda_device, cuda_devices, cuda_is_compiled_in, moved, precision, set_precision,
    sharing, sum_over_devices,
};
pub use error::{Error, Result};
pub use forward::Evaluated;
pub use graph::Graph;
pub use layers::{Layer, Layers};
pub use linearize::Linearized;
pub use operations::{ConvolutionOptions, PoolOptions};
pub use permutations::{PermutationGroup, PermutedAxis, permuted};
pub use product::Direction;
