//! `relief spectrum`: the distribution of all eigenvalues of a curvature matrix, within bounds.

use std::time::Instant;

use clap::Args;
use relief_hessian::{Curvature, Objective, Outcome, Plan, SpectralDensity, SpectrumOutcome};

use super::layer_spectra;
use crate::arguments::{Format, RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::operators::OperatorArguments;
use crate::resuming::ResumeArguments;
use crate::saved::{Kind, Results};
use crate::spectral::{self, Curve, Distribution};
use crate::{interrupt, output, progress, spectrum_figures};

/// The distribution of all eigenvalues: density, cumulative share with bounds, trace, outliers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief spectrum notebooks-data/digits-sgd.safetensors --plot
  relief spectrum notebooks-data/digits-sgd.safetensors --probes 4 --steps 60 -o spectrum.png
  relief spectrum notebooks-data/digits-sgd.safetensors --log -o spectrum.html
  relief spectrum notebooks-data/digits-sgd.safetensors --per-layer --log -o layers.png
  relief spectrum net.pth --model resnet18 --data cifar/ --operator gauss-newton --sample 1000 -o spectrum.json
  relief plot sgd.json sam.json -o spectra.png        several in one picture
  relief spectrum notebooks-data/digits-sgd.safetensors --resume spectrum.state.safetensors      after Ctrl-C

Costs one gradient, and as many products as random vectors have steps, --probes times --steps; with --per-layer, for every layer.
Keeps a vector of all parameters in double precision for each step of one random vector, and up to --memory of linearized
batches. Ctrl-C saves the random vectors that are done, and the steps of the one at work.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) task: TaskArguments,

    #[command(flatten)]
    pub(super) matrix: OperatorArguments,

    /// Each layer's block of the matrix by itself, in one figure: the other layers' parameters stay where they are
    #[arg(long, conflicts_with = "plot", help_heading = "Spectrum")]
    per_layer: bool,

    /// Wasserstein distance to the true distribution to aim for, as a share of the spread: exit code 1 if it is not sure
    /// to be met [default: 0.02, as far as 10 random vectors meet it]
    #[arg(long, value_name = "SHARE", help_heading = "Spectrum")]
    accuracy: Option<f64>,

    /// Probability with which bounds hold
    #[arg(long, value_name = "P", default_value_t = 0.95, help_heading = "Spectrum")]
    confidence: f64,

    /// Random vectors [default: as many as the accuracy asks for, at most 10]
    #[arg(long, value_name = "N", help_heading = "Spectrum")]
    probes: Option<usize>,

    /// Lanczos steps, that is products, for each [default: as many as the accuracy asks for and 4 GB hold, at least 20]
    #[arg(long, value_name = "M", help_heading = "Spectrum")]
    steps: Option<usize>,

    /// Standard deviation of the density's Gaussians, in decades with --log [default: the spread over the steps; 0.1]
    #[arg(long, value_name = "WIDTH", help_heading = "Spectrum")]
    sigma: Option<f64>,

    /// The density over log10 of the magnitude, of positive and of negative eigenvalues
    #[arg(long, help_heading = "Spectrum")]
    log: bool,

    #[command(flatten)]
    pub(super) resume: ResumeArguments,

    /// Draw the density in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    pub(super) no_check: bool,

    #[command(flatten)]
    pub(super) run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Spectrum)?;
    }
    arguments.check()?;
    if arguments.per_layer {
        return layer_spectra::run(arguments);
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("spectrum");
    bar.say("reading");
    let loaded = arguments.matrix.load(&arguments.task, arguments.run.seed)?;
    let objective = &loaded.task.objective;
    let settings = arguments.settings(&loaded);
    let plan = settings.plan(objective.parameters().len())?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    bar.say("linearizing");
    let curvature = Curvature::new(objective, objective.parameters(), load::memory(&arguments.run))?;
    let operator = arguments.matrix.build(&curvature, &loaded.task, arguments.run.seed)?;
    let context = format!("{} {}", loaded.identity(), operator.identity);
    let go_on = |state, bar: &mut progress::Bar| {
        let outcome = match state {
            Some(state) => settings.resume(&*operator, state, bar)?,
            None => settings.run(&*operator, bar)?,
        };
        Ok(match outcome {
            SpectrumOutcome::Done(spectrum) => Outcome::Done(spectrum),
            SpectrumOutcome::Interrupted(state) => Outcome::Interrupted(state),
        })
    };
    let Some((spectrum, state)) =
        arguments.resume.run("spectrum.state.safetensors", &context, &mut bar, go_on)?
    else {
        return Ok(exit::Outcome::Interrupted);
    };
    drop(bar);
    let (products, gradients) = (operator.passes() * spectrum.products, curvature.gradients());
    let density = Distribution::new(spectrum, &settings, arguments.curve())?;
    let work = Work { products, gradients, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::curved(&curvature, operator.described.clone());
    let mut envelope = Envelope::new(spectral::SCHEMA, arguments.run.seed, &loaded, point, (density, work));
    envelope.notes.extend(arguments.missed(&plan));
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    let saved = || Results::of(&json, "the result").map(|results| results.densities);
    let drawn = arguments.plot && arguments.run.print.format == Format::Human;
    let characters = drawn.then(|| Ok::<_, Failure>(spectrum_figures::in_characters(&saved()?)));
    output::present_drawn(
        &arguments.run.print,
        &json,
        || spectral::human(&envelope),
        || Ok(spectrum_figures::figure("", &saved()?)),
        characters.transpose()?,
    )?;
    state.remove();
    Ok(if arguments.missed(&plan).is_some() { exit::Outcome::NotConverged } else { exit::Outcome::Done })
}

impl Arguments {
    /// Refuses what no checkpoint could make right, before it is read.
    fn check(&self) -> Result<(), Failure> {
        let inside = |x: f64| x > 0.0 && x < 1.0;
        let problem = if let Some(accuracy) = self.accuracy.filter(|a| !inside(*a)) {
            format!("--accuracy is {accuracy}: give a number between 0 and 1")
        } else if !inside(self.confidence) {
            format!("--confidence is {}: give a number between 0 and 1, as 0.95 is", self.confidence)
        } else if self.probes == Some(0) {
            "--probes is 0: give at least 1, or leave it out".to_string()
        } else if self.steps == Some(0) {
            "--steps is 0: give at least 1, or leave it out".to_string()
        } else if let Some(sigma) = self.sigma.filter(|s| !(*s > 0.0 && s.is_finite())) {
            format!("--sigma is {sigma}: give a positive number")
        } else {
            return Ok(());
        };
        Err(Failure::Usage(problem))
    }

    /// How the density is drawn.
    pub(super) fn curve(&self) -> Curve {
        Curve { log: self.log, sigma: self.sigma }
    }

    pub(super) fn settings(&self, loaded: &Loaded) -> SpectralDensity {
        let default = SpectralDensity::default();
        SpectralDensity {
            accuracy: self.accuracy.unwrap_or(default.accuracy),
            confidence: self.confidence,
            probes: self.probes,
            steps: self.steps,
            seed: self.run.seed,
            unit_roundoff: load::unit_roundoff(loaded.task.objective.parameters()),
        }
    }

    /// How an accuracy that was asked for is not sure to be met; one that was not asked for is only an aim.
    pub(super) fn missed(&self, plan: &Plan) -> Option<String> {
        let asked = self.accuracy.filter(|asked| plan.distance > asked * (1.0 + 1e-9))?;
        Some(format!(
            "an accuracy of {asked} is not sure to be met by {} random vectors with {} steps each, which guarantee {:.3}: \
             give more with --probes and --steps",
            plan.probes, plan.steps, plan.distance
        ))
    }
}
