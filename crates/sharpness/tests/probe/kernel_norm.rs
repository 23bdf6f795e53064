//! The kernel norm: its formula, its two ways, and its sign in a simulation.

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Curvature, DEFAULT_MEMORY, Dense, FiniteSum, Lanczos, Silent, Wanted};
use relief_models::loss::Loss;
use relief_sharpness::{KernelNorm, Sgd, heavy_ball_edge, kernel_norm, nesterov_edge};

use super::{assert_close, digits, done, dot, options};

fn plain(eta: f64) -> Sgd {
    Sgd { eta, momentum: 0.0, nesterov: false, batch: 1, examples: 2 }
}

/// What one unit of noise leaves behind with momentum, step by step as the optimiser goes.
#[test]
fn momentum_keeps_what_noise_leaves_behind() {
    for (momentum, nesterov) in [(0.0, true), (0.5, false), (0.9, false), (0.5, true), (0.9, true)] {
        for x in [0.01, 0.7, 1.3] {
            let sgd = Sgd { momentum, nesterov, ..plain(0.1) };
            let (mut point, mut velocity, mut sum) = (0.0, 0.0, 0.0);
            for step in 0..100_000 {
                let gradient = x * point + if step == 0 { x } else { 0.0 };
                velocity = momentum * velocity + gradient;
                point -= if nesterov { gradient + momentum * velocity } else { velocity };
                sum += point * point;
            }
            // (1/1 - 1/2) of it for mini-batches of one of two examples.
            assert_close(kernel_norm(&[x / 0.1], sgd, 1), 0.5 * sum, 1e-9);
        }
        let edge = if nesterov { nesterov_edge } else { heavy_ball_edge }(0.1, momentum);
        let at = |lambda: f64| kernel_norm(&[lambda], Sgd { momentum, nesterov, ..plain(0.1) }, 1);
        assert!(at(1.0001 * edge).is_infinite() && at(0.9999 * edge).is_finite());
    }
}

#[test]
fn the_formula_has_its_limits() {
    let sgd = Sgd { batch: 2, examples: 10, ..plain(0.1) };
    let expected = 0.1 * 0.4 * (3.0 / 1.7 + 1.0 / 1.9) / 2.0;
    assert_close(kernel_norm(&[3.0, 1.0, 0.0, -1e-17], sgd, 2), expected, 1e-14);
    assert!(kernel_norm(&[20.0], sgd, 1).is_infinite());
    assert!(kernel_norm(&[19.0], Sgd { batch: 10, ..sgd }, 1).abs() < f64::MIN_POSITIVE);
}

#[test]
fn quadrature_agrees_with_the_explicit_matrix() {
    let sum = digits("mlp:widths=64-10", 120, &options(Loss::HalfSquaredError));
    let whole = sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, sum.parameters(), DEFAULT_MEMORY).unwrap();
    let largest = 16.0;
    for eta in [0.01, 1.5 / largest] {
        let sgd = Sgd { batch: 3, examples: 120, ..plain(eta) };
        let run = |settings: &KernelNorm, seed| {
            done(settings.run(&curvature, sgd, (1e-6, 1e-16, seed), &mut Silent).unwrap())
        };
        let exact = run(&KernelNorm { exact_up_to: 1000, ..KernelNorm::default() }, 0);
        assert_eq!((exact.outputs, exact.standard_error, exact.products), (10, None, 650));
        for seed in 0..4 {
            let found = run(&KernelNorm::default(), seed);
            let error = found.standard_error.unwrap();
            assert!((found.value - exact.value).abs() < 5.0 * error, "{found:?} {exact:?}");
            assert!(error < 0.3 * found.value, "{found:?}");
            assert_close(found.largest, exact.largest, 1e-6);
        }
    }
    let sgd = Sgd { batch: 3, examples: 120, ..plain(1.0) };
    for settings in [KernelNorm { exact_up_to: 1000, ..KernelNorm::default() }, KernelNorm::default()] {
        let found = done(settings.run(&curvature, sgd, (1e-4, 1e-16, 0), &mut Silent).unwrap());
        assert!(found.value.is_infinite());
    }
}

/// Residuals of linear regression under SGD, from the Gram matrix alone: the median over runs of |z|^2 relative to the start.
#[test]
fn residuals_shrink_below_one_and_grow_above() {
    const N: usize = 100;
    const D: usize = 200;
    const BATCH: usize = 5;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    // Sums of twelve even numbers are all but normal.
    let mut normal = || (0..12).map(|_| random.random::<f64>() - 0.5).sum::<f64>();
    let x: Vec<Vec<f64>> = (0..N).map(|_| (0..D).map(|_| normal()).collect()).collect();
    let gram: Vec<Vec<f64>> = x.iter().map(|a| x.iter().map(|b| dot(a, b)).collect()).collect();
    let entries: Vec<f64> = gram.iter().flatten().map(|g| g / N as f64).collect();
    let solver = Lanczos { wanted: Wanted::Largest { k: N }, ..Lanczos::default() };
    let eigen = done(solver.run(&Dense::new(N, entries).unwrap(), None, &mut Silent).unwrap());
    let values: Vec<f64> = eigen.largest.iter().map(|pair| pair.value).collect();
    let norm_at = |eta: f64| kernel_norm(&values, Sgd { batch: BATCH, examples: N, ..plain(eta) }, 1);
    let (mut low, mut high) = (0.0, 2.0 / values[0]);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if norm_at(middle) < 1.0 { low = middle } else { high = middle }
    }
    let median = |eta: f64| {
        let mut ends: Vec<f64> = (0..11)
            .map(|run| {
                let mut random = ChaCha8Rng::seed_from_u64(run);
                let mut z: Vec<f64> = (0..N).map(|_| random.random::<f64>() - 0.5).collect();
                let start = dot(&z, &z);
                for _ in 0..1500 {
                    let chosen: Vec<(usize, f64)> =
                        sample(&mut random, N, BATCH).into_iter().map(|i| (i, z[i])).collect();
                    for (i, residual) in chosen {
                        let step = eta / BATCH as f64 * residual;
                        z.iter_mut().zip(&gram[i]).for_each(|(z, g)| *z -= step * g);
                    }
                }
                dot(&z, &z) / start
            })
            .collect();
        ends.sort_by(f64::total_cmp);
        ends[5]
    };
    let (below, above) = (median(0.9 * low), median(1.1 * low));
    assert!(below < 0.1, "{below}");
    assert!(above > 10.0, "{above}");
}
