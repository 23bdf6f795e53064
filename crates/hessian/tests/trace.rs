//! Traces: against definitions, against PyTorch's Hessians, and their error estimates over hundreds of seeds.

mod common;

use candle_core::DType;
use common::Fixture;
use common::matrices::{Record, Recorded, Rotated, done};
use faer::{Mat, Side};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, EstimateStatus, Objective, Sampling, Silent, SymmetricOperator, Target, Trace,
    TraceEstimate, TraceMethod,
};

const METHODS: [TraceMethod; 4] =
    [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus, TraceMethod::XTrace, TraceMethod::XNysTrace];

fn with_products(method: TraceMethod, products: usize, seed: u64) -> Trace {
    Trace { method, sampling: Sampling { target: Target::Products(products), seed, ..Sampling::default() } }
}

fn run(trace: &Trace, operator: &dyn SymmetricOperator) -> TraceEstimate {
    done(trace.run(operator, &mut Silent).unwrap())
}

fn over_seeds(
    what: &str,
    spectrum: &[f64],
    method: TraceMethod,
    products: usize,
    seeds: std::ops::Range<u64>,
) -> Record {
    let operator = Rotated::new(spectrum);
    let results: Vec<(f64, f64)> = seeds
        .map(|seed| {
            let found = run(&with_products(method, products, seed), &operator);
            (found.value, found.error_estimate)
        })
        .collect();
    let what = format!("{what}, {method:?} with {products} products");
    Record::new(&what, spectrum.iter().sum(), &results)
}

fn eigenvalues(name: &'static str) -> Vec<f64> {
    Fixture::new(name).reference["eigenvalues"].flatten_all().unwrap().to_vec1().unwrap()
}

fn positive(spectrum: &[f64]) -> Vec<f64> {
    spectrum.iter().map(|x| x.max(0.0)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// An orthonormal basis of the span of independent vectors.
fn basis(vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = vec![];
    for v in vectors {
        let mut v = v.clone();
        for _ in 0..3 {
            remove(&basis, &mut v);
        }
        let length = dot(&v, &v).sqrt();
        basis.push(v.iter().map(|x| x / length).collect());
    }
    basis
}

/// v without its projection onto the basis.
fn remove(basis: &[Vec<f64>], v: &mut [f64]) {
    for q in basis {
        let along = dot(q, v);
        v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
    }
}

fn product(operator: &dyn SymmetricOperator, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    operator.apply(x, &mut y).unwrap();
    y
}

/// All but those at some positions.
fn without<T: Clone>(all: &[T], positions: &[usize]) -> Vec<T> {
    (0..all.len()).filter(|i| !positions.contains(i)).map(|i| all[i].clone()).collect()
}

/// Mean and standard error of estimates `from(i, positions)` that probe i makes of what the probes but those at
/// `positions` found.
fn leave_out(k: usize, from: &dyn Fn(usize, &[usize]) -> f64) -> (f64, f64) {
    let own: Vec<f64> = (0..k).map(|i| from(i, &[i])).collect();
    let mean = own.iter().sum::<f64>() / k as f64;
    let pairs = (k * (k - 1)) as f64;
    let spread = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / pairs;
    let mut covariance = 0.0;
    for i in 0..k {
        for j in (0..k).filter(|j| *j != i) {
            covariance += (own[i] - from(i, &[i, j])) * (own[j] - from(j, &[i, j])) / pairs;
        }
    }
    (mean, (spread + covariance.max(0.0)).sqrt())
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= tolerance, "{what}: found {found}, expected {expected}, off by {error:e}");
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: found {found}, expected {expected}, relative error {error:e}");
}

fn small_spectra() -> Vec<(&'static str, Vec<f64>)> {
    let decay = |q: f64| (0..60).map(|i| q.powi(i)).collect::<Vec<f64>>();
    vec![
        ("slow decay", decay(0.9)),
        ("fast decay", decay(0.4)),
        (
            "low rank and a tail",
            (0..60).map(|i| if i < 5 { 3.0 - 0.1 * f64::from(i) } else { 0.01 }).collect(),
        ),
    ]
}

#[test]
fn xtrace_is_its_definition() {
    let indefinite = (0..60).map(|i| if i % 3 == 0 { -0.5 } else { 0.8f64.powi(i) }).collect();
    for (name, spectrum) in small_spectra().into_iter().chain([("indefinite", indefinite)]) {
        for k in [2, 7, 20] {
            let recorded = Recorded::new(Rotated::new(&spectrum));
            let found = run(&with_products(TraceMethod::XTrace, 2 * k, 5), &recorded);
            let (probes, products): (Vec<_>, Vec<_>) =
                recorded.products.lock().unwrap().iter().take(k).cloned().unzip();
            let estimate = |i: usize, left_out: &[usize]| {
                let q = basis(&without(&products, left_out));
                let inside: f64 = q.iter().map(|q| dot(q, &product(&recorded.operator, q))).sum();
                let mut w = probes[i].clone();
                remove(&q, &mut w);
                remove(&q, &mut w);
                let scale = (spectrum.len() - q.len()) as f64 / dot(&w, &w);
                inside + scale * dot(&w, &product(&recorded.operator, &w))
            };
            let (value, error) = leave_out(k, &estimate);
            assert_close(found.value, value, 1e-10, &format!("{name}, {k} probes: value"));
            assert_near(
                found.error_estimate,
                error,
                1e-10 * value.abs(),
                &format!("{name}, {k} probes: error"),
            );
            assert_eq!((found.samples, found.products), (k, 2 * k));
        }
    }
}

#[test]
fn xnystrace_is_its_definition() {
    for (name, spectrum) in small_spectra() {
        for k in [2, 7, 20] {
            let recorded = Recorded::new(Rotated::new(&spectrum));
            let found = run(&with_products(TraceMethod::XNysTrace, k + 1, 5), &recorded);
            let (probes, products): (Vec<_>, Vec<_>) =
                recorded.products.lock().unwrap().iter().take(k).cloned().unzip();
            let n = spectrum.len();
            let estimate = |i: usize, left_out: &[usize]| {
                // A approximated by Y (W'Y)^+ Y' = F F' from the other probes; F = Y V S^(-1/2) with W'Y = V S V'.
                let (w, y) = (without(&probes, left_out), without(&products, left_out));
                let m = w.len();
                let x = Mat::from_fn(m, m, |a, b| 0.5 * (dot(&w[a], &y[b]) + dot(&w[b], &y[a])));
                let mut approximation = Mat::<f64>::zeros(n, n);
                if m > 0 {
                    let eigen = x.self_adjoint_eigen(Side::Lower).unwrap();
                    let y = Mat::from_fn(n, m, |a, b| y[b][a]);
                    let f = y * eigen.U();
                    let f = Mat::from_fn(n, m, |a, b| f[(a, b)] / eigen.S()[b].sqrt());
                    approximation = &f * f.transpose();
                }
                let trace: f64 = (0..n).map(|a| approximation[(a, a)]).sum();
                let mut u = probes[i].clone();
                let others = basis(&w);
                remove(&others, &mut u);
                remove(&others, &mut u);
                let along = product(&recorded.operator, &u);
                let held = Mat::from_fn(n, 1, |a, _| u[a]);
                let held = (held.transpose() * &approximation * &held)[(0, 0)];
                trace + (n - m) as f64 / dot(&u, &u) * (dot(&u, &along) - held)
            };
            let (value, error) = leave_out(k, &estimate);
            assert_close(found.value, value, 1e-10, &format!("{name}, {k} probes: value"));
            assert_near(
                found.error_estimate,
                error,
                1e-10 * value.abs(),
                &format!("{name}, {k} probes: error"),
            );
            assert_eq!((found.samples, found.products), (k, k + 1));
        }
    }
}

#[test]
fn hutch_plus_plus_is_its_definition_also_when_it_grew() {
    let spectrum: Vec<f64> = (0..80).map(|i| if i % 4 == 0 { -0.3 } else { 0.9f64.powi(i) }).collect();
    let recorded = Recorded::new(Rotated::new(&spectrum));
    // A target out of reach: 16 products, 32, and 60, which the budget ends.
    let sampling = Sampling { target: Target::RelativeError(1e-9), max_products: 60, ..Sampling::default() };
    let found = run(&Trace { method: TraceMethod::HutchPlusPlus, sampling }, &recorded);
    assert_eq!((found.products, found.status), (60, EstimateStatus::BudgetSpent));
    let all = recorded.products.lock().unwrap().clone();
    // Of each plan, a third are probes, a third basis vectors, and the rest tests.
    let (mut sketch, mut tests) = (vec![], vec![]);
    for (from, to) in [(0, 16), (16, 32), (32, 60)] {
        let (before, after) = (from / 3, to / 3);
        let new = after - before;
        sketch.extend(all[from..from + new].iter().map(|(_, y)| y.clone()));
        tests.extend(all[from + 2 * new..to].iter().map(|(x, _)| x.clone()));
    }
    assert_eq!((sketch.len(), tests.len()), (20, 20));
    let q = basis(&sketch);
    let inside: f64 = q.iter().map(|q| dot(q, &product(&recorded.operator, q))).sum();
    let samples: Vec<f64> = tests
        .iter()
        .map(|g| {
            // What was multiplied lacks what the basis of its time held; the rest of it is taken out now.
            let mut g = g.clone();
            remove(&q, &mut g);
            remove(&q, &mut g);
            (spectrum.len() - q.len()) as f64 / dot(&g, &g) * dot(&g, &product(&recorded.operator, &g))
        })
        .collect();
    let mean = samples.iter().sum::<f64>() / 20.0;
    let error = (samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (20.0 * 19.0)).sqrt();
    assert_close(found.value, inside + mean, 1e-10, "value");
    assert_close(found.error_estimate, error, 1e-8, "error");
}

#[test]
fn thirty_and_ninety_products_meet_the_bars_on_a_trained_network() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let objective = fixture.objective(DType::F64, 1000, false);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let exact = fixture.number("trace");
    for (products, bar) in [(30, 0.02), (90, 0.005)] {
        let results: Vec<(f64, f64)> = (0..20)
            .map(|seed| {
                let found = run(&with_products(TraceMethod::XTrace, products, seed), &curvature.hessian());
                (found.value, found.error_estimate)
            })
            .collect();
        let record = Record::new(&format!("Hessian, XTrace with {products} products"), exact, &results);
        assert!(record.error <= bar, "{products} products: {}", record.error);
    }
}

#[test]
fn ragged_batches_count_by_their_size() {
    let fixture = Fixture::new("digits-mlp-relu");
    let values: Vec<f64> = [1000, 300]
        .into_iter()
        .map(|batch_size| {
            let objective = fixture.objective(DType::F64, batch_size, false);
            let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
            run(&with_products(TraceMethod::XTrace, 16, 0), &curvature.hessian()).value
        })
        .collect();
    assert_close(values[1], values[0], 1e-10, "batches of 300, 300, 300, 100");
}

#[test]
fn error_estimates_are_calibrated_on_trained_networks() {
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let spectrum = eigenvalues(name);
        for method in METHODS {
            let spectrum =
                if method == TraceMethod::XNysTrace { positive(&spectrum) } else { spectrum.clone() };
            let record = over_seeds(name, &spectrum, method, 30, 0..200);
            assert!((0.85..=0.995).contains(&record.covered), "{name}, {method:?}: {}", record.covered);
            let ratio = record.estimate / record.error;
            assert!((0.8..1.25).contains(&ratio), "{name}, {method:?}: estimate over error {ratio}");
            // No bias beyond four standard deviations of the mean.
            assert!(
                record.bias.abs() <= 4.0 * record.error / 200f64.sqrt(),
                "{name}, {method:?}: {}",
                record.bias
            );
        }
    }
}

#[test]
fn error_estimates_are_calibrated_where_probes_depend_on_each_other() {
    // Steep spectra are where treating the probes as uncorrelated goes wrong.
    let spectra: [(&str, Vec<f64>); 3] = [
        ("0.9^i", (0..200).map(|i| 0.9f64.powi(i)).collect()),
        ("1 / i", (1..=200).map(|i| 1.0 / f64::from(i)).collect()),
        ("thirty and a tail", (0..200).map(|i| if i < 30 { 1.0 } else { 1e-3 }).collect()),
    ];
    for (name, spectrum) in &spectra {
        for method in METHODS {
            let leaves_out = matches!(method, TraceMethod::XTrace | TraceMethod::XNysTrace);
            for products in if leaves_out { vec![30, 90] } else { vec![30] } {
                let record = over_seeds(name, spectrum, method, products, 0..200);
                assert!((0.85..=0.995).contains(&record.covered), "{name}, {method:?}: {}", record.covered);
            }
        }
    }
}

#[test]
fn better_methods_are_better() {
    let steep: Vec<f64> = (0..200).map(|i| 0.9f64.powi(i)).collect();
    let errors = METHODS.map(|method| over_seeds("0.9^i", &steep, method, 90, 0..30).error);
    assert!(errors.is_sorted_by(|a, b| *a > 2.0 * b), "{errors:?}");
    let spectrum = eigenvalues("digits-mlp-tanh");
    let errors = [0, 1, 2].map(|m| over_seeds("digits-mlp-tanh", &spectrum, METHODS[m], 30, 0..50).error);
    assert!(errors[1] < 0.5 * errors[0] && errors[2] < 0.9 * errors[1], "{errors:?}");
}

#[test]
fn a_relative_error_is_reached_with_few_products_and_not_by_chance() {
    let spectrum = eigenvalues("digits-mlp-tanh");
    let exact: f64 = spectrum.iter().sum();
    let operator = Rotated::new(&spectrum);
    for (method, target) in [(TraceMethod::XTrace, 0.02), (TraceMethod::HutchPlusPlus, 0.05)] {
        let (mut results, mut products) = (vec![], 0);
        for seed in 0..100 {
            let sampling = Sampling { target: Target::RelativeError(target), seed, ..Sampling::default() };
            let found = run(&Trace { method, sampling }, &operator);
            assert_eq!(found.status, EstimateStatus::Reached);
            assert!(2.0 * found.error_estimate <= target * found.value);
            products += found.products;
            results.push((found.value, found.error_estimate));
        }
        let met = results.iter().filter(|(v, _)| (v - exact).abs() <= target * exact).count();
        println!("{method:?}: {met} of 100 within {target}, {} products on average", products as f64 / 100.0);
        let record = Record::new("where the target stopped", exact, &results);
        assert!(met >= 92 && record.covered >= 0.85, "{method:?}: {met} of 100, covered {}", record.covered);
    }
    // Stopping once the running mean moves by less than 0.1 %, as PyHessian does, stops by chance.
    let errors: Vec<f64> = (0..50)
        .map(|seed| {
            let mut last = 0.0;
            for products in 2.. {
                let mean = run(&with_products(TraceMethod::Hutchinson, products, seed), &operator).value;
                if (mean - last).abs() < 1e-3 * last.abs() {
                    return (mean - exact).abs() / exact;
                }
                last = mean;
            }
            unreachable!()
        })
        .collect();
    let missed = errors.iter().filter(|e| **e > 0.05).count();
    println!("the running mean's rule: {missed} of 50 off by more than 5 %");
    assert!(missed >= 10);
}

#[test]
fn matrices_with_negative_eigenvalues_are_refused_by_xnystrace_or_estimated_honestly() {
    let negative: Vec<f64> = (0..50).map(|i| -1.0 - f64::from(i)).collect();
    let message = |spectrum: &[f64], products, seed| {
        with_products(TraceMethod::XNysTrace, products, seed)
            .run(&Rotated::new(spectrum), &mut Silent)
            .map_err(|e| e.to_string())
    };
    let refused = message(&negative, 10, 0).unwrap_err();
    assert!(refused.contains("negative eigenvalues (x'Ax / x'x = -"), "{refused}");
    // How many of 40 are refused: the more products, the more directions are seen.
    for (name, products, least) in [
        ("digits-mlp-relu", 30, 0),
        ("digits-mlp-relu", 90, 35),
        ("fashion-cnn-bn", 16, 10),
        ("fashion-cnn-bn", 24, 35),
        ("fashion-cnn-bn", 45, 40),
    ] {
        let spectrum = eigenvalues(name);
        let exact: f64 = spectrum.iter().sum();
        let (mut refused, mut worst) = (0, 0.0f64);
        for seed in 0..40 {
            match message(&spectrum, products, seed).map(done) {
                Err(_) => refused += 1,
                Ok(found) => worst = worst.max((found.value - exact).abs() / found.error_estimate),
            }
        }
        println!(
            "{name}, {products} products: {refused} of 40 refused, the others off by {worst:.2} estimates"
        );
        assert!(refused >= least && worst < 5.0, "{name}, {products}: {refused} refused, {worst} estimates");
    }
}

#[test]
fn positive_semidefinite_matrices_are_never_refused() {
    for rank in [1, 3, 10, 30, 60, 119] {
        for decay in [1.0, 0.7, 0.1] {
            let spectrum: Vec<f64> =
                (0..120).map(|i| if i < rank { f64::powi(decay, i) } else { 0.0 }).collect();
            for single in [false, true] {
                let operator = Rotated::new(&spectrum);
                let operator = if single { operator.in_single_precision() } else { operator };
                for products in [12, 40, 100, 119] {
                    let mut trace = with_products(TraceMethod::XNysTrace, products, 3);
                    if single {
                        trace.sampling.unit_roundoff = f64::from(f32::EPSILON) / 2.0;
                    }
                    let found = trace.run(&operator, &mut Silent).map(done);
                    let found =
                        found.unwrap_or_else(|e| panic!("rank {rank}, decay {decay}, {products}: {e}"));
                    let error = (found.value - spectrum.iter().sum::<f64>()).abs();
                    assert!(
                        error <= 6.0 * found.error_estimate,
                        "rank {rank}, decay {decay}, {products} products: {error} of {}",
                        found.error_estimate
                    );
                }
            }
        }
    }
}

#[test]
fn low_rank_is_exact_with_few_products() {
    let spectrum: Vec<f64> = (0..500).map(|i| if i < 9 { 4.0 - f64::from(i) } else { 0.0 }).collect();
    let exact: f64 = spectrum.iter().sum();
    for method in [TraceMethod::XTrace, TraceMethod::HutchPlusPlus] {
        let found = run(&with_products(method, 90, 1), &Rotated::new(&spectrum));
        let size = 9.0;
        assert!((found.value - exact).abs() <= 1e-12 * size, "{method:?}: {}", found.value);
        assert!(found.error_estimate <= 1e-12 * size, "{method:?}: {}", found.error_estimate);
        assert!((found.value - exact).abs() <= found.error_estimate);
    }
    // Products that are rounded are not called exact, and the noise is in the estimate.
    for seed in 0..20 {
        let mut trace = with_products(TraceMethod::XTrace, 90, seed);
        trace.sampling.unit_roundoff = f64::from(f32::EPSILON) / 2.0;
        let found = run(&trace, &Rotated::new(&spectrum).in_single_precision());
        assert!(found.status != EstimateStatus::Exact);
        let error = (found.value - exact).abs();
        assert!(error <= found.error_estimate && found.error_estimate < 1e-4, "{error} of {found:?}");
    }
}

#[test]
fn degenerate_matrices_have_traces_too() {
    let cases: [(&str, Vec<f64>); 7] = [
        ("zero", vec![0.0; 40]),
        ("one row", vec![-3.5]),
        ("two rows", vec![1.0, -2.0]),
        ("fewer rows than products", (0..11).map(|i| f64::from(i) - 4.0).collect()),
        ("identity", vec![1.0; 300]),
        ("negative definite", (0..300).map(|i| -1.0 - 1.0 / f64::from(1 + i)).collect()),
        ("tiny", (0..300).map(|i| 1e-12 * 0.9f64.powi(i)).collect()),
    ];
    for (name, spectrum) in &cases {
        let exact: f64 = spectrum.iter().sum();
        for method in METHODS {
            for target in [Target::Products(30), Target::RelativeError(0.01)] {
                let trace = Trace { method, sampling: Sampling { target, seed: 2, ..Sampling::default() } };
                let outcome = trace.run(&Rotated::new(spectrum), &mut Silent);
                if method == TraceMethod::XNysTrace && *name == "negative definite" {
                    assert!(outcome.is_err());
                    continue;
                }
                let found = done(outcome.unwrap());
                let error = (found.value - exact).abs();
                let allowed = 4.0 * found.error_estimate;
                assert!(error <= allowed, "{name}, {method:?}: {} +- {allowed}, {exact}", found.value);
                if spectrum.len() <= 11 {
                    assert_eq!(
                        (found.status, found.products),
                        (EstimateStatus::Exact, spectrum.len()),
                        "{name}"
                    );
                    assert!(found.error_estimate <= 1e-13 * (1.0 + exact.abs()));
                }
                if *name == "zero" && method != TraceMethod::Hutchinson {
                    assert_eq!(found.status, EstimateStatus::Exact);
                }
            }
        }
    }
    // Lengths are normalised: a multiple of the identity has no variance.
    for method in METHODS {
        let found = run(&with_products(method, 20, 0), &Rotated::new(&[2.0; 300]));
        assert!((found.value - 600.0).abs() < 1e-10 && found.error_estimate < 1e-10, "{method:?}: {found:?}");
    }
}

#[test]
fn scale_and_sign_carry_over() {
    let spectrum: Vec<f64> = (0..200).map(|i| if i % 5 == 0 { -0.2 } else { 0.9f64.powi(i) }).collect();
    for method in [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus, TraceMethod::XTrace] {
        let base = run(&with_products(method, 30, 0), &Rotated::new(&spectrum));
        for factor in [1e-12, -1.0, 1e12] {
            let scaled: Vec<f64> = spectrum.iter().map(|x| factor * x).collect();
            let found = run(&with_products(method, 30, 0), &Rotated::new(&scaled));
            assert_close(found.value, factor * base.value, 1e-11, "value");
            assert_close(found.error_estimate, factor.abs() * base.error_estimate, 1e-9, "error");
        }
    }
}
