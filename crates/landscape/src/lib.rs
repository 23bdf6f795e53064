//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.
//!
//! [`Nested`] grids say which points to measure first, and how far the surface is known from them. A [`Plane`] says where
//! other points lie from it: through two or three checkpoints, or the principal one of many ([`principal_plane`]).

mod assessment;
mod barrier;
mod bicubic;
mod direction;
mod nested;
mod plane;
mod principal;
mod scan;
mod slice;

pub use assessment::{Assessment, Errors};
pub use barrier::Barrier;
pub use bicubic::Bicubic;
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use nested::{Level, Nested};
pub use plane::{Plane, Projection, ranges};
pub use principal::{Centre, Principal, principal_plane};
pub use scan::{Scan, scan};
pub use slice::Slice;
