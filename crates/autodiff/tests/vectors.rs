//! Long vectors against plain loops: whatever runs side by side, every sum has its fixed order.

use relief_autodiff::vectors::{coefficients, dot, norm, recombine, scale, subtract};

const LENGTHS: [usize; 8] = [1, 7, 8, 1023, 1025, 16_384, 16_390, 50_000];

fn vector(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.0 - 1.0).collect()
}

/// How far two orders of summation of the products' sum may be apart.
fn rounding(x: &[f64], y: &[f64]) -> f64 {
    2.0 * f64::EPSILON * x.len() as f64 * x.iter().zip(y).map(|(x, y)| (x * y).abs()).sum::<f64>()
}

#[test]
fn inner_products_are_those_of_a_plain_loop() {
    for n in LENGTHS {
        let x = vector(n, 0);
        for count in 0..10 {
            let basis: Vec<Vec<f64>> = (1..=count).map(|seed| vector(n, seed)).collect();
            let found = coefficients(&basis, &x);
            assert_eq!(found.len(), count);
            for (v, c) in basis.iter().zip(&found) {
                let plain: f64 = v.iter().zip(&x).map(|(v, x)| v * x).sum();
                assert!((c - plain).abs() <= rounding(v, &x), "{n} entries, {count} vectors: {c} {plain}");
                assert_eq!(c.to_bits(), coefficients(&[v], &x)[0].to_bits(), "company changes digits");
            }
        }
        assert!((norm(&x).powi(2) - dot(&x, &x)).abs() <= rounding(&x, &x));
    }
}

#[test]
fn multiples_are_subtracted_one_after_the_other_and_zeros_not_at_all() {
    for n in LENGTHS {
        for count in 0..10 {
            let mut basis: Vec<Vec<f64>> = (1..=count).map(|seed| vector(n, seed)).collect();
            let mut factors: Vec<f64> = (0..count).map(|i| 0.3 - 0.17 * i as f64).collect();
            if count > 4 {
                factors[2] = 0.0;
                basis[2][0] = f64::NAN;
            }
            let (mut found, mut plain) = (vector(n, 0), vector(n, 0));
            subtract(&basis, &factors, &mut found);
            for (v, c) in basis.iter().zip(&factors).filter(|(_, c)| **c != 0.0) {
                plain.iter_mut().zip(v).for_each(|(x, v)| *x -= c * v);
            }
            assert_eq!(found, plain, "{n} entries, {count} vectors");
            scale(&mut found, -3.0);
            assert_eq!(found, plain.iter().map(|x| -3.0 * x).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_basis_is_recombined_in_its_own_memory() {
    for n in LENGTHS {
        for (count, kept) in [(1, 1), (5, 2), (9, 9), (6, 0)] {
            let before: Vec<Vec<f64>> = (0..count).map(|seed| vector(n, seed)).collect();
            let columns: Vec<Vec<f64>> = (0..kept).map(|i| vector(count, 100 + i)).collect();
            let mut basis = before.clone();
            let mut slices: Vec<&mut [f64]> = basis.iter_mut().map(Vec::as_mut_slice).collect();
            recombine(&mut slices, &columns.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for (found, column) in basis.iter().zip(&columns) {
                let negative: Vec<f64> = column.iter().map(|c| -c).collect();
                let mut expected = vec![0.0; n];
                subtract(&before, &negative, &mut expected);
                assert_eq!(*found, expected, "{n} entries, {kept} of {count} vectors");
            }
            assert_eq!(basis[kept..], before[kept..], "the others are left alone");
        }
    }
}
