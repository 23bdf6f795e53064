//! Architectures, model files, checkpoints and data sets as objectives.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod architecture;
pub mod checkpoint;
pub mod data;
pub mod loss;
pub mod task;
