//! Writes a checkpoint of any architecture at its starting values: for timings, and as the start of a training.
//!
//! `cargo run --release --example random_checkpoint -- resnet18:stem=cifar,classes=10 3x32x32 resnet18.safetensors`

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::DType;
use relief_models::architecture::Architecture;
use relief_models::checkpoint;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, shape, path] = arguments.as_slice() else {
        return Err(
            "give an architecture, the shape of an example such as 3x32x32, and the file to write".into()
        );
    };
    let shape = shape.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let model = Architecture::parse(spec)?;
    let tensors = model.random_parameters(&shape, 0, DType::F32)?;
    let metadata = BTreeMap::from([("model".to_string(), model.to_string())]);
    checkpoint::save(Path::new(path), &tensors, &metadata)?;
    println!("wrote {path}: {model}");
    Ok(())
}
