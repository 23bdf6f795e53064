//! Arithmetic on long vectors of doubles, in pieces of a fixed size: digits depend neither on the number of threads nor, with
//! [`tensors`], on the device.

pub mod tensors;

use rayon::prelude::*;

/// Entries that one task works on.
pub(crate) const PIECE: usize = 1 << 14;
/// Sums that run side by side over a piece, each over every eighth entry.
pub(crate) const LANES: usize = 8;

/// The inner products of `x` with every vector of a basis, all as long as `x`.
pub fn coefficients<V: AsRef<[f64]> + Sync>(basis: &[V], x: &[f64]) -> Vec<f64> {
    let pieces: Vec<Vec<f64>> = x
        .par_chunks(PIECE)
        .enumerate()
        .map(|(i, x)| basis.iter().map(|v| dot(&v.as_ref()[i * PIECE..i * PIECE + x.len()], x)).collect())
        .collect();
    let mut sums = vec![0.0; basis.len()];
    for piece in pieces {
        sums.iter_mut().zip(piece).for_each(|(s, p)| *s += p);
    }
    sums
}

/// x <- x - sum of `coefficients[i] * basis[i]`.
pub fn subtract<V: AsRef<[f64]> + Sync>(basis: &[V], coefficients: &[f64], x: &mut [f64]) {
    x.par_chunks_mut(PIECE).enumerate().for_each(|(i, x)| {
        for (v, &c) in basis.iter().zip(coefficients) {
            let v = &v.as_ref()[i * PIECE..i * PIECE + x.len()];
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= c * v);
        }
    });
}

/// |x|.
pub fn norm(x: &[f64]) -> f64 {
    let pieces: Vec<f64> = x.par_chunks(PIECE).map(|x| dot(x, x)).collect();
    pieces.iter().sum::<f64>().sqrt()
}

/// x <- factor x.
pub fn scale(x: &mut [f64], factor: f64) {
    x.par_chunks_mut(PIECE).for_each(|x| x.iter_mut().for_each(|x| *x *= factor));
}

/// x'y, of short vectors or pieces.
#[inline]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (xs, ys) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (x, y) in xs.zip(ys) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f64>() + rest
}
