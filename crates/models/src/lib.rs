//! Architectures, model files, checkpoints and data sets as objectives.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod architecture;
pub mod checkpoint;
pub mod data;
pub mod loss;
pub mod task;

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
