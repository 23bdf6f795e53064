//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.

mod ascent;
mod barrier;
mod direction;
mod scan;
mod slice;

pub use ascent::Ascent;
pub use barrier::Barrier;
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use scan::{Measures, Points, Scan, scan};
pub use slice::Slice;
