//! What the definitions of the measures leave open.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use relief_sharpness::Scale;

use crate::exit::Failure;

/// What the definitions leave open.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Radius of plain balls |epsilon|_p <= rho, but for p = inf
    #[arg(long, value_name = "R", default_value_t = 0.05, help_heading = "Measures")]
    pub(super) rho: f64,

    /// Radius of plain boxes, p = inf
    #[arg(long, value_name = "R", default_value_t = 0.01, help_heading = "Measures")]
    pub(super) rho_inf: f64,

    /// Radius of adaptive balls |epsilon/T|_p <= rho, but for p = inf
    #[arg(long, value_name = "R", default_value_t = 0.5, help_heading = "Measures")]
    pub(super) adaptive_rho: f64,

    /// Radius of adaptive boxes, p = inf
    #[arg(long, value_name = "R", default_value_t = 0.01, help_heading = "Measures")]
    pub(super) adaptive_rho_inf: f64,

    /// Size of plain noise: the standard deviation of Gaussian, the half width of uniform noise
    #[arg(long, value_name = "S", default_value_t = 0.05, help_heading = "Measures")]
    pub(super) sigma: f64,

    /// The same relative to T
    #[arg(long, value_name = "S", default_value_t = 0.1, help_heading = "Measures")]
    pub(super) adaptive_sigma: f64,

    /// T of adaptive measures: |w|, |w| + eta, or that for tensors called weight and 1 for the others
    #[arg(long, value_enum, default_value = "magnitude", help_heading = "Measures")]
    scale: ScaleArgument,

    /// eta of --scale
    #[arg(long, value_name = "E", default_value_t = 0.01, help_heading = "Measures")]
    pub(super) eta: f64,

    /// Norms p of the steps of sharpness-aware minimization
    #[arg(
        long,
        value_name = "P",
        value_delimiter = ',',
        default_value = "1,2,10,inf",
        help_heading = "Measures"
    )]
    pub(super) norms: Vec<f64>,

    /// Examples of a mini-batch of m-sharpness, m-worst-case and gradient-noise; by default 128, or all where there are fewer
    #[arg(long, value_name = "M", help_heading = "Measures")]
    pub(super) m: Option<usize>,

    /// Steps of a search for the highest loss, from every start
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Measures")]
    pub(super) steps: usize,

    /// Random starts of a search, besides the one along the gradient
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Measures")]
    pub(super) random_starts: usize,

    /// epsilon of Keskar's box
    #[arg(long, value_name = "E", default_value_t = 1e-3, help_heading = "Measures")]
    pub(super) epsilon: f64,

    /// Dimensions of Keskar's random subspace
    #[arg(long, value_name = "P", default_value_t = 10, help_heading = "Measures")]
    pub(super) subspace: usize,

    /// Drop of the accuracy that sets the PAC-Bayes sigma
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, help_heading = "Measures")]
    pub(super) drop: f64,

    /// Checkpoint that training started at, for the PAC-Bayes bound of a prior around it
    #[arg(long, value_name = "FILE", help_heading = "Measures")]
    pub(crate) start: Option<PathBuf>,

    /// Draws of noise for the PAC-Bayes sigma
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Measures")]
    pub(super) draws: usize,

    /// Probability with which the bound of sharpness-aware minimization may fail
    #[arg(long, value_name = "P", default_value_t = 0.05, help_heading = "Measures")]
    pub(super) delta: f64,

    /// Damping of the effective dimension
    #[arg(long, value_name = "D", default_value_t = 1e-3, help_heading = "Measures")]
    pub(super) damping: f64,

    /// Weight matrices of the relative flatness; patterns, may be repeated. By default all if they are few, else the last
    #[arg(long, value_name = "GLOB", help_heading = "Measures")]
    pub(super) layer: Vec<String>,

    /// Products or draws until twice the standard error is below this share of the value
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, help_heading = "Measures")]
    pub(super) relative_error: f64,

    /// Products at most, for each measure; mini-batches at most, for gradient-noise
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Measures")]
    pub(super) max_products: usize,

    /// Draws of noise with both signs at most, for each average
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Measures")]
    pub(super) max_pairs: usize,

    /// Residual of eigenvalues, relative to the largest
    #[arg(long, value_name = "TOL", default_value_t = 1e-6, help_heading = "Measures")]
    pub(super) tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScaleArgument {
    Magnitude,
    Shifted,
    Weights,
}

impl Settings {
    /// Refuses before the work what makes no sense.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let radii = [
            ("rho", self.rho),
            ("rho-inf", self.rho_inf),
            ("adaptive-rho", self.adaptive_rho),
            ("adaptive-rho-inf", self.adaptive_rho_inf),
            ("sigma", self.sigma),
            ("adaptive-sigma", self.adaptive_sigma),
            ("epsilon", self.epsilon),
            ("drop", self.drop),
            ("delta", self.delta),
            ("damping", self.damping),
            ("relative-error", self.relative_error),
        ];
        if let Some((name, found)) = radii.iter().find(|(_, r)| !(*r > 0.0 && r.is_finite())) {
            return Err(Failure::Usage(format!("--{name} is {found}: give a finite number above 0")));
        }
        if self.delta >= 1.0 {
            return Err(Failure::Usage(format!("--delta is {}: give a probability below 1", self.delta)));
        }
        if let Some(found) = self.norms.iter().find(|p| p.is_nan() || **p < 1.0) {
            return Err(Failure::Usage(format!("--norms has {found}: give numbers from 1 to inf")));
        }
        Ok(())
    }

    /// Plain and adaptive scales with their radii for finite p and for p = inf, and the size of noise.
    pub(super) fn kinds(&self) -> [(Scale, f64, f64, f64); 2] {
        let scale = match self.scale {
            ScaleArgument::Magnitude => Scale::Magnitude,
            ScaleArgument::Shifted => Scale::Shifted { eta: self.eta },
            ScaleArgument::Weights => Scale::Weights { eta: self.eta },
        };
        [
            (Scale::None, self.rho, self.rho_inf, self.sigma),
            (scale, self.adaptive_rho, self.adaptive_rho_inf, self.adaptive_sigma),
        ]
    }
}
