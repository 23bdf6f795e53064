//! Measures of sharpness at a point: each with its definition, its error, what it is invariant to, and its cost.
//!
//! Every measure is a function or a small struct of settings that gives a [`Measure`]. A [`Centre`] holds what those that
//! move the parameters share, the loss and the gradient at the point; the others see a matrix only.

mod ascent;
mod average_case;
mod centre;
mod critical_step;
mod fisher_rao;
mod gradient_noise;
mod keskar;
mod m_sharpness;
mod m_worst_case;
mod mean;
mod measure;
mod noise;
mod pac_bayes;
mod relative_flatness;
mod sam_ascent;
mod sam_bound;
mod spectral;
mod weighted;
mod worst_case;

pub use ascent::{Apgd, Ascent, Ball};
pub use average_case::AverageCase;
pub use centre::Centre;
pub use critical_step::CriticalStep;
pub use fisher_rao::{Slopes, fisher_rao};
pub use gradient_noise::gradient_noise;
pub use keskar::Keskar;
pub use m_sharpness::MSharpness;
pub use m_worst_case::MWorstCase;
pub use measure::{Cost, Invariance, Measure, Uncertainty};
pub use noise::Noise;
pub use pac_bayes::{PacBayesSigma, pac_bayes_flatness, pac_bayes_origin, pac_bayes_start};
pub use relative_flatness::{RelativeFlatness, unit_flatness};
pub use sam_ascent::sam_ascent;
pub use sam_bound::sam_bound;
pub use spectral::{
    confinement, effective_dimension, eigenvalues, frobenius, gradient_norm, operator_norm, over_loss,
    stand_in, trace,
};
pub use weighted::{weighted_lambda_max, weighted_trace};
pub use worst_case::WorstCase;
