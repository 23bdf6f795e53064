//! The loss along lines and planes in parameter space.
//!
//! A [`Slice`] is a point with one or more directions and a grid of coordinates; [`scan`] measures every point of it.
//! Points are values: nothing is changed in place, so nothing has to be restored, and points are measured side by side.
//!
//! A [`Curve`] leads from one point to another: [`CurveTraining`] bends it around barriers, [`ElasticBand`] relaxes a chain
//! onto the lowest pass. Both take the loss as a function of flat vectors, and can be stopped and gone on with.

mod ascent;
mod barrier;
mod curve;
mod direction;
mod momentum;
mod scan;
mod slice;

pub use ascent::Ascent;
pub use barrier::Barrier;
pub use curve::{
    BandLoss, BandProfile, BandProgress, BandState, Curve, CurveKind, CurveReport, CurveStatistics,
    CurveTraining, Cycle, ElasticBand, Ending, Insertion, LossAndGradient, Spacing, TrainingState,
    TrainingStep,
};
pub use direction::{Normalisation, RandomDirection, Vectors, between, cosine, orthogonalised};
pub use scan::{Measures, Points, Scan, scan};
pub use slice::Slice;
