//! Any candle model: a closure that gives the loss is enough for its Hessian.
//!
//! `cargo run --release --example candle_closure`

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder, VarMap, linear};
use relief_hessian::{
    Batch, CandleObjective, Curvature, DEFAULT_MEMORY, Lanczos, Objective, Outcome, Silent, Wanted, check,
};
use relief_models::data::{DataOptions, Dataset};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // SAFETY: no other thread runs yet. Without the switch candle forgets how gradients were computed.
    unsafe { std::env::set_var("CANDLE_GRAD_DO_NOT_DETACH", "1") };
    let data =
        Dataset::load("digits", &DataOptions { limit: Some(200), dtype: DType::F64, ..Default::default() })?;

    // Plain candle code: variables, layers, a loss.
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F64, &Device::Cpu);
    let hidden = linear(64, 16, builder.pp("hidden"))?;
    let output = linear(16, 10, builder.pp("output"))?;
    let loss = move |batch: &[Tensor]| {
        let logits = output.forward(&hidden.forward(&batch[0])?.tanh()?)?;
        // Composed of what candle differentiates twice; its fused log-softmax and cross-entropy cut the graph.
        let partition = logits.exp()?.sum_keepdim(1)?.log()?;
        let labels = batch[1].unsqueeze(1)?;
        logits.broadcast_sub(&partition)?.gather(&labels, 1)?.mean_all()?.neg()
    };

    let batch = Batch {
        tensors: vec![data.inputs.clone(), data.targets.tensor().clone()],
        examples: data.examples(),
    };
    let named: Vec<(String, Var)> =
        variables.data().lock().unwrap().iter().map(|(name, var)| (name.clone(), var.clone())).collect();
    let objective = CandleObjective::new(named, vec![batch], loss)?;
    assert!(check(&objective, 0)?.passed(), "candle's derivatives of this model are wrong");

    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY)?;
    let solver = Lanczos { wanted: Wanted::Largest { k: 3 }, ..Lanczos::default() };
    if let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut Silent)? {
        for pair in &eigen.largest {
            println!("{:.6} +- {:.0e}", pair.value, pair.error_bound);
        }
    }
    Ok(())
}
