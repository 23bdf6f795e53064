//! Gradient descent beside gradient flow and its central flow, and SAM beside its stochastic differential equations.
//!
//! `cargo run --release --example flows` writes numbers and a figure to notebooks-data/flows. What is saved there is not
//! computed again.
//!
//! Sources: Cohen et al. 2024 (central flow), Compagnoni et al. 2023 and Luo et al. 2024 (the equations of SAM).

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_hessian::{Control, Curvature, DEFAULT_MEMORY, FiniteSum, Lanczos, Objective, Outcome, Silent};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series};
use relief_training::{
    CentralFlow, FlowState, GradientFlow, Rule, Sam, SamSde, SdeOrder, Training, TrainingState,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

const FOLDER: &str = "notebooks-data/flows";
const MODEL: &str = "mlp:widths=64-16-10,activation=tanh";
/// Gradient descent and its flows: step size, steps.
const DESCENT: (f64, usize) = (0.4, 2500);
const LOOK: usize = 5;
/// SAM and its equations: examples, mini-batch, step size, radius, steps.
const EXAMPLES: usize = 256;
const BATCH: usize = 32;
const ETA: f64 = 0.1;
const RHO: f64 = 0.3;
const STEPS: usize = 1000;
const SAM_LOOK: usize = 25;
const SEEDS: u64 = 3;

/// Loss and largest eigenvalue over steps. The mean loss is what is predicted for, or measured of, an oscillation.
#[derive(Serialize, Deserialize, Default, Clone)]
struct Curve {
    name: String,
    step: Vec<f64>,
    loss: Vec<f64>,
    mean_loss: Vec<f64>,
    sharpness: Vec<f64>,
}

impl Curve {
    fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn push(&mut self, step: usize, loss: f64, mean_loss: f64, sharpness: f64) {
        self.step.push(step as f64);
        self.loss.push(short(loss));
        self.mean_loss.push(short(mean_loss));
        self.sharpness.push(short(sharpness));
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Results {
    /// Gradient descent, gradient flow and central flow.
    descent: Vec<Curve>,
    /// For each rule, a curve for every seed.
    sam: Vec<Vec<Curve>>,
}

fn main() -> Result<(), Failure> {
    fs::create_dir_all(FOLDER)?;
    let saved = Path::new(FOLDER).join("curves.json");
    let mut results: Results =
        if saved.exists() { serde_json::from_str(&fs::read_to_string(&saved)?)? } else { Results::default() };
    if results.descent.is_empty() {
        results.descent = descent()?;
    }
    if results.sam.is_empty() {
        results.sam = sam()?;
    }
    fs::write(&saved, serde_json::to_string(&results)?)?;
    let summary = summary(&results);
    println!("{summary:#}");
    fs::write(Path::new(FOLDER).join("summary.json"), format!("{summary:#}\n"))?;
    figure(&results).save(Path::new(FOLDER).join("flows.png"))?;
    Ok(())
}

/// The fifth Chebyshev polynomial at 20 points, whose hidden biases are weights of an input that is 1 (Cohen et al. 2021).
fn chebyshev() -> Result<Minibatches, Failure> {
    let xs: Vec<f64> = (0..20).map(|i| -1.0 + 2.0 * f64::from(i) / 19.0).collect();
    let inputs: Vec<f64> = xs.iter().flat_map(|x| [*x, 1.0]).collect();
    let targets: Vec<f64> = xs.iter().map(|x| 16.0 * x.powi(5) - 20.0 * x.powi(3) + 5.0 * x).collect();
    let tensor = |values, shape| Tensor::from_vec(values, shape, &Device::Cpu);
    let targets = Targets::Real(tensor(targets, (20, 1))?);
    let data = Dataset::from_tensors("chebyshev", tensor(inputs, (20, 2))?, targets)?;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut normal = |deviation: f64| deviation * random.sample::<f64, _>(StandardNormal);
    let spread = (2.0_f64 / 101.0).sqrt();
    let first = (0..100).flat_map(|_| [normal(1.9 * spread), 0.0]).collect();
    let second = (0..100).map(|_| normal(spread)).collect();
    let start = [("0.weight", tensor(first, (100, 2))?), ("2.weight", tensor(second, (1, 100))?)];
    let start = start.map(|(name, t)| (name.to_string(), t)).into();
    let model = Architecture::parse("mlp:widths=2-100-1,activation=tanh,bias=false")?;
    Ok(Minibatches::new(&model, &start, &data, &options())?)
}

fn options() -> TaskOptions {
    TaskOptions { dtype: DType::F64, loss: Some(Loss::HalfSquaredError), ..TaskOptions::default() }
}

fn digits(examples: usize) -> Result<Minibatches, Failure> {
    let loading = DataOptions { dtype: DType::F64, limit: Some(examples), ..Default::default() };
    let data = Dataset::load("digits", &loading)?;
    let inputs = data.inputs.broadcast_sub(&data.inputs.mean_keepdim(0)?)?;
    let data = Dataset::from_tensors("digits", inputs, data.targets)?;
    let model = Architecture::parse(MODEL)?;
    let start = model.random_parameters(data.example_shape(), 0, DType::F64)?;
    Ok(Minibatches::new(&model, &start, &data, &options())?)
}

/// Loss and largest eigenvalue at a point.
fn look(objective: &dyn Objective, point: &[f64]) -> relief_hessian::Result<(f64, f64)> {
    let at = objective.parameters().at(point)?;
    let curvature = Curvature::new(objective, &at, DEFAULT_MEMORY)?;
    let lanczos = Lanczos { tolerance: 1e-4, ..Lanczos::default() };
    let Outcome::Done(eigen) = lanczos.run(&curvature.hessian(), None, &mut Silent)? else {
        unreachable!("nothing interrupts")
    };
    Ok((curvature.loss(), eigen.largest[0].value))
}

/// Runs something whose observer may fail.
fn observed<T>(
    run: impl FnOnce(&mut dyn FnMut(relief_hessian::Result<()>) -> Control) -> relief_hessian::Result<T>,
) -> Result<T, Failure> {
    let mut failed = None;
    let ended = run(&mut |told| match told {
        Ok(()) => Control::Continue,
        Err(e) => {
            failed = Some(e);
            Control::Interrupt
        }
    })?;
    failed.map_or(Ok(ended), |e| Err(e.into()))
}

fn descent() -> Result<Vec<Curve>, Failure> {
    let (eta, steps) = DESCENT;
    let sum = chebyshev()?;
    let objective = sum.whole()?;

    let mut plain = Curve::named("gradient descent");
    let training = Training { eta, steps, ..Training::default() };
    let mut state = TrainingState::new(sum.parameters())?;
    let mut losses = vec![];
    observed(|check| {
        training.run(&sum, &mut state, &mut |step, state| {
            losses.push(step.loss);
            if state.step % LOOK != 0 {
                return Control::Continue;
            }
            check(look(&*objective, &state.point).map(|(loss, sharpness)| {
                plain.push(state.step, loss, f64::NAN, sharpness);
            }))
        })
    })?;
    // The mean over as many steps before as after.
    for (mean, step) in plain.mean_loss.iter_mut().zip(&plain.step) {
        let window = 20.min(*step as usize).min(steps - *step as usize).max(1);
        let around = &losses[*step as usize - window..(*step as usize + window).min(losses.len())];
        *mean = short(around.iter().sum::<f64>() / around.len() as f64);
    }

    let mut flow = Curve::named("gradient flow");
    let settings =
        GradientFlow { until: eta * steps as f64, marks: Some(eta * LOOK as f64), ..GradientFlow::default() };
    let mut state = FlowState::new(sum.parameters())?;
    observed(|check| {
        settings.run(&*objective, &mut state, &mut |_, state| {
            let step = state.time / eta;
            let mark = (step / LOOK as f64).round() * LOOK as f64;
            if (step - mark).abs() > 1e-6 {
                return Control::Continue;
            }
            check(look(&*objective, &state.point).map(|(loss, sharpness)| {
                flow.push(mark as usize, loss, loss, sharpness);
            }))
        })
    })?;

    let mut central = Curve::named("central flow");
    let settings = CentralFlow { eta, steps, ..CentralFlow::default() };
    let mut state = FlowState::new(sum.parameters())?;
    settings.run(&*objective, &mut state, &mut |step, _| {
        if step.step > 0 && step.step % LOOK == 0 {
            central.push(step.step, step.loss, step.mean_loss, step.eigenvalues[0]);
        }
        Control::Continue
    })?;
    Ok(vec![plain, flow, central])
}

fn sam() -> Result<Vec<Vec<Curve>>, Failure> {
    let sum = digits(EXAMPLES)?;
    let objective = sum.whole()?;
    let rules = [None, Some(SdeOrder::Second), Some(SdeOrder::Third)];
    let names = ["SAM", "SDE of second order", "SDE of third order"];
    let mut all = vec![];
    for (order, name) in rules.into_iter().zip(names) {
        let mut curves = vec![];
        for seed in 0..SEEDS {
            let mut curve = Curve::named(name);
            let mut seen = |step: usize, point: &[f64]| {
                if !step.is_multiple_of(SAM_LOOK) {
                    return Ok(());
                }
                let (loss, sharpness) = look(&*objective, point)?;
                curve.push(step, loss, loss, sharpness);
                Ok(())
            };
            observed(|check| match order {
                None => {
                    let rule = Rule::Sam(Sam { rho: RHO, ..Sam::default() });
                    let (batch, steps) = (Some(BATCH), STEPS);
                    let training = Training { rule, eta: ETA, steps, batch, seed, ..Training::default() };
                    let mut state = TrainingState::new(sum.parameters())?;
                    training.run(&sum, &mut state, &mut |_, s| check(seen(s.step, &s.point)))
                }
                Some(order) => {
                    let (batch, steps) = (Some(BATCH), STEPS);
                    let equation = SamSde { order, eta: ETA, rho: RHO, steps, batch, seed };
                    let mut state = FlowState::new(sum.parameters())?;
                    equation.run(&sum, &mut state, &mut |_, s| check(seen(s.step, &s.point)))
                }
            })?;
            curves.push(curve);
        }
        all.push(curves);
    }
    Ok(all)
}

fn short(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), x| (count + 1.0, sum + x));
    sum / count
}

/// Mean and standard deviation over curves, place by place.
fn over_seeds(curves: &[Curve], of: impl Fn(&Curve) -> &Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    (0..curves[0].step.len())
        .map(|i| {
            let centre = mean(curves.iter().map(|c| of(c)[i]));
            let square = curves.iter().map(|c| (of(c)[i] - centre).powi(2)).sum::<f64>();
            (centre, (square / (curves.len() as f64 - 1.0)).sqrt())
        })
        .unzip()
}

fn summary(results: &Results) -> serde_json::Value {
    let [plain, flow, central] = &results.descent[..] else { return json!({}) };
    let half = plain.step.len() / 2;
    // Gradient descent oscillates in bursts, so that only means over many of them can be compared.
    let relative = |mine: &[f64], theirs: &[f64]| {
        short(mean(mine[half..].iter().copied()) / mean(theirs[half..].iter().copied()) - 1.0)
    };
    let (eta, _) = DESCENT;
    let n = central.step.len().min(plain.step.len());
    let sam: Vec<_> = results
        .sam
        .iter()
        .map(|curves| {
            let (loss, spread) = over_seeds(curves, |c| &c.loss);
            let (sharpness, deviation) = over_seeds(curves, |c| &c.sharpness);
            let last = loss.len() - 1;
            let error = (SEEDS as f64).sqrt();
            json!({
                "rule": curves[0].name, "loss": short(loss[last]), "loss_error": short(spread[last] / error),
                "sharpness": short(sharpness[last]), "sharpness_error": short(deviation[last] / error),
            })
        })
        .collect();
    json!({
        "descent": {
            "model": "mlp:widths=2-100-1,activation=tanh,bias=false", "eta": eta, "steps": DESCENT.1, "means_over": "the second half",
            "central_flow_mean_loss_off": relative(&central.mean_loss[..n], &plain.mean_loss[..n]),
            "gradient_flow_loss_off": relative(&flow.loss[..n], &plain.mean_loss[..n]),
            "central_flow_sharpness_off": relative(&central.sharpness[..n], &plain.sharpness[..n]),
            "central_flow_largest_sharpness_times_eta_half":
                short(0.5 * eta * central.sharpness.iter().copied().fold(0.0, f64::max)),
        },
        "sam": { "model": MODEL, "examples": EXAMPLES, "batch": BATCH, "eta": ETA, "rho": RHO, "steps": STEPS, "seeds": SEEDS, "ends": sam },
    })
}

fn figure(results: &Results) -> Figure {
    let (eta, _) = DESCENT;
    let axis = || Axis::linear("step");
    let mut losses = Lines::new("Gradient descent and its flows", axis(), Axis::log("loss"));
    let mut sharpness = Lines::new("", axis(), Axis::linear("largest eigenvalue λ₁"))
        .with_reference(Reference::level(2.0 / eta, "2/η"));
    let looks = [(5, Mark::Solid), (0, Mark::Solid), (1, Mark::Dashed)];
    for (curve, (colour, mark)) in results.descent.iter().zip(looks) {
        let series = |name: String, y: &[f64]| Series::new(name, curve.step.clone(), y.to_vec()).marked(mark);
        let (name, loss) = if curve.name == "central flow" {
            ("central flow, predicted mean".to_string(), &curve.mean_loss)
        } else {
            (curve.name.clone(), &curve.loss)
        };
        losses = losses.with(series(name, loss).coloured(colour));
        sharpness = sharpness.with(series(curve.name.clone(), &curve.sharpness).coloured(colour));
    }
    let title = format!("SAM and its SDEs, ρ = {RHO}");
    let mut sam_losses = Lines::new(title, axis(), Axis::linear("loss"));
    let mut sam_sharpness = Lines::new("", axis(), Axis::linear("largest eigenvalue λ₁"));
    for (curves, mark) in results.sam.iter().zip([Mark::Solid, Mark::Dashed, Mark::Dotted]) {
        let banded = |of: fn(&Curve) -> &Vec<f64>| {
            let (centre, spread) = over_seeds(curves, of);
            let moved = |by: f64| centre.iter().zip(&spread).map(|(c, s)| c + by * s).collect();
            let (low, high) = (moved(-1.0), moved(1.0));
            Series::new(curves[0].name.clone(), curves[0].step.clone(), centre).banded(low, high).marked(mark)
        };
        sam_losses = sam_losses.with(banded(|c| &c.loss));
        sam_sharpness = sam_sharpness.with(banded(|c| &c.sharpness));
    }
    let panels = [losses, sam_losses, sharpness, sam_sharpness].map(Panel::Lines).to_vec();
    Figure::new("", panels).in_columns(2).captioned(format!(
        "Half squared error. Left: the fifth Chebyshev polynomial at 20 points, 100 tanh units, η = {eta}, full batch. Right: \
         {EXAMPLES} digits, 64-16-10 with tanh, η = {ETA}, mini-batches of {BATCH}; mean and standard deviation of {SEEDS} seeds."
    ))
}
