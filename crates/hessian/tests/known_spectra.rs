//! Matrices on which solvers are known to fail: values, signs, vectors and what is said of them, and how many products that
//! takes.

mod common;
mod matrices;

use common::matrices::Rotated;
use matrices::{Diagonal, density, even, settings, share, spectra, wasserstein};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_hessian::{
    Dense, Eigen, EigenPair, Lanczos, Outcome, Silent, SpectralDensity, Status, SymmetricOperator, Wanted,
    principal_angles,
};

fn solve(solver: &Lanczos, operator: &dyn SymmetricOperator) -> Eigen {
    match solver.run(operator, None, &mut Silent).unwrap() {
        Outcome::Done(eigen) => eigen,
        Outcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn with(top: &[f64], rest: Vec<f64>) -> Vec<f64> {
    [top, &rest].concat()
}

/// Spectra that decide between right and wrong, by what is hard about them.
fn prescribed() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("geometric", (0..200).map(|i| 0.7f64.powi(i)).collect()),
        ("step: fifty at 1, the rest at 1e-3", [vec![1.0; 50], vec![1e-3; 150]].concat()),
        ("all zero", vec![0.0; 200]),
        ("rank one", with(&[3.0], vec![0.0; 199])),
        ("rank one, negative", with(&[-3.0], vec![0.0; 199])),
        ("triple value", with(&[10.0, 10.0, 10.0, 9.0], even(196, -1.0, 5.0))),
        ("plus and minus", with(&[10.0, -10.0, 6.0, -6.0], even(196, -1.0, 1.0))),
        ("plus and almost minus", with(&[10.0, -9.9], even(198, -1.0, 1.0))),
        ("negative-dominant", with(&[-10.0, -8.0, 2.0, 1.9], even(196, -1.0, 1.0))),
        ("near-degenerate", with(&[10.0, 9.98, 9.5], even(197, -1.0, 5.0))),
        ("cluster", with(&[10.0, 9.999, 9.998, 9.997], even(196, -1.0, 5.0))),
        ("flat top", even(200, 0.0, 10.0)),
        ("fewer rows than steps", vec![-2.0, 0.0, 0.0, 1.0, 3.0, 3.0, 3.0]),
    ]
}

/// A matrix with everything about it known, its values in the order in which a search reports them.
struct Known {
    operator: Rotated,
    diagonal: Vec<f64>,
    scale: f64,
}

impl Known {
    fn new(spectrum: &[f64], scale: f64) -> Self {
        let diagonal: Vec<f64> = spectrum.iter().map(|x| x * scale).collect();
        let size = diagonal.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        Self { operator: Rotated::new(&diagonal), diagonal, scale: size }
    }

    /// Positions of the `k` wanted, first to last.
    fn order(&self, wanted: Wanted) -> Vec<usize> {
        let d = &self.diagonal;
        let mut order: Vec<usize> = (0..d.len()).collect();
        match wanted {
            Wanted::Smallest { .. } => order.sort_by(|&a, &b| d[a].total_cmp(&d[b])),
            Wanted::Magnitude { .. } => order.sort_by(|&a, &b| d[b].abs().total_cmp(&d[a].abs())),
            _ => order.sort_by(|&a, &b| d[b].total_cmp(&d[a])),
        }
        order.truncate(wanted.total());
        order
    }

    /// Sine of the angle between v and the space of all eigenvectors that share the value of number i.
    fn sine(&self, v: &[f64], i: usize) -> f64 {
        let near = |x: f64| (x - self.diagonal[i]).abs() <= 1e-13 * self.scale;
        let mut rest = v.to_vec();
        for j in (0..self.diagonal.len()).filter(|j| near(self.diagonal[*j])) {
            let w = self.operator.eigenvector(j);
            let along = dot(v, &w);
            rest.iter_mut().zip(&w).for_each(|(r, w)| *r -= along * w);
        }
        dot(&rest, &rest).sqrt()
    }

    /// A pair is what it says it is: value and residual of its vector, and both bounds.
    #[track_caller]
    fn assert_true(&self, what: &str, pair: &EigenPair, v: &[f64], i: usize, by_size: bool) {
        let rounding = 1e-13 * self.scale;
        let mut product = vec![0.0; v.len()];
        self.operator.apply(v, &mut product).unwrap();
        assert!((dot(v, v).sqrt() - 1.0).abs() < 1e-13, "{what}: length {}", dot(v, v).sqrt());
        assert!((dot(v, &product) - pair.value).abs() <= rounding, "{what}: the value of another vector");
        let residual: Vec<f64> = product.iter().zip(v).map(|(p, v)| p - pair.value * v).collect();
        // The printed residual allows for what random combinations of the vectors show it to be off by.
        let residual = dot(&residual, &residual).sqrt();
        assert!(
            residual <= pair.residual + rounding && pair.residual <= 1.001 * residual + 1e-7 * self.scale,
            "{what}: residual {residual:e}, printed {:e}",
            pair.residual
        );
        let expected = self.diagonal[i];
        let error =
            if by_size { (pair.value.abs() - expected.abs()).abs() } else { (pair.value - expected).abs() };
        assert!(
            error <= pair.error_bound + rounding,
            "{what}: found {} +- {:e}, expected {expected}",
            pair.value,
            pair.error_bound
        );
        if let Some(angle) = pair.angle_bound {
            // Of two values of one size and different signs either may come first.
            let distance = |j: &usize| (self.diagonal[*j] - pair.value).abs();
            let nearest = (0..self.diagonal.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            let sine = self.sine(v, if by_size { nearest.unwrap() } else { i });
            assert!(sine <= angle.sin() + 1e-7, "{what}: sine {sine:e}, bound {:e}", angle.sin());
        }
    }
}

#[test]
fn values_signs_vectors_and_bounds_are_true_on_prescribed_spectra() {
    for (name, spectrum) in prescribed() {
        for scale in [1e-12, 1.0, 1e12] {
            let known = Known::new(&spectrum, scale);
            for k in [1, 5] {
                for wanted in [Wanted::Largest { k }, Wanted::Smallest { k }, Wanted::Magnitude { k }] {
                    let scaled = (scale - 1.0f64).abs() > 0.5;
                    for seed in 0..if scaled { 1 } else { 2 } {
                        let eigen = solve(&Lanczos { wanted, seed, ..Lanczos::default() }, &known.operator);
                        let what = format!("{name} at scale {scale:e}, {wanted:?}, seed {seed}");
                        assert_eq!(eigen.status, Status::Converged, "{what}");
                        let by_size = matches!(wanted, Wanted::Magnitude { .. });
                        let order = known.order(wanted);
                        assert_eq!((eigen.vectors.len(), order.len()), (k, k));
                        for (position, (pair, v)) in eigen.pairs().zip(&eigen.vectors).enumerate() {
                            assert!(pair.converged, "{what}");
                            let what = format!("{what}, number {position}");
                            known.assert_true(&what, pair, v, order[position], by_size);
                        }
                    }
                }
            }
        }
    }
}

/// Searches for the largest in magnitude keep the sign: norms of products would not.
#[test]
fn a_dominant_negative_eigenvalue_is_reported_as_negative() {
    let known = Known::new(&with(&[-10.0, -8.0, 2.0, 1.9], even(196, -1.0, 1.0)), 1.0);
    let values = |wanted| -> Vec<f64> {
        solve(&Lanczos { wanted, ..Lanczos::default() }, &known.operator).pairs().map(|p| p.value).collect()
    };
    let near = |found: Vec<f64>, expected: &[f64]| {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-9), "{found:?} {expected:?}");
    };
    near(values(Wanted::Magnitude { k: 4 }), &[-10.0, -8.0, 2.0, 1.9]);
    near(values(Wanted::Largest { k: 2 }), &[2.0, 1.9]);
    near(values(Wanted::Smallest { k: 2 }), &[-10.0, -8.0]);
    near(values(Wanted::Both { largest: 1, smallest: 1 }), &[2.0, -10.0]);
}

/// Where power iteration stops at a value within one per cent of the right one, its vector may lie anywhere between the
/// first two.
#[test]
fn near_degenerate_vectors_are_told_apart() {
    let known = Known::new(&with(&[10.0, 9.98, 9.5], even(1997, -1.0, 5.0)), 1.0);
    for seed in 0..10 {
        let solver = Lanczos { wanted: Wanted::Largest { k: 3 }, seed, ..Lanczos::default() };
        let eigen = solve(&solver, &known.operator);
        for (i, (pair, v)) in eigen.largest.iter().zip(&eigen.vectors).enumerate() {
            let sine = known.sine(v, i);
            assert!(sine < 1e-3, "seed {seed}, number {i}: sine {sine}");
            assert!(pair.angle_bound.is_some_and(|angle| angle < 2e-3), "{:?}", pair.angle_bound);
        }
    }
}

/// Four values within 3e-4 of each other: their space is known far better than each of them.
#[test]
fn the_space_of_a_cluster_has_an_angle() {
    for top in [[10.0, 9.999, 9.998, 9.997], [10.0; 4]] {
        let known = Known::new(&with(&top, even(1996, -1.0, 5.0)), 1.0);
        let truth: Vec<Vec<f64>> = (0..4).map(|i| known.operator.eigenvector(i)).collect();
        for seed in 0..5 {
            for tolerance in [1e-3, 1e-6] {
                let wanted = Wanted::Largest { k: 4 };
                let eigen =
                    solve(&Lanczos { wanted, tolerance, seed, ..Lanczos::default() }, &known.operator);
                assert_eq!(eigen.status, Status::Converged);
                let bound = eigen.subspace_angle_bound.unwrap();
                let angles = principal_angles(&eigen.vectors, &truth).unwrap();
                assert!(bound < 0.01 && angles[3] <= bound + 1e-7, "{:e}, bound {bound:e}", angles[3]);
                for (i, (pair, v)) in eigen.largest.iter().zip(&eigen.vectors).enumerate() {
                    known.assert_true(&format!("{top:?}, number {i}"), pair, v, i, false);
                }
            }
        }
    }
}

/// Products that searches take, certificates and the search for missed copies included, and what they may take.
#[test]
fn products_are_few() {
    let n = 2000;
    let bulk = |top: &[f64], low: f64, high: f64| with(top, even(n - top.len(), low, high));
    let cases: [(&str, Vec<f64>, usize, usize); 11] = [
        ("outliers", bulk(&[10.0, 8.0, 6.0, 5.0, 4.0], -0.5, 0.5), 1, 16),
        ("outliers", bulk(&[10.0, 8.0, 6.0, 5.0, 4.0], -0.5, 0.5), 5, 40),
        ("near-degenerate", bulk(&[10.0, 9.98, 9.5, 4.0, 3.0], -0.5, 0.5), 5, 40),
        ("plus and minus", bulk(&[10.0, -10.0], -1.0, 1.0), 1, 20),
        ("negative-dominant", bulk(&[-10.0, -8.0, 2.0], -0.5, 0.5), 1, 20),
        ("cluster", bulk(&[10.0, 9.999, 9.998, 9.997, 4.0], -0.5, 0.5), 5, 45),
        ("triple value", bulk(&[10.0, 10.0, 10.0, 9.0, 4.0], -0.5, 0.5), 5, 60),
        ("forty at the top", with(&[10.0; 40], even(n - 40, 0.0, 9.0)), 1, 250),
        ("forty at the top", with(&[10.0; 40], even(n - 40, 0.0, 9.0)), 5, 350),
        ("no gap: evenly spaced", even(n, 0.0, 10.0), 1, 520),
        ("all zero", vec![0.0; n], 5, 20),
    ];
    for (name, spectrum, k, allowed) in cases {
        let operator = Rotated::new(&spectrum);
        let worst = (0..5).map(|seed| {
            let eigen =
                solve(&Lanczos { wanted: Wanted::Largest { k }, seed, ..Lanczos::default() }, &operator);
            assert_eq!(eigen.status, Status::Converged, "{name}, k = {k}");
            eigen.products
        });
        let worst = worst.max().unwrap();
        println!("{name}, k = {k}: at most {worst} products");
        assert!(worst <= allowed, "{name}, k = {k}: {worst} products, allowed {allowed}");
    }
}

/// Nine eigenvalues above 2.5, a bulk below, and products in single precision.
fn nine_above() -> (Vec<f64>, Rotated) {
    let top: Vec<f64> = (0..9).map(|i| 10.0 - 0.9 * f64::from(i)).collect();
    let spectrum = with(&top, even(1797, -0.5, 1.0));
    let operator = Rotated::new(&spectrum).in_single_precision();
    (top, operator)
}

/// Without orthogonalisation a hundred steps in f32 show each of the nine many times over.
#[test]
fn a_hundred_steps_in_single_precision_show_no_ghosts() {
    let (top, operator) = nine_above();
    let unit_roundoff = f64::from(f32::EPSILON) / 2.0;
    for seed in 0..3 {
        let spectrum = density(&SpectralDensity { unit_roundoff, ..settings(1, 100, seed) }, &operator);
        let probe = &spectrum.probes[0];
        let found: Vec<f64> = probe.values.iter().rev().copied().filter(|x| *x > 2.5).collect();
        assert_eq!(found.len(), 9, "{found:?}");
        assert!(found.iter().zip(&top).all(|(f, t)| (f - t).abs() < 1e-5), "{found:?}");
        let above = spectrum.outliers().above;
        assert_eq!((above.values.len(), above.at_least), (9, 9));

        let wanted = Wanted::Largest { k: 12 };
        let eigen = solve(
            &Lanczos { wanted, basis: Some(100), seed, unit_roundoff, ..Lanczos::default() },
            &operator,
        );
        let found: Vec<f64> = eigen.largest.iter().map(|p| p.value).collect();
        assert!(found[..9].iter().zip(&top).all(|(f, t)| (f - t).abs() < 1e-5), "{found:?}");
        assert!(found[9..].iter().all(|x| (0.9..1.01).contains(x)), "{found:?}");
        assert!(ghosts(&operator, 100) > 20, "the recurrence alone is no longer wrong");
    }
}

/// How many values above 2.5 the plain three-term recurrence finds in f32.
fn ghosts(operator: &dyn SymmetricOperator, steps: usize) -> usize {
    let n = operator.dim();
    let rounded = |x: Vec<f64>| -> Vec<f64> { x.into_iter().map(|x| f64::from(x as f32)).collect() };
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut v: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = dot(&v, &v).sqrt();
    v = rounded(v.iter().map(|x| x / length).collect());
    let (mut before, mut beta) = (vec![0.0; n], 0.0);
    let mut matrix = faer::Mat::<f64>::zeros(steps, steps);
    for j in 0..steps {
        let mut next = vec![0.0; n];
        operator.apply(&v, &mut next).unwrap();
        let alpha = dot(&next, &v);
        next = rounded((0..n).map(|i| next[i] - alpha * v[i] - beta * before[i]).collect());
        beta = dot(&next, &next).sqrt();
        matrix[(j, j)] = alpha;
        if j + 1 < steps {
            matrix[(j + 1, j)] = beta;
            matrix[(j, j + 1)] = beta;
        }
        before = std::mem::replace(&mut v, rounded(next.iter().map(|x| x / beta).collect()));
    }
    let values = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    values.iter().filter(|x| **x > 2.5).count()
}

/// Weights of a quadrature are real, not negative and sum to one, whatever the spectrum and its size.
#[test]
fn weights_are_a_probability() {
    for (name, eigenvalues) in spectra() {
        for scale in [1e-12, 1.0, 1e12] {
            let scaled: Vec<f64> = eigenvalues.iter().map(|x| x * scale).collect();
            for probe in &density(&settings(2, 100, 5), &Diagonal(scaled)).probes {
                let sum: f64 = probe.weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-13, "{name} at {scale:e}: {sum}");
                assert!(probe.weights.iter().all(|w| *w >= 0.0) && probe.values.is_sorted(), "{name}");
            }
        }
    }
}

/// A symmetric matrix of standard normal numbers.
fn gaussian(n: usize, seed: u64) -> (Dense, Vec<f64>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut entries = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let entry: f64 = StandardNormal.sample(&mut random);
            entries[i * n + j] = entry;
            entries[j * n + i] = entry;
        }
    }
    let values = faer::Mat::from_fn(n, n, |i, j| entries[i * n + j])
        .self_adjoint_eigenvalues(faer::Side::Lower)
        .unwrap();
    (Dense::new(n, entries).unwrap(), values)
}

/// No seed is special: each draws another matrix and other random vectors.
#[test]
fn every_seed_works_on_gaussian_matrices() {
    for seed in 0..=20 {
        let (matrix, expected) = gaussian(60, seed);
        let size = expected[59].max(-expected[0]);
        let whole = density(&settings(1, 60, seed), &matrix);
        for (found, expected) in whole.probes[0].values.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12 * size, "seed {seed}: {found} {expected}");
        }
        let solver = Lanczos {
            wanted: Wanted::Both { largest: 3, smallest: 3 },
            tolerance: 1e-10,
            seed,
            ..Lanczos::default()
        };
        let eigen = solve(&solver, &matrix);
        assert_eq!(eigen.status, Status::Converged, "seed {seed}");
        for i in 0..3 {
            assert!((eigen.largest[i].value - expected[59 - i]).abs() < 1e-12 * size, "seed {seed}");
            assert!((eigen.smallest[i].value - expected[i]).abs() < 1e-12 * size, "seed {seed}");
        }
    }
}

/// Z Z' / m for an n by m matrix of standard normal numbers, plus a diagonal that begins with spikes.
struct Spiked {
    z: faer::Mat<f64>,
    spikes: Vec<f64>,
}

impl Spiked {
    fn new(n: usize, m: usize, spikes: &[f64]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(17);
        let z = faer::Mat::from_fn(n, m, |_, _| StandardNormal.sample(&mut random));
        Self { z, spikes: spikes.to_vec() }
    }

    fn eigenvalues(&self) -> Vec<f64> {
        let samples = self.z.ncols() as f64;
        let mut matrix: faer::Mat<f64> = &self.z * self.z.transpose();
        for j in 0..matrix.ncols() {
            for i in 0..matrix.nrows() {
                matrix[(i, j)] /= samples;
            }
            matrix[(j, j)] += self.spikes.get(j).copied().unwrap_or(0.0);
        }
        matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap()
    }
}

impl SymmetricOperator for Spiked {
    fn dim(&self) -> usize {
        self.z.nrows()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> relief_hessian::Result<()> {
        let x = faer::ColRef::from_slice(x);
        let product: faer::Col<f64> = &self.z * (self.z.transpose() * x);
        let samples = self.z.ncols() as f64;
        for (i, y) in y.iter_mut().enumerate() {
            *y = product[i] / samples + self.spikes.get(i).copied().unwrap_or(0.0) * x[i];
        }
        Ok(())
    }
}

fn assert_within_bounds(operator: &Spiked, steps: usize, outliers: usize) {
    let eigenvalues = operator.eigenvalues();
    let n = eigenvalues.len();
    let spread = eigenvalues[n - 1] - eigenvalues[0];
    let settings = settings(1, steps, 0);
    let plan = settings.plan(n).unwrap();
    let spectrum = density(&settings, operator);
    let probe = &spectrum.probes[0];
    let masses = probe.values.iter().copied().zip(probe.weights.iter().copied());
    let distance = wasserstein(masses, eigenvalues.iter().map(|x| (*x, 1.0 / n as f64)));
    assert!(distance <= plan.distance * spread, "{distance} of {}", plan.distance * spread);
    let curve = spectrum.cumulative_curve(400).unwrap();
    for (i, x) in curve.x.iter().enumerate() {
        let truth = share(&eigenvalues, *x);
        assert!(curve.lower[i] - 1e-12 <= truth && truth <= curve.upper[i] + 1e-12, "{truth} at {x}");
    }
    let above = spectrum.outliers().above;
    assert_eq!((above.values.len(), above.at_least), (outliers, outliers), "{above:?}");
    assert!(spectrum.outliers().below.values.is_empty());
    for (found, expected) in above.values.iter().zip(eigenvalues.iter().rev()) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
    let k = outliers.max(1);
    let eigen = solve(&Lanczos { wanted: Wanted::Largest { k }, ..Lanczos::default() }, operator);
    assert_eq!(eigen.status, Status::Converged);
    for (pair, expected) in eigen.largest.iter().zip(eigenvalues.iter().rev()) {
        assert!(
            (pair.value - expected).abs() <= pair.error_bound + 1e-12 && pair.residual <= 1e-6 * eigen.scale
        );
    }
}

/// Figure 15 a of Papyan (2018): diag(5, 4, 3, 0, ...) + Z Z' / 2000 of 2000 rows.
#[test]
fn papyans_matrix_has_three_outliers_over_its_bulk() {
    assert_within_bounds(&Spiked::new(2000, 2000, &[5.0, 4.0, 3.0]), 128, 3);
}

#[test]
fn a_wishart_matrix_has_none() {
    assert_within_bounds(&Spiked::new(600, 1200, &[]), 50, 0);
}
