//! Diagonals: against the definition, against explicit Hessians, and their error estimates.

mod common;

use candle_core::DType;
use common::Fixture;
use common::matrices::{Recorded, Rotated, done, entries};
use relief_hessian::{
    Affine, Curvature, DEFAULT_MEMORY, Dense, Diagonal, DiagonalEstimate, DiagonalMethod, EstimateStatus,
    Objective, Sampling, Silent, SymmetricOperator, Target,
};

const METHODS: [DiagonalMethod; 2] = [DiagonalMethod::Independent, DiagonalMethod::XDiag];

fn with_products(method: DiagonalMethod, products: usize, seed: u64) -> Diagonal {
    Diagonal {
        method,
        sampling: Sampling { target: Target::Products(products), seed, ..Sampling::default() },
    }
}

fn run(diagonal: &Diagonal, operator: &dyn SymmetricOperator) -> DiagonalEstimate {
    done(diagonal.run(operator, &mut Silent).unwrap())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The projection onto the span of vectors, which may depend on each other, as a matrix.
fn projection(vectors: &[Vec<f64>], n: usize) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = vec![];
    for v in vectors {
        let size = norm(v);
        let mut v = v.clone();
        for _ in 0..3 {
            for q in &basis {
                let along = dot(q, &v);
                v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
            }
        }
        let length = norm(&v);
        if length > 1e-12 * size {
            basis.push(v.iter().map(|x| x / length).collect());
        }
    }
    (0..n).map(|i| (0..n).map(|j| basis.iter().map(|q| q[i] * q[j]).sum()).collect()).collect()
}

fn multiply(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = b.len();
    a.iter().map(|row| (0..n).map(|j| (0..n).map(|k| row[k] * b[k][j]).sum()).collect()).collect()
}

#[test]
fn xdiag_is_its_definition() {
    let n = 40;
    let spectra: [Vec<f64>; 2] = [
        (0..n).map(|i| if i % 3 == 0 { -0.5 } else { 0.8f64.powi(i) }).collect(),
        // Signs are few: with a low rank, some products are in the span of the others.
        (0..n).map(|i| if i < 3 { 1.0 } else { 0.0 }).collect(),
    ];
    for spectrum in &spectra {
        for k in [2, 6, 15] {
            let recorded = Recorded::new(Rotated::new(spectrum));
            let found = run(&with_products(DiagonalMethod::XDiag, 2 * k, 3), &recorded);
            let (probes, products): (Vec<_>, Vec<_>) =
                recorded.products.lock().unwrap().iter().take(k).cloned().unzip();
            assert!(probes.iter().flatten().all(|x| x.abs().to_bits() == 1f64.to_bits()));
            let a = entries(&recorded.operator);
            let mut expected = vec![0.0; n as usize];
            for (i, probe) in probes.iter().enumerate() {
                let others: Vec<Vec<f64>> = (0..k).filter(|j| *j != i).map(|j| products[j].clone()).collect();
                let p = projection(&others, n as usize);
                let (pa, pap) = (multiply(&p, &a), multiply(&multiply(&p, &a), &p));
                for (r, expected) in expected.iter_mut().enumerate() {
                    let rest = |c: usize| a[r][c] - pa[r][c] - pa[c][r] + pap[r][c];
                    let sample: f64 = (0..n as usize).map(|c| rest(c) * probe[c]).sum();
                    *expected += (2.0 * pa[r][r] - pap[r][r] + probe[r] * sample) / k as f64;
                }
            }
            let error = distance(&found.values, &expected) / norm(&expected);
            assert!(error <= 1e-10, "{k} probes: {error:e}");
        }
    }
}

#[test]
fn independent_probes_give_mean_and_standard_error() {
    let spectrum: Vec<f64> = (0..30).map(|i| 0.9f64.powi(i) - 0.3).collect();
    let recorded = Recorded::new(Rotated::new(&spectrum));
    let found = run(&with_products(DiagonalMethod::Independent, 20, 3), &recorded);
    let products = recorded.products.lock().unwrap();
    for r in 0..30 {
        let samples: Vec<f64> = products.iter().map(|(w, y)| w[r] * y[r]).collect();
        let mean = samples.iter().sum::<f64>() / 20.0;
        let error = (samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 380.0).sqrt();
        assert!((found.values[r] - mean).abs() < 1e-13 && (found.standard_errors[r] - error).abs() < 1e-13);
    }
}

#[test]
fn error_estimates_are_calibrated_on_a_trained_network() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let objective = fixture.objective(DType::F64, 1000, false);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let n = curvature.hessian().dim();
    let rows = entries(&curvature.hessian());
    let matrix = Dense::new(n, (0..n * n).map(|i| 0.5 * (rows[i / n][i % n] + rows[i % n][i / n])).collect());
    let matrix = matrix.unwrap();
    // Weight decay makes the matrix nearly diagonal.
    for (decay, bars) in [(0.0, [2.0, 0.35]), (0.1, [0.4, 0.15])] {
        let operator = Affine { operator: &matrix, factor: 1.0, shift: decay };
        let exact: Vec<f64> = (0..n).map(|i| rows[i][i] + decay).collect();
        let size = norm(&exact);
        for (method, bar) in METHODS.into_iter().zip(bars) {
            let (mut squares, mut estimates, mut covered) = (0.0, 0.0, 0);
            let seeds = 10;
            for seed in 0..seeds {
                let found = run(&with_products(method, 30, seed), &operator);
                squares += distance(&found.values, &exact).powi(2);
                estimates += found.error_estimate.powi(2);
                let entries = found.values.iter().zip(&found.standard_errors).zip(&exact);
                covered += entries.filter(|((v, e), x)| (*v - *x).abs() <= 2.0 * *e).count();
            }
            let count = seeds as f64;
            let (error, estimate) = ((squares / count).sqrt() / size, (estimates / count).sqrt() / size);
            let covered = covered as f64 / count / n as f64;
            println!(
                "decay {decay}, {method:?}: rms {error:.4}, estimated {estimate:.4}, entries covered {covered:.3}"
            );
            assert!(error <= bar, "{method:?}: {error}");
            assert!((0.9..1.1).contains(&(estimate / error)), "{method:?}: {estimate} for {error}");
            assert!((0.85..=0.995).contains(&covered), "{method:?}: {covered}");
        }
    }
}

#[test]
fn signs_show_a_diagonal_matrix_at_once() {
    let exact: Vec<f64> = (0..50).map(|i| f64::from(i) - 20.0).collect();
    let entries = (0..2500).map(|i| if i / 50 == i % 50 { exact[i / 50] } else { 0.0 }).collect();
    let matrix = Dense::new(50, entries).unwrap();
    let found = run(&with_products(DiagonalMethod::Independent, 4, 0), &matrix);
    assert!(distance(&found.values, &exact) < 1e-13 && found.error_estimate < 1e-11);
}

#[test]
fn few_rows_low_rank_and_zero_are_exact() {
    for method in METHODS {
        for spectrum in [vec![2.0], vec![1.0, -3.0, 0.5], vec![0.0; 40], (0..13).map(f64::from).collect()] {
            let operator = Rotated::new(&spectrum);
            let exact: Vec<f64> = entries(&operator).iter().enumerate().map(|(i, row)| row[i]).collect();
            let found = run(&with_products(method, 20, 0), &operator);
            assert!(distance(&found.values, &exact) <= 1e-13, "{method:?}: {:?}", found.values);
            assert!(found.error_estimate <= 1e-12, "{method:?}: {}", found.error_estimate);
            if spectrum.len() < 20 {
                assert_eq!((found.status, found.products), (EstimateStatus::Exact, spectrum.len()));
            }
        }
    }
    let spectrum: Vec<f64> = (0..80).map(|i| if i < 4 { 1.0 + f64::from(i) } else { 0.0 }).collect();
    let operator = Rotated::new(&spectrum);
    let exact: Vec<f64> = entries(&operator).iter().enumerate().map(|(i, row)| row[i]).collect();
    let found = run(&with_products(DiagonalMethod::XDiag, 20, 0), &operator);
    assert!(
        distance(&found.values, &exact) < 1e-13 && found.error_estimate < 1e-12,
        "{}",
        found.error_estimate
    );
}

#[test]
fn a_relative_error_is_reached() {
    let spectrum: Vec<f64> = (0..300).map(|i| 0.7f64.powi(i)).collect();
    let operator = Rotated::new(&spectrum);
    let exact: Vec<f64> = entries(&operator).iter().enumerate().map(|(i, row)| row[i]).collect();
    for seed in 0..20 {
        let sampling = Sampling { target: Target::RelativeError(0.01), seed, ..Sampling::default() };
        let found = run(&Diagonal { method: DiagonalMethod::XDiag, sampling }, &operator);
        assert!(
            found.status == EstimateStatus::Reached && found.products <= 64,
            "{} products",
            found.products
        );
        assert!(distance(&found.values, &exact) <= 0.01 * norm(&exact));
    }
}
