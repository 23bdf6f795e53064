//! `relief subset`: what the top eigenvalue of a few examples says about that of all.

use std::time::Instant;

use clap::Args;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Curvature, Eigen, FiniteSum, Lanczos, Objective, Wanted};
use relief_models::task::Minibatches;
use serde::{Deserialize, Serialize};

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::{Size, Spread, Subsets};
use crate::load;
use crate::parts::{self, Found, Parts};
use crate::resuming::ResumeArguments;
use crate::saved::Kind;
use crate::{interrupt, numbers, output, progress, report, table};

/// Tell how far the top eigenvalue of random samples is from that of all examples, and its eigenvector
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief subset notebooks-data/digits-sgd.safetensors
  relief subset notebooks-data/digits-sgd.safetensors --sizes 32,128,512 --draws 20 -o subset.png
  relief subset net.pth --model resnet18 --data cifar/ --limit 2000 --draws 5 --format json
  relief subset notebooks-data/digits-sgd.safetensors --resume subset.state.safetensors      after Ctrl-C

Costs a search for one eigenvalue (10 to 40 products) over all examples, and one for each sample over its own examples: with the
default sizes and --draws 10, five to ten times as much as the first. Keeps up to 100 vectors of all parameters, and up to
--memory of linearized batches. After Ctrl-C, samples that are done are not searched again, and more draws or sizes may be asked
for.

Samples are drawn without replacement. Ranges are the 2.5 % and 97.5 % quantiles of the mean over bootstrap resamples of the
draws; beside them, what a single sample gave at least and at most. The largest eigenvalue of a sample is too large on average:
maxima of sums are.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Examples of the samples [default: powers of two up to half of all]
    #[arg(long, value_name = "M,M,...", value_delimiter = ',', help_heading = "Samples")]
    sizes: Vec<usize>,

    /// Samples of each size
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Samples")]
    draws: usize,

    /// Residual to reach, relative to the largest Ritz value
    #[arg(long, value_name = "TOL", default_value_t = 1e-4, help_heading = "Samples")]
    tol: f64,

    #[command(flatten)]
    resume: ResumeArguments,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Subsets)?;
    }
    if arguments.draws < 2 || !(arguments.tol > 0.0 && arguments.tol < 1.0) {
        return Err(Failure::Usage(format!(
            "--draws is {} and --tol {}: give at least 2 draws and a tolerance between 0 and 1",
            arguments.draws, arguments.tol
        )));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("subset");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    let sum = Minibatches::new(&loaded.architecture, &loaded.tensors, &loaded.data, &loaded.options)?;
    let sizes = sizes(&arguments.sizes, sum.examples())?;
    let objective = &loaded.task.objective;
    let at = objective.parameters();
    let memory = load::memory(&arguments.run);
    let curvature = Curvature::new(objective, at, memory)?;
    let solver = Lanczos {
        wanted: Wanted::Largest { k: 1 },
        tolerance: arguments.tol,
        unit_roundoff: load::unit_roundoff(at),
        seed: arguments.run.seed,
        ..Lanczos::default()
    };
    let n = sum.examples();
    let context =
        format!("subset {} seed {} tolerance {:e}", loaded.identity(), arguments.run.seed, arguments.tol);
    let mut parts = Parts::begin("subset.state.safetensors", &context, &arguments.resume, &mut bar)?;
    let begun_with = |state, curvature: &Curvature<'_>, bar: &mut progress::Bar| {
        parts::search(&solver, &curvature.hessian(), state, bar)
    };
    let Some(whole) = parts.part("whole", &mut bar, |state, bar| begun_with(state, &curvature, bar))? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let mut converged = report::converged(&whole.numbers);
    // Work is counted in examples, and told in passes over all of them.
    let (mut multiplied, mut seen) = (whole.products * n, n);
    let mut found = vec![];
    for examples in sizes {
        let (mut ratios, mut cosines) = (vec![], vec![]);
        for draw in 0..arguments.draws {
            let sample = |state, bar: &mut progress::Bar| {
                bar.at(format!("subset: {examples} examples, sample {} of {}", draw + 1, arguments.draws));
                let mut random = ChaCha8Rng::seed_from_u64(arguments.run.seed);
                random.set_stream(((examples as u64) << 32) + draw as u64);
                let mut chosen: Vec<u32> =
                    index::sample(&mut random, n, examples).iter().map(|i| i as u32).collect();
                chosen.sort_unstable();
                let few = sum.over(&chosen)?;
                let outcome = begun_with(state, &Curvature::new(&*few, at, memory)?, bar)?;
                Ok(outcome.map(|eigen| Found {
                    numbers: Sample {
                        value: value(&eigen.numbers),
                        cosine: cosine(&eigen.vectors[0], &whole.vectors[0]),
                        converged: report::converged(&eigen.numbers),
                    },
                    vectors: vec![],
                    products: eigen.products,
                }))
            };
            let Some(eigen) = parts.part(&format!("{examples} examples, sample {draw}"), &mut bar, sample)?
            else {
                return Ok(exit::Outcome::Interrupted);
            };
            converged &= eigen.numbers.converged;
            multiplied += eigen.products * examples;
            seen += examples;
            ratios.push(eigen.numbers.value / value(&whole.numbers));
            cosines.push(eigen.numbers.cosine);
        }
        let seed = arguments.run.seed;
        let (ratio, cosine) = (Spread::new(&ratios, seed), Spread::new(&cosines, seed));
        found.push(Size { examples, ratios, cosines, ratio, cosine });
    }
    drop(bar);
    let work = Work {
        products: multiplied.div_ceil(n),
        gradients: seen.div_ceil(n),
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let subsets = Subsets { whole: whole.numbers.largest[0].clone(), sizes: found };
    let point = Point::curved(&curvature, "hessian");
    let envelope = Envelope::new("relief/subset/1", arguments.run.seed, &loaded, point, (subsets, work));
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    parts.finish().remove();
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// What is kept of a sample's search.
#[derive(Debug, Serialize, Deserialize)]
struct Sample {
    value: f64,
    cosine: f64,
    converged: bool,
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    dot.abs().min(1.0)
}

fn value(eigen: &Eigen) -> f64 {
    eigen.largest[0].value
}

fn sizes(asked: &[usize], examples: usize) -> Result<Vec<usize>, Failure> {
    let all: Vec<usize> = if asked.is_empty() {
        (4..31).map(|power| 1 << power).take_while(|size| 2 * size <= examples).collect()
    } else {
        asked.to_vec()
    };
    match all.iter().find(|size| **size == 0 || **size > examples) {
        Some(size) => Err(Failure::Usage(format!(
            "a sample of {size} cannot be drawn from {examples} examples: give sizes from 1 to that"
        ))),
        None if all.is_empty() => Err(Failure::Usage(format!(
            "{examples} examples are too few for the default sizes: give --sizes"
        ))),
        None => Ok(all),
    }
}

fn human(envelope: &Envelope<Subsets>) -> String {
    let result = &envelope.result;
    let row = |size: &Size| {
        let Spread { mean, mean_low, mean_high, min, max } = size.ratio;
        vec![
            numbers::count(size.examples),
            format!("{mean:.3}"),
            format!("{mean_low:.3} to {mean_high:.3}"),
            format!("{min:.3} to {max:.3}"),
            format!("{:.3}", size.cosine.mean),
            format!("{:.3}", size.cosine.min),
        ]
    };
    let rows: Vec<Vec<String>> = result.sizes.iter().map(row).collect();
    let heads = ["examples", "ratio", "95 % of the mean", "single samples", "|cos|", "lowest"];
    let whole = &result.whole;
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!(
            "  largest eigenvalue of all examples {} (error bound {})",
            numbers::with_bound(whole.value, whole.error_bound),
            numbers::small(whole.error_bound)
        ),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
        report::work(envelope),
    ];
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
