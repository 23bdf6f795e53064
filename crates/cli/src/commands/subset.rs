//! `relief subset`: what the top eigenvalue of a few examples says about that of all.

use std::time::Instant;

use clap::Args;
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Curvature, Eigen, EigenPair, FiniteSum, Lanczos, Objective, Outcome, Wanted};
use relief_models::task::Minibatches;
use relief_plot::{Axis, Figure, Lines, Panel, Reference, Series};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::exports::Sampled;
use crate::load;
use crate::{interrupt, numbers, output, progress, report, table};

/// Tell how far the top eigenvalue of random samples is from that of all examples, and its eigenvector
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief subset notebooks-data/digits-sgd.safetensors
  relief subset notebooks-data/digits-sgd.safetensors --sizes 32,128,512 --draws 20 -o subset.png
  relief subset net.pth --model resnet18 --data cifar/ --limit 2000 --draws 5 --format json

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
    run: RunArguments,
}

/// The `result` of `relief subset`.
#[derive(Debug, Serialize)]
struct Subsets {
    /// Of all examples.
    whole: EigenPair,
    sizes: Vec<Size>,
}

/// Samples of one size.
#[derive(Debug, Serialize)]
struct Size {
    examples: usize,
    /// Largest eigenvalues of the samples over that of all examples.
    ratios: Vec<f64>,
    /// |cos| between their eigenvectors and that of all examples.
    cosines: Vec<f64>,
    ratio: Spread,
    cosine: Spread,
}

/// A mean over draws, its bootstrap range, and the extremes.
#[derive(Debug, Clone, Copy, Serialize)]
struct Spread {
    mean: f64,
    mean_low: f64,
    mean_high: f64,
    min: f64,
    max: f64,
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1000;

impl Spread {
    fn new(values: &[f64], seed: u64) -> Self {
        let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / values.len() as f64;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| mean(&mut (0..values.len()).map(|_| values[random.random_range(0..values.len())])))
            .collect();
        means.sort_by(f64::total_cmp);
        Self {
            mean: mean(&mut values.iter().copied()),
            mean_low: means[RESAMPLES / 40],
            mean_high: means[RESAMPLES - 1 - RESAMPLES / 40],
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_numbers(path)?;
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
    let Outcome::Done(whole) = solver.run(&curvature.hessian(), None, &mut bar)? else {
        return Ok(interrupt::lost());
    };
    let n = sum.examples();
    let mut converged = report::converged(&whole);
    // Work is counted in examples, and told in passes over all of them.
    let (mut multiplied, mut seen) = (whole.products * n, n);
    let mut found = vec![];
    for examples in sizes {
        let (mut ratios, mut cosines) = (vec![], vec![]);
        for draw in 0..arguments.draws {
            let mut random = ChaCha8Rng::seed_from_u64(arguments.run.seed);
            random.set_stream(((examples as u64) << 32) + draw as u64);
            let mut chosen: Vec<u32> =
                index::sample(&mut random, n, examples).iter().map(|i| i as u32).collect();
            chosen.sort_unstable();
            let few = sum.over(&chosen)?;
            let curvature = Curvature::new(&*few, at, memory)?;
            let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut bar)? else {
                return Ok(interrupt::lost());
            };
            converged &= report::converged(&eigen);
            multiplied += eigen.products * examples;
            seen += examples;
            ratios.push(value(&eigen) / value(&whole));
            let dot: f64 = eigen.vectors[0].iter().zip(&whole.vectors[0]).map(|(a, b)| a * b).sum();
            cosines.push(dot.abs().min(1.0));
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
    let subsets = Subsets { whole: whole.largest[0].clone(), sizes: found };
    let point = Point::curved(&curvature, "hessian");
    let envelope = Envelope::new("relief/subset/1", arguments.run.seed, &loaded, point, (subsets, work));
    let result = &envelope.result;
    output::present_numbers(
        &arguments.run.print,
        &envelope,
        || human(&envelope),
        || figure(result),
        || sampled(result),
    )?;
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
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

fn of(result: &Subsets, value: &dyn Fn(&Size) -> f64) -> Vec<f64> {
    result.sizes.iter().map(value).collect()
}

fn figure(result: &Subsets) -> Figure {
    let panel = |label: &str, spread: &dyn Fn(&Size) -> Spread, values: &dyn Fn(&Size) -> &[f64]| {
        let x = of(result, &|s| s.examples as f64);
        let band = [of(result, &|s| spread(s).mean_low), of(result, &|s| spread(s).mean_high)];
        let mean = Series {
            band: Some(band),
            ..Series::new("mean, 95 % bootstrap range", x, of(result, &|s| spread(s).mean))
        };
        let dots = |size: &Size| values(size).iter().map(|v| (size.examples as f64, *v)).collect::<Vec<_>>();
        let (x, y) = result.sizes.iter().flat_map(dots).unzip();
        let single = Series::new("single samples", x, y).marked(relief_plot::Mark::Dots);
        Lines::new("", Axis::log("examples of the sample"), Axis::linear(label)).with(mean).with(single)
    };
    let ratio = panel("λ₁ of the sample / λ₁ of all", &|s| s.ratio, &|s| &s.ratios);
    let cosine = panel("|cos| of the eigenvectors", &|s| s.cosine, &|s| &s.cosines);
    Figure::new("", vec![Panel::Lines(ratio.with_reference(Reference::level(1.0, ""))), Panel::Lines(cosine)])
}

fn sampled(result: &Subsets) -> Sampled {
    Sampled {
        axes: vec![("examples", of(result, &|s| s.examples as f64))],
        measures: vec![
            ("ratio", of(result, &|s| s.ratio.mean)),
            ("ratio_low", of(result, &|s| s.ratio.mean_low)),
            ("ratio_high", of(result, &|s| s.ratio.mean_high)),
            ("ratio_min", of(result, &|s| s.ratio.min)),
            ("ratio_max", of(result, &|s| s.ratio.max)),
            ("cosine", of(result, &|s| s.cosine.mean)),
            ("cosine_min", of(result, &|s| s.cosine.min)),
        ],
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
