//! Trains two networks from different starts on the embedded digits, for curves between minima, and keeps the way of the
//! first.
//!
//! `cargo run --release --example train_pair -- notebooks-data/pair` writes a.safetensors, b.safetensors and
//! way/epoch-000.safetensors to way/epoch-100.safetensors. A second argument is the number of hidden units.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};

use candle_core::DType;
use relief_hessian::{Epochs, FiniteSum, Parameters, gradient};
use relief_models::architecture::Architecture;
use relief_models::checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Minibatches, TaskOptions};

const EPOCHS: usize = 100;
const BATCH: usize = 128;
const ETA: f64 = 0.1;
const MOMENTUM: f64 = 0.9;
const WEIGHT_DECAY: f64 = 5e-4;
/// Epochs between two checkpoints of the way.
const KEPT: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("notebooks-data/pair".into()));
    let hidden: usize = std::env::args().nth(2).map_or(Ok(32), |text| text.parse())?;
    let model = format!("mlp:widths=64-{hidden}-{hidden}-10,activation=relu");
    std::fs::create_dir_all(folder.join("way"))?;
    for (name, seed) in [("a", 1), ("b", 2)] {
        let save = |at: &Parameters, path: &Path| -> Result<(), Box<dyn std::error::Error>> {
            let recipe = format!(
                "SGD, step size {ETA} with a cosine schedule, momentum {MOMENTUM}, weight decay {WEIGHT_DECAY}, batch size \
                 {BATCH}, {EPOCHS} epochs, seed {seed}"
            );
            let metadata = [("model", model.as_str()), ("data", "digits"), ("recipe", &recipe)];
            let metadata: BTreeMap<_, _> = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
            let tensors = at.iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
            Ok(checkpoint::save(path, &tensors, &metadata)?)
        };
        let kept = |epoch: usize, at: &Parameters| match name {
            "a" if epoch.is_multiple_of(KEPT) => {
                save(at, &folder.join(format!("way/epoch-{epoch:03}.safetensors")))
            }
            _ => Ok(()),
        };
        let at = train(&model, seed, &kept)?;
        save(&at, &folder.join(format!("{name}.safetensors")))?;
    }
    Ok(())
}

type Kept<'a> = dyn Fn(usize, &Parameters) -> Result<(), Box<dyn std::error::Error>> + 'a;

/// Momentum (v <- mu v + g, theta <- theta - eta v) with a step size that falls like a cosine.
fn train(model: &str, seed: u64, kept: &Kept<'_>) -> Result<Parameters, Box<dyn std::error::Error>> {
    let data = Dataset::load("digits", &DataOptions::default())?;
    let model = Architecture::parse(model)?;
    let start = model.random_parameters(data.example_shape(), seed, DType::F32)?;
    let options = TaskOptions { weight_decay: WEIGHT_DECAY, ..TaskOptions::default() };
    let batches = Minibatches::new(&model, &start, &data, &options)?;
    let epochs = Epochs::new(batches.examples(), BATCH, seed)?;
    let mut at = batches.parameters().clone();
    let mut x = at.to_vec()?;
    let mut velocity = vec![0.0; x.len()];
    let steps = EPOCHS * epochs.per_epoch();
    kept(0, &at)?;
    for step in 0..steps {
        let (_, gradient) = gradient(&*batches.over(&epochs.at(step))?, &at)?;
        let eta = 0.5 * ETA * (1.0 + (PI * step as f64 / steps as f64).cos());
        for ((x, v), g) in x.iter_mut().zip(&mut velocity).zip(gradient) {
            *v = MOMENTUM * *v + g;
            *x -= eta * *v;
        }
        at = at.at(&x)?;
        if (step + 1) % epochs.per_epoch() == 0 {
            kept((step + 1) / epochs.per_epoch(), &at)?;
        }
    }
    Ok(at)
}
