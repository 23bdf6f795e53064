//! `relief diagonal`: the diagonal of a curvature matrix, parameter by parameter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use relief_hessian::{Curvature, Diagonal, DiagonalEstimate, Objective, Parameters, Sampling, Target};
use relief_models::checkpoint;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::{self, OfTensor};
use crate::load;
use crate::operators::OperatorArguments;
use crate::resuming::ResumeArguments;
use crate::saved::Kind;
use crate::{interrupt, numbers, output, progress, report, table};

/// Estimate the diagonal of the Hessian (XDiag), with a standard error for every entry
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief diagonal notebooks-data/digits-sgd.safetensors
  relief diagonal notebooks-data/digits-sgd.safetensors --products 200 --save diagonal.safetensors
  relief diagonal net.pth --model resnet18 --data cifar/ --limit 256 --operator gauss-newton -o diagonal.png

Costs one gradient, and products until the error is as asked: 16, 32, 64 and so on, or --products; a small matrix
is multiplied column by column instead, and is then exact. Keeps a vector of all parameters in double precision for each product, two more for the result, and up to --memory
of linearized batches. The relative error is that of the whole vector, in the Euclidean norm. A figure shows each tensor's
mean entry and its part of the trace; `relief plot` draws a saved result again, or several beside each other.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    #[command(flatten)]
    matrix: OperatorArguments,

    /// Products until twice the root-mean-square error is below this share of the diagonal's norm
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, help_heading = "Estimate")]
    relative_error: f64,

    /// So many products instead, whatever the error
    #[arg(long, value_name = "N", conflicts_with = "relative_error", help_heading = "Estimate")]
    products: Option<usize>,

    /// Products at most
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Estimate")]
    max_products: usize,

    /// Write the diagonal under the parameters' names, and the standard errors as `NAME.standard_error`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    save: Option<PathBuf>,

    #[command(flatten)]
    resume: ResumeArguments,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Diagonal)?;
    }
    if let Some(path) = &arguments.save {
        output::check_writable(path)?;
    }
    if !arguments.matrix.is_over_parameters() {
        return Err(Failure::Usage("the tangent kernel has no parameters: take another --operator".into()));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("diagonal");
    bar.say("reading");
    let loaded = arguments.matrix.load(&arguments.task, arguments.run.seed)?;
    let objective = &loaded.task.objective;
    let at = objective.parameters();
    let curvature = Curvature::new(objective, at, load::memory(&arguments.run))?;
    let operator = arguments.matrix.build(&curvature, &loaded.task, arguments.run.seed)?;
    let sampling = Sampling {
        target: arguments.products.map_or(Target::RelativeError(arguments.relative_error), Target::Products),
        max_products: arguments.max_products.max(arguments.products.unwrap_or(0)),
        memory: load::memory(&arguments.run),
        unit_roundoff: load::unit_roundoff(at),
        seed: arguments.run.seed,
        ..Sampling::default()
    };
    let estimator = Diagonal { sampling, ..Diagonal::default() };
    let context = format!("{} {}", loaded.identity(), operator.identity);
    let go_on = |state, bar: &mut progress::Bar| {
        Ok(match state {
            Some(state) => estimator.resume(&*operator, state, bar)?,
            None => estimator.run(&*operator, bar)?,
        })
    };
    let Some((estimate, state)) =
        arguments.resume.run("diagonal.state.safetensors", &context, &mut bar, go_on)?
    else {
        return Ok(exit::Outcome::Interrupted);
    };
    drop(bar);
    if let Some(path) = &arguments.save {
        save(path, at, &estimate)?;
    }
    let found = findings::Diagonal::new(at, &estimate);
    let reached = found.status.remedy().is_none();
    let work = Work {
        products: operator.passes() * found.products,
        gradients: curvature.gradients(),
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let point = Point::curved(&curvature, operator.described.clone());
    let envelope = Envelope::new("relief/diagonal/1", arguments.run.seed, &loaded, point, (found, work));
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    state.remove();
    Ok(if reached { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// Entries and standard errors under the parameters' names, in double precision.
fn save(path: &Path, at: &Parameters, estimate: &DiagonalEstimate) -> Result<(), Failure> {
    let at = at.to_dtype(candle_core::DType::F64)?;
    let mut tensors = BTreeMap::new();
    for (suffix, values) in [("", &estimate.values), (".standard_error", &estimate.standard_errors)] {
        for (name, tensor) in at.names().iter().zip(at.unflatten(values)?) {
            tensors.insert(format!("{name}{suffix}"), tensor);
        }
    }
    Ok(checkpoint::save(path, &tensors, &BTreeMap::new())?)
}

fn human(envelope: &Envelope<findings::Diagonal>) -> String {
    let result = &envelope.result;
    let row = |t: &OfTensor| {
        vec![
            t.name.clone(),
            numbers::count(t.parameters),
            format!("{:.4e}", t.sum),
            format!("{:.4e}", t.mean),
            format!("{:.3e}", t.min),
            format!("{:.3e}", t.max),
            numbers::small(t.standard_error),
        ]
    };
    let rows: Vec<Vec<String>> = result.tensors.iter().map(row).collect();
    let heads = ["tensor", "parameters", "sum", "mean", "least", "most", "standard error of an entry"];
    let mut out = vec![
        report::head(envelope),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
        format!("  root-mean-square error of the whole diagonal {:.2} %", 100.0 * result.relative_error),
    ];
    out.extend(result.status.remedy().map(|remedy| format!("  target not reached: {remedy}")));
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
