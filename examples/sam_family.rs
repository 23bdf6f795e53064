//! SAM, Eigen-SAM, explicit gradient regularisation and their controls on the digits: how sharp the minimum is, how the
//! perturbation lies to the top eigenvector along the way, and what that is worth on unseen digits.
//!
//! `cargo run --release --example sam_family` writes notebooks-data/sam-family/{table.json,figure.png}. A first argument is
//! another folder.

use std::path::{Path, PathBuf};

use candle_core::DType;
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, FiniteSum, Lanczos, Objective, Outcome, Parameters, Silent, gradient,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Split, Targets};
use relief_models::task::{Minibatches, Task, TaskOptions};
use relief_plot::{Axis, Bars, Figure, Group, Lines, Panel, Series};
use relief_training::{
    Egr, EigenSam, Every, Momentum, Optimiser, RandomSam, Rule, Sam, Schedule, Shape, Training, TrainingState,
};
use serde::Serialize;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const MODEL: &str = "mlp:widths=64-32-32-10,activation=relu";
const TRAIN: usize = 1000;
const BATCH: usize = 64;
const EPOCHS: usize = 60;
const RHO: f64 = 0.1;
const SEEDS: u64 = 3;
/// Steps between two looks at the alignment.
const LOOKS: usize = 32;

#[derive(Debug, Serialize)]
struct Row {
    method: String,
    /// Largest eigenvalue of the training loss at the end, one a seed; in f64, to a relative residual of 1e-8.
    lambda_max: Vec<f64>,
    train_loss: Vec<f64>,
    test_accuracy: Vec<f64>,
    /// Steps at which the alignment was measured.
    steps: Vec<usize>,
    /// |cos| between the mini-batch's perturbation (its gradient where there is none) and the top eigenvector of the
    /// training loss, for every seed at those steps.
    alignment: Vec<Vec<f64>>,
    /// Mean norm of the perturbation over rho.
    norm_ratio: Vec<f64>,
    /// Gradients and Hessian products of a training, in passes over an example.
    gradients: usize,
    products: usize,
}

fn methods() -> Vec<(&'static str, Rule)> {
    let sam = |rho| Sam { rho, ..Sam::default() };
    let eigen = |alpha, every, renormalise| {
        let every = Every::Steps(every);
        Rule::EigenSam(EigenSam { rho: RHO, alpha, every, renormalise, ..EigenSam::default() })
    };
    vec![
        ("SGD", Rule::Plain),
        ("random, same norm", Rule::Random(RandomSam { rho: RHO })),
        ("Reverse-SAM", Rule::ReverseSam(sam(RHO))),
        ("EGR", Rule::Egr(Egr { rho: RHO })),
        ("SAM", Rule::Sam(sam(RHO))),
        ("Eigen-SAM, alpha 0.2, every 100", eigen(0.2, 100, false)),
        ("Eigen-SAM, alpha 0.2, every step", eigen(0.2, 1, false)),
        ("Eigen-SAM, alpha 1, every step", eigen(1.0, 1, false)),
        ("SAM, norm of the one above", Rule::Sam(sam(1.29 * RHO))),
        ("Eigen-SAM, alpha 1, renormalised", eigen(1.0, 1, true)),
    ]
}

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("notebooks-data/sam-family".into()));
    std::fs::create_dir_all(&folder)?;
    let (train, test) = digits()?;
    let mut rows = vec![];
    for (method, rule) in methods() {
        let row = trained(method, &rule, &train, &test)?;
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let along = mean(&row.alignment.concat());
        println!(
            "{method:34} lambda_max {:.4} +- {:.4}  test {:.4}  |cos| {along:.3}  |eps|/rho {:.3}",
            mean(&row.lambda_max),
            deviation(&row.lambda_max),
            mean(&row.test_accuracy),
            mean(&row.norm_ratio),
        );
        rows.push(row);
    }
    std::fs::write(folder.join("table.json"), serde_json::to_string_pretty(&rows)? + "\n")?;
    draw(&rows, &folder.join("figure.png"))
}

/// The first 1,000 digits, and the rest, both less the mean of the first.
fn digits() -> Result<(Dataset, Dataset)> {
    let part =
        |split| Dataset::load("digits", &DataOptions { split, dtype: DType::F64, ..Default::default() });
    let (a, b) = (part(Split::Train)?, part(Split::Test)?);
    let inputs = candle_core::Tensor::cat(&[&a.inputs, &b.inputs], 0)?;
    let labels = candle_core::Tensor::cat(&[a.targets.tensor(), b.targets.tensor()], 0)?;
    let mean = inputs.narrow(0, 0, TRAIN)?.mean_keepdim(0)?;
    let inputs = inputs.broadcast_sub(&mean)?;
    let rest = labels.dims()[0] - TRAIN;
    let part = |from, count| -> Result<Dataset> {
        let labels = Targets::Classes(labels.narrow(0, from, count)?);
        Ok(Dataset::from_tensors("digits", inputs.narrow(0, from, count)?.contiguous()?, labels)?)
    };
    Ok((part(0, TRAIN)?, part(TRAIN, rest)?))
}

fn trained(method: &str, rule: &Rule, train: &Dataset, test: &Dataset) -> Result<Row> {
    let mut row = Row {
        method: method.into(),
        lambda_max: vec![],
        train_loss: vec![],
        test_accuracy: vec![],
        steps: vec![],
        alignment: vec![],
        norm_ratio: vec![],
        gradients: 0,
        products: 0,
    };
    let model = Architecture::parse(MODEL)?;
    let options = TaskOptions { dtype: DType::F64, ..Default::default() };
    for seed in 0..SEEDS {
        let start = model.random_parameters(train.example_shape(), seed, DType::F64)?;
        let sum = Minibatches::new(&model, &start, train, &options)?;
        let training = Training {
            rule: rule.clone(),
            optimiser: Optimiser::Sgd(Momentum { momentum: 0.9, nesterov: false }),
            eta: 0.1,
            schedule: Schedule { warmup: 0, shape: Shape::Cosine },
            batch: Some(BATCH),
            steps: EPOCHS * TRAIN.div_ceil(BATCH),
            seed,
            ..Training::default()
        };
        let whole = sum.whole()?;
        let mut state = TrainingState::new(sum.parameters())?;
        let (mut alignment, mut top, mut norms, mut steps) = (vec![], None, 0.0, vec![]);
        while state.step < training.steps {
            if state.step % LOOKS == LOOKS / 2 {
                let found = look(&training, &sum, &*whole, &state, top.as_deref())?;
                alignment.push(found.0);
                top = Some(found.1);
                steps.push(state.step);
            }
            training.run(&sum, &mut state, &mut |step, _| {
                norms += step.perturbation_norm;
                Control::Interrupt
            })?;
        }
        let at = Training::point(&sum, &state)?;
        row.lambda_max.push(largest(&*whole, &at, 1e-8, None)?.0);
        row.train_loss.push(relief_hessian::loss(&*whole, &at)?);
        row.test_accuracy.push(Task::new(&model, &start, test, &options)?.accuracy(&at)?.unwrap_or(f64::NAN));
        row.alignment.push(alignment);
        row.steps = steps;
        row.norm_ratio.push(norms / (RHO * training.steps as f64));
        (row.gradients, row.products) = (state.work.gradients, state.work.products);
    }
    Ok(row)
}

/// The alignment of the next step's perturbation with the top eigenvector, and that.
fn look(
    training: &Training,
    sum: &Minibatches,
    whole: &dyn Objective,
    state: &TrainingState,
    start: Option<&[f64]>,
) -> Result<(f64, Vec<f64>)> {
    let at = Training::point(sum, state)?;
    let (_, top) = largest(whole, &at, 1e-4, start)?;
    let examples = training.epochs(sum.examples())?.at(state.step);
    let (_, slope) = gradient(&*sum.over(&examples)?, &at)?;
    let direction = training.rule.perturbation(&slope, &at, &state.memory)?.unwrap_or(slope);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    Ok((dot(&direction, &top).abs() / dot(&direction, &direction).sqrt(), top))
}

fn largest(
    whole: &dyn Objective,
    at: &Parameters,
    tolerance: f64,
    start: Option<&[f64]>,
) -> Result<(f64, Vec<f64>)> {
    let curvature = Curvature::new(whole, at, DEFAULT_MEMORY)?;
    let start = start.map(|v| vec![v.to_vec()]);
    let solver = Lanczos { tolerance, ..Lanczos::default() };
    match solver.run(&curvature.hessian(), start.as_deref(), &mut Silent)? {
        Outcome::Done(mut eigen) => Ok((eigen.largest[0].value, eigen.vectors.swap_remove(0))),
        Outcome::Interrupted(_) => Err("the search was interrupted".into()),
    }
}

fn deviation(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64).sqrt()
}

fn draw(rows: &[Row], path: &Path) -> Result<()> {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let bars = |title: &str, axis: Axis, of: &dyn Fn(&Row) -> &Vec<f64>| {
        Panel::Bars(Bars {
            title: title.into(),
            value: axis,
            names: rows.iter().map(|row| row.method.clone()).collect(),
            groups: vec![Group {
                name: String::new(),
                values: rows.iter().map(|row| mean(of(row))).collect(),
                errors: rows.iter().map(|row| deviation(of(row))).collect(),
            }],
        })
    };
    let mut lines = Lines::new(
        "Alignment with the top eigenvector (mean of 5 looks)",
        Axis::linear("step"),
        Axis::linear("|cos(perturbation, v1)|"),
    );
    for row in rows.iter().filter(|row| {
        ["SGD", "SAM", "Reverse-SAM", "Eigen-SAM, alpha 0.2, every step", "Eigen-SAM, alpha 1, every step"]
            .contains(&row.method.as_str())
    }) {
        let looks = row.steps.len();
        let at: Vec<f64> =
            (0..looks).map(|k| row.alignment.iter().map(|seed| seed[k]).sum::<f64>()).collect();
        let smooth = at.windows(5).map(|w| mean(w) / row.alignment.len() as f64).collect();
        let steps = row.steps[2..looks - 2].iter().map(|s| *s as f64).collect();
        lines = lines.with(Series::new(row.method.clone(), steps, smooth));
    }
    let panels = vec![
        bars("Largest eigenvalue at the end", Axis::log("lambda_max, mean and s.d. of 3 seeds"), &|row| {
            &row.lambda_max
        }),
        Panel::Lines(lines),
    ];
    Figure::new("SAM and its kin on the digits", panels).in_columns(1).save(path)?;
    Ok(())
}
