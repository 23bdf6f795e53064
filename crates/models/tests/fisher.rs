//! Slopes for sampled targets: on average, their outer products are the second derivatives of the loss in the outputs.

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_models::loss::Loss;

/// The mean outer product over many draws, for the first example's outputs.
fn mean_outer(loss: Loss, outputs: &Tensor) -> Vec<Vec<f64>> {
    let draws = 200_000;
    let each = outputs.elem_count() / outputs.dim(0).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut sum = vec![vec![0.0; each]; each];
    for _ in 0..draws {
        let c = loss.sampled_slopes(outputs, &mut random).unwrap();
        assert_eq!(c.dims(), outputs.dims());
        let c = c.get(0).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (row, a) in sum.iter_mut().zip(&c) {
            row.iter_mut().zip(&c).for_each(|(s, b)| *s += a * b / f64::from(draws));
        }
    }
    sum
}

fn assert_near(found: &[Vec<f64>], expected: impl Fn(usize, usize) -> f64) {
    for (i, row) in found.iter().enumerate() {
        for (j, x) in row.iter().enumerate() {
            assert!((x - expected(i, j)).abs() < 0.01, "entry {i}, {j} is {x}, not {}", expected(i, j));
        }
    }
}

fn unit(i: usize, j: usize) -> f64 {
    f64::from(u8::from(i == j))
}

#[test]
fn their_mean_outer_product_is_the_loss_s_hessian_in_the_outputs() {
    let z = [0.3, -1.0, 1.2];
    let sum: f64 = z.iter().map(|z: &f64| z.exp()).sum();
    let p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
    let outputs = Tensor::new(&[z], &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    assert_near(&mean_outer(Loss::CrossEntropy, &outputs), |i, j| p[i] * (unit(i, j) - p[j]));
    let s: Vec<f64> = z.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
    assert_near(&mean_outer(Loss::BinaryCrossEntropy, &outputs), |i, j| {
        unit(i, j) * s[i] * (1.0 - s[i]) / 3.0
    });
    assert_near(&mean_outer(Loss::HalfSquaredError, &outputs), unit);
    assert_near(&mean_outer(Loss::Mse, &outputs), |i, j| unit(i, j) * 2.0 / 3.0);
    // Two positions of a text, each with three tokens.
    let text = outputs.unsqueeze(0).unwrap().repeat((1, 2, 1)).unwrap();
    let same = |i: usize, j: usize| if i / 3 == j / 3 { 0.5 } else { 0.0 };
    assert_near(&mean_outer(Loss::NextToken, &text), |i, j| {
        same(i, j) * p[i % 3] * (unit(i % 3, j % 3) - p[j % 3])
    });
}
