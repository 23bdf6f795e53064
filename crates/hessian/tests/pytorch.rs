//! Loss, gradient and products against explicit float64 Hessians from PyTorch.

mod common;

use candle_core::{DType, Tensor};
use common::Fixture;
use relief_hessian::{Curvature, DEFAULT_MEMORY, Objective, SymmetricOperator};

const ALL: [&str; 3] = ["digits-mlp-tanh", "digits-mlp-relu", "fashion-cnn-bn"];

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: found {found}, expected {expected}, relative error {error:e}");
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn loss_gradient_and_eigenvectors_agree_in_f64() {
    for name in ALL {
        let fixture = Fixture::new(name);
        // Ragged batches: the last one is smaller, and must count for less.
        for batch_size in [1000, 30] {
            let objective = fixture.objective(DType::F64, batch_size, false);
            let at = objective.parameters();
            let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
            assert_close(curvature.loss(), fixture.number("loss"), 1e-12, name);
            let gradient = fixture.reorder(&flat(&fixture.reference["gradient"]), at);
            assert!(distance(curvature.gradient(), &gradient) <= 1e-11 * norm(&gradient), "{name}: gradient");
            let vectors = &fixture.reference["top5_vectors"];
            for (i, value) in fixture.list("top10").into_iter().take(5).enumerate() {
                let v = fixture.reorder(&flat(&vectors.get(i).unwrap()), at);
                let mut product = vec![0.0; v.len()];
                curvature.hessian().apply(&v, &mut product).unwrap();
                let expected: Vec<f64> = v.iter().map(|x| x * value).collect();
                let error = distance(&product, &expected) / value;
                assert!(error <= 1e-8, "{name}, eigenvector {i}: residual {error:e}");
            }
        }
    }
}

#[test]
fn single_precision_agrees_to_its_rounding() {
    for name in ALL {
        let fixture = Fixture::new(name);
        let objective = fixture.objective(DType::F32, 100, false);
        let at = objective.parameters();
        let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
        assert_close(curvature.loss(), fixture.number("loss"), 1e-4, name);
        let value = fixture.list("top10")[0];
        let v = fixture.reorder(&flat(&fixture.reference["top5_vectors"].get(0).unwrap()), at);
        let mut product = vec![0.0; v.len()];
        curvature.hessian().apply(&v, &mut product).unwrap();
        let quotient: f64 = product.iter().zip(&v).map(|(a, b)| a * b).sum();
        assert_close(quotient, value, 1e-5, name);
    }
}

#[test]
fn the_whole_spectrum_of_a_network_agrees() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let objective = fixture.objective(DType::F64, 250, false);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let n = curvature.hessian().dim();
    let unit = |i: usize| {
        let mut v = vec![0.0; n];
        v[i] = 1.0;
        v
    };
    let mut columns = Vec::with_capacity(n);
    for start in (0..n).step_by(16) {
        let block: Vec<Vec<f64>> = (start..n.min(start + 16)).map(unit).collect();
        columns.extend(curvature.hessian().apply_block(&block).unwrap());
    }
    let matrix = faer::Mat::from_fn(n, n, |i, j| 0.5 * (columns[j][i] + columns[i][j]));
    let asymmetry =
        (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| (columns[j][i] - columns[i][j]).abs());
    assert!(asymmetry.fold(0.0, f64::max) < 1e-14);
    let values = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    let expected = flat(&fixture.reference["eigenvalues"]);
    let scale = expected[n - 1];
    for (found, expected) in values.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-12 * scale, "found {found}, expected {expected}");
    }
}
