//! Gradient descent, momentum, Adam and sharpness-aware minimization at their edges of stability, on 1,000 digits.
//!
//! `cargo run --release --example edge_of_stability` writes curves, a table of means over the second half of training with
//! verdicts, and figures to notebooks-data/edge-of-stability. Trainings whose curves are saved there are not repeated.
//!
//! Sources: Cohen et al. 2021 (2/eta), Cohen et al. 2022 (Adam), Long & Bartlett 2024 (SAM-edge, alignment).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use candle_core::DType;
use rayon::ThreadPoolBuilder;
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Eigen, FiniteSum, Lanczos, Outcome, Result, Scaled, Silent, Wanted,
    gradient,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};
use relief_plot::{Axis, Figure, Lines, Mark, Names, Panel, Reference, Series};
use relief_sharpness::{gradient_descent_edge, sam_edge};
use relief_training::{Adam, Momentum, Optimiser, Rule, Sam, Training, TrainingState};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A number of an alignment.
type Pick = fn(&Alignment) -> f64;
type Failure = Box<dyn std::error::Error + Send + Sync>;

const FOLDER: &str = "notebooks-data/edge-of-stability";
const MODEL: &str = "mlp:widths=64-32-32-10,activation=tanh";
const EXAMPLES: usize = 1000;
const STEPS: usize = 10_000;
/// Steps between two looks at the Hessian: odd, so that both phases of an oscillation of period two are seen.
const EVERY: usize = 97;
/// Eigenvectors that span what gradients are projected on.
const SUBSPACE: usize = 8;

const CAPTION: &str =
    "1,000 digits, perceptron 64-32-32-10 with tanh, half squared error, full batch, double precision.";

/// A training, how near to the edge its mean is to come, and whether gradients are compared with eigenvectors.
struct Run {
    name: &'static str,
    training: Training,
    bar: Option<f64>,
    aligned: bool,
}

/// What was seen at a step.
#[derive(Serialize, Deserialize, Clone)]
struct Seen {
    step: usize,
    loss: f64,
    gradient_norm: f64,
    lambda: f64,
    error_bound: f64,
    edge: f64,
    alignment: Option<Alignment>,
}

/// How gradients lie to the Hessian's eigenvectors.
#[derive(Serialize, Deserialize, Clone)]
struct Alignment {
    /// |cos| of the gradient with the first, and of the perturbed gradient.
    first: [f64; 2],
    /// By how much the first may be off; unknown where the eigenvalue is too close to the next.
    first_bound: Option<f64>,
    /// Length of the projections on the first eight, relative to the gradients.
    within: [f64; 2],
    within_bound: Option<f64>,
    /// The first eigenvalues, one more than the subspace has.
    eigenvalues: Vec<f64>,
}

fn main() -> Result<(), Failure> {
    fs::create_dir_all(FOLDER)?;
    let saved = Path::new(FOLDER).join("curves.json");
    let known =
        if saved.exists() { serde_json::from_str(&fs::read_to_string(&saved)?)? } else { BTreeMap::new() };
    let curves = all_curves(known)?;
    fs::write(&saved, serde_json::to_string(&curves)?)?;
    let rows: Vec<_> = runs().iter().map(|run| row(run, &curves[run.name])).collect();
    for row in &rows {
        println!("{}: {} = {} of {}", row["run"], row["verdict"], row["ratio"], row["edge"]);
    }
    let table = json!({
        "model": MODEL, "data": "digits", "examples": EXAMPLES, "loss": "half-squared-error", "seed": 0,
        "steps": STEPS, "steps_between": EVERY, "means_from_step": STEPS / 2, "rows": rows,
    });
    fs::write(Path::new(FOLDER).join("table.json"), serde_json::to_string_pretty(&table)?)?;
    edges_figure(&curves).save(Path::new(FOLDER).join("edges.png"))?;
    alignment_figure(&curves).save(Path::new(FOLDER).join("alignment.png"))?;
    Ok(())
}

fn runs() -> Vec<Run> {
    let sgd = |momentum, nesterov| Optimiser::Sgd(Momentum { momentum, nesterov });
    let adam = Optimiser::Adam(Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-7 });
    let run = |name, optimiser, eta, rho, bar| {
        let rule = if rho > 0.0 { Rule::Sam(Sam { rho, ..Sam::default() }) } else { Rule::Plain };
        let training = Training { optimiser, rule, eta, steps: STEPS, ..Training::default() };
        Run { name, training, bar, aligned: name.ends_with("aligned") }
    };
    let plain = sgd(0.0, false);
    vec![
        run("sam-0.2-0.05-aligned", plain, 0.2, 0.05, Some(0.06)),
        run("gd-0.2", plain, 0.2, 0.0, Some(0.03)),
        run("sam-0.1-0.05", plain, 0.1, 0.05, Some(0.06)),
        run("sam-0.1-0.2", plain, 0.1, 0.2, Some(0.06)),
        run("sam-0.2-0.2", plain, 0.2, 0.2, Some(0.06)),
        run("sam-0.4-0.05", plain, 0.4, 0.05, Some(0.06)),
        run("sam-0.4-0.2", plain, 0.4, 0.2, Some(0.06)),
        run("gd-0.1", plain, 0.1, 0.0, None),
        run("gd-0.4-aligned", plain, 0.4, 0.0, Some(0.03)),
        run("polyak-0.4", sgd(0.9, false), 0.4, 0.0, Some(0.03)),
        run("nesterov-0.2", sgd(0.9, true), 0.2, 0.0, Some(0.03)),
        run("adam-0.001", adam, 1e-3, 0.0, Some(0.03)),
        run("adam-0.0003", adam, 3e-4, 0.0, Some(0.03)),
    ]
}

/// Where a training stops being stable on a quadratic, for a gradient of this norm.
fn edge(training: &Training, gradient_norm: f64) -> f64 {
    let eta = training.eta;
    match (&training.rule, training.optimiser) {
        (Rule::Sam(sam), _) => sam_edge(eta, sam.rho, gradient_norm),
        (_, Optimiser::Sgd(Momentum { momentum: b, nesterov: true })) => {
            (1.0 + b) / (1.0 + 2.0 * b) * gradient_descent_edge(eta)
        }
        (_, Optimiser::Sgd(Momentum { momentum: b, .. })) => (1.0 + b) * gradient_descent_edge(eta),
        (_, Optimiser::Adam(Adam { beta1: b, .. })) => (1.0 + b) / (1.0 - b) * gradient_descent_edge(eta),
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The trainings that are not known, as many at a time as there are processors, each with a processor of its own.
fn all_curves(known: BTreeMap<String, Vec<Seen>>) -> Result<BTreeMap<String, Vec<Seen>>, Failure> {
    let missing: Vec<Run> = runs().into_iter().filter(|run| !known.contains_key(run.name)).collect();
    let (waiting, done) = (Mutex::new(missing.into_iter()), Mutex::new(known));
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || -> Result<(), Failure> {
        let alone = ThreadPoolBuilder::new().num_threads(1).build()?;
        while let Some(run) = next() {
            let curve = alone.install(|| curve(&run))?;
            eprintln!("{} is done", run.name);
            done.lock().map_err(|e| e.to_string())?.insert(run.name.to_string(), curve);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a training panicked")?)
    })?;
    Ok(done.into_inner().map_err(|e| e.to_string())?)
}

/// The first digits with the mean of every pixel taken off, as a loss without batches.
fn digits() -> Result<Minibatches, Failure> {
    let options = DataOptions { dtype: DType::F64, limit: Some(EXAMPLES), ..Default::default() };
    let data = Dataset::load("digits", &options)?;
    let inputs = data.inputs.broadcast_sub(&data.inputs.mean_keepdim(0)?)?;
    let data = Dataset::from_tensors("digits", inputs, data.targets)?;
    let model = Architecture::parse(MODEL)?;
    let start = model.random_parameters(data.example_shape(), 0, DType::F64)?;
    let options =
        TaskOptions { dtype: DType::F64, loss: Some(Loss::HalfSquaredError), ..TaskOptions::default() };
    Ok(Minibatches::new(&model, &start, &data, &options)?)
}

fn curve(run: &Run) -> Result<Vec<Seen>, Failure> {
    let sum = digits()?;
    let mut state = TrainingState::new(sum.parameters())?;
    let (mut curve, mut start, mut failed) = (vec![], None, None);
    run.training.run(&sum, &mut state, &mut |_, state| {
        if state.step % EVERY != 1 {
            return Control::Continue;
        }
        match look(run, &sum, state, &mut start) {
            Ok(seen) => {
                curve.push(seen);
                Control::Continue
            }
            Err(e) => {
                failed = Some(e);
                Control::Interrupt
            }
        }
    })?;
    failed.map_or(Ok(curve), |e| Err(e.into()))
}

/// Loss, gradient and the largest eigenvalues at a state; the eigenvectors are where the next search begins.
fn look(
    run: &Run,
    sum: &Minibatches,
    state: &TrainingState,
    start: &mut Option<Vec<Vec<f64>>>,
) -> Result<Seen> {
    let (objective, at) = (sum.whole()?, Training::point(sum, state)?);
    let curvature = Curvature::new(&*objective, &at, DEFAULT_MEMORY)?;
    let hessian = curvature.hessian();
    let scales = match run.training.optimiser {
        Optimiser::Adam(adam) => adam.preconditioner(state.step, &state.means[1]),
        Optimiser::Sgd(_) => vec![1.0; at.len()],
    };
    let operator = Scaled::preconditioned(&hessian, &scales)?;
    let k = if run.aligned { SUBSPACE + 1 } else { 1 };
    let lanczos = Lanczos { wanted: Wanted::Largest { k }, tolerance: 1e-4, ..Lanczos::default() };
    let Outcome::Done(eigen) = lanczos.run(&operator, start.as_deref(), &mut Silent)? else {
        unreachable!("nothing interrupts")
    };
    let gradient_norm = curvature.gradient_norm();
    let alignment = if run.aligned {
        let rho = if let Rule::Sam(sam) = &run.training.rule { sam.rho } else { 0.0 };
        let perturbed = at.displaced(curvature.gradient(), rho / gradient_norm)?;
        let (_, perturbed) = gradient(&*objective, &perturbed)?;
        Some(alignment(&eigen, [curvature.gradient(), &perturbed]))
    } else {
        None
    };
    let first = &eigen.largest[0];
    let seen = Seen {
        step: state.step,
        loss: short(curvature.loss()),
        gradient_norm: short(gradient_norm),
        lambda: short(first.value),
        error_bound: short(first.error_bound),
        edge: short(edge(&run.training, gradient_norm)),
        alignment,
    };
    *start = Some(eigen.vectors);
    Ok(seen)
}

fn alignment(eigen: &Eigen, gradients: [&[f64]; 2]) -> Alignment {
    let pairs = &eigen.largest;
    let along = |g: &[f64], count: usize| {
        eigen.vectors[..count].iter().map(|v| dot(v, g).powi(2)).sum::<f64>().sqrt() / dot(g, g).sqrt()
    };
    // Davis & Kahan 1970: the sine of the largest angle between the subspaces is at most |R| / gap.
    let residual = pairs[..SUBSPACE].iter().map(|p| p.residual.powi(2)).sum::<f64>().sqrt();
    let gap = pairs[SUBSPACE - 1].value - pairs[SUBSPACE].value - pairs[SUBSPACE].error_bound;
    Alignment {
        first: gradients.map(|g| short(along(g, 1))),
        first_bound: pairs[0].angle_bound.map(|angle| short(angle.sin())),
        within: gradients.map(|g| short(along(g, SUBSPACE))),
        within_bound: (gap > residual).then(|| short(residual / gap)),
        eigenvalues: pairs.iter().map(|p| short(p.value)).collect(),
    }
}

/// Seven significant digits, which is more than the tolerance.
fn short(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

/// Means over the second half and the verdict.
fn row(run: &Run, curve: &[Seen]) -> serde_json::Value {
    let late: Vec<&Seen> = curve.iter().filter(|s| s.step > STEPS / 2).collect();
    let mean = |f: &dyn Fn(&Seen) -> f64| late.iter().map(|s| f(s)).sum::<f64>() / late.len() as f64;
    let extreme = |f: &dyn Fn(&Seen) -> f64| {
        let all = late.iter().map(|s| f(s));
        [all.clone().fold(f64::INFINITY, f64::min), all.fold(f64::NEG_INFINITY, f64::max)].map(short)
    };
    let deviation = |f: &dyn Fn(&Seen) -> f64| {
        let centre = mean(f);
        short(mean(&|s| (f(s) - centre).powi(2)).sqrt())
    };
    let (lambda, edge) = (mean(&|s| s.lambda), mean(&|s| s.edge));
    let off = lambda / edge - 1.0;
    let verdict = match run.bar {
        Some(bar) if off.abs() <= bar => "at the edge",
        Some(_) => "off the edge",
        None if off < -0.1 => "below the edge",
        None => "not below the edge",
    };
    let gradient_descent = gradient_descent_edge(run.training.eta);
    let mut row = json!({
        "run": run.name, "training": run.training, "verdict": verdict, "bar": run.bar,
        "lambda_1": short(lambda), "lambda_1_range": extreme(&|s| s.lambda),
        "lambda_1_deviation": deviation(&|s| s.lambda),
        "error_bound": extreme(&|s| s.error_bound)[1], "edge": short(edge), "edge_range": extreme(&|s| s.edge),
        "ratio": short(lambda / edge), "loss": short(mean(&|s| s.loss)),
    });
    if let Rule::Sam(_) = run.training.rule {
        row["always_below_2_over_eta"] = curve.iter().all(|s| s.edge < gradient_descent).into();
    }
    if run.aligned {
        let on = |pick: Pick| move |s: &Seen| s.alignment.as_ref().map_or(f64::NAN, pick);
        let picks: [(&str, Pick); 4] = [
            ("gradient_first", |a| a.first[0]),
            ("gradient_within", |a| a.within[0]),
            ("perturbed_first", |a| a.first[1]),
            ("perturbed_within", |a| a.within[1]),
        ];
        for (name, pick) in picks {
            row[name] = json!({ "mean": short(mean(&on(pick))), "deviation": deviation(&on(pick)) });
        }
        let worst = |pick: fn(&Alignment) -> Option<f64>| {
            let bounds = late.iter().filter_map(|s| s.alignment.as_ref().map(pick));
            let known: Vec<f64> = bounds.clone().flatten().collect();
            json!({ "known": known.len(), "of": late.len(), "largest": known.iter().copied().fold(0.0, f64::max) })
        };
        row["first_bound"] = worst(|a| a.first_bound);
        row["within_bound"] = worst(|a| a.within_bound);
    }
    row
}

fn series(name: &str, curve: &[Seen], of: impl Fn(&Seen) -> f64) -> Series {
    Series::new(name, curve.iter().map(|s| s.step as f64).collect(), curve.iter().map(of).collect())
}

fn edges_figure(curves: &BTreeMap<String, Vec<Seen>>) -> Figure {
    let panel = |title: &str, y: &str| Lines::new(title, Axis::linear("step"), Axis::linear(y));
    let mut descent = panel("Gradient descent", "largest Hessian eigenvalue λ₁");
    for (run, eta) in [("gd-0.1", 0.1), ("gd-0.2", 0.2), ("gd-0.4-aligned", 0.4)] {
        descent = descent
            .with(series(&format!("η = {eta}"), &curves[run], |s| s.lambda))
            .with_reference(Reference::level(2.0 / eta, format!("2/η = {}", 2.0 / eta)));
    }
    let mut sam = panel("SAM, η = 0.2", "λ₁ and SAM-edge").with_reference(Reference::level(10.0, "2/η = 10"));
    for (colour, (run, rho)) in [("sam-0.2-0.05-aligned", 0.05), ("sam-0.2-0.2", 0.2)].into_iter().enumerate()
    {
        sam = sam
            .with(series(&format!("λ₁, ρ = {rho}"), &curves[run], |s| s.lambda).coloured(2 * colour))
            .with(
                series(&format!("SAM-edge, ρ = {rho}"), &curves[run], |s| s.edge)
                    .marked(Mark::Dashed)
                    .coloured(2 * colour + 1),
            );
    }
    let mut others = panel("Momentum and Adam", "λ₁ / edge").with_reference(Reference::level(1.0, ""));
    // Adam begins far above its edge, for a few steps.
    others.y = others.y.between(0.0, 1.5);
    for (run, name) in [
        ("polyak-0.4", "Polyak, η = 0.4"),
        ("nesterov-0.2", "Nesterov, η = 0.2"),
        ("adam-0.001", "Adam, η = 0.001"),
        ("adam-0.0003", "Adam, η = 0.0003"),
    ] {
        others = others.with(series(name, &curves[run], |s| s.lambda / s.edge));
    }
    let mut losses = Lines::new("Loss", Axis::linear("step"), Axis::log("half squared error"));
    for (run, name) in [
        ("gd-0.2", "gradient descent, η = 0.2"),
        ("sam-0.2-0.05-aligned", "SAM, ρ = 0.05"),
        ("sam-0.2-0.2", "SAM, ρ = 0.2"),
        ("nesterov-0.2", "Nesterov, η = 0.2"),
    ] {
        losses = losses.with(series(name, &curves[run], |s| s.loss));
    }
    let panels = [descent, sam, others, losses].map(Panel::Lines).to_vec();
    Figure::new("", panels).in_columns(2).captioned(CAPTION)
}

fn alignment_figure(curves: &BTreeMap<String, Vec<Seen>>) -> Figure {
    let panel = |title: &str, run: &str| {
        let on = |pick: Pick| move |s: &Seen| s.alignment.as_ref().map_or(f64::NAN, pick);
        let curve = &curves[run];
        let y = Axis::linear("share of the gradient's length").between(0.0, 1.04);
        let empty = Lines::new(title, Axis::linear("step"), y);
        Panel::Lines(
            Lines { names: Names::Direct, ..empty }
                .with(series("along v₁", curve, on(|a| a.first[0])).marked(Mark::Dots))
                .with(series("in v₁ … v₈", curve, on(|a| a.within[0])).marked(Mark::Dots)),
        )
    };
    Figure::new(
        "",
        vec![
            panel("Gradient descent, η = 0.4", "gd-0.4-aligned"),
            panel("SAM, η = 0.2, ρ = 0.05", "sam-0.2-0.05-aligned"),
        ],
    )
    .captioned(CAPTION)
}
