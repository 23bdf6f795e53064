//! `relief trace`: trace, Frobenius norm and sums over eigenvalues, each with its error.

use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_hessian::{
    Curvature, EstimateState, EstimateStatus, Frobenius, FrobeniusMethod, Interim, Objective, Outcome,
    Sampling, SpectralSum, Summand, SymmetricOperator, Target, Trace, TraceMethod,
};

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::{Estimate, Quantity};
use crate::load::{self, Loaded};
use crate::operators::OperatorArguments;
use crate::resuming::ResumeArguments;
use crate::saved::Kind;
use crate::{interrupt, numbers, output, progress, report};

/// Estimate the trace of the Hessian, or another sum over its eigenvalues, to a relative error
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief trace notebooks-data/digits-sgd.safetensors
  relief trace notebooks-data/digits-sgd.safetensors --relative-error 0.005 --format json
  relief trace notebooks-data/digits-sgd.safetensors --of frobenius --products 30
  relief trace net.pth --model resnet18 --data cifar/ --operator gauss-newton --method xnystrace
  relief trace net.pth --model mlp --data digits --operator gauss-newton --of effective-dimension --damping 1e-3
  relief trace notebooks-data/digits-sgd.safetensors -o trace.png        the running estimate and each random vector's
  relief plot trace-sgd.json trace-sam.json -o traces.svg

Costs one gradient, and products until the error is as asked: 16, 32, 64 and so on, or --products; a small matrix is multiplied
column by column instead, and is then exact. Keeps a vector of all parameters in double precision for each product (xtrace,
xnystrace, hutch++ and --of frobenius), at most two with hutchinson, and one for each step of a random vector's quadrature
with the last two quantities, all within --memory; and up to --memory of linearized batches besides.

The error is a standard error, estimated from the same products: in about 95 of 100 runs the value is off by less than twice
of it.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    #[command(flatten)]
    matrix: OperatorArguments,

    /// What is estimated. The last two need a matrix without negative eigenvalues, such as the Gauss-Newton part, and a
    /// damping
    #[arg(long, value_enum, default_value = "trace", help_heading = "Estimate")]
    of: Quantity,

    /// How a trace is estimated; xnystrace is for matrices without negative eigenvalues
    #[arg(long, value_enum, default_value = "xtrace", help_heading = "Estimate")]
    method: Method,

    /// Added to every eigenvalue inside the logarithm or the ratio
    #[arg(long, value_name = "D", default_value_t = 1e-3, help_heading = "Estimate")]
    damping: f64,

    /// Products until twice the standard error is below this share of the value
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, help_heading = "Estimate")]
    relative_error: f64,

    /// So many products instead, whatever the error
    #[arg(long, value_name = "N", conflicts_with = "relative_error", help_heading = "Estimate")]
    products: Option<usize>,

    /// Products at most
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Estimate")]
    max_products: usize,

    #[command(flatten)]
    resume: ResumeArguments,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    no_check: bool,

    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Xtrace,
    Xnystrace,
    #[value(name = "hutch++")]
    HutchPlusPlus,
    Hutchinson,
}

impl From<Method> for TraceMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Xtrace => Self::XTrace,
            Method::Xnystrace => Self::XNysTrace,
            Method::HutchPlusPlus => Self::HutchPlusPlus,
            Method::Hutchinson => Self::Hutchinson,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Estimate)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("trace");
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
    let context = format!("{} {}", loaded.identity(), operator.identity);
    let sampling = arguments.sampling(&loaded);
    let go_on = |state, bar: &mut _| arguments.estimate(&sampling, &*operator, state, bar);
    let Some((estimate, state)) =
        arguments.resume.run("trace.state.safetensors", &context, &mut bar, go_on)?
    else {
        return Ok(exit::Outcome::Interrupted);
    };
    drop(bar);
    let reached = estimate.status.remedy().is_none();
    let (products, gradients) = (operator.passes() * estimate.products, curvature.gradients());
    let work = Work { products, gradients, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::curved(&curvature, operator.described.clone());
    let envelope = Envelope::new("relief/trace/1", arguments.run.seed, &loaded, point, (estimate, work));
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    state.remove();
    Ok(if reached { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Arguments {
    fn sampling(&self, loaded: &Loaded) -> Sampling {
        Sampling {
            target: self.products.map_or(Target::RelativeError(self.relative_error), Target::Products),
            max_products: self.max_products.max(self.products.unwrap_or(0)),
            memory: load::memory(&self.run),
            unit_roundoff: load::unit_roundoff(loaded.task.objective.parameters()),
            seed: self.run.seed,
            ..Sampling::default()
        }
    }

    fn estimate(
        &self,
        sampling: &Sampling,
        operator: &dyn SymmetricOperator,
        state: Option<EstimateState>,
        bar: &mut progress::Bar,
    ) -> Result<Outcome<Estimate, EstimateState>, Failure> {
        let finish = |sum: Summed| Estimate {
            of: self.of,
            method: sum.method,
            damping: sum.damping,
            value: sum.value,
            error_estimate: sum.error_estimate,
            samples: sum.estimates.len(),
            rows: operator.dim(),
            products: sum.products,
            status: sum.status,
            target: self.products.is_none().then_some(self.relative_error),
            estimates: sum.estimates,
            history: sum.history,
        };
        let sampling = sampling.clone();
        let found = match self.of {
            Quantity::LogDeterminant | Quantity::EffectiveDimension => {
                let summand = if self.of == Quantity::LogDeterminant {
                    Summand::Logarithm
                } else {
                    Summand::EffectiveDimension
                };
                let sum = SpectralSum { summand, damping: self.damping, sampling };
                let found = match state {
                    Some(state) => sum.resume(operator, state, bar),
                    None => sum.run(operator, bar),
                }?;
                found.map(|e| Summed {
                    method: None,
                    damping: Some(self.damping),
                    value: e.value,
                    error_estimate: e.error_estimate,
                    products: e.products,
                    status: e.status,
                    estimates: e.estimates,
                    history: e.history,
                })
            }
            Quantity::Trace => {
                let trace = Trace { method: self.method.into(), sampling };
                let found = match state {
                    Some(state) => trace.resume(operator, state, bar),
                    None => trace.run(operator, bar),
                }?;
                found.map(|e| Summed {
                    method: Some(e.method),
                    damping: None,
                    value: e.value,
                    error_estimate: e.error_estimate,
                    products: e.products,
                    status: e.status,
                    estimates: e.estimates,
                    history: e.history,
                })
            }
            Quantity::Frobenius => {
                let norm = Frobenius { method: FrobeniusMethod::default(), sampling };
                let found = match state {
                    Some(state) => norm.resume(operator, state, bar),
                    None => norm.run(operator, bar),
                }?;
                found.map(|e| Summed {
                    method: None,
                    damping: None,
                    value: e.value,
                    error_estimate: e.error_estimate,
                    products: e.products,
                    status: e.status,
                    estimates: e.estimates,
                    history: e.history,
                })
            }
        };
        Ok(found.map(finish))
    }
}

/// What all estimators say.
struct Summed {
    method: Option<TraceMethod>,
    damping: Option<f64>,
    value: f64,
    error_estimate: f64,
    products: usize,
    status: EstimateStatus,
    estimates: Vec<f64>,
    history: Vec<Interim>,
}

fn human(envelope: &Envelope<Estimate>) -> String {
    let Estimate { of, value, error_estimate, status, damping, .. } = &envelope.result;
    let name = of.name();
    let damped = damping.map_or(String::new(), |d| format!(" with damping {d}"));
    let share = 100.0 * error_estimate / value.abs();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!(
            "  {name}{damped} {}   standard error {} ({share:.2} %)",
            numbers::with_bound(*value, *error_estimate),
            numbers::small(*error_estimate)
        ),
    ];
    if *of == Quantity::Trace {
        let rows = envelope.result.rows as f64;
        let mean = value / rows;
        out.push(format!("  mean eigenvalue {}", numbers::with_bound(mean, error_estimate / rows)));
    }
    if *status == EstimateStatus::Exact {
        out.push("  exact to rounding".into());
    }
    out.extend(status.remedy().map(|remedy| format!("  target not reached: {remedy}")));
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
