//! An operation of one's own: one rule, and every derivative follows.
//!
//! `cargo run --release --example custom_operation`

use candle_core::{DType, Tensor};
use relief_autodiff::rule::Elementwise;
use relief_autodiff::{GraphBuilder, Result, Value};
use relief_hessian::{Batch, GraphObjective, Parameters, check};
use relief_models::data::{DataOptions, Dataset};

/// Snake, x + sin(x)^2 (Ziyin et al. 2020), for networks that should extrapolate periodic data.
#[derive(Debug)]
struct Snake;

impl Elementwise for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn derivative(&self, order: usize, x: f64) -> f64 {
        match order {
            0 => x + x.sin().powi(2),
            1 => 1.0 + (2.0 * x).sin(),
            2 => 2.0 * (2.0 * x).cos(),
            _ => -4.0 * (2.0 * x).sin(),
        }
    }
}

fn network(graph: &GraphBuilder, batch: &[Value]) -> Result<(Value, Value)> {
    let hidden = batch[0].linear(&graph.parameter("hidden.weight", &[16, 64])?, None)?;
    let hidden = graph.elementwise(Snake, &hidden);
    let logits = hidden.linear(&graph.parameter("output.weight", &[10, 16])?, None)?;
    let loss = logits.cross_entropy(&batch[1], 0.0)?;
    Ok((logits, loss))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let data =
        Dataset::load("digits", &DataOptions { limit: Some(64), dtype: DType::F64, ..Default::default() })?;
    let random = |rows, columns| Tensor::randn(0f64, 0.1, (rows, columns), data.inputs.device());
    let named =
        [("hidden.weight".to_string(), random(16, 64)?), ("output.weight".to_string(), random(10, 16)?)];
    let batch = Batch { tensors: vec![data.inputs.clone(), data.targets.tensor().clone()], examples: 64 };
    let objective = GraphObjective::new(Parameters::new(named)?, Default::default(), vec![batch], network)?;

    // The rule is held against differences of the loss: a wrong second derivative would be named here.
    for finding in check(&objective, 0)?.findings {
        println!(
            "{}: error {:.1e}, {}",
            finding.name,
            finding.error,
            if finding.passed { "passed" } else { "FAILED" }
        );
    }
    Ok(())
}
