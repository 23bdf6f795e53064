//! Matrices whose spectra are known.

#![allow(dead_code, reason = "every test file uses some of it")]

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_hessian::{Result, Silent, SpectralDensity, Spectrum, SpectrumOutcome, SymmetricOperator};

/// A diagonal matrix: random vectors that are uniform on the sphere do not tell it from a rotated one.
pub(crate) struct Diagonal(pub(crate) Vec<f64>);

impl SymmetricOperator for Diagonal {
    fn dim(&self) -> usize {
        self.0.len()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        y.iter_mut().zip(x).zip(&self.0).for_each(|((y, x), d)| *y = d * x);
        Ok(())
    }
}

/// `n` values between `low` and `high`, evenly spaced.
pub(crate) fn even(n: usize, low: f64, high: f64) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

/// The eigenvalues of Z Z' / samples plus a diagonal, for an n by `samples` matrix Z of standard normal numbers.
pub(crate) fn wishart(n: usize, samples: usize, spikes: &[f64]) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(31);
    let z: faer::Mat<f64> = faer::Mat::from_fn(n, samples, |_, _| StandardNormal.sample(&mut random));
    let mut matrix: faer::Mat<f64> = &z * z.transpose();
    for i in 0..n {
        for j in 0..n {
            matrix[(i, j)] /= samples as f64;
        }
        matrix[(i, i)] += spikes.get(i).copied().unwrap_or(0.0);
    }
    matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap()
}

/// The outliers of [`network`], as many as there would be classes.
pub(crate) const OUTLIERS: [f64; 10] = [4.4, 2.7, 2.2, 2.1, 1.5, 1.2, 0.9, 0.6, 0.4, 0.2];

/// A spectrum like that of a network's Hessian: most of it crowds around zero, on both sides.
pub(crate) fn network() -> Vec<f64> {
    let bulk = (0..290).map(|k| 1e-2 * (f64::from(k) * 2.3).sin() * (-f64::from(k) / 60.0).exp());
    bulk.chain(OUTLIERS).collect()
}

/// Spectra of all sorts.
pub(crate) fn spectra() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("uniform", even(300, -1.0, 1.0)),
        ("two atoms", [vec![1.0; 100], vec![-0.5; 200]].concat()),
        ("bulk and outliers", [even(290, -0.2, 0.2), even(10, 1.0, 5.0)].concat()),
        ("heavy tail", (1..=300).map(|k| 5.0 / f64::from(k).powf(1.5)).collect()),
        ("Wishart", wishart(200, 400, &[])),
        ("spiked", wishart(200, 200, &[5.0, 4.0, 3.0])),
        ("all equal", vec![0.7; 250]),
        ("zero", vec![0.0; 250]),
        ("fewer rows than steps", vec![-1.0, 0.0, 0.0, 0.5, 2.0, 2.0, 2.0]),
        ("one row", vec![-3.0]),
        ("negative definite", even(250, -3.0, -1.0)),
        ("a network's", network()),
    ]
}

pub(crate) fn density(settings: &SpectralDensity, operator: &dyn SymmetricOperator) -> Spectrum {
    match settings.run(operator, &mut Silent).unwrap() {
        SpectrumOutcome::Done(spectrum) => spectrum,
        SpectrumOutcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

pub(crate) fn settings(probes: usize, steps: usize, seed: u64) -> SpectralDensity {
    SpectralDensity { probes: Some(probes), steps: Some(steps), seed, ..SpectralDensity::default() }
}

/// The share of eigenvalues up to and including `x`.
pub(crate) fn share(eigenvalues: &[f64], x: f64) -> f64 {
    eigenvalues.iter().filter(|v| **v <= x).count() as f64 / eigenvalues.len() as f64
}

/// Places at and just below some eigenvalues, between them, and outside all.
pub(crate) fn places(eigenvalues: &[f64], count: usize) -> Vec<f64> {
    let mut sorted = eigenvalues.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    let mut places = vec![low - 1e-3, low, high, high + 1e-3, low - 0.3 * (high - low)];
    for pair in sorted.windows(2).step_by((sorted.len() / count).max(1)) {
        places.extend([pair[0], pair[1].next_down(), 0.5 * (pair[0] + pair[1])]);
    }
    places
}

/// The Wasserstein distance between two measures given by places and masses.
pub(crate) fn wasserstein(
    one: impl Iterator<Item = (f64, f64)>,
    other: impl Iterator<Item = (f64, f64)>,
) -> f64 {
    let mut jumps: Vec<(f64, f64)> = one.chain(other.map(|(at, mass)| (at, -mass))).collect();
    jumps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut difference = 0.0f64;
    let mut distance = 0.0;
    for pair in jumps.windows(2) {
        difference += pair[0].1;
        distance += difference.abs() * (pair[1].0 - pair[0].0);
    }
    distance
}
