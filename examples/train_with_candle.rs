//! A network trained by plain candle code, saved with `VarMap::save`, and read by Relief as it is.
//!
//! `cargo run --release --example train_with_candle -- net.safetensors`, then
//! `relief eigenvalues net.safetensors --model mlp --data digits`

use candle_core::{DType, Device};
use candle_nn::{Module, Optimizer, SGD, VarBuilder, VarMap, linear, loss, ops};
use relief_models::data::{DataOptions, Dataset};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    let data = Dataset::load("digits", &DataOptions::default())?;
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let layers = [linear(64, 32, builder.pp("fc1"))?, linear(32, 10, builder.pp("fc2"))?];
    let mut optimiser = SGD::new(variables.all_vars(), 0.5)?;
    for epoch in 0..=200 {
        let logits = layers[1].forward(&layers[0].forward(&data.inputs)?.relu()?)?;
        let loss = loss::nll(&ops::log_softmax(&logits, 1)?, data.targets.tensor())?;
        optimiser.backward_step(&loss)?;
        if epoch % 50 == 0 {
            println!("epoch {epoch}: loss {:.4}", loss.to_scalar::<f32>()?);
        }
    }
    variables.save(&path)?;
    println!("wrote {path}: now run `relief eigenvalues {path} --model mlp --data digits`");
    Ok(())
}
