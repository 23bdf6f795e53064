//! Architectures, model files, checkpoints and data sets as objectives.

pub mod checkpoint;
