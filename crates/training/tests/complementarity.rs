//! Semidefinite complementarity, against its conditions and against closed forms.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_training::Complementarity;

/// T with <`T_ij`, `T_kl`> as the map: symmetric in i and j, `n` entries each.
fn problem(k: usize, n: usize, seed: u64) -> (Complementarity, Vec<Vec<f64>>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || random.random_range(-1.0..1.0);
    let pairs = Complementarity::pairs(k);
    let tensors: Vec<Vec<f64>> = pairs.iter().map(|_| (0..n).map(|_| draw()).collect()).collect();
    let mut constant = vec![0.0; k * k];
    for &(i, j) in &pairs {
        constant[i * k + j] = draw();
        constant[j * k + i] = constant[i * k + j];
    }
    let times = |(i, j): (usize, usize)| if i == j { 1.0 } else { 2.0 };
    let gram = pairs.iter().zip(&tensors).flat_map(|(&p, t)| {
        let row = pairs.iter().zip(&tensors);
        row.map(move |(&q, u)| times(p) * times(q) * t.iter().zip(u).map(|(a, b)| a * b).sum::<f64>())
    });
    (Complementarity { k, constant, gram: gram.collect() }, tensors)
}

/// The smallest eigenvalue is not below -tolerance: elimination on the shifted matrix.
fn semidefinite(k: usize, matrix: &[f64], tolerance: f64) -> bool {
    let mut a = matrix.to_vec();
    (0..k).for_each(|i| a[i * k + i] += tolerance);
    for c in 0..k {
        if a[c * k + c] <= 0.0 {
            return false;
        }
        for r in c + 1..k {
            let factor = a[r * k + c] / a[c * k + c];
            (c..k).for_each(|j| a[r * k + j] -= factor * a[c * k + j]);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn solutions_meet_the_conditions(k in 1usize..6, seed in 0u64..1000) {
        let (problem, tensors) = problem(k, 40, seed);
        let found = problem.solve().unwrap();
        prop_assert!(found.residual <= 1e-9);
        prop_assert!(semidefinite(k, &found.x, 1e-8) && semidefinite(k, &found.slack, 1e-8));
        // The slack, from the tensors: Q_ij + sum over all a, b of X_ab <T_ij, T_ab>.
        let pairs = Complementarity::pairs(k);
        let tensor = |i: usize, j: usize| {
            let place = pairs.iter().position(|p| *p == (i.min(j), i.max(j))).unwrap();
            &tensors[place]
        };
        let mut inner = 0.0;
        for i in 0..k {
            for j in 0..k {
                let mapped: f64 = (0..k * k)
                    .map(|n| {
                        let (a, b) = (n / k, n % k);
                        let product: f64 = tensor(i, j).iter().zip(tensor(a, b)).map(|(x, y)| x * y).sum();
                        found.x[n] * product
                    })
                    .sum();
                let slack = problem.constant[i * k + j] + mapped;
                prop_assert!((slack - found.slack[i * k + j]).abs() < 1e-8, "{slack}");
                inner += slack * found.x[i * k + j];
            }
        }
        prop_assert!(inner.abs() < 1e-8, "{inner}");
    }
}

#[test]
fn closed_forms() {
    // One row: x = max(0, -q / m).
    let one = |q: f64, m: f64| Complementarity { k: 1, constant: vec![q], gram: vec![m] }.solve().unwrap();
    assert_eq!((one(3.0, 2.0).x[0], one(3.0, 2.0).slack[0]), (0.0, 3.0));
    assert!((one(-3.0, 2.0).x[0] - 1.5).abs() < 1e-15 && one(-3.0, 2.0).slack[0].abs() < 1e-15);
    // Two rows that have nothing to do with each other are two problems of one row.
    let gram = vec![2.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 4.0];
    let two = Complementarity { k: 2, constant: vec![-3.0, 0.0, 0.0, 1.0], gram }.solve().unwrap();
    let expected = [1.5, 0.0, 0.0, 0.0];
    assert!(two.x.iter().zip(expected).all(|(x, e)| (x - e).abs() < 1e-9), "{:?}", two.x);
    // With the identity as the map, X is the part of -Q that is positive.
    let gram = vec![1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0];
    let identity = Complementarity { k: 2, constant: vec![0.0, 1.0, 1.0, 0.0], gram }.solve().unwrap();
    let expected = [0.5, -0.5, -0.5, 0.5];
    assert!(identity.x.iter().zip(expected).all(|(x, e)| (x - e).abs() < 1e-9), "{:?}", identity.x);
}

#[test]
fn what_has_no_solution_is_said() {
    let problem = Complementarity { k: 1, constant: vec![-1.0], gram: vec![0.0] };
    assert!(problem.solve().unwrap_err().to_string().contains("no solution"));
    let problem = Complementarity { k: 2, constant: vec![-1.0; 4], gram: vec![] };
    assert!(problem.solve().unwrap_err().to_string().contains("were expected"));
}
