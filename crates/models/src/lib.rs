//! Architectures, model files, checkpoints and data sets as objectives.

pub mod architecture;
pub mod checkpoint;
pub mod data;
pub mod loss;
pub mod task;
