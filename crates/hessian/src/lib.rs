//! Curvature of a loss: operators for Hessian, Gauss-Newton and their difference, and certified eigenvalues of them.
//!
//! An [`Objective`] is a finite-sum loss over a fixed data set ([`GraphObjective`] from the engine's graphs,
//! [`CandleObjective`] from any candle closure). [`Curvature`] linearizes it at a point and offers its matrices as
//! [`SymmetricOperator`]s; [`Lanczos`] finds their extreme eigenvalues with residuals and bounds, and [`SpectralDensity`]
//! the distribution of all eigenvalues, within bounds too. [`Trace`], [`Diagonal`], [`Frobenius`] and [`SpectralSum`]
//! estimate sums from random products, with error estimates that hold.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod adapters;
mod blocks;
mod candle_objective;
mod check;
mod class_structure;
mod curvature;
mod dealt;
mod diagonal;
mod eigen;
mod error;
mod finite_sum;
mod frobenius;
mod graph_objective;
mod inverse;
mod kronecker;
mod lanczos;
mod objective;
mod on_host;
mod operator;
mod outer;
mod parameters;
mod sampling;
mod spectral_sum;
mod spectrum;
mod state_file;
mod subspace;
mod tangent_kernel;
mod trace;

pub use adapters::{Affine, Counted, Deflated, Restricted, Scaled, Sum};
pub use blocks::{BlockDiagonal, ParameterGroup};
pub use candle_objective::CandleObjective;
pub use check::{Finding, Report, check};
pub use class_structure::{ClassStructure, Traces};
pub use curvature::{Curvature, CurvatureOperator, DEFAULT_MEMORY, Matrix};
pub use diagonal::{Diagonal, DiagonalEstimate, DiagonalMethod};
pub use eigen::{Eigen, EigenPair, Status};
pub use error::{Error, Result};
pub use finite_sum::{Epochs, FiniteSum};
pub use frobenius::{Frobenius, FrobeniusEstimate, FrobeniusMethod};
pub use graph_objective::{AffineSubspace, Batch, GraphObjective, Section, SectionOptions, SectionPoint};
pub use inverse::{ConjugateGradients, Solution};
pub use kronecker::{
    AssembledBlocks, KroneckerBlock, KroneckerFactors, OutputRoots, RelativeDistance, RelativeDistances,
};
pub use lanczos::{
    Control, Lanczos, LanczosState, MissedCopies, Observer, Outcome, Progress, Silent, Wanted,
};
pub use objective::{
    Evaluation, Linearization, Objective, gradient, loss, third_products, weight_decay_term,
};
pub use on_host::OnHost;
pub use operator::{Dense, SymmetricOperator};
pub use outer::{OuterProducts, RankOne};
pub use parameters::{Parameters, matching};
pub use relief_autodiff::{AffineCost, Layer, Layers};
pub use sampling::{EstimateState, EstimateStatus, Estimating, Interim, Sampling, Target};
pub use spectral_sum::{SpectralSum, SpectralSumEstimate, Summand};
pub use spectrum::{
    Cumulative, CumulativeCurve, DensityCurve, LogDensityCurve, Moment, Outliers, Plan, Probe,
    SpectralDensity, Spectrum, SpectrumObserver, SpectrumOutcome, SpectrumProgress, SpectrumState, Tail,
};
pub use state_file::StateFile;
pub use subspace::principal_angles;
pub use tangent_kernel::TangentKernel;
pub use trace::{Trace, TraceEstimate, TraceMethod};
