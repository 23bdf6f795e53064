//! Functions of rows that stay in the first cache while they are worked on.

use rayon::prelude::*;
use std::mem::MaybeUninit;

use super::{Real, SERIAL, vectorised};

/// Independent partial sums, so that the compiler can use wide registers.
const LANES: usize = 8;

/// `count` rows of `width` entries: `f` sees a row's number, adds to its zeros, and gives a number that belongs to it.
pub(crate) fn each_row<T: Real>(
    count: usize,
    width: usize,
    f: impl Fn(usize, &mut [T]) -> f64 + Sync,
) -> (Vec<T>, Vec<f64>) {
    let mut numbers = vec![0.0; count];
    let n = count * width;
    if n == 0 {
        return (vec![], numbers);
    }
    let mut out = Vec::with_capacity(n);
    let together = SERIAL.div_ceil(width);
    let block = |nth: usize, out: &mut [MaybeUninit<T>], numbers: &mut [f64]| {
        vectorised(
            #[inline(always)]
            || {
                for (i, (row, number)) in out.chunks_exact_mut(width).zip(numbers).enumerate() {
                    *number = f(nth * together + i, zeroed(row));
                }
            },
        );
    };
    let spare = &mut out.spare_capacity_mut()[..n];
    if n < SERIAL {
        block(0, spare, &mut numbers);
    } else {
        let blocks = spare.par_chunks_mut(together * width).zip(numbers.par_chunks_mut(together));
        blocks.enumerate().for_each(|(nth, (out, numbers))| block(nth, out, numbers));
    }
    // SAFETY: the blocks cover all rows, and every row of a block was filled.
    unsafe { out.set_len(n) };
    (out, numbers)
}

#[inline(always)]
fn zeroed<T: Real>(row: &mut [MaybeUninit<T>]) -> &mut [T] {
    for entry in &mut *row {
        entry.write(T::zero());
    }
    // SAFETY: every entry was written just now.
    unsafe { &mut *(std::ptr::from_mut(row) as *mut [T]) }
}

/// The entries in double precision.
#[inline(always)]
pub(crate) fn widen<T: Real>(x: &[T], out: &mut [f64]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = x.into();
    }
}

/// K sums over the entries of a row and of N others of its length, in f64.
#[inline(always)]
pub(crate) fn totals<Y: Real, T: Real, const N: usize, const K: usize>(
    row: &[Y],
    others: [&[T]; N],
    f: impl Fn(f64, [f64; N]) -> [f64; K],
) -> [f64; K] {
    let others = others.map(
        #[inline(always)]
        |other| &other[..row.len()],
    );
    let mut lanes = [[0.0; LANES]; K];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for (i, chunk) in chunks.iter().enumerate() {
        let mut beside = [[0.0; LANES]; N];
        for n in 0..N {
            let entries = &others[n][i * LANES..][..LANES];
            for l in 0..LANES {
                beside[n][l] = entries[l].into();
            }
        }
        for l in 0..LANES {
            let mut at = [0.0; N];
            for n in 0..N {
                at[n] = beside[n][l];
            }
            let terms = f(chunk[l].into(), at);
            for k in 0..K {
                lanes[k][l] += terms[k];
            }
        }
    }
    let mut sums = [0.0; K];
    for k in 0..K {
        let l = &lanes[k];
        sums[k] = ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
    }
    let first = row.len() - rest.len();
    for (i, &entry) in rest.iter().enumerate() {
        let mut at = [0.0; N];
        for n in 0..N {
            at[n] = others[n][first + i].into();
        }
        let terms = f(entry.into(), at);
        for k in 0..K {
            sums[k] += terms[k];
        }
    }
    sums
}
