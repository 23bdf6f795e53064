//! Kronecker-factored approximations of a layer's block of the Gauss-Newton matrix.
//!
//! With the rows a of a layer's inputs and the gradients g in its outputs, an example's gradient in the weight is the sum of
//! g a' over its positions. KFAC takes both as independent, so that the block becomes the Kronecker product of two second
//! moments (Martens & Grosse 2015; for convolutions Grosse & Martens 2016; the convention for shared weights is *expand* of
//! Eschenhagen et al. 2023). EKFAC keeps the eigenvectors of that and puts the exact second moments of the gradients along them
//! in place of its eigenvalues, which is the nearest matrix with these eigenvectors (George et al. 2018, section 3).
//!
//! Examples must not act on each other: with the statistics of the batch in batch norm, there is no such block.

mod assembled;
mod block;
mod correction;
mod distance;
mod factors;
mod layout;
mod moments;
mod roots;

pub use assembled::AssembledBlocks;
pub use block::KroneckerBlock;
pub use distance::{RelativeDistance, RelativeDistances};
pub use factors::KroneckerFactors;
pub use roots::OutputRoots;
