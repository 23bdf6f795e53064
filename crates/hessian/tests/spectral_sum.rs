//! Log-determinants and effective dimensions: against spectra that are known.

mod common;

use candle_core::DType;
use common::Fixture;
use common::matrices::{Record, Rotated, done};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, EstimateStatus, Objective, Sampling, Silent, SpectralSum, SpectralSumEstimate,
    Summand, SymmetricOperator, Target,
};

const BOTH: [Summand; 2] = [Summand::Logarithm, Summand::EffectiveDimension];

fn with_products(summand: Summand, damping: f64, products: usize, seed: u64) -> SpectralSum {
    let sampling = Sampling { target: Target::Products(products), seed, ..Sampling::default() };
    SpectralSum { summand, damping, sampling }
}

fn run(sum: &SpectralSum, operator: &dyn SymmetricOperator) -> SpectralSumEstimate {
    done(sum.run(operator, &mut Silent).unwrap())
}

fn exact(summand: Summand, damping: f64, spectrum: &[f64]) -> f64 {
    let term = |x: &f64| match summand {
        Summand::Logarithm => (x + damping).ln(),
        Summand::EffectiveDimension => x / (x + damping),
    };
    spectrum.iter().map(term).sum()
}

fn spectra() -> [(&'static str, Vec<f64>); 3] {
    [
        ("1 / i", (1..=300).map(|i| 1.0 / f64::from(i)).collect()),
        ("a few and none", (0..300).map(|i| if i < 7 { 5.0 - 0.5 * f64::from(i) } else { 0.0 }).collect()),
        ("0.95^i", (0..300).map(|i| 0.95f64.powi(i)).collect()),
    ]
}

#[test]
fn error_estimates_are_calibrated() {
    for (name, spectrum) in &spectra() {
        let operator = Rotated::new(spectrum);
        for summand in BOTH {
            for damping in [0.1, 1e-3] {
                let expected = exact(summand, damping, spectrum);
                let results: Vec<(f64, f64)> = (0..200)
                    .map(|seed| {
                        let found = run(&with_products(summand, damping, 60, seed), &operator);
                        (found.value, found.error_estimate)
                    })
                    .collect();
                let record = Record::new(&format!("{name}, {summand:?}, {damping}"), expected, &results);
                assert!(
                    (0.85..=0.995).contains(&record.covered),
                    "{name}, {summand:?}, {damping}: {}",
                    record.covered
                );
                let ratio = record.estimate / record.error;
                assert!(
                    (0.8..1.25).contains(&ratio),
                    "{name}, {summand:?}, {damping}: estimate over error {ratio}"
                );
            }
        }
    }
}

#[test]
fn a_relative_error_is_reached_or_said_not_to_be() {
    for (name, spectrum) in &spectra() {
        for summand in BOTH {
            let expected = exact(summand, 0.01, spectrum);
            // Few effective dimensions among many take many probes.
            let share = if *name == "a few and none" { 0.3 } else { 0.05 };
            let mut met = 0;
            for seed in 0..20 {
                let sampling = Sampling { target: Target::RelativeError(share), seed, ..Sampling::default() };
                let found = run(&SpectralSum { summand, damping: 0.01, sampling }, &Rotated::new(spectrum));
                assert_eq!(found.status, EstimateStatus::Reached, "{name}, {summand:?}");
                assert!(found.quadrature_error <= 0.5 * found.error_estimate);
                met += usize::from((found.value - expected).abs() <= share * expected.abs());
            }
            assert!(met >= 18, "{name}, {summand:?}: {met} of 20");
        }
    }
    let sampling = Sampling { target: Target::RelativeError(1e-4), max_products: 50, ..Sampling::default() };
    let sum = SpectralSum { summand: Summand::EffectiveDimension, damping: 0.01, sampling };
    let found = run(&sum, &Rotated::new(&spectra()[0].1));
    assert_eq!((found.status, found.products), (EstimateStatus::BudgetSpent, 50));
}

#[test]
fn bounds_hold_whatever_the_number_of_steps() {
    // With many rows, forms differ little between probes, and what is uncertain is the quadrature.
    let n = 20_000;
    let spectrum: Vec<f64> = (0..n).map(|i| f64::from(i) / f64::from(n)).collect();
    let operator = Rotated::new(&spectrum);
    for summand in BOTH {
        let expected = exact(summand, 1e-3, &spectrum);
        for products in [2, 4, 8] {
            let found = run(&with_products(summand, 1e-3, products, 0), &operator);
            assert!(found.quadrature_error > 0.0);
            let error = (found.value - expected).abs();
            assert!(
                error <= found.quadrature_error + 3.0 * (found.error_estimate - found.quadrature_error),
                "{summand:?}, {products} steps: {error} of {found:?}"
            );
        }
    }
}

#[test]
fn one_value_is_exact_and_so_is_one_row() {
    for spectrum in [vec![3.0; 200], vec![3.0], vec![0.0; 50]] {
        for summand in BOTH {
            let found = run(&with_products(summand, 0.5, 4, 0), &Rotated::new(&spectrum));
            let expected = exact(summand, 0.5, &spectrum);
            assert!(
                (found.value - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
                "{found:?}, {expected}"
            );
            assert!(found.error_estimate <= 1e-11 * (1.0 + expected.abs()), "{found:?}");
        }
    }
}

#[test]
fn short_memory_ends_probes_early_and_says_so() {
    let spectrum = &spectra()[0].1;
    let mut sum = with_products(Summand::Logarithm, 1e-3, 60, 0);
    let free = run(&sum, &Rotated::new(spectrum));
    sum.sampling.memory = 8 * 300 * 4;
    let short = run(&sum, &Rotated::new(spectrum));
    assert!(short.probes > free.probes && short.quadrature_error > 10.0 * free.quadrature_error);
    let error = (short.value - exact(Summand::Logarithm, 1e-3, spectrum)).abs();
    assert!(error <= 2.0 * short.error_estimate, "{error} of {short:?}");
}

#[test]
fn what_has_no_such_sum_is_refused() {
    let positive = Rotated::new(&[1.0; 30]);
    for damping in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = with_products(Summand::Logarithm, damping, 10, 0).run(&positive, &mut Silent);
        assert!(refused.unwrap_err().to_string().contains("damping"));
    }
    let indefinite: Vec<f64> = (0..100).map(|i| f64::from(i) - 10.0).collect();
    let refused = with_products(Summand::Logarithm, 20.0, 30, 0).run(&Rotated::new(&indefinite), &mut Silent);
    assert!(refused.unwrap_err().to_string().contains("positive semidefinite"));
}

#[test]
fn gauss_newton_matrices_have_an_effective_dimension() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let objective = fixture.objective(DType::F32, 1000, false);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let operator = curvature.gauss_newton();
    let columns = common::matrices::entries(&operator);
    let n = operator.dim();
    let matrix = faer::Mat::from_fn(n, n, |i, j| 0.5 * (columns[j][i] + columns[i][j]));
    let values = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    let damping = 1e-2;
    let expected = exact(Summand::EffectiveDimension, damping, &values);
    let results: Vec<(f64, f64)> = (0..20)
        .map(|seed| {
            let mut sum = with_products(Summand::EffectiveDimension, damping, 60, seed);
            sum.sampling.unit_roundoff = f64::from(f32::EPSILON) / 2.0;
            let found = run(&sum, &operator);
            (found.value, found.error_estimate)
        })
        .collect();
    let record = Record::new(&format!("effective dimension {expected}"), expected, &results);
    assert!(record.covered >= 0.85 && record.error < 0.1 && record.bias.abs() < record.error);
}
