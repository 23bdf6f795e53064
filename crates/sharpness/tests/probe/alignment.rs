//! Alignments and their bounds on a matrix whose eigenvectors are known.

use relief_hessian::{Dense, Eigen, Lanczos, MissedCopies, Silent, SymmetricOperator, Wanted};
use relief_sharpness::{Alignment, HessianGradient};

use super::{assert_close, done, dot, norm, numbers, product};

const N: usize = 40;

/// I - 2 v v' on both sides of a diagonal: the matrix, and its eigenvector number i.
fn rotated(diagonal: &[f64]) -> (Dense, impl Fn(usize) -> Vec<f64> + use<>) {
    let mut v = numbers(N, 4);
    let length = norm(&v);
    v.iter_mut().for_each(|x| *x /= length);
    let vector = move |i: usize| (0..N).map(|j| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j]).collect();
    let vectors: Vec<Vec<f64>> = (0..N).map(&vector).collect();
    let entry = |a: usize, b: usize| (0..N).map(|i| diagonal[i] * vectors[i][a] * vectors[i][b]).sum();
    let entries: Vec<f64> = (0..N * N).map(|e| entry((e / N).max(e % N), (e / N).min(e % N))).collect();
    (Dense::new(N, entries).unwrap(), vector)
}

fn solve(operator: &Dense, k: usize, tolerance: f64) -> Eigen {
    let solver = Lanczos {
        wanted: Wanted::Largest { k },
        tolerance,
        check: MissedCopies::Always,
        basis: Some(2 * k + 10),
        ..Lanczos::default()
    };
    done(solver.run(operator, None, &mut Silent).unwrap())
}

#[test]
fn bounds_hold_at_any_tolerance() {
    let diagonal: Vec<f64> = (0..N).map(|i| 10.0 * 0.8f64.powi(i as i32)).collect();
    let (matrix, vector) = rotated(&diagonal);
    let mut known = 0;
    for tolerance in [1e-1, 3e-2, 1e-2, 1e-4, 1e-8] {
        let eigen = solve(&matrix, 3, tolerance);
        for seed in 0..20 {
            let u = numbers(N, seed);
            let found = Alignment::new(&u, &eigen).unwrap();
            let exact: Vec<f64> = (0..3).map(|i| dot(&vector(i), &u) / norm(&u)).collect();
            if let Some(bound) = found.first_bound {
                known += 1;
                let error = (found.first - exact[0].abs()).abs();
                assert!(error <= bound + 1e-14, "{tolerance} {seed}: {error} {bound}");
            }
            if let Some(bound) = found.top_bound {
                known += 1;
                let error = (found.top - norm(&exact)).abs();
                assert!(error <= bound + 1e-14, "{tolerance} {seed}: {error} {bound}");
            }
        }
    }
    assert!(known > 120, "bounds are known in {known} cases only");
}

#[test]
fn a_cluster_has_an_angle_though_its_members_have_none() {
    let mut diagonal: Vec<f64> = (0..N).map(|i| 1.0 - i as f64 / N as f64).collect();
    diagonal[..3].copy_from_slice(&[10.0, 10.0 - 1e-7, 10.0 - 2e-7]);
    let (matrix, vector) = rotated(&diagonal);
    let eigen = solve(&matrix, 3, 1e-5);
    assert!(eigen.largest.iter().all(|pair| pair.angle_bound.is_none()), "{:?}", eigen.largest);
    let u = numbers(N, 7);
    let found = Alignment::new(&u, &eigen).unwrap();
    let exact: Vec<f64> = (0..3).map(|i| dot(&vector(i), &u) / norm(&u)).collect();
    assert_eq!(found.first_bound, None);
    let bound = found.top_bound.unwrap();
    assert!(bound < 1e-4 && (found.top - norm(&exact)).abs() <= bound, "{found:?}");
}

#[test]
fn nothing_is_said_of_a_zero_vector() {
    let (matrix, vector) = rotated(&numbers(N, 1));
    let eigen = solve(&matrix, 2, 1e-6);
    assert_eq!(Alignment::new(&[0.0; N], &eigen), None);
    assert_eq!(HessianGradient::new(&[0.0; N], &[0.0; N]), None);
    let v = vector(3);
    let found = HessianGradient::new(&v, &product(&matrix, &v)).unwrap();
    assert_close(found.cosine.abs(), 1.0, 1e-13);
    assert_close(found.rayleigh, numbers(N, 1)[3], 1e-12);
}

#[test]
fn the_preconditioned_matrix_has_the_eigenvalues_of_the_product() {
    let diagonal: Vec<f64> = (0..N).map(|i| 2.0 + i as f64).collect();
    let (matrix, _) = rotated(&numbers(N, 2));
    let scaled = relief_hessian::Scaled::preconditioned(&matrix, &diagonal).unwrap();
    let (x, y) = (numbers(N, 3), numbers(N, 9));
    assert_close(dot(&product(&scaled, &x), &y), dot(&product(&scaled, &y), &x), 1e-12);
    let eigen = done(Lanczos::default().run(&scaled, None, &mut Silent).unwrap());
    // P^-1 A (P^-1/2 v) = lambda (P^-1/2 v).
    let v: Vec<f64> = eigen.vectors[0].iter().zip(&diagonal).map(|(v, p)| v / p.sqrt()).collect();
    let image: Vec<f64> = product(&matrix, &v).iter().zip(&diagonal).map(|(x, p)| x / p).collect();
    let gap: Vec<f64> = image.iter().zip(&v).map(|(a, b)| a - eigen.largest[0].value * b).collect();
    assert!(norm(&gap) < 1e-5 * norm(&image));
    for bad in [vec![1.0; N - 1], vec![0.0; N], vec![f64::NAN; N]] {
        assert!(relief_hessian::Scaled::preconditioned(&matrix, &bad).is_err());
    }
    assert_eq!(scaled.dim(), N);
}
