//! `relief eigenvalues`: the extreme eigenvalues of a curvature matrix, certified.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_hessian::{Curvature, Lanczos, Objective, Parameters, Wanted};

use super::{layers, vectors};
use crate::arguments::{Format, RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load;
use crate::operators::OperatorArguments;
use crate::resuming::ResumeArguments;
use crate::saved::{Kind, Results};
use crate::{eigenvalue_figures, interrupt, output, progress, report};

/// Extreme eigenvalues of the Hessian (or Gauss-Newton matrix), with residuals and bounds
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief eigenvalues notebooks-data/digits-sgd.safetensors
  relief eigenvalues net.safetensors --model mlp --data digits -k 3 --which both
  relief eigenvalues net.pth --model net.toml --data mnist/ --normalize 0.1307,0.3081
  relief eigenvalues net.pth --model resnet18 --data cifar/ --limit 256 -k 1 --format json
  relief eigenvalues net.safetensors -k 20 -o spectrum.csv
  relief eigenvalues net.safetensors --per-layer -k 1 -o layers.png
  relief eigenvalues net.safetensors --blocks 'encoder.*' 'head.*' --per-block
  relief eigenvalues net.safetensors --blocks layer --which both
  relief eigenvalues net.safetensors --operator empirical-fisher
  relief eigenvalues net.pth --model resnet18 --data cifar/ --precondition adam:training.pth -k 1
  relief eigenvalues step1.safetensors --save-vectors top.safetensors
  relief eigenvalues step2.safetensors --warm-start top.safetensors
  relief eigenvalues net.safetensors --resume eigenvalues.state.safetensors      after Ctrl-C

Costs one gradient, and some 5 to 15 products for each eigenvalue, more where they lie close together; with --per-layer,
for every layer. Keeps at most max(100, 4 K + 20) vectors of all parameters in double precision (as many as half a gigabyte holds,
but no fewer than 2 K + 10), and up to --memory of linearized batches: what does not fit costs each product another gradient.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) task: TaskArguments,

    /// How many eigenvalues (of each end with --which both)
    #[arg(short, value_name = "K", default_value_t = 5, help_heading = "Eigenvalues")]
    pub(super) k: usize,

    /// Which end of the spectrum
    #[arg(long, value_enum, default_value = "largest", help_heading = "Eigenvalues")]
    pub(super) which: Which,

    #[command(flatten)]
    pub(super) matrix: OperatorArguments,

    #[command(flatten)]
    separately: Separately,

    /// Residual to reach, relative to the largest Ritz value [default: 1e-6, or what the products' rounding allows]
    #[arg(long, value_name = "TOL", help_heading = "Eigenvalues")]
    tol: Option<f64>,

    /// Stop after this many matrix-vector products
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Eigenvalues")]
    max_products: usize,

    /// Write the eigenvectors, keyed by parameter name, one row per eigenvalue
    #[arg(long, value_name = "FILE", help_heading = "Eigenvalues")]
    save_vectors: Option<PathBuf>,

    /// Start from vectors saved for a nearby checkpoint
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = "Eigenvalues")]
    warm_start: Option<PathBuf>,

    #[command(flatten)]
    pub(super) resume: ResumeArguments,

    /// Draw the eigenvalues in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    pub(super) no_check: bool,

    #[command(flatten)]
    pub(super) run: RunArguments,
}

/// Blocks by themselves.
#[derive(Debug, Args)]
struct Separately {
    /// Each layer's block of the matrix (weight and bias) by itself: the other layers' parameters stay where they are
    #[arg(long, conflicts_with_all = ["blocks", "warm_start", "save_vectors", "plot"], help_heading = "Eigenvalues")]
    per_layer: bool,

    /// Each of the --blocks by itself, instead of all as one matrix
    #[arg(long, requires = "blocks", conflicts_with_all = ["warm_start", "save_vectors", "plot"], help_heading = "Eigenvalues")]
    per_block: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Which {
    Largest,
    Smallest,
    Both,
    Magnitude,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Eigenvalues)?;
    }
    if let Some(path) = &arguments.save_vectors {
        output::check_writable(path)?;
    }
    if let Some(tol) = arguments.tol.filter(|tol| !(*tol > 0.0 && *tol < 1.0)) {
        return Err(Failure::Usage(format!("--tol is {tol}: give a number between 0 and 1")));
    }
    if !arguments.matrix.is_over_parameters()
        && (arguments.save_vectors.is_some() || arguments.warm_start.is_some())
    {
        return Err(Failure::Usage(
            "the tangent kernel's eigenvectors are over outputs, not parameters: leave out --save-vectors and --warm-start"
                .into(),
        ));
    }
    if arguments.k == 0 {
        return Err(Failure::Usage("-k 0 asks for no eigenvalues: ask for at least 1".into()));
    }
    if arguments.separately.per_layer || arguments.separately.per_block {
        return layers::run(arguments);
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("eigenvalues");
    bar.say("reading");
    let loaded = arguments.matrix.load(&arguments.task, arguments.run.seed)?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    bar.say("linearizing");
    let objective = &loaded.task.objective;
    let curvature = Curvature::new(objective, objective.parameters(), load::memory(&arguments.run))?;
    let operator = arguments.matrix.build(&curvature, &loaded.task, arguments.run.seed)?;
    let solver = arguments.solver(objective.parameters(), arguments.wanted(operator.dim())?);
    let start = arguments.warm_start.as_ref().map(|path| vectors::load(path, objective.parameters()));
    let start = start.transpose()?;
    let context = format!("{} {}", loaded.identity(), operator.identity);
    let go_on = |state, bar: &mut progress::Bar| {
        Ok(match state {
            Some(state) => solver.resume(&*operator, state, bar)?,
            None => solver.run(&*operator, start.as_deref(), bar)?,
        })
    };
    let Some((eigen, state)) =
        arguments.resume.run("eigenvalues.state.safetensors", &context, &mut bar, go_on)?
    else {
        return Ok(exit::Outcome::Interrupted);
    };
    drop(bar);
    let work = Work {
        products: operator.passes() * eigen.products,
        gradients: curvature.gradients(),
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    if let Some(path) = &arguments.save_vectors {
        vectors::save(path, objective.parameters(), &eigen)?;
    }
    let converged = report::converged(&eigen);
    let envelope = Envelope::new(
        "relief/eigenvalues/1",
        arguments.run.seed,
        &loaded,
        Point::curved(&curvature, operator.described.clone()),
        (report::Pairs::new(eigen), work),
    );
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    let saved = || Results::of(&json, "the result").map(|results| results.spectra);
    let drawn = arguments.plot && arguments.run.print.format == Format::Human;
    let characters = drawn.then(|| Ok::<_, Failure>(eigenvalue_figures::in_characters(&saved()?)));
    output::present_drawn(
        &arguments.run.print,
        &json,
        || report::human(&envelope),
        || Ok(eigenvalue_figures::figure("", &saved()?)),
        characters.transpose()?,
    )?;
    state.remove();
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Arguments {
    /// What is wanted of a matrix of n rows; an error where it has not as many eigenvalues.
    fn wanted(&self, n: usize) -> Result<Wanted, Failure> {
        let k = self.k;
        let total = if matches!(self.which, Which::Both) { 2 * k } else { k };
        if total > n {
            return Err(Failure::Usage(format!(
                "-k {k} asks for {total} eigenvalues, but the matrix has {n} rows: ask for 1 to {}",
                if total == k { n } else { n / 2 }
            )));
        }
        Ok(self.wanted_at_most(n))
    }

    /// What is wanted of a matrix of n rows: all eigenvalues where it has not as many.
    pub(super) fn wanted_at_most(&self, n: usize) -> Wanted {
        let k = self.k.min(n);
        match self.which {
            Which::Largest => Wanted::Largest { k },
            Which::Smallest => Wanted::Smallest { k },
            Which::Both => Wanted::Both { largest: k.min(n - n / 2), smallest: k.min(n / 2) },
            Which::Magnitude => Wanted::Magnitude { k },
        }
    }

    pub(super) fn solver(&self, parameters: &Parameters, wanted: Wanted) -> Lanczos {
        Lanczos {
            wanted,
            tolerance: self.tol.unwrap_or(1e-6),
            // A tolerance that was asked for is met or not; the default yields to the products' rounding, and says so.
            accept_rounding: self.tol.is_none(),
            unit_roundoff: load::unit_roundoff(parameters),
            max_products: self.max_products,
            seed: self.run.seed,
            ..Lanczos::default()
        }
    }
}
