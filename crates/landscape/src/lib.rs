//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.
//!
//! [`Nested`] grids say which points to measure first, and how far the surface is known from them. A [`Plane`] says where
//! other points lie from it: through two or three checkpoints, or the principal one of many ([`principal_plane`]).
//!
//! A [`Curve`] leads from one point to another: [`CurveTraining`] bends it around barriers, [`ElasticBand`] relaxes a chain
//! onto the lowest pass. Both take the loss as a function of flat vectors, and can be stopped and gone on with.
//! [`WeightMatching`] permutes one network's hidden units to those of another that they resemble.
//!
//! [`Heights`] are what was measured, and answer for the surface's shape: its minima and the passes between them
//! ([`MergeTree`]), the widths of basins ([`Basin`]), its [`roughness`]; [`convexity`] is the Hessian's own answer.

mod alignment;
mod assessment;
mod assignment;
mod barrier;
mod bicubic;
mod curve;
mod direction;
mod nested;
mod plane;
mod principal;
mod scan;
mod shape;
mod slice;

pub use alignment::{Alignment, Start, Sweep, WeightMatching};
pub use assessment::{Assessment, Errors};
pub use assignment::best_assignment;
pub use barrier::Barrier;
pub use bicubic::Bicubic;
pub use curve::{
    BandLoss, BandProfile, BandProgress, BandState, Curve, CurveKind, CurveReport, CurveStatistics,
    CurveTraining, Cycle, ElasticBand, Ending, Insertion, LossAndGradient, Spacing, TrainingState,
    TrainingStep,
};
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use nested::{Level, Nested};
pub use plane::{Plane, Projection, ranges};
pub use principal::{Centre, Principal, principal_plane};
pub use scan::{Measures, Points, Scan, scan};
pub use shape::{
    Basin, Convexity, Extent, Heights, MergeTree, Pair, Roughness, SaddleMinimumDistance, Variation, Vertex,
    convexity, roughness,
};
pub use slice::Slice;
