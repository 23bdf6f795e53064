//! `relief outliers`: which of the Gauss-Newton matrix's top eigenvalues are a matter of the classes.

use std::time::Instant;

use clap::Args;
use relief_hessian::{
    ClassStructure, Curvature, Lanczos, Objective, Sampling, Target, Trace, TraceMethod, Wanted,
};
use relief_models::data::Targets;
use relief_models::loss::Loss;
use relief_models::task::Minibatches;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::{Explained, Outliers};
use crate::load;
use crate::parts::{self, Found, Parts};
use crate::resuming::ResumeArguments;
use crate::saved::Kind;
use crate::watched::Watched;
use crate::{interrupt, numbers, output, progress, report, table};

/// Tell which top eigenvalues of a classifier's Gauss-Newton matrix come from its classes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief outliers notebooks-data/digits-sgd.safetensors
  relief outliers net.pth --model resnet18 --data cifar/ --limit 1000 -k 15 -o outliers.png
  relief outliers net.safetensors --relative-error 0.01 --format json
  relief outliers notebooks-data/digits-sgd.safetensors --resume outliers.state.safetensors      after Ctrl-C

The Gauss-Newton matrix of a cross-entropy is the sum of four parts (Papyan 2020): between classes (rank C at most), cross-class,
own labels, and within. An eigenvector's share in a space is the squared length of its projection. Costs
products for the trace (XNysTrace: 16, 32 and so on until the error is as asked), a search for K eigenvalues (some 5 to 10 products for
each), and C backward passes over the data. Keeps a vector of all parameters in double precision for each product of the
trace, at most max(100, 4 K + 20) in the search, then C^2 class means; and up to --memory of linearized batches. Ctrl-C saves the
part that is done, and the search that it interrupts.")]
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
    resume: ResumeArguments,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Outliers)?;
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
    let context =
        format!("outliers {} seed {seed} error {:e} k {k}", loaded.identity(), arguments.relative_error);
    let mut parts = Parts::begin("outliers.state.safetensors", &context, &arguments.resume, &mut bar)?;
    bar.at("outliers: trace".into());
    let trace = parts.part("trace", &mut bar, |state, bar| {
        let outcome = match state {
            Some(state) => estimator.resume(&operator, state, bar)?,
            None => estimator.run(&operator, bar)?,
        };
        Ok(outcome.map(|trace| Found { products: trace.products, numbers: trace, vectors: vec![] }))
    })?;
    let Some(Found { numbers: trace, .. }) = trace else { return Ok(exit::Outcome::Interrupted) };
    bar.at("outliers: eigenvalues".into());
    let eigen =
        parts.part("eigenvalues", &mut bar, |state, bar| parts::search(&solver, &operator, state, bar))?;
    let Some(Found { numbers: eigen, vectors, products }) = eigen else {
        return Ok(exit::Outcome::Interrupted);
    };
    bar.say("means of classes");
    let sum = Minibatches::new(&loaded.architecture, &loaded.tensors, &loaded.data, &loaded.options)?;
    let structure = match ClassStructure::new(&Watched(sum), at, &labels, Some(trace.value)) {
        Err(_) if interrupt::requested() => return parts.interrupted(&mut bar),
        structure => structure?,
    };
    drop(bar);
    let eigenvalues: Vec<Explained> = eigen
        .largest
        .iter()
        .zip(&vectors)
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
        products: trace.products + products,
        gradients: curvature.gradients() + result.structure.backward_passes,
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let reached = report::converged(&eigen) && trace.status.remedy().is_none();
    let point = Point::curved(&curvature, "gauss-newton");
    let envelope = Envelope::new("relief/outliers/1", seed, &loaded, point, (result, work));
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    parts.finish().remove();
    Ok(if reached { exit::Outcome::Done } else { exit::Outcome::NotConverged })
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
