//! The operations: one file a family, one rule each; methods of [`Value`](crate::Value) named as in candle.

mod arithmetic;
mod attention;
mod broadcast;
pub(crate) mod convolution;
mod cross_entropy;
mod elementary;
mod functions;
pub(crate) mod layout;
mod loss;
pub(crate) mod matmul;
mod normalisation;
mod pooling;
mod reduction;
mod rows;
mod selection;
mod softmax;
mod standardise;

pub use convolution::ConvolutionOptions;
pub use pooling::PoolOptions;
