//! The solver on spectra that are known, the harder the better.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::matrices::Rotated;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Control, Dense, Eigen, EigenPair, Error, Lanczos, LanczosState, MissedCopies, Observer, Outcome,
    Progress, Result, Silent, Status, SymmetricOperator, Wanted,
};

fn solve(solver: &Lanczos, operator: &dyn SymmetricOperator) -> Eigen {
    match solver.run(operator, None, &mut Silent).unwrap() {
        Outcome::Done(eigen) => eigen,
        Outcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

/// `n` values between `low` and `high`.
fn bulk(n: usize, low: f64, high: f64) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

fn with(top: &[f64], rest: Vec<f64>) -> Vec<f64> {
    [top, &rest].concat()
}

fn descending(spectrum: &[f64]) -> Vec<f64> {
    let mut sorted = spectrum.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted
}

/// Every pair that is called converged must be within its bound of the eigenvalue of its rank, copies counted.
#[track_caller]
fn assert_honest(what: &str, pairs: &[EigenPair], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().chain(pairs.iter().map(|p| &p.value)).fold(0.0, |s: f64, x| s.max(x.abs()));
    for (i, (pair, expected)) in pairs.iter().zip(expected).enumerate().filter(|(_, (p, _))| p.converged) {
        let error = (pair.value - expected).abs();
        let allowed = pair.error_bound + 1e-13 * scale;
        assert!(
            error <= allowed,
            "{what}, number {i}: found {} +- {:e}, expected {expected}",
            pair.value,
            pair.error_bound
        );
        assert!(
            pair.residual <= tolerance * scale * 1.001,
            "{what}, number {i}: residual {:e}",
            pair.residual
        );
    }
}

fn adversaries() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("near-degenerate top", with(&[1.0, 1.0 - 1e-9, 1.0 - 3e-9], bulk(297, -0.3, 0.8))),
        ("triple eigenvalue", with(&[1.0, 1.0, 1.0, 0.9], bulk(296, -0.3, 0.7))),
        ("plus and minus", with(&[1.0, -1.0, 0.8, -0.8], bulk(296, -0.5, 0.5))),
        ("negative-dominant", with(&[-5.0, -4.0, 0.3, 0.29], bulk(296, -3.0, 0.2))),
        ("flat top", with(&[1.0; 40], bulk(260, 0.0, 0.9))),
        ("cluster of four at 1e-4", with(&[1.0, 0.9999, 0.9998, 0.9997], bulk(296, -0.2, 0.6))),
        ("zero operator", vec![0.0; 300]),
    ]
}

#[test]
fn adversarial_spectra_are_never_misreported() {
    for (name, spectrum) in adversaries() {
        for scale in [1e-12, 1.0, 1e12] {
            let spectrum: Vec<f64> = spectrum.iter().map(|x| x * scale).collect();
            let down = descending(&spectrum);
            let up: Vec<f64> = down.iter().rev().copied().collect();
            let mut by_size = spectrum.clone();
            by_size.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
            let operator = Rotated::new(&spectrum);
            for seed in 0..2 {
                for k in [1, 3, 5] {
                    let run = |wanted| solve(&Lanczos { wanted, seed, ..Lanczos::default() }, &operator);
                    let what = format!("{name} at scale {scale:e}, k = {k}, seed {seed}");
                    let eigen = run(Wanted::Largest { k });
                    assert_eq!(eigen.largest.len(), k);
                    assert!(
                        eigen.status == Status::Converged,
                        "{what}: {:?} after {}",
                        eigen.status,
                        eigen.products
                    );
                    assert_honest(&what, &eigen.largest, &down, 1e-6);
                    let eigen = run(Wanted::Smallest { k });
                    assert_honest(&what, &eigen.smallest, &up, 1e-6);
                    let eigen = run(Wanted::Both { largest: k, smallest: k });
                    assert_honest(&what, &eigen.largest, &down, 1e-6);
                    assert_honest(&what, &eigen.smallest, &up, 1e-6);
                    let eigen = run(Wanted::Magnitude { k });
                    let sizes = |pairs: &[EigenPair]| -> Vec<EigenPair> {
                        pairs.iter().map(|p| EigenPair { value: p.value.abs(), ..p.clone() }).collect()
                    };
                    let expected: Vec<f64> = by_size.iter().map(|x| x.abs()).collect();
                    assert_honest(&what, &sizes(&eigen.magnitude), &expected, 1e-6);
                }
            }
        }
    }
}

#[test]
fn vectors_are_orthonormal_eigenvectors() {
    let operator = Rotated::new(&with(&[3.0, 3.0, 2.0], bulk(500, -1.0, 1.0)));
    let solver =
        Lanczos { wanted: Wanted::Both { largest: 4, smallest: 2 }, tolerance: 1e-9, ..Lanczos::default() };
    let eigen = solve(&solver, &operator);
    assert_eq!(eigen.status, Status::Converged);
    for (i, (pair, v)) in eigen.pairs().zip(&eigen.vectors).enumerate() {
        let mut product = vec![0.0; v.len()];
        operator.apply(v, &mut product).unwrap();
        let residual = product.iter().zip(v).map(|(p, v)| (p - pair.value * v).powi(2)).sum::<f64>().sqrt();
        assert!((residual - pair.residual).abs() <= 1e-12, "{residual:e} {:e}", pair.residual);
        for (j, w) in eigen.vectors.iter().enumerate() {
            let inner: f64 = v.iter().zip(w).map(|(a, b)| a * b).sum();
            assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-10);
        }
    }
}

#[test]
fn a_gap_needs_at_most_sixteen_products() {
    // The last: the spectrum of a small network's Hessian, one outlier above a bulk that decays.
    let decaying: Vec<f64> = (1..2000).map(|i| 4.0 / f64::from(i).powf(1.5)).collect();
    let spectra = [
        with(&[1.0, 0.5], bulk(1998, -1e-3, 1e-3)),
        with(&[1.0], bulk(4999, -0.1, 0.5)),
        with(&[14.7], with(&[0.46], bulk(3000, -0.46, 0.2))),
        with(&[8.0], decaying),
    ];
    for (i, spectrum) in spectra.iter().enumerate() {
        for seed in 0..5 {
            let eigen = solve(&Lanczos { seed, ..Lanczos::default() }, &Rotated::new(spectrum));
            let top = &eigen.largest[0];
            assert!(top.converged && (top.value - descending(spectrum)[0]).abs() <= top.error_bound);
            assert!(eigen.products <= 16, "spectrum {i}, seed {seed}: {} products", eigen.products);
        }
    }
}

#[test]
fn small_matrices_are_solved_whole() {
    for n in 1..8 {
        let spectrum: Vec<f64> = (0..n).map(|i| f64::from(i % 3) - 1.0).collect();
        let operator = Rotated::new(&spectrum);
        for k in 1..=n as usize {
            let eigen = solve(&Lanczos { wanted: Wanted::Largest { k }, ..Lanczos::default() }, &operator);
            assert_eq!(eigen.status, Status::Converged);
            for (pair, expected) in eigen.largest.iter().zip(descending(&spectrum)) {
                assert!((pair.value - expected).abs() < 1e-12);
            }
        }
        let wanted = Wanted::Largest { k: n as usize + 1 };
        let error = Lanczos { wanted, ..Lanczos::default() }.run(&operator, None, &mut Silent).unwrap_err();
        assert!(error.to_string().contains(&format!("{} eigenvalues", n + 1)), "{error}");
    }
}

#[test]
fn a_dense_random_matrix_agrees_with_a_dense_solver() {
    let n = 120;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let half: Vec<f64> = (0..n * n).map(|_| random.random_range(-1.0..1.0)).collect();
    let entries: Vec<f64> = (0..n * n).map(|i| half[i] + half[i % n * n + i / n]).collect();
    let expected = faer::Mat::from_fn(n, n, |i, j| entries[i * n + j])
        .self_adjoint_eigenvalues(faer::Side::Lower)
        .unwrap();
    let operator = Dense::new(n, entries).unwrap();
    let wanted = Wanted::Both { largest: 6, smallest: 6 };
    let eigen = solve(&Lanczos { wanted, tolerance: 1e-10, ..Lanczos::default() }, &operator);
    assert_eq!(eigen.status, Status::Converged);
    for i in 0..6 {
        assert!((eigen.largest[i].value - expected[n - 1 - i]).abs() < 1e-11);
        assert!((eigen.smallest[i].value - expected[i]).abs() < 1e-11);
    }
}

#[test]
fn bounds_allow_for_rounded_products() {
    let operator = Rotated::new(&with(&[1.0, 0.8], bulk(998, -0.1, 0.4))).in_single_precision();
    let wanted = Wanted::Largest { k: 2 };
    let eigen = solve(
        &Lanczos { wanted, unit_roundoff: f64::from(f32::EPSILON) / 2.0, ..Lanczos::default() },
        &operator,
    );
    for (pair, expected) in eigen.largest.iter().zip([1.0, 0.8]) {
        assert!((pair.value - expected).abs() <= pair.error_bound && pair.error_bound > 1e-7);
    }
}

#[test]
fn error_bounds_hold_and_are_not_vacuous() {
    let spectrum = with(&[1.0, 0.9, 0.85, 0.6], bulk(400, -0.2, 0.4));
    for seed in 0..10 {
        let solver =
            Lanczos { wanted: Wanted::Largest { k: 3 }, tolerance: 1e-4, seed, ..Lanczos::default() };
        let eigen = solve(&solver, &Rotated::new(&spectrum));
        assert!(eigen.checked_for_missed_copies);
        for (pair, expected) in eigen.largest.iter().zip(&spectrum) {
            assert!((pair.value - expected).abs() <= pair.error_bound + 1e-15);
            assert!(pair.error_bound <= pair.residual + 1e-14 && pair.angle_bound.is_some());
        }
    }
    let solver =
        Lanczos { wanted: Wanted::Largest { k: 3 }, check: MissedCopies::Never, ..Lanczos::default() };
    let eigen = solve(&solver, &Rotated::new(&spectrum));
    assert!(eigen.largest.iter().all(|p| p.angle_bound.is_none() && p.error_bound >= p.residual));
}

#[test]
fn rounding_of_the_products_is_seen_and_said() {
    let operator = Rotated::new(&with(&[1.0, 0.8], bulk(998, -0.1, 0.4))).in_single_precision();
    let wanted = Wanted::Largest { k: 2 };
    let eigen = solve(&Lanczos { wanted, tolerance: 1e-10, ..Lanczos::default() }, &operator);
    assert_eq!(eigen.status, Status::Converged, "{eigen:?}");
    assert!(eigen.tolerance_used > 1e-10 && eigen.tolerance_used < 1e-6, "{:e}", eigen.tolerance_used);
    let strict = Lanczos { wanted, tolerance: 1e-10, accept_rounding: false, ..Lanczos::default() };
    let eigen = solve(&strict, &operator);
    assert_eq!(eigen.status, Status::NoiseFloor);
    assert!(eigen.status.remedy().is_some() && eigen.largest.iter().all(|p| !p.converged));
}

/// An operator that answers differently every time, as a network with dropout would.
struct Noisy(Rotated, AtomicUsize);

impl SymmetricOperator for Noisy {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.0.apply(x, y)?;
        let mut random = ChaCha8Rng::seed_from_u64(self.1.fetch_add(1, Ordering::SeqCst) as u64);
        y.iter_mut().for_each(|y| *y += 1e-3 * random.random_range(-1.0..1.0));
        Ok(())
    }
}

#[test]
fn a_random_operator_is_not_called_converged() {
    let operator = Noisy(Rotated::new(&with(&[1.0], bulk(299, 0.0, 0.5))), AtomicUsize::new(0));
    let eigen = solve(&Lanczos { max_products: 200, ..Lanczos::default() }, &operator);
    assert!(!eigen.largest[0].converged && eigen.status != Status::Converged);
}

#[test]
fn what_is_not_finite_stops_the_run() {
    struct Broken(usize, AtomicUsize);
    impl SymmetricOperator for Broken {
        fn dim(&self) -> usize {
            50
        }
        fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
            y.iter_mut().zip(x).enumerate().for_each(|(i, (y, x))| *y = i as f64 * x);
            if self.1.fetch_add(1, Ordering::SeqCst) == self.0 {
                y[7] = f64::NAN;
            }
            Ok(())
        }
    }
    for at in [0, 3, 20] {
        let error = Lanczos::default().run(&Broken(at, AtomicUsize::new(0)), None, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::NonFinite(_)), "{error}");
    }
}

#[test]
fn the_budget_is_kept() {
    let operator = Rotated::new(&bulk(400, 0.0, 1.0));
    for max_products in [2, 3, 7, 15, 40] {
        let solver = Lanczos { wanted: Wanted::Largest { k: 4 }, max_products, ..Lanczos::default() };
        let eigen = solve(&solver, &operator);
        assert!(eigen.products <= max_products);
        assert_eq!(eigen.status, Status::BudgetSpent);
        for (pair, expected) in eigen.largest.iter().zip(descending(&bulk(400, 0.0, 1.0))) {
            assert!(!pair.converged || (pair.value - expected).abs() <= pair.error_bound);
        }
    }
}

#[test]
fn a_good_start_saves_products() {
    let operator = Rotated::new(&with(&[1.0, 0.9], bulk(800, 0.0, 0.8)));
    let solver = Lanczos { wanted: Wanted::Largest { k: 2 }, ..Lanczos::default() };
    let cold = solve(&solver, &operator);
    let Outcome::Done(warm) = solver.run(&operator, Some(&cold.vectors), &mut Silent).unwrap() else {
        panic!()
    };
    assert!(warm.products < cold.products, "{} {}", warm.products, cold.products);
    assert!(solver.run(&operator, Some(&[vec![1.0; 3]]), &mut Silent).is_err());
}

#[test]
fn the_digits_do_not_depend_on_threads() {
    let operator = Rotated::new(&with(&[1.0, 0.99], bulk(70_000, -0.5, 0.9)));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            solve(
                &Lanczos { wanted: Wanted::Largest { k: 2 }, tolerance: 1e-3, ..Lanczos::default() },
                &operator,
            )
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

/// Interrupts after a given product.
struct StopAt(usize);

impl Observer for StopAt {
    fn product(&mut self, progress: &Progress) -> Control {
        if progress.products >= self.0 { Control::Interrupt } else { Control::Continue }
    }
}

#[test]
fn every_interruption_resumes_to_the_same_digits() {
    let operator = Rotated::new(&with(&[1.0, 1.0, 0.8], bulk(300, -0.4, 0.7)));
    let solver =
        Lanczos { wanted: Wanted::Both { largest: 3, smallest: 1 }, basis: Some(14), ..Lanczos::default() };
    let whole = solve(&solver, &operator);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for at in 1..=whole.products {
        let Outcome::Interrupted(state) = solver.run(&operator, None, &mut StopAt(at)).unwrap() else {
            panic!("not interrupted at {at} of {}", whole.products)
        };
        assert_eq!(state.products(), at);
        state.save(&path, "here").unwrap();
        let state = LanczosState::load(&path, "here").unwrap();
        let Outcome::Done(resumed) = solver.resume(&operator, state, &mut Silent).unwrap() else { panic!() };
        assert_eq!(resumed, whole, "interrupted at {at}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the state is left");
}

#[test]
fn a_state_of_something_else_is_refused() {
    let operator = Rotated::new(&bulk(100, 0.0, 1.0));
    let solver = Lanczos::default();
    let Outcome::Interrupted(state) = solver.run(&operator, None, &mut StopAt(3)).unwrap() else { panic!() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    state.save(&path, "here").unwrap();
    assert!(matches!(LanczosState::load(&path, "there"), Err(Error::State(_))));
    let other = Lanczos { seed: 1, ..Lanczos::default() };
    assert!(matches!(other.resume(&operator, state.clone(), &mut Silent), Err(Error::State(_))));
    let larger = Rotated::new(&bulk(101, 0.0, 1.0));
    assert!(matches!(solver.resume(&larger, state, &mut Silent), Err(Error::State(_))));
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 5, 40, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(LanczosState::load(&path, "here").is_err());
    }
}

#[test]
fn drawn_spectra_with_close_and_repeated_values_are_never_misreported() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for trial in 0..200 {
        let n = random.random_range(5..150);
        let mut spectrum: Vec<f64> = (0..n)
            .map(|_| match trial % 3 {
                0 => random.random_range(-1.0..1.0),
                1 => f64::from(random.random_range(0..6)) / 5.0,
                _ => -random.random_range(0.0f64..1.0).powi(3),
            })
            .collect();
        for value in spectrum.iter_mut().take(random.random_range(0..5)) {
            *value = 1.5 - [0.0, 10f64.powi(-random.random_range(2..10))][random.random_range(0..2)];
        }
        let k = random.random_range(2..=n.min(6));
        let tolerance = 10f64.powi(-random.random_range(4..8));
        let solver = Lanczos { wanted: Wanted::Largest { k }, tolerance, seed: trial, ..Lanczos::default() };
        let eigen = solve(&solver, &Rotated::new(&spectrum));
        assert_honest(&format!("trial {trial}"), &eigen.largest, &descending(&spectrum), tolerance);
    }
}
