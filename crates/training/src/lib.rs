//! Training with gradient descent, Adam and the family of sharpness-aware minimization: from any state to the same digits.
//!
//! A [`Training`] is settings, a [`TrainingState`] all that changes. Every step takes a mini-batch of a
//! [`relief_hessian::FiniteSum`], asks a [`Rule`] for the gradient to follow there, and an [`Optimiser`] for the step.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod flow;
mod momentum;
mod optimiser;
mod rule;
mod schedule;
mod state;
mod training;

pub use flow::{
    CentralFlow, CentralStep, Complementarity, ComplementarySolution, Expansion, FlowState, GradientFlow,
    GradientFlowStep, SamSde, SamSdeStep, SdeOrder,
};
pub use momentum::Momentum;
pub use optimiser::{Adam, Optimiser};
pub use rule::{
    DetSam, Egr, EigenMethod, EigenSam, Every, FrobSam, GraphSam, Gsam, LookSam, MSam, Memory, RandomSam,
    Rule, Sam, TraceSam, UnnormalisedSam,
};
pub use schedule::{Schedule, Shape};
pub use state::TrainingState;
pub use training::{Ending, Step, Training, Work};
