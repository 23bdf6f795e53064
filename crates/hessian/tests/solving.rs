//! Conjugate gradients and principal angles, against small matrices that are known.

use proptest::prelude::*;
use relief_hessian::{ConjugateGradients, Dense, SymmetricOperator, principal_angles};

const N: usize = 8;

/// B B' for a square B: no negative eigenvalues.
fn positive(b: &[f64]) -> Dense {
    let entry = |i: usize, j: usize| (0..N).map(|k| b[i * N + k] * b[j * N + k]).sum();
    Dense::new(N, (0..N * N).map(|e| entry(e / N, e % N)).collect()).unwrap()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

proptest! {
    #[test]
    fn a_solution_solves(b in prop::collection::vec(-1.0f64..1.0, N * N), x in prop::collection::vec(-1.0f64..1.0, N), damping in 0.01f64..1.0, preconditioned: bool) {
        prop_assume!(norm(&x) > 0.1);
        let matrix = positive(&b);
        let mut right = vec![0.0; N];
        matrix.apply(&x, &mut right).unwrap();
        right.iter_mut().zip(&x).for_each(|(r, x)| *r += damping * x);
        let solver = ConjugateGradients { damping, tolerance: 1e-10, max_products: 200 };
        let diagonal: Vec<f64> = (0..N).map(|i| (0..N).map(|k| b[i * N + k].powi(2)).sum::<f64>() + damping).collect();
        let solution = solver.solve(&matrix, &right, preconditioned.then_some(&diagonal[..])).unwrap();
        prop_assert!(solution.converged, "{}", solution.residual);
        let error: Vec<f64> = solution.x.iter().zip(&x).map(|(a, b)| a - b).collect();
        let bound = solution.error_bound.unwrap() * norm(&solution.x);
        prop_assert!(norm(&error) <= bound * (1.0 + 1e-3) + 1e-13, "{} is above {bound}", norm(&error));
    }

    #[test]
    fn angles_do_not_depend_on_the_bases(angle in 1e-9f64..1.57, turn in 0.0f64..6.0) {
        // Two planes in R^5 that share one direction and lie at an angle in another, in turned bases.
        let unit = |i: usize| (0..5).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
        let mix = |a: &[f64], b: &[f64], c: f64, s: f64| a.iter().zip(b).map(|(a, b)| c * a + s * b).collect::<Vec<f64>>();
        let tilted = mix(&unit(1), &unit(3), angle.cos(), angle.sin());
        let a = [unit(0), unit(1)];
        let (c, s) = (turn.cos(), turn.sin());
        let b = [mix(&unit(0), &tilted, c, s), mix(&unit(0), &tilted, -s, c)];
        let found = principal_angles(&a, &b).unwrap();
        prop_assert!(found[0] < 2e-8 && (found[1] - angle).abs() < 2e-8, "{found:?} for {angle}");
        prop_assert_eq!(principal_angles(&a, &b[..1]).unwrap().len(), 1);
    }
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let matrix = Dense::new(2, vec![1.0, 0.0, 0.0, -0.5]).unwrap();
    let solver = ConjugateGradients { damping: 0.1, ..ConjugateGradients::default() };
    let refusal = solver.solve(&matrix, &[0.0, 1.0], None).unwrap_err().to_string();
    assert!(refusal.contains("not positive"), "{refusal}");
    assert!(solver.solve(&matrix, &[1.0], None).is_err());
    assert!(solver.solve(&matrix, &[1.0, 0.0], Some(&[1.0, 0.0])).is_err());
    let few = ConjugateGradients { max_products: 2, damping: 1.0, ..solver };
    let spread = Dense::new(3, vec![1e6, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let solution = few.solve(&spread, &[1.0, 1.0, 1.0], None).unwrap();
    assert!(!solution.converged && solution.residual > 1e-3 && solution.products == 2);
    assert!(principal_angles(&[], &[vec![1.0]]).is_err());
    assert!(principal_angles(&[vec![1.0, 0.0]], &[vec![1.0]]).is_err());
}
