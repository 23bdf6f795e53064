//! What a probe is asked, by `relief train` on its way and by `relief track` afterwards.

use clap::Args;
use relief_sharpness::{KernelNorm, Noise, Probe};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The options of both verbs.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct AskedArguments {
    /// So many largest eigenvalues [default: 5]
    #[arg(short = 'k', long, value_name = "K", help_heading = "Probes")]
    eigenvalues: Option<usize>,

    /// Residual at which an eigenvalue is found, relative to the largest; its own error is about the square [default: 1e-4]
    #[arg(long, alias = "probe-tol", value_name = "TOL", help_heading = "Probes")]
    tol: Option<f64>,

    /// Stop a search after this many matrix-vector products [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Probes")]
    max_products: Option<usize>,

    /// The Hessian's trace as well, to this relative error: some ten to some hundred products
    #[arg(long, alias = "probe-trace", value_name = "SHARE", help_heading = "Probes")]
    trace: Option<f64>,

    /// Draw mini-batches: batch sharpness, gradient-noise interaction and scales. A draw costs a gradient and two products over its
    /// examples
    #[arg(long, help_heading = "Probes")]
    noise: bool,

    /// Draw until the batch sharpness has this relative standard error [default: 0.005]
    #[arg(long, value_name = "SHARE", requires = "noise", help_heading = "Probes")]
    noise_error: Option<f64>,

    /// Mini-batches at most [default: 1000]
    #[arg(long, value_name = "N", requires = "noise", help_heading = "Probes")]
    max_draws: Option<usize>,

    /// The kernel norm of the stochastic edge of stability (1 at the edge) of SGD with its momentum: some hundred products
    #[arg(long, requires = "noise", help_heading = "Probes")]
    kernel_norm: bool,

    /// Third derivatives along perturbation and first eigenvector: some ten gradients
    #[arg(long, help_heading = "Probes")]
    third_order: bool,

    /// How evenly the examples weigh in the gradient, here and at the perturbed point
    #[arg(long, help_heading = "Probes")]
    phantom: bool,
}

/// What is asked of every point, as `run.toml` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) eigenvalues: usize,
    pub(crate) tolerance: f64,
    pub(crate) max_products: usize,
    pub(crate) trace: Option<f64>,
    pub(crate) third_order: bool,
    pub(crate) phantom: bool,
    pub(crate) noise: Option<Noise>,
}

impl AskedArguments {
    /// Whether anything is.
    pub(crate) fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// With the defaults for what was left out; refuses what makes no sense.
    pub(crate) fn asked(&self) -> Result<Asked, Failure> {
        let usual = Probe::default();
        let noise = Noise {
            batch: None,
            relative_error: self.noise_error.unwrap_or(Noise::default().relative_error),
            max_draws: self.max_draws.unwrap_or(Noise::default().max_draws),
            kernel_norm: self.kernel_norm.then(KernelNorm::default),
        };
        let asked = Asked {
            eigenvalues: self.eigenvalues.unwrap_or(usual.top),
            tolerance: self.tol.unwrap_or(usual.tolerance),
            max_products: self.max_products.unwrap_or(usual.max_products),
            trace: self.trace,
            third_order: self.third_order,
            phantom: self.phantom,
            noise: None,
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let problem = if asked.eigenvalues == 0 {
            "--eigenvalues is 0: ask for at least 1".into()
        } else if !(positive(asked.tolerance) && asked.tolerance < 1.0) {
            format!("--tol is {}: give a number between 0 and 1", asked.tolerance)
        } else if !asked.trace.is_none_or(positive) || !positive(noise.relative_error) {
            "--trace and --noise-error must be above 0 and finite".into()
        } else if noise.max_draws < 2 {
            format!("--max-draws is {}: give at least 2", noise.max_draws)
        } else if asked.max_products < 2 {
            format!("--max-products is {}: give at least 2", asked.max_products)
        } else {
            return Ok(Asked { noise: self.noise.then_some(noise), ..asked });
        };
        Err(Failure::Usage(problem))
    }
}

impl Asked {
    /// Whether the kernel norm is.
    pub(crate) fn kernel_norm(&self) -> bool {
        self.noise.as_ref().is_some_and(|noise| noise.kernel_norm.is_some())
    }

    /// The probe that asks it.
    pub(crate) fn probe(&self, unit_roundoff: f64, memory: usize, seed: u64) -> Probe {
        Probe {
            top: self.eigenvalues,
            tolerance: self.tolerance,
            max_products: self.max_products,
            unit_roundoff,
            memory,
            seed,
            trace: self.trace,
            noise: self.noise.clone(),
            third_order: self.third_order,
            phantom: self.phantom,
        }
    }
}
