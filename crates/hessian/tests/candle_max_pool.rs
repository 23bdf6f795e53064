//! candle 0.11.1 divides the gradient of max-pooling by the size of the window. The check says so; the engine's own rule is
//! right. One test, because the switch of candle's must be set before any thread's first backward pass.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use relief_autodiff::PoolOptions;
use relief_hessian::{Batch, CandleObjective, Finding, GraphObjective, Parameters, Report, check};

fn numbers(dims: &[usize], seed: usize) -> Tensor {
    let n: usize = dims.iter().product();
    let entries: Vec<f64> = (0..n).map(|i| ((i * 37 + seed * 101) as f64 * 0.7).sin()).collect();
    Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
}

fn found<'a>(report: &'a Report, name: &str) -> &'a Finding {
    report.findings.iter().find(|f| f.name == name).unwrap()
}

#[test]
fn the_check_finds_candles_gradient_of_max_pooling_and_passes_the_engines() {
    // SAFETY: no other thread of this process runs now.
    unsafe { std::env::set_var("CANDLE_GRAD_DO_NOT_DETACH", "1") };
    let weight = numbers(&[2, 1, 3, 3], 1);
    let batches = || vec![Batch { tensors: vec![numbers(&[4, 1, 8, 8], 2)], examples: 4 }];

    let variable = Var::from_tensor(&weight).unwrap();
    let read = variable.clone();
    let candle = CandleObjective::new([("w".to_string(), variable)], batches(), move |batch| {
        batch[0].conv2d(read.as_tensor(), 0, 1, 1, 1)?.tanh()?.max_pool2d(2)?.sqr()?.mean_all()
    })
    .unwrap();
    let report = check(&candle, 0).unwrap();
    let wrong = found(&report, "gradient against differences of the loss");
    // A quarter of the slope, so three quarters are missing.
    assert!(!wrong.passed && (wrong.error - 0.75).abs() < 1e-3, "{report:?}");
    assert_eq!(wrong.culprit.as_deref(), Some("an operation's first derivative is wrong"));

    let parameters = Parameters::new([("w".to_string(), weight.to_dtype(DType::F64).unwrap())]).unwrap();
    let graph = GraphObjective::new(parameters, BTreeMap::new(), batches(), |g, batch| {
        let x = batch[0].conv2d(&g.parameter("w", &[2, 1, 3, 3])?, None, Default::default())?;
        let outputs = x.tanh()?.max_pool2d(PoolOptions::square(2))?;
        let loss = outputs.sqr()?.mean_all()?;
        Ok((outputs, loss))
    })
    .unwrap();
    let report = check(&graph, 0).unwrap();
    assert!(report.passed(), "{report:?}");
}
