//! Arithmetic on long vectors, in pieces of a fixed size: the digits do not depend on the number of threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Entries that one task works on.
const PIECE: usize = 1 << 14;

/// The inner products of `x` with every vector of the basis.
pub(crate) fn coefficients(basis: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let pieces: Vec<Vec<f64>> = x
        .par_chunks(PIECE)
        .enumerate()
        .map(|(i, x)| basis.iter().map(|v| dot(&v[i * PIECE..i * PIECE + x.len()], x)).collect())
        .collect();
    let mut sums = vec![0.0; basis.len()];
    for piece in pieces {
        sums.iter_mut().zip(piece).for_each(|(s, p)| *s += p);
    }
    sums
}

/// x <- x - sum of `coefficients[i] * basis[i]`.
pub(crate) fn subtract(basis: &[Vec<f64>], coefficients: &[f64], x: &mut [f64]) {
    x.par_chunks_mut(PIECE).enumerate().for_each(|(i, x)| {
        for (v, &c) in basis.iter().zip(coefficients) {
            let v = &v[i * PIECE..i * PIECE + x.len()];
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= c * v);
        }
    });
}

/// Every combination `sum_i basis[i] * columns[j][i]`, replacing the basis.
pub(crate) fn recombine(basis: &mut Vec<Vec<f64>>, columns: &[&[f64]]) {
    let n = basis.first().map_or(0, Vec::len);
    let mut out = vec![vec![0.0; n]; columns.len()];
    for (out, column) in out.iter_mut().zip(columns) {
        let negative: Vec<f64> = column.iter().map(|c| -c).collect();
        subtract(basis, &negative, out);
    }
    *basis = out;
}

/// |x|.
pub(crate) fn norm(x: &[f64]) -> f64 {
    let pieces: Vec<f64> = x.par_chunks(PIECE).map(|x| dot(x, x)).collect();
    pieces.iter().sum::<f64>().sqrt()
}

/// x <- factor x.
pub(crate) fn scale(x: &mut [f64], factor: f64) {
    x.par_chunks_mut(PIECE).for_each(|x| x.iter_mut().for_each(|x| *x *= factor));
}

/// Random vector number `draw` of a seed, with standard normal entries.
pub(crate) fn random(n: usize, seed: u64, draw: u64) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(draw);
    (0..n).map(|_| StandardNormal.sample(&mut generator)).collect()
}

/// x'y, of short vectors or pieces.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (xs, ys) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (x, y) in xs.zip(ys) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f64>() + rest
}
