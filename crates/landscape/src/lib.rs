//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.
//! [`Heights`] are what was measured, and answer for the surface's shape: its minima and the passes between them
//! ([`MergeTree`]), the widths of basins ([`Basin`]), its [`roughness`]; [`convexity`] is the Hessian's own answer.

mod barrier;
mod direction;
mod scan;
mod shape;
mod slice;

pub use barrier::Barrier;
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use scan::{Scan, scan};
pub use shape::{
    Basin, Convexity, Extent, Heights, MergeTree, Pair, Roughness, SaddleMinimumDistance, Variation, Vertex,
    convexity, roughness,
};
pub use slice::Slice;
