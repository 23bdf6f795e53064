//! Trains the two quickstart checkpoints on the embedded digits: the same start, one with SGD, one with SAM.
//!
//! `cargo run --release --example train_digits` writes notebooks-data/digits-{sgd,sam}.safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::DType;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Objective, Parameters};
use relief_models::architecture::Architecture;
use relief_models::checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Task, TaskOptions};

const MODEL: &str = "mlp:widths=64-32-32-10,activation=tanh";
const EPOCHS: usize = 300;
const BATCH: usize = 32;
const ETA: f64 = 0.1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, rho) in [("sgd", 0.0), ("sam", 0.15)] {
        let data = Dataset::load("digits", &DataOptions { dtype: DType::F64, ..Default::default() })?;
        let model = Architecture::parse(MODEL)?;
        let start = model.random_parameters(data.example_shape(), 0, DType::F64)?;
        let options = TaskOptions { batch_size: Some(BATCH), dtype: DType::F64, ..Default::default() };
        let task = Task::new(&model, &start, &data, &options)?;
        let at = train(&task, rho)?;
        let loss = relief_hessian::loss(&task.objective, &at)?;
        let accuracy = task.accuracy(&at)?.unwrap_or(f64::NAN);
        println!("{name}: loss {loss:.4}, accuracy {:.2} %", 100.0 * accuracy);
        let rule = if rho > 0.0 { format!("SAM, rho {rho}") } else { "SGD".to_string() };
        let recipe = format!("{rule}, step size {ETA}, batch size {BATCH}, {EPOCHS} epochs, seed 0");
        let metadata = [("model", MODEL), ("data", "digits"), ("recipe", &recipe)];
        let metadata: BTreeMap<_, _> = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let tensors = at.to_dtype(DType::F32)?.iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
        checkpoint::save(
            Path::new(&format!("notebooks-data/digits-{name}.safetensors")),
            &tensors,
            &metadata,
        )?;
    }
    Ok(())
}

/// Steps theta <- theta - eta g(theta + rho g / |g|); rho = 0 is plain SGD.
fn train(task: &Task, rho: f64) -> Result<Parameters, Box<dyn std::error::Error>> {
    let mut at = task.objective.parameters().clone();
    let mut order: Vec<usize> = (0..task.objective.batches()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..EPOCHS {
        order.shuffle(&mut random);
        for &batch in &order {
            let mut gradient = task.objective.linearize(&at, batch)?.gradient()?;
            if rho > 0.0 {
                let mut flat = vec![0.0; at.len()];
                at.flatten(&gradient, &mut flat)?;
                let norm = flat.iter().map(|g| g * g).sum::<f64>().sqrt();
                let ascended = at.displaced(&flat, rho / norm.max(1e-12))?;
                gradient = task.objective.linearize(&ascended, batch)?.gradient()?;
            }
            let mut flat = vec![0.0; at.len()];
            at.flatten(&gradient, &mut flat)?;
            at = at.displaced(&flat, -ETA)?;
        }
    }
    Ok(at)
}
