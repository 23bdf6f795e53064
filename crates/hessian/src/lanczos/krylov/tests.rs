//! The basis against its definition, on spectra that are hard to keep orthogonal.

use super::Krylov;
use crate::Result;
use crate::lanczos::vector::Vector;
use crate::lanczos::vectors::{self, dot};
use crate::operator::SymmetricOperator;

const N: usize = 80;

/// A diagonal matrix; products are off by some noise, as those in single precision are.
struct Diagonal {
    values: Vec<f64>,
    noise: f64,
}

impl SymmetricOperator for Diagonal {
    fn dim(&self) -> usize {
        N
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        for (i, y) in y.iter_mut().enumerate() {
            *y = self.values[i] * x[i] + self.noise * (1e4 * x[i] + i as f64).sin();
        }
        Ok(())
    }
}

fn unit(draw: u64) -> Vec<f64> {
    let mut v = vectors::random(N, 3, draw);
    let length = vectors::norm(&v);
    vectors::scale(&mut v, 1.0 / length);
    v
}

fn spectra() -> Vec<(&'static str, Vec<f64>)> {
    let of = |f: &dyn Fn(usize) -> f64| (0..N).map(f).collect();
    vec![
        ("evenly spread", of(&|i| i as f64 / N as f64 - 0.3)),
        ("over 16 decades", of(&|i| 10f64.powf(-0.2 * i as f64))),
        (
            "three outliers over a cluster",
            of(&|i| if i < 3 { 100.0 - i as f64 } else { 1.0 + 1e-9 * i as f64 }),
        ),
        ("two values", of(&|i| f64::from(u8::from(i % 2 == 0)))),
        ("rank one", of(&|i| if i == 7 { -4.0 } else { 0.0 })),
        ("tiny", of(&|i| 1e-200 * (i as f64).sin())),
    ]
}

/// Vectors are orthonormal, and the projection is what their products have along them, as if nothing were rounded.
fn assert_exact(krylov: &Krylov, operator: &Diagonal, what: &str) {
    let basis: Vec<Vec<f64>> = krylov.vectors.iter().map(|v| v.entries().unwrap().into_owned()).collect();
    for (i, v) in basis.iter().enumerate() {
        for (j, w) in basis.iter().enumerate() {
            let off = (dot(v, w) - f64::from(u8::from(i == j))).abs();
            assert!(off < 1e-13, "{what}: vectors {i} and {j} are off by {off}");
        }
    }
    let size = operator.values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    let rows = krylov.projected.iter().chain(&krylov.coupling);
    let mut product = vec![0.0; N];
    for (i, (row, v)) in rows.zip(&basis).enumerate() {
        for (j, found) in row.iter().enumerate() {
            operator.apply(&basis[j], &mut product).unwrap();
            let off = (found - dot(v, &product)).abs();
            let allowed = 1e-13 * size + 10.0 * operator.noise;
            assert!(off <= allowed, "{what}: entry {i}, {j} is off by {off}");
        }
    }
}

#[test]
fn the_basis_stays_orthonormal_and_the_projection_exact() {
    for (name, values) in spectra() {
        for (given, noise) in [(1, 0.0), (3, 0.0), (1, 1e-7)] {
            let what = format!("{name}, {given} given, noise {noise}");
            let size = values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
            let operator = Diagonal { values: values.clone(), noise: noise * size };
            let mut krylov = Krylov::default();
            for draw in 0..given {
                let mut v = Vector::Host(unit(draw));
                for _ in 0..2 {
                    let along = v.coefficients(&krylov.vectors).unwrap();
                    v.subtract(&krylov.vectors, &along).unwrap();
                }
                let length = v.norm().unwrap();
                v.scale(1.0 / length).unwrap();
                krylov.give(v);
            }
            for step in 0..40 {
                if krylov.extend(&operator).unwrap() && krylov.coupling.is_empty() {
                    break;
                }
                if step % 15 == 14 {
                    let ritz = krylov.ritz(0).unwrap();
                    let chosen: Vec<usize> = (0..krylov.len()).rev().take(6).collect();
                    krylov.keep(0, &ritz, &chosen).unwrap();
                }
                assert_exact(&krylov, &operator, &format!("{what}, step {step}"));
            }
        }
    }
}
