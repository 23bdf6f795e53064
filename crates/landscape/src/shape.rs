//! Measures of a sampled loss surface: minima and the passes between them, widths of basins, roughness, convexity.
//!
//! All but [`convexity`] see only [`Heights`], numbers on a rectangular grid of any number of axes, and answer for the
//! piecewise linear interpolant on the grid's Freudenthal triangulation, exactly: nothing depends on a choice of
//! neighbours, on a threshold or on a picture. How well the interpolant stands for the loss is a matter of the grid.

mod basin;
mod convexity;
mod forest;
mod heights;
mod line;
mod merge;
mod roughness;
mod volume;

pub use basin::{Basin, Extent};
pub use convexity::{Convexity, convexity};
pub use heights::{Heights, Vertex};
pub use merge::{MergeTree, Pair, SaddleMinimumDistance};
pub use roughness::{Roughness, Variation, roughness};
