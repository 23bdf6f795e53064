//! Frobenius norms: against the definition, against PyTorch's Hessians, and their error estimates over hundreds of seeds.

mod common;

use candle_core::DType;
use common::Fixture;
use common::matrices::{Record, Recorded, Rotated, done};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, EstimateStatus, Frobenius, FrobeniusEstimate, FrobeniusMethod, Objective,
    Sampling, Silent, SymmetricOperator, Target,
};

const METHODS: [FrobeniusMethod; 2] = [FrobeniusMethod::Independent, FrobeniusMethod::LeaveOneOut];

fn with_products(method: FrobeniusMethod, products: usize, seed: u64) -> Frobenius {
    Frobenius {
        method,
        sampling: Sampling { target: Target::Products(products), seed, ..Sampling::default() },
    }
}

fn run(frobenius: &Frobenius, operator: &dyn SymmetricOperator) -> FrobeniusEstimate {
    done(frobenius.run(operator, &mut Silent).unwrap())
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn over_seeds(what: &str, spectrum: &[f64], method: FrobeniusMethod, products: usize, seeds: u64) -> Record {
    let operator = Rotated::new(spectrum);
    let results: Vec<(f64, f64)> = (0..seeds)
        .map(|seed| {
            let found = run(&with_products(method, products, seed), &operator);
            (found.value, found.error_estimate)
        })
        .collect();
    Record::new(&format!("{what}, {method:?} with {products} products"), norm(spectrum), &results)
}

fn eigenvalues(name: &'static str) -> Vec<f64> {
    Fixture::new(name).reference["eigenvalues"].flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn leaving_one_out_is_its_definition() {
    let n = 60;
    let spectrum: Vec<f64> = (0..n).map(|i| if i % 3 == 0 { -0.5 } else { 0.8f64.powi(i) }).collect();
    for k in [2, 7, 15] {
        let recorded = Recorded::new(Rotated::new(&spectrum));
        let found = run(&with_products(FrobeniusMethod::LeaveOneOut, 2 * k, 5), &recorded);
        let (probes, products): (Vec<_>, Vec<_>) =
            recorded.products.lock().unwrap().iter().take(k).cloned().unzip();
        let project = |basis: &[Vec<f64>], x: &[f64]| {
            let mut rest = x.to_vec();
            for _ in 0..2 {
                for q in basis {
                    let along: f64 = q.iter().zip(&rest).map(|(q, x)| q * x).sum();
                    rest.iter_mut().zip(q).for_each(|(r, q)| *r -= along * q);
                }
            }
            rest
        };
        let multiply = |x: &[f64]| {
            let mut y = vec![0.0; x.len()];
            recorded.operator.apply(x, &mut y).unwrap();
            y
        };
        let samples: Vec<f64> = (0..k)
            .map(|i| {
                let mut basis: Vec<Vec<f64>> = vec![];
                for j in (0..k).filter(|j| *j != i) {
                    let rest = project(&basis, &products[j]);
                    let length = norm(&rest);
                    basis.push(rest.iter().map(|x| x / length).collect());
                }
                let images: Vec<Vec<f64>> = basis.iter().map(|q| multiply(q)).collect();
                let whole: f64 = images.iter().map(|z| norm(z).powi(2)).sum();
                let outside: f64 = images.iter().map(|z| norm(&project(&basis, z)).powi(2)).sum();
                let w = project(&basis, &probes[i]);
                let rest = project(&basis, &multiply(&w));
                let scale = (n as usize - basis.len()) as f64 / norm(&w).powi(2);
                whole + outside + scale * norm(&rest).powi(2)
            })
            .collect();
        let expected = (samples.iter().sum::<f64>() / k as f64).sqrt();
        assert!((found.value - expected).abs() <= 1e-10 * expected, "{k} probes: {} {expected}", found.value);
    }
}

#[test]
fn thirty_products_meet_the_bar_on_trained_networks() {
    for (name, bar) in [("digits-mlp-tanh", 0.002), ("digits-mlp-relu", 0.001)] {
        let fixture = Fixture::new(name);
        let objective = fixture.objective(DType::F64, 1000, false);
        let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        let results: Vec<(f64, f64)> = (0..20)
            .map(|seed| {
                let method = with_products(FrobeniusMethod::LeaveOneOut, 30, seed);
                let found = run(&method, &curvature.hessian());
                (found.value, found.error_estimate)
            })
            .collect();
        let exact = fixture.number("frobenius");
        let record = Record::new(&format!("{name}, 30 products"), exact, &results);
        assert!(record.error <= bar, "{name}: {}", record.error);
    }
}

#[test]
fn error_estimates_are_calibrated() {
    let decay: Vec<f64> = (0..200).map(|i| 0.9f64.powi(i)).collect();
    let flat: Vec<f64> = (0..200).map(|i| if i % 3 == 0 { -1.0 } else { 0.5 }).collect();
    let spectra =
        [("digits-mlp-tanh", eigenvalues("digits-mlp-tanh")), ("0.9^i", decay), ("two values", flat)];
    for (name, spectrum) in &spectra {
        for method in METHODS {
            let record = over_seeds(name, spectrum, method, 30, 200);
            assert!((0.85..=0.995).contains(&record.covered), "{name}, {method:?}: {}", record.covered);
            let ratio = record.estimate / record.error;
            assert!((0.8..1.25).contains(&ratio), "{name}, {method:?}: estimate over error {ratio}");
        }
    }
}

#[test]
fn leaving_one_out_is_better_where_the_spectrum_decays() {
    for name in ["digits-mlp-tanh", "fashion-cnn-bn"] {
        let spectrum = eigenvalues(name);
        for products in [30, 90] {
            let error = |method| over_seeds(name, &spectrum, method, products, 10).error;
            assert!(
                error(FrobeniusMethod::LeaveOneOut) < 0.1 * error(FrobeniusMethod::Independent),
                "{name}"
            );
        }
    }
}

#[test]
fn few_rows_low_rank_zero_and_scale_are_exact() {
    for method in METHODS {
        for spectrum in [vec![-2.0], vec![1.0, -3.0, 0.5], vec![0.0; 40], (0..13).map(f64::from).collect()] {
            let found = run(&with_products(method, 20, 0), &Rotated::new(&spectrum));
            let exact = norm(&spectrum);
            assert!((found.value - exact).abs() <= 1e-13 * exact, "{method:?}: {} {exact}", found.value);
            assert!(found.error_estimate <= 1e-13 * exact, "{method:?}: {}", found.error_estimate);
            if spectrum.len() < 20 {
                assert_eq!((found.status, found.products), (EstimateStatus::Exact, spectrum.len()));
            }
        }
    }
    for scale in [1e-12, 1.0, 1e12] {
        let spectrum: Vec<f64> =
            (0..80).map(|i| if i < 4 { scale * (1.0 - f64::from(i)) } else { 0.0 }).collect();
        let found = run(&with_products(FrobeniusMethod::LeaveOneOut, 20, 0), &Rotated::new(&spectrum));
        assert!((found.value - norm(&spectrum)).abs() <= 1e-13 * norm(&spectrum));
        assert!(found.error_estimate <= 1e-12 * norm(&spectrum));
    }
}
