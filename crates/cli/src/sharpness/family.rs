//! Families of measures, as they are called on the command line.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Family {
    /// The gradient's norm
    Gradient,
    /// The largest and the smallest eigenvalue of the Hessian, certified, the larger magnitude, and the first over the loss
    Eigenvalues,
    /// How far the top eigenvectors stand out: the first eigenvalue over the fifth, and the gradient's share in their space
    Confinement,
    /// The trace of the Hessian
    Trace,
    /// The Frobenius norm of the Hessian
    Frobenius,
    /// Largest eigenvalue and trace of the Gauss-Newton matrix
    GaussNewton,
    /// Largest eigenvalue and trace of the empirical Fisher matrix
    EmpiricalFisher,
    /// The effective dimension of the Gauss-Newton matrix
    EffectiveDimension,
    /// Trace and largest eigenvalue of diag|w| H diag|w|
    Weighted,
    /// The critical sharpness 2/eta, from forward passes
    CriticalStep,
    /// How far the one step of sharpness-aware minimization climbs
    Sam,
    /// The same on mini-batches
    MSharpness,
    /// The highest loss in a ball, searched for, and the bound that sharpness-aware minimization is derived from
    WorstCase,
    /// The same on mini-batches
    MWorstCase,
    /// The mean loss under noise
    AverageCase,
    /// Keskar's phi, in all directions and in a random subspace
    Keskar,
    /// The noise that the accuracy stands, and the bounds made of it
    PacBayes,
    /// The Fisher-Rao norm
    FisherRao,
    /// Relative flatness of layers, and of the units of a layer that is named or has few
    RelativeFlatness,
    /// Batch sharpness, gradient-noise interaction and noise scales of mini-batches
    GradientNoise,
}

impl Family {
    pub(crate) const ALL: [Self; 20] = [
        Self::Gradient,
        Self::Eigenvalues,
        Self::Confinement,
        Self::Trace,
        Self::Frobenius,
        Self::GaussNewton,
        Self::EmpiricalFisher,
        Self::EffectiveDimension,
        Self::Weighted,
        Self::CriticalStep,
        Self::Sam,
        Self::MSharpness,
        Self::WorstCase,
        Self::MWorstCase,
        Self::AverageCase,
        Self::Keskar,
        Self::PacBayes,
        Self::FisherRao,
        Self::RelativeFlatness,
        Self::GradientNoise,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::Eigenvalues => "eigenvalues",
            Self::Confinement => "confinement",
            Self::Trace => "trace",
            Self::Frobenius => "frobenius",
            Self::GaussNewton => "gauss-newton",
            Self::EmpiricalFisher => "empirical-fisher",
            Self::EffectiveDimension => "effective-dimension",
            Self::Weighted => "weighted",
            Self::CriticalStep => "critical-step",
            Self::Sam => "sam",
            Self::MSharpness => "m-sharpness",
            Self::WorstCase => "worst-case",
            Self::MWorstCase => "m-worst-case",
            Self::AverageCase => "average-case",
            Self::Keskar => "keskar",
            Self::PacBayes => "pac-bayes",
            Self::FisherRao => "fisher-rao",
            Self::RelativeFlatness => "relative-flatness",
            Self::GradientNoise => "gradient-noise",
        }
    }
}
