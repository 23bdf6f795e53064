//! Training steps, timed on request: reads a number of steps a line, takes them, and answers with a line of JSON.
//!
//! Arguments: model, weights, data, mini-batch, threads, and a rule's name. `compare.py` alternates it with PyTorch.

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use relief_hessian::{Control, FiniteSum};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::Dataset;
use relief_models::task::{Minibatches, TaskOptions};
use relief_training::{Momentum, Optimiser, Rule, Training, TrainingState};
use serde_json::json;

#[path = "../../crates/cli/src/allocator.rs"]
mod allocator;
#[path = "../../crates/cli/src/threads.rs"]
mod threads;

fn main() -> Result<(), Box<dyn Error>> {
    allocator::keep_memory();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, weights, data, batch, threads, rule] = arguments.as_slice() else {
        return Err("give model, weights, data, mini-batch, threads and rule".into());
    };
    threads::start(Some(threads.parse()?));
    let checkpoint = Checkpoint::load(Path::new(weights))?;
    let model = Architecture::parse(model)?.infer(&checkpoint.shapes())?;
    let data = Dataset::load(data, &Default::default())?;
    let tensors = checkpoint.fit_model(&model, data.example_shape())?;
    let sum = Minibatches::new(&model, &tensors, &data, &TaskOptions::default())?;
    let mut training = Training {
        rule: Rule::named(rule)?,
        optimiser: Optimiser::Sgd(Momentum { momentum: 0.9, nesterov: false }),
        eta: 0.01,
        steps: 0,
        batch: Some(batch.parse()?),
        ..Training::default()
    };
    let mut state = TrainingState::new(sum.parameters())?;
    println!("{}", json!({"parameters": sum.parameters().len()}));
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        training.steps += steps;
        let mut losses = vec![];
        let start = Instant::now();
        training.run(&sum, &mut state, &mut |step, _| {
            losses.push(step.loss);
            Control::Continue
        })?;
        let seconds = start.elapsed().as_secs_f64() / steps as f64;
        println!("{}", json!({"seconds": seconds, "losses": losses}));
    }
    Ok(())
}
