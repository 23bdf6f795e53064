//! What starting from the last probe's eigenvectors saves along a training: products of warm and of cold searches.
//!
//! `cargo run --release --example warm_probe` trains a perceptron on the embedded digits at the edge of stability, finds the top
//! eigenvalues of its Hessian at 40 points of the way, and writes notebooks-data/warm-probe.json.

use candle_core::DType;
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Eigen, FiniteSum, Lanczos, Outcome, Silent, SymmetricOperator, Wanted,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};
use relief_training::{Rule, Sam, Training, TrainingState};
use serde_json::json;

const MODEL: &str = "mlp:widths=64-32-32-10,activation=tanh";
const STEPS: usize = 2000;
/// Eigenvalues of each probe, and steps from one probe to the next.
const PROBES: [(usize, usize); 4] = [(5, 50), (5, 1), (1, 50), (1, 1)];
/// Probes of a series: the last ones of the training.
const SERIES: usize = 40;
const TOLERANCES: [f64; 2] = [1e-4, 1e-6];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = Dataset::load("digits", &DataOptions { dtype: DType::F64, ..Default::default() })?;
    let model = Architecture::parse(MODEL)?;
    let tensors = model.random_parameters(data.example_shape(), 0, DType::F64)?;
    let options =
        TaskOptions { loss: Some(Loss::HalfSquaredError), dtype: DType::F64, ..TaskOptions::default() };
    let sum = Minibatches::new(&model, &tensors, &data, &options)?;
    let whole = sum.whole()?;
    let sam = Rule::Sam(Sam { rho: 0.05, ..Sam::default() });
    let mut all = vec![];
    for (name, rule, batch) in [
        ("gradient descent", Rule::Plain, None),
        ("SAM", sam, None),
        ("SGD, batch 32", Rule::Plain, Some(32)),
    ] {
        let training = Training { eta: 0.2, rule, batch, steps: STEPS, ..Training::default() };
        let mut path = vec![];
        let mut state = TrainingState::new(sum.parameters())?;
        training.run(&sum, &mut state, &mut |_, state| {
            path.push(state.point.clone());
            Control::Continue
        })?;
        for ((top, every), tolerance) in PROBES.iter().flat_map(|probe| TOLERANCES.map(|t| (*probe, t))) {
            let mut last: Option<Eigen> = None;
            let (mut warm, mut cold, mut left, mut apart) = (vec![], vec![], vec![], 0.0f64);
            for point in path.iter().skip(STEPS - SERIES * every).step_by(every) {
                let curvature = Curvature::new(&*whole, &sum.parameters().at(point)?, DEFAULT_MEMORY)?;
                let solver = Lanczos { wanted: Wanted::Largest { k: top }, tolerance, ..Lanczos::default() };
                let start = last.as_ref().map(|eigen| eigen.vectors.as_slice());
                let found = done(solver.run(&curvature.hessian(), start, &mut Silent)?);
                let fresh = done(solver.run(&curvature.hessian(), None, &mut Silent)?);
                for y in start.unwrap_or_default() {
                    left.push(residual(&curvature.hessian(), y)? / found.scale);
                }
                for (a, b) in found.largest.iter().zip(&fresh.largest) {
                    apart = apart.max((a.value - b.value).abs() / (a.error_bound + b.error_bound));
                }
                if last.is_some() {
                    warm.push(found.products);
                    cold.push(fresh.products);
                }
                last = Some(found);
            }
            let mean = |x: &[usize]| x.iter().sum::<usize>() as f64 / x.len() as f64;
            let left = left.iter().sum::<f64>() / left.len() as f64;
            println!(
                "{name}, top {top} every {every}, tolerance {tolerance:e}: warm {:.1}, cold {:.1} products, ratio {:.3}; old vectors' residuals {left:.1e}; values differ by at most {apart:.2} bounds",
                mean(&warm),
                mean(&cold),
                mean(&warm) / mean(&cold)
            );
            all.push(json!({ "training": name, "top": top, "every": every, "tolerance": tolerance, "warm": warm, "cold": cold,
                "ratio": mean(&warm) / mean(&cold), "residual_of_old_vectors": left, "apart": apart }));
        }
    }
    std::fs::write("notebooks-data/warm-probe.json", serde_json::to_string_pretty(&all)? + "\n")?;
    Ok(())
}

/// |A y - (y'Ay) y| of a unit vector y.
fn residual(operator: &dyn SymmetricOperator, y: &[f64]) -> relief_hessian::Result<f64> {
    let mut product = vec![0.0; y.len()];
    operator.apply(y, &mut product)?;
    let value: f64 = product.iter().zip(y).map(|(p, y)| p * y).sum();
    Ok(product.iter().zip(y).map(|(p, y)| (p - value * y).powi(2)).sum::<f64>().sqrt())
}

fn done(outcome: Outcome) -> Eigen {
    match outcome {
        Outcome::Done(eigen) => eigen,
        Outcome::Interrupted(_) => unreachable!("nobody interrupts"),
    }
}
