//! What other tools got wrong on trained networks: Hessians at the wrong point, differences across kinks, divisors that are not
//! quite the step, searches that stop too soon.

mod common;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use common::Fixture;
use relief_hessian::{
    Batch, Curvature, DEFAULT_MEMORY, Eigen, GraphObjective, Lanczos, Objective, Outcome, Parameters, Silent,
    Status, SymmetricOperator, Wanted, gradient,
};

fn at<'a>(objective: &'a dyn Objective, point: &Parameters) -> Curvature<'a> {
    Curvature::new(objective, point, DEFAULT_MEMORY).unwrap()
}

fn product(operator: &dyn SymmetricOperator, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    operator.apply(x, &mut y).unwrap();
    y
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// |a - b| / |b|.
fn off(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>()) / norm(b)
}

/// A unit vector.
fn direction(n: usize, phase: f64) -> Vec<f64> {
    let v: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7 + phase).sin()).collect();
    let length = norm(&v);
    v.iter().map(|x| x / length).collect()
}

fn solve(solver: &Lanczos, operator: &dyn SymmetricOperator) -> Eigen {
    match solver.run(operator, None, &mut Silent).unwrap() {
        Outcome::Done(eigen) => eigen,
        Outcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

/// The Hessian belongs to the model's point: it changes with the point, and not with the vector that it is multiplied with.
#[test]
fn the_hessian_is_that_of_the_point_and_linear_in_the_vector() {
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let fixture = Fixture::new(name);
        let objective = fixture.objective(DType::F64, 300, false);
        let here = at(&objective, objective.parameters());
        let (u, v) = (direction(here.hessian().dim(), 0.3), direction(here.hessian().dim(), 1.1));
        let [hu, hv] = [&u, &v].map(|x| product(&here.hessian(), x));
        // A power of two changes no digit.
        let twice = product(&here.hessian(), &v.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
        assert!(twice.iter().zip(&hv).all(|(a, b)| a.to_bits() == (2.0 * b).to_bits()), "{name}");
        for size in [1e-6, 1e6] {
            let scaled = product(&here.hessian(), &v.iter().map(|x| size * x).collect::<Vec<_>>());
            assert!(off(&scaled, &hv.iter().map(|x| size * x).collect::<Vec<_>>()) < 1e-14, "{name}");
        }
        let sum = product(&here.hessian(), &u.iter().zip(&v).map(|(u, v)| u - 3.0 * v).collect::<Vec<_>>());
        let expected: Vec<f64> = hu.iter().zip(&hv).map(|(a, b)| a - 3.0 * b).collect();
        assert!(off(&sum, &expected) < 1e-13, "{name}: {:e}", off(&sum, &expected));
        assert!((dot(&u, &hv) - dot(&v, &hu)).abs() < 1e-14 * norm(&hv), "{name}: not symmetric");

        let there = objective.parameters().displaced(&u, 1.0).unwrap();
        assert!(
            off(&product(&at(&objective, &there).hessian(), &v), &hv) > 0.05,
            "{name}: of the same point"
        );
    }
}

/// A step of 1e-3 crosses kinks of a network of `ReLU`s, in any precision. The product is the derivative almost everywhere, which
/// differences show only at steps that cross none.
#[test]
fn products_of_networks_with_kinks_are_derivatives_and_not_differences() {
    let fixture = Fixture::new("digits-mlp-relu");
    let objective = fixture.objective(DType::F64, 500, false);
    let point = objective.parameters();
    let here = at(&objective, point);
    let v = direction(point.len(), 0.3);
    let exact = product(&here.hessian(), &v);
    let difference = |step: f64| -> Vec<f64> {
        let slope = |step| gradient(&objective, &point.displaced(&v, step).unwrap()).unwrap().1;
        slope(step).iter().zip(slope(-step)).map(|(a, b)| (a - b) / (2.0 * step)).collect()
    };
    let short = off(&difference(1e-8), &exact);
    assert!(short < 1e-5, "{short:e}");
    let long = off(&difference(1e-2), &exact);
    assert!(long > 1e-2, "no kink lies within the step: {long:e}");
}

/// A quadratic's product is its matrix times the vector, with no step to divide by and no epsilon added to it.
#[test]
fn products_of_a_quadratic_have_all_digits() {
    let n = 5;
    let x: Vec<f64> = (0..12 * n).map(|i| ((i * 7 % 13) as f64 - 6.0) / 5.0).collect();
    let rows: Vec<&[f64]> = x.chunks(n).collect();
    let named = [("w".to_string(), Tensor::new(&[[0.3, -0.2, 0.5, 0.1, -0.7]], &Device::Cpu).unwrap())];
    let batch = Batch { tensors: vec![Tensor::from_slice(&x, (12, n), &Device::Cpu).unwrap()], examples: 12 };
    let objective =
        GraphObjective::new(Parameters::new(named).unwrap(), BTreeMap::new(), vec![batch], |g, batch| {
            let outputs = batch[0].linear(&g.parameter("w", &[1, n])?, None)?;
            let loss = outputs.sqr()?.mean_all()?;
            Ok((outputs, loss))
        })
        .unwrap();
    let here = at(&objective, objective.parameters());
    for size in [1e-9, 1.0, 1e9] {
        let v: Vec<f64> = direction(n, 0.3).iter().map(|x| size * x).collect();
        let mut expected = vec![0.0; n];
        for row in &rows {
            let along = 2.0 * dot(row, &v) / rows.len() as f64;
            expected.iter_mut().zip(*row).for_each(|(e, x)| *e += along * x);
        }
        assert!(off(&product(&here.hessian(), &v), &expected) < 1e-15, "at size {size:e}");
    }
}

/// The four networks whose explicit Hessians are known, with the largest eigenvalues; weights, statistics and data of 24 bits
/// if `rounded`.
fn networks(dtype: DType, rounded: bool) -> Vec<(String, GraphObjective, Vec<f64>)> {
    let round = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_dtype(DType::F64).unwrap();
    let fixture = |name| {
        let mut fixture = Fixture::new(name);
        if rounded {
            fixture.x = round(&fixture.x);
            fixture.tensors.values_mut().filter(|t| t.dtype().is_float()).for_each(|t| *t = round(t));
        }
        fixture
    };
    let mut all = vec![];
    for name in ["digits-mlp-tanh", "digits-mlp-relu", "fashion-cnn-bn"] {
        let fixture = fixture(name);
        all.push((name.to_string(), fixture.objective(dtype, 1000, false), fixture.list("top10")));
    }
    let fixture = fixture("fashion-cnn-bn");
    let top = fixture.numbers["batch_mode"]["top5"].as_array().unwrap();
    let top = top.iter().map(|x| x.as_f64().unwrap()).collect();
    all.push(("fashion-cnn-bn, batch statistics".into(), fixture.objective(dtype, 64, true), top));
    all
}

/// What a user gets who changes no setting: others stop after two steps, or when the value moves by less than a thousandth.
#[test]
fn default_searches_on_trained_networks_are_right_to_a_millionth() {
    for (name, objective, expected) in networks(DType::F64, false) {
        let here = at(&objective, objective.parameters());
        for (k, seeds, allowed) in [(1, 3, 16), (5, 1, 55)] {
            let mut worst = 0;
            for seed in 0..seeds {
                let eigen = solve(
                    &Lanczos { wanted: Wanted::Largest { k }, seed, ..Lanczos::default() },
                    &here.hessian(),
                );
                assert_eq!(eigen.status, Status::Converged, "{name}, k = {k}");
                worst = worst.max(eigen.products);
                assert!(eigen.largest.is_sorted_by(|a, b| a.value >= b.value), "{name}: out of order");
                for (pair, expected) in eigen.largest.iter().zip(&expected) {
                    let error = (pair.value - expected).abs();
                    assert!(error <= 1e-10 * expected, "{name}, k = {k}: {} off by {error:e}", pair.value);
                    assert!(error <= pair.error_bound + 1e-12 * expected, "{name}: off by {error:e}");
                    assert!(pair.residual <= 1e-6 * eigen.scale);
                }
            }
            println!("{name}, k = {k}: {worst} products");
            assert!(worst <= allowed, "{name}, k = {k}: {worst} products");
        }
    }
}

/// A checkpoint in single precision, computed in double and in single precision.
#[test]
fn single_precision_costs_no_more_than_its_rounding() {
    let unit_roundoff = f64::from(f32::EPSILON) / 2.0;
    for ((name, single, explicit), (_, double, _)) in
        networks(DType::F32, true).into_iter().zip(networks(DType::F64, true))
    {
        let wanted = Wanted::Largest { k: 5 };
        let solver = Lanczos { wanted, ..Lanczos::default() };
        let exact = solve(&solver, &at(&double, double.parameters()).hessian());
        let solver = Lanczos { unit_roundoff, ..solver };
        let found = solve(&solver, &at(&single, single.parameters()).hessian());
        assert_eq!(found.status, Status::Converged, "{name}");
        for (i, (found, exact)) in found.largest.iter().zip(&exact.largest).enumerate() {
            // Weights and data of 24 bits are another question, by no more than that.
            let moved = (exact.value - explicit[i]).abs() / explicit[i];
            let error = (found.value - exact.value).abs() / exact.value;
            println!(
                "{name}, {i}: rounded input {moved:.1e}, products {error:.1e}, bound {:.1e}",
                found.error_bound / exact.value
            );
            assert!(moved <= 5e-6, "{name}, number {i}: rounded input changes {moved:e}");
            // 30 units of roundoff in one case; the bound allows for 16, which is no worst case.
            assert!(error <= 3e-6, "{name}, number {i}: rounded products change {error:e}");
            assert!(error * exact.value <= 2.0 * found.error_bound, "{name}, number {i}: {error:e}");
        }
    }
}

/// Statistics of batch norm are part of the question: running, of the whole set, and of every batch are three functions.
#[test]
fn the_statistics_of_batch_norm_make_three_different_hessians() {
    let fixture = Fixture::new("fashion-cnn-bn");
    let top = |batch_size, statistics| {
        let objective = fixture.objective(DType::F64, batch_size, statistics);
        solve(&Lanczos::default(), &at(&objective, objective.parameters()).hessian()).largest[0].value
    };
    // With running statistics batches change nothing.
    let running = [64, 20].map(|batch_size| top(batch_size, false));
    assert!((running[0] - running[1]).abs() < 1e-10 * running[0], "{running:?}");
    let [whole, parts] = [64, 16].map(|batch_size| top(batch_size, true));
    assert!((whole - parts).abs() > 0.01 * whole, "whole {whole}, in batches {parts}");
    assert!((whole - running[0]).abs() > 0.01 * whole, "batch {whole}, running {}", running[0]);
}
