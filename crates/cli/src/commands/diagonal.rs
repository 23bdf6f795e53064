//! `relief diagonal`: the diagonal of a curvature matrix, parameter by parameter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use relief_hessian::{Curvature, Diagonal, DiagonalEstimate, Objective, Parameters, Sampling, Target};
use relief_models::checkpoint;
use relief_plot::{Axis, Bars, Figure, Group, Panel};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::exports::Sampled;
use crate::load;
use crate::operators::OperatorArguments;
use crate::resuming::ResumeArguments;
use crate::{interrupt, numbers, output, progress, report, table};

/// Estimate the diagonal of the Hessian (XDiag), with a standard error for every entry
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief diagonal notebooks-data/digits-sgd.safetensors
  relief diagonal notebooks-data/digits-sgd.safetensors --products 200 --save diagonal.safetensors
  relief diagonal net.pth --model resnet18 --data cifar/ --limit 256 --operator gauss-newton -o diagonal.png

Keeps a vector of all parameters for each product, in double precision. The relative error is that of the whole vector, in the
Euclidean norm.")]
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

/// The `result` of `relief diagonal`.
#[derive(Debug, Serialize)]
struct Found {
    tensors: Vec<OfTensor>,
    /// Root mean square of the whole vector's error over its norm.
    relative_error: f64,
    products: usize,
    status: relief_hessian::EstimateStatus,
}

/// The entries of one tensor.
#[derive(Debug, Serialize)]
struct OfTensor {
    name: String,
    parameters: usize,
    /// What the tensor adds to the trace.
    sum: f64,
    mean: f64,
    min: f64,
    max: f64,
    /// Root mean square of the entries' standard errors.
    standard_error: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_numbers(path)?;
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
    let found = Found::new(at, &estimate);
    let reached = found.status.remedy().is_none();
    let work = Work {
        products: operator.passes() * found.products,
        gradients: curvature.gradients(),
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let point = Point::curved(&curvature, operator.described.clone());
    let envelope = Envelope::new("relief/diagonal/1", arguments.run.seed, &loaded, point, (found, work));
    let result = &envelope.result;
    output::present_numbers(
        &arguments.run.print,
        &envelope,
        || human(&envelope),
        || figure(result, &arguments.matrix.name()),
        || sampled(result),
    )?;
    state.remove();
    Ok(if reached { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Found {
    fn new(at: &Parameters, estimate: &DiagonalEstimate) -> Self {
        let tensors = at.ranges().into_iter().map(|(name, range)| {
            let (values, errors) = (&estimate.values[range.clone()], &estimate.standard_errors[range]);
            let count = values.len();
            let sum: f64 = values.iter().sum();
            OfTensor {
                name: name.to_string(),
                parameters: count,
                sum,
                mean: sum / count as f64,
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                standard_error: (errors.iter().map(|e| e * e).sum::<f64>() / count as f64).sqrt(),
            }
        });
        let norm = estimate.values.iter().map(|v| v * v).sum::<f64>().sqrt();
        Self {
            tensors: tensors.collect(),
            relative_error: estimate.error_estimate / norm,
            products: estimate.products,
            status: estimate.status,
        }
    }
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

fn of(result: &Found, value: &dyn Fn(&OfTensor) -> f64) -> Vec<f64> {
    result.tensors.iter().map(value).collect()
}

fn figure(result: &Found, operator: &str) -> Figure {
    let bars = Bars {
        title: String::new(),
        value: Axis::linear(format!("mean of the diagonal's entries ({operator})")),
        names: result.tensors.iter().map(|t| t.name.clone()).collect(),
        groups: vec![Group {
            name: String::new(),
            values: of(result, &|t| t.mean),
            errors: vec![0.0; result.tensors.len()],
        }],
    };
    Figure::new("", vec![Panel::Bars(bars)])
}

fn sampled(result: &Found) -> Sampled {
    Sampled {
        axes: vec![("tensor", (0..result.tensors.len()).map(|i| i as f64).collect())],
        measures: vec![
            ("parameters", of(result, &|t| t.parameters as f64)),
            ("sum", of(result, &|t| t.sum)),
            ("mean", of(result, &|t| t.mean)),
            ("min", of(result, &|t| t.min)),
            ("max", of(result, &|t| t.max)),
            ("standard_error", of(result, &|t| t.standard_error)),
        ],
    }
}

fn human(envelope: &Envelope<Found>) -> String {
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
