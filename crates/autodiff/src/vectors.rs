//! Arithmetic on long vectors of doubles, in pieces of a fixed size: digits depend neither on the number of threads nor on
//! the processor nor, with [`tensors`], on the device.

pub mod tensors;

use rayon::prelude::*;

use crate::kernels::vectorised;

/// Entries that one task works on.
pub(crate) const PIECE: usize = 1 << 14;
/// Sums that run side by side over a piece, each over every eighth entry.
pub(crate) const LANES: usize = 8;
/// Vectors that are read side by side, so that what they meet is loaded once for all of them.
const SIDE_BY_SIDE: usize = 4;
/// Entries that are recombined at a time: those of some tens of vectors fit into a core's cache.
const BLOCK: usize = 1 << 10;

/// The inner products of `x` with every vector of a basis, all as long as `x`.
pub fn coefficients<V: AsRef<[f64]> + Sync>(basis: &[V], x: &[f64]) -> Vec<f64> {
    let pieces: Vec<Vec<f64>> = x
        .par_chunks(PIECE)
        .enumerate()
        .map(|(i, x)| {
            let pieces: Vec<&[f64]> = basis.iter().map(|v| piece(v.as_ref(), i, x.len())).collect();
            let (groups, rest) = pieces.as_chunks::<SIDE_BY_SIDE>();
            vectorised(|| {
                let groups = groups.iter().flat_map(|group| dots(*group, x));
                groups.chain(rest.iter().map(|v| dot(v, x))).collect()
            })
        })
        .collect();
    let mut sums = vec![0.0; basis.len()];
    for piece in pieces {
        sums.iter_mut().zip(piece).for_each(|(s, p)| *s += p);
    }
    sums
}

/// x <- x - sum of `coefficients[i] * basis[i]`. Vectors whose coefficient is zero are not read.
pub fn subtract<V: AsRef<[f64]> + Sync>(basis: &[V], coefficients: &[f64], x: &mut [f64]) {
    let used: Vec<Multiple> = coefficients
        .iter()
        .zip(basis)
        .filter(|(c, _)| **c != 0.0)
        .map(|(&factor, v)| Multiple { factor, of: v.as_ref() })
        .collect();
    x.par_chunks_mut(PIECE).enumerate().for_each(|(i, x)| {
        let used: Vec<Multiple> =
            used.iter().map(|m| Multiple { of: piece(m.of, i, x.len()), ..*m }).collect();
        vectorised(|| subtract_all(&used, x));
    });
}

/// Makes the first vectors of a basis combinations of all of it: number i the sum of `columns[i][j] * basis[j]`. Every entry
/// is read once and written at most once.
pub fn recombine(basis: &mut [&mut [f64]], columns: &[&[f64]]) {
    let length = basis.first().map_or(0, |v| v.len());
    let mut blocks: Vec<Vec<&mut [f64]>> = (0..length.div_ceil(BLOCK)).map(|_| vec![]).collect();
    for v in basis {
        blocks.iter_mut().zip(v.chunks_mut(BLOCK)).for_each(|(block, v)| block.push(v));
    }
    blocks.into_par_iter().for_each_init(Vec::new, |sums, mut block| {
        let length = block[0].len();
        sums.clear();
        sums.resize(columns.len() * length, 0.0);
        for (column, sum) in columns.iter().zip(sums.chunks_exact_mut(length)) {
            let parts = column.iter().zip(&block);
            let parts: Vec<Multiple> = parts.map(|(c, v)| Multiple { factor: -c, of: v }).collect();
            vectorised(|| subtract_all(&parts, sum));
        }
        block.iter_mut().zip(sums.chunks_exact(length)).for_each(|(v, sum)| v.copy_from_slice(sum));
    });
}

/// |x|.
pub fn norm(x: &[f64]) -> f64 {
    let pieces: Vec<f64> = x.par_chunks(PIECE).map(|x| vectorised(|| dot(x, x))).collect();
    pieces.iter().sum::<f64>().sqrt()
}

/// x <- factor x.
pub fn scale(x: &mut [f64], factor: f64) {
    x.par_chunks_mut(PIECE).for_each(|x| vectorised(|| x.iter_mut().for_each(|x| *x *= factor)));
}

/// Applies `f` to every entry of `out` with its entry of `x`.
pub fn pairwise<A: Send, B: Copy + Sync>(out: &mut [A], x: &[B], f: impl Fn(&mut A, B) + Sync) {
    out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(out, x)| {
        vectorised(|| out.iter_mut().zip(x).for_each(|(o, &x)| f(o, x)));
    });
}

/// x'y, of short vectors or pieces.
#[inline(always)]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let [sum] = dots([a], b);
    sum
}

/// The inner product of `b` with each of some vectors.
#[inline(always)]
fn dots<const N: usize>(vectors: [&[f64]; N], b: &[f64]) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let (ys, rest) = b.as_chunks::<LANES>();
    let (mut xs, mut rests) = ([&[][..]; N], [&[][..]; N]);
    for (v, (x, rest)) in vectors.iter().zip(xs.iter_mut().zip(&mut rests)) {
        (*x, *rest) = v[..b.len()].as_chunks::<LANES>();
        *x = &x[..ys.len()];
    }
    for (i, y) in ys.iter().enumerate() {
        for (lanes, x) in lanes.iter_mut().zip(xs) {
            for ((lane, x), y) in lanes.iter_mut().zip(x[i]).zip(y) {
                *lane += x * y;
            }
        }
    }
    let rest = |x: &[f64]| x.iter().zip(rest).map(|(a, b)| a * b).sum::<f64>();
    std::array::from_fn(|i| lanes[i].iter().sum::<f64>() + rest(rests[i]))
}

/// So many entries of piece number `i`.
fn piece(v: &[f64], i: usize, length: usize) -> &[f64] {
    &v[i * PIECE..i * PIECE + length]
}

/// A vector and a factor.
#[derive(Clone, Copy)]
struct Multiple<'a> {
    factor: f64,
    of: &'a [f64],
}

/// x less all of these, one after the other.
#[inline(always)]
fn subtract_all(multiples: &[Multiple], x: &mut [f64]) {
    let (groups, rest) = multiples.as_chunks::<SIDE_BY_SIDE>();
    groups.iter().for_each(|group| subtract_group(group, x));
    rest.iter().for_each(|one| subtract_group(&[*one], x));
}

#[inline(always)]
fn subtract_group<const N: usize>(multiples: &[Multiple; N], x: &mut [f64]) {
    let vectors = multiples.map(|m| &m.of[..x.len()]);
    for (i, x) in x.iter_mut().enumerate() {
        for (m, v) in multiples.iter().zip(vectors) {
            *x -= m.factor * v[i];
        }
    }
}
