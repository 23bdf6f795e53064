//! The two engines against each other: graphs, and candle's double backward of a closure. One test, because the switch of
//! candle's must be set before any thread's first backward pass.

mod common;

use candle_core::{DType, Tensor, Var};
use common::Fixture;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Batch, CandleObjective, Curvature, DEFAULT_MEMORY, Objective, SymmetricOperator, check,
};

fn random(n: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    (0..n).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn product(objective: &dyn Objective, v: &[f64]) -> Vec<f64> {
    let curvature = Curvature::new(objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let mut out = vec![0.0; v.len()];
    curvature.hessian().apply(v, &mut out).unwrap();
    out
}

/// Mean cross-entropy composed of operations that candle differentiates twice.
fn cross_entropy(logits: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    let partition = logits.exp()?.sum_keepdim(1)?.log()?;
    logits.broadcast_sub(&partition)?.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

#[test]
fn both_engines_give_the_same_derivatives() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let variables: Vec<(String, Var)> =
        fixture.tensors.iter().map(|(n, t)| (n.clone(), Var::from_tensor(t).unwrap())).collect();
    let batches = || {
        [(0, 70), (70, 30)]
            .map(|(start, examples)| Batch {
                tensors: vec![
                    fixture.x.narrow(0, start, examples).unwrap(),
                    fixture.y.narrow(0, start, examples).unwrap(),
                ],
                examples,
            })
            .to_vec()
    };
    let read = variables.clone();
    let closure = move |batch: &[Tensor]| {
        let get = |name: &str| read.iter().find(|(n, _)| n == name).unwrap().1.as_tensor().clone();
        let layer = |x: &Tensor, name: &str| {
            x.matmul(&get(&format!("{name}.weight")).t()?)?.broadcast_add(&get(&format!("{name}.bias")))
        };
        let x = layer(&batch[0], "0")?.tanh()?;
        cross_entropy(&layer(&layer(&x, "2")?.tanh()?, "4")?, &batch[1])
    };

    // Without the switch candle's second pass is silently wrong, so the objective must refuse.
    let refused = std::thread::spawn({
        let (variables, closure, batches) = (variables.clone(), closure.clone(), batches());
        move || CandleObjective::new(variables, batches, closure).map(|_| ()).unwrap_err().to_string()
    });
    assert!(refused.join().unwrap().contains("CANDLE_GRAD_DO_NOT_DETACH"));

    // SAFETY: no other thread of this process runs now.
    unsafe { std::env::set_var("CANDLE_GRAD_DO_NOT_DETACH", "1") };
    let candle = CandleObjective::new(variables, batches(), closure).unwrap();
    let graph = fixture.objective_over(DType::F64, batches(), false);

    let (a, b) =
        (Curvature::new(&candle, candle.parameters(), 0), Curvature::new(&graph, graph.parameters(), 0));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a.loss() - b.loss()).abs() < 1e-14);
    assert!(a.gradient().iter().zip(b.gradient()).all(|(a, b)| (a - b).abs() < 1e-14));
    let v = random(graph.parameters().len());
    for (a, b) in product(&candle, &v).iter().zip(product(&graph, &v)) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    assert!(check(&candle, 0).unwrap().passed());
}
