//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! [`WeightMatching`] permutes one network's hidden units to those of another that they resemble.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.

mod alignment;
mod assignment;
mod barrier;
mod direction;
mod scan;
mod slice;

pub use alignment::{Alignment, Start, Sweep, WeightMatching};
pub use assignment::best_assignment;
pub use barrier::Barrier;
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use scan::{Scan, scan};
pub use slice::Slice;
