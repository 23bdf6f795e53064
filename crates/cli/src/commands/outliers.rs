//! `relief outliers`: which of the Gauss-Newton matrix's top eigenvalues are a matter of the classes.

use std::time::Instant;

use clap::Args;
use relief_hessian::{
    ClassStructure, Curvature, EigenPair, Lanczos, Objective, Outcome, Sampling, Target, Trace, TraceMethod,
    Wanted,
};
use relief_models::data::Targets;
use relief_models::loss::Loss;
use relief_models::task::Minibatches;
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Series};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::exports::Sampled;
use crate::load;
use crate::{interrupt, numbers, output, progress, report, table};

/// Tell which top eigenvalues of a classifier's Gauss-Newton matrix come from its classes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief outliers notebooks-data/digits-sgd.safetensors
  relief outliers net.pth --model resnet18 --data cifar/ --limit 1000 -k 15 -o outliers.png
  relief outliers net.safetensors --relative-error 0.01 --format json

The Gauss-Newton matrix of a cross-entropy is the sum of four parts (Papyan 2020): between classes (rank C at most), cross-class,
own labels, and within. An eigenvector's share in a space is the squared length of its projection. Costs C backward passes
and the memory of C^2 gradients beside the products.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Eigenvalues to explain [default: as many as there are classes, and three more]
    #[arg(short, value_name = "K", help_heading = "Outliers")]
    k: Option<usize>,

    /// Share of an eigenvector from which on the space explains it
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, help_heading = "Outliers")]
    share: f64,

    /// Estimate the trace until twice its standard error is below this share of it
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, help_heading = "Outliers")]
    relative_error: f64,

    #[command(flatten)]
    run: RunArguments,
}

/// The `result` of `relief outliers`.
#[derive(Debug, Serialize)]
struct Outliers {
    classes: usize,
    eigenvalues: Vec<Explained>,
    /// Leading eigenvalues, from the first on, whose vectors have at least `share` in the space.
    explained_between: usize,
    explained_by_all_means: usize,
    share: f64,
    trace: f64,
    trace_error: f64,
    #[serde(flatten)]
    structure: ClassStructure,
}

/// An eigenvalue and where its vector lies.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    pair: EigenPair,
    /// Share of the vector in the span of the means of classes.
    between: f64,
    /// In that of the means of all classes and labels.
    all_means: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_numbers(path)?;
    }
    if !(arguments.share > 0.0 && arguments.share <= 1.0) {
        return Err(Failure::Usage(format!("--share is {}: give a number in 0..1", arguments.share)));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("outliers");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    let (Targets::Classes(labels), Loss::CrossEntropy) = (&loaded.data.targets, loaded.task.loss) else {
        return Err(Failure::Input(format!(
            "the loss is `{}`, but classes are behind the outliers of `cross-entropy` over class labels alone",
            loaded.task.loss
        )));
    };
    let labels = labels.to_vec1::<u32>().map_err(relief_hessian::Error::from)?;
    let objective = &loaded.task.objective;
    let (at, unit_roundoff) = (objective.parameters(), load::unit_roundoff(objective.parameters()));
    let curvature = Curvature::new(objective, at, load::memory(&arguments.run))?;
    let operator = curvature.gauss_newton();
    let seed = arguments.run.seed;
    let sampling = Sampling {
        target: Target::RelativeError(arguments.relative_error),
        unit_roundoff,
        seed,
        ..Sampling::default()
    };
    let estimator = Trace { method: TraceMethod::XNysTrace, sampling };
    let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let k = arguments.k.unwrap_or(classes + 3).min(at.len());
    let solver =
        Lanczos { wanted: Wanted::Largest { k }, unit_roundoff, seed, tolerance: 1e-5, ..Lanczos::default() };
    let (Outcome::Done(trace), Outcome::Done(eigen)) =
        (estimator.run(&operator, &mut bar)?, solver.run(&operator, None, &mut bar)?)
    else {
        return Ok(interrupt::lost());
    };
    bar.say("means of classes");
    let sum = Minibatches::new(&loaded.architecture, &loaded.tensors, &loaded.data, &loaded.options)?;
    let structure = ClassStructure::new(&sum, at, &labels, Some(trace.value))?;
    drop(bar);
    let eigenvalues: Vec<Explained> = eigen
        .largest
        .iter()
        .zip(&eigen.vectors)
        .map(|(pair, vector)| {
            let (between, all_means) = structure.shares(vector);
            Explained { pair: pair.clone(), between, all_means }
        })
        .collect();
    let leading =
        |of: &dyn Fn(&Explained) -> f64| eigenvalues.iter().take_while(|e| of(e) >= arguments.share).count();
    let result = Outliers {
        classes,
        explained_between: leading(&|e| e.between),
        explained_by_all_means: leading(&|e| e.all_means),
        share: arguments.share,
        trace: trace.value,
        trace_error: trace.error_estimate,
        eigenvalues,
        structure,
    };
    let work = Work {
        products: trace.products + eigen.products,
        gradients: curvature.gradients() + result.structure.backward_passes,
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let reached = report::converged(&eigen) && trace.status.remedy().is_none();
    let point = Point::curved(&curvature, "gauss-newton");
    let envelope = Envelope::new("relief/outliers/1", seed, &loaded, point, (result, work));
    let result = &envelope.result;
    output::present_numbers(
        &arguments.run.print,
        &envelope,
        || human(&envelope),
        || figure(result),
        || sampled(result),
    )?;
    Ok(if reached { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

fn ranks(count: usize) -> Vec<f64> {
    (1..=count).map(|rank| rank as f64).collect()
}

fn figure(result: &Outliers) -> Figure {
    let count = result.eigenvalues.len();
    let of = |value: &dyn Fn(&Explained) -> f64| result.eigenvalues.iter().map(value).collect::<Vec<f64>>();
    let structure = &result.structure;
    let part = |name: &str, values: &[f64]| {
        let shown: Vec<f64> = values.iter().copied().take(count).collect();
        Series::new(name, ranks(shown.len()), shown)
    };
    let values = Lines::new("", Axis::linear("rank"), Axis::log("eigenvalue"))
        .with(Series::new("Gauss-Newton matrix", ranks(count), of(&|e| e.pair.value)).marked(Mark::Dots))
        .with(part("between classes", &structure.between))
        .with(part("cross-class", &structure.cross).marked(Mark::Dashed));
    let shares =
        Lines::new("", Axis::linear("rank"), Axis::linear("share of the eigenvector").between(0.0, 1.05))
            .with(Series::new("in the means of classes", ranks(count), of(&|e| e.between)))
            .with(
                Series::new("in those of classes and labels", ranks(count), of(&|e| e.all_means))
                    .marked(Mark::Dashed),
            );
    Figure::new("", vec![Panel::Lines(values), Panel::Lines(shares)])
}

fn sampled(result: &Outliers) -> Sampled {
    let of = |value: &dyn Fn(&Explained) -> f64| result.eigenvalues.iter().map(value).collect::<Vec<f64>>();
    Sampled {
        axes: vec![("rank", ranks(result.eigenvalues.len()))],
        measures: vec![
            ("eigenvalue", of(&|e| e.pair.value)),
            ("error_bound", of(&|e| e.pair.error_bound)),
            ("between", of(&|e| e.between)),
            ("all_means", of(&|e| e.all_means)),
        ],
    }
}

fn human(envelope: &Envelope<Outliers>) -> String {
    let result = &envelope.result;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let rows: Vec<Vec<String>> = result
        .eigenvalues
        .iter()
        .enumerate()
        .map(|(i, e)| {
            let own = |values: &[f64]| values.get(i).map_or("-".into(), |v| numbers::plain(*v));
            vec![
                (i + 1).to_string(),
                numbers::with_bound(e.pair.value, e.pair.error_bound),
                percent(e.between),
                percent(e.all_means),
                own(&result.structure.between),
                own(&result.structure.cross),
            ]
        })
        .collect();
    let heads = ["", "eigenvalue", "in class means", "in all means", "between classes", "cross-class"];
    let traces = result.structure.traces;
    let share = |part: f64| percent(part / result.trace);
    let mut out = vec![
        report::head(envelope),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
        format!(
            "  the first {} eigenvalues are explained by the means of {} classes, the first {} by those of classes and labels \
             (share {} and more)",
            result.explained_between,
            result.classes,
            result.explained_by_all_means,
            percent(result.share)
        ),
        format!(
            "  trace {}: between classes {}, cross-class {}, own labels {}, within {}",
            numbers::with_bound(result.trace, result.trace_error),
            share(traces.between),
            share(traces.cross),
            share(traces.own),
            share(traces.within)
        ),
        report::work(envelope),
    ];
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
