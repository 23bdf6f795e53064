//! Searches that start from many vectors, the complement's search, and certificates by random combinations.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::matrices::{Rotated, done};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Control, Eigen, Lanczos, LanczosState, Observer, Outcome, Progress, Result, Silent, Status,
    SymmetricOperator, Wanted,
};

fn bulk(n: usize, low: f64, high: f64) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

/// These values above a bulk, descending.
fn above(top: &[f64], rest: Vec<f64>) -> Vec<f64> {
    let mut all = [top, &rest].concat();
    all.sort_by(|a, b| b.total_cmp(a));
    all
}

/// A few large values above a bulk.
fn outliers(n: usize) -> Vec<f64> {
    above(&[10.0, 7.0, 5.0, 3.0, 2.5, 2.0, 1.5], bulk(n - 7, -0.1, 0.5))
}

fn solver(k: usize, tolerance: f64, seed: u64) -> Lanczos {
    Lanczos { wanted: Wanted::Largest { k }, tolerance, seed, ..Lanczos::default() }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// |A y - value y|.
fn residual(operator: &dyn SymmetricOperator, y: &[f64], value: f64) -> f64 {
    let mut product = vec![0.0; y.len()];
    operator.apply(y, &mut product).unwrap();
    norm(&product.iter().zip(y).map(|(p, y)| p - value * y).collect::<Vec<_>>())
}

#[track_caller]
fn assert_right(what: &str, eigen: &Eigen, expected: &[f64]) {
    assert_eq!(eigen.status, Status::Converged, "{what}");
    for (i, (pair, expected)) in eigen.largest.iter().zip(expected).enumerate() {
        let error = (pair.value - expected).abs();
        assert!(error <= pair.error_bound + 1e-13, "{what}, number {i}: {pair:?}, not {expected}");
    }
}

/// A + size (u v' + v u').
struct Moved<'a>(&'a Rotated, Vec<f64>, Vec<f64>, f64);

impl SymmetricOperator for Moved<'_> {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.0.apply(x, y)?;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (along_u, along_v) = (self.3 * dot(&self.1, x), self.3 * dot(&self.2, x));
        for ((y, u), v) in y.iter_mut().zip(&self.1).zip(&self.2) {
            *y += along_v * u + along_u * v;
        }
        Ok(())
    }
}

fn unit(n: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let v: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = norm(&v);
    v.into_iter().map(|x| x / length).collect()
}

#[test]
fn a_matrix_nearby_costs_fewer_products() {
    let operator = Rotated::new(&outliers(3000));
    let (u, v) = (unit(3000, 1), unit(3000, 2));
    let old = done(solver(5, 1e-4, 0).run(&operator, None, &mut Silent).unwrap());
    for size in [0.0, 1e-6, 1e-3, 0.1, 2.0] {
        let moved = Moved(&operator, u.clone(), v.clone(), size);
        let cold = done(solver(5, 1e-4, 1).run(&moved, None, &mut Silent).unwrap());
        let warm = done(solver(5, 1e-4, 1).run(&moved, Some(&old.vectors), &mut Silent).unwrap());
        println!("moved by {size}: cold {} warm {}", cold.products, warm.products);
        assert_eq!((cold.status, warm.status), (Status::Converged, Status::Converged));
        for (a, b) in cold.largest.iter().zip(&warm.largest) {
            assert!((a.value - b.value).abs() <= a.error_bound + b.error_bound);
        }
        for (pair, y) in warm.largest.iter().zip(&warm.vectors) {
            let truth = residual(&moved, y, pair.value);
            assert!(truth <= pair.residual && pair.residual <= truth + 1e-7, "{truth:e} {pair:?}");
        }
        assert!(size > 1e-3 || warm.products <= cold.products, "{} {}", warm.products, cold.products);
    }
}

#[test]
fn what_the_start_vectors_lack_is_found() {
    // Eigenvectors of all wanted values but one, or but one copy.
    for (name, spectrum) in [
        ("distinct", outliers(400)),
        ("copies", above(&[3.0, 3.0, 3.0, 2.0, 2.0], bulk(395, -0.5, 1.0))),
        ("close", above(&[3.0, 3.0 - 1e-7, 2.5, 2.5 - 1e-5, 2.0], bulk(395, -0.5, 1.0))),
    ] {
        let n = spectrum.len();
        let operator = Rotated::new(&spectrum);
        let all = done(solver(6, 1e-12, 7).run(&operator, None, &mut Silent).unwrap());
        assert_right(name, &all, &spectrum);
        for seed in 0..12 {
            let missing = seed as usize % 6;
            let start: Vec<Vec<f64>> =
                (0..6).filter(|i| *i != missing).map(|i| all.vectors[i].clone()).collect();
            for k in [start.len(), 1] {
                let found = done(solver(k, 1e-4, seed).run(&operator, Some(&start), &mut Silent).unwrap());
                assert_right(
                    &format!("{name} of {n}, without {missing}, k {k}, seed {seed}"),
                    &found,
                    &spectrum,
                );
            }
        }
    }
}

#[test]
fn copies_are_found_whatever_the_seed() {
    for (name, spectrum) in [
        ("double", above(&[1.0, 1.0], bulk(298, -0.2, 0.5))),
        ("last wanted is double", above(&[1.0, 0.9, 0.8, 0.8], bulk(296, -0.2, 0.5))),
        ("eight", above(&[1.0; 8], bulk(292, -0.2, 0.5))),
        ("pairs", above(&[1.0, 1.0, 0.9, 0.9, 0.8, 0.8], bulk(294, -0.2, 0.5))),
    ] {
        let operator = Rotated::new(&spectrum);
        for seed in 0..12 {
            for tolerance in [1e-2, 1e-5] {
                let found = done(solver(4, tolerance, seed).run(&operator, None, &mut Silent).unwrap());
                assert_right(&format!("{name}, seed {seed}, tolerance {tolerance:e}"), &found, &spectrum);
            }
        }
    }
}

/// An operator of which one product is off by a vector of this length, or every product by a random one.
struct Wrong {
    operator: Rotated,
    size: f64,
    only: Option<usize>,
    products: AtomicUsize,
}

impl SymmetricOperator for Wrong {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.operator.apply(x, y)?;
        let number = self.products.fetch_add(1, Ordering::SeqCst);
        if self.only.is_none_or(|only| only == number) {
            let error = unit(x.len(), 1000 + number as u64);
            y.iter_mut().zip(error).for_each(|(y, e)| *y += self.size * e);
        }
        Ok(())
    }
}

#[test]
fn residuals_are_not_understated_where_products_are_wrong() {
    let spectrum = outliers(300);
    let mut unseen = 0;
    for seed in 0..30u64 {
        for size in [1e-9, 1e-7, 1e-6, 1e-4, 1e-2] {
            for only in [Some(seed as usize % 12), None] {
                let products = AtomicUsize::new(0);
                let operator = Wrong { operator: Rotated::new(&spectrum), size, only, products };
                let eigen = done(solver(5, 1e-4, seed).run(&operator, None, &mut Silent).unwrap());
                for (pair, y) in eigen.largest.iter().zip(&eigen.vectors) {
                    let truth = residual(&operator.operator, y, pair.value);
                    // The last product's own error is beyond what any certificate can see.
                    let own = if only.is_none() { size } else { 0.0 };
                    assert!(truth <= pair.residual + own + 1e-13, "size {size:e}: {truth:e} {pair:?}");
                }
                unseen += usize::from(eigen.noise_floor < 1e-3 * size / 10.0 && eigen.products > 13);
            }
        }
    }
    // A random combination may weigh an error little, but rarely.
    assert!(unseen <= 15, "{unseen} of 300");
}

/// Interrupts after a given product.
struct StopAt(usize);

impl Observer for StopAt {
    fn product(&mut self, progress: &Progress) -> Control {
        if progress.products >= self.0 { Control::Interrupt } else { Control::Continue }
    }
}

#[test]
fn warm_searches_resume_to_the_same_digits() {
    let operator = Rotated::new(&outliers(300));
    let old = done(solver(4, 1e-4, 0).run(&operator, None, &mut Silent).unwrap());
    let moved = Moved(&operator, unit(300, 1), unit(300, 2), 0.3);
    let solver = solver(4, 1e-4, 5);
    let whole = done(solver.run(&moved, Some(&old.vectors), &mut Silent).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for at in 1..=whole.products {
        let Outcome::Interrupted(state) = solver.run(&moved, Some(&old.vectors), &mut StopAt(at)).unwrap()
        else {
            panic!("not interrupted at {at} of {}", whole.products)
        };
        state.save(&path, "here").unwrap();
        let state = LanczosState::load(&path, "here").unwrap();
        assert_eq!(done(solver.resume(&moved, state, &mut Silent).unwrap()), whole, "interrupted at {at}");
    }
}
