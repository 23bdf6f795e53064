//! Batches dealt to two cards, in a build with the feature `cuda`, where there are two.

#![cfg(feature = "cuda")]

mod common;

use candle_core::DType;
use common::Fixture;
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Objective, Parameters, SymmetricOperator, gradient, third_products,
};

fn direction(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.0 - 1.0).collect()
}

/// Loss, gradients and products.
fn numbers(objective: &dyn Objective, at: &Parameters, memory: usize) -> Vec<(&'static str, Vec<f64>)> {
    let curvature = Curvature::new(objective, at, memory).expect("a curvature");
    let (u, v) = (direction(at.len(), 1), direction(at.len(), 2));
    let product = |operator: &dyn SymmetricOperator| {
        let mut product = vec![0.0; at.len()];
        operator.apply(&v, &mut product).expect("a product");
        product
    };
    let block = curvature.hessian().apply_block(&[u.clone(), v.clone()]).expect("products");
    vec![
        ("the loss", vec![curvature.loss()]),
        ("the gradient", curvature.gradient().to_vec()),
        ("the gradient alone", gradient(objective, at).expect("a gradient").1),
        ("H v", product(&curvature.hessian())),
        ("G v", product(&curvature.gauss_newton())),
        ("(H - G) v", product(&curvature.operator(relief_hessian::Matrix::Residual))),
        ("H u and H v", block.concat()),
        ("the third derivative", third_products(objective, at, &[(&u, &v)]).expect("products").concat()),
    ]
}

#[test]
fn two_cards_have_the_numbers_of_the_host() {
    let Ok(cards) = relief_autodiff::cuda_devices(&[0, 1]) else { return };
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        // Five batches, the last of them small.
        let objective = Fixture::new(name).objective(DType::F64, 220, false).with_weight_decay(1e-3);
        let host = objective.parameters();
        let there = host.to_device(&cards[0]).expect("a point");
        for memory in [DEFAULT_MEMORY, 0] {
            let found = numbers(&objective, &there, memory);
            let again = numbers(&objective, &there, memory);
            for (((what, found), (_, again)), (_, expected)) in
                found.iter().zip(&again).zip(numbers(&objective, host, memory))
            {
                let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(error <= 1e-12 * largest, "{name}: {what} is off by {error:.1e} of {largest:.1e}");
                assert_eq!(found, again, "{name}: {what} has other digits a second time");
            }
        }
    }
}
