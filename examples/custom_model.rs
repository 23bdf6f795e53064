//! A model of one's own, built from the graph's operations: a tiny network with a residual block and its curvature.
//!
//! `cargo run --release --example custom_model`

use candle_core::{DType, Tensor};
use relief_autodiff::{ConvolutionOptions, GraphBuilder, Result, Value};
use relief_hessian::{
    Batch, Curvature, DEFAULT_MEMORY, GraphObjective, Lanczos, Objective, Outcome, Parameters, Silent, Wanted,
};
use relief_models::data::{DataOptions, Dataset};

fn network(graph: &GraphBuilder, batch: &[Value]) -> Result<(Value, Value)> {
    let same = ConvolutionOptions { padding: [1, 1], ..Default::default() };
    let images = batch[0].reshape(&[batch[0].dims()[0], 1, 8, 8])?;
    let x = images.conv2d(&graph.parameter("stem", &[4, 1, 3, 3])?, None, same)?.gelu()?;
    let x = x.add(&x.conv2d(&graph.parameter("block", &[4, 4, 3, 3])?, None, same)?.gelu()?)?;
    let logits =
        x.adaptive_avg_pool2d([2, 2])?.flatten_from(1)?.linear(&graph.parameter("head", &[10, 16])?, None)?;
    let loss = logits.cross_entropy(&batch[1], 0.1)?;
    Ok((logits, loss))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let data =
        Dataset::load("digits", &DataOptions { limit: Some(256), dtype: DType::F64, ..Default::default() })?;
    let random = |dims: &[usize]| Tensor::randn(0f64, 0.3, dims, data.inputs.device());
    let named = [
        ("stem".to_string(), random(&[4, 1, 3, 3])?),
        ("block".to_string(), random(&[4, 4, 3, 3])?),
        ("head".to_string(), random(&[10, 16])?),
    ];
    let batch = Batch { tensors: vec![data.inputs.clone(), data.targets.tensor().clone()], examples: 256 };
    let objective = GraphObjective::new(Parameters::new(named)?, Default::default(), vec![batch], network)?;
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY)?;
    let solver = Lanczos { wanted: Wanted::Both { largest: 2, smallest: 1 }, ..Lanczos::default() };
    if let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut Silent)? {
        println!("loss {:.6}, gradient norm {:.6}", curvature.loss(), curvature.gradient_norm());
        for pair in eigen.largest.iter().chain(&eigen.smallest) {
            println!("{:.8} +- {:.0e}", pair.value, pair.error_bound);
        }
    }
    Ok(())
}
