//! Products of many small matrices with a factor that is packed once: out [rows, to] from a [rows, from] times b [from, to].
//!
//! For the products in the transformed domain of a convolution with few channels: a general product spends more on packing
//! its factors than on multiplying. Here b lies in panels of a few columns each, which the convolution's weights are
//! written in when they are transformed.

use std::array::from_fn;

use super::Real;

/// Columns of a register of 32 bytes.
const fn lanes<T>() -> usize {
    32 / size_of::<T>()
}

/// Rows whose sums fit into the registers together, with two registers of columns.
const ROWS: usize = 6;

/// Some columns of a factor, in as many as registers hold.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// The first column.
    pub(super) first: usize,
    /// Columns of the factor.
    pub(super) columns: usize,
    /// These and columns of zeros.
    pub(super) width: usize,
}

/// The panels of a factor with `to` columns: two registers wide as long as there are columns, then one.
pub(super) fn panels<T>(to: usize) -> impl Iterator<Item = Panel> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = to - first;
        let width = if left > lanes::<T>() { 2 * lanes::<T>() } else { lanes::<T>() };
        let panel = Panel { first, columns: width.min(left), width };
        first += panel.columns;
        (left > 0).then_some(panel)
    })
}

/// Columns of all panels together.
pub(super) fn padded<T>(to: usize) -> usize {
    panels::<T>(to).map(|panel| panel.width).sum()
}

/// out = a b, or out += a b; a and out lie row after row, b panel after panel, and in each row after row.
#[inline(always)]
pub(super) fn multiply<T: Real>(out: &mut [T], a: &[T], b: &[T], [from, to]: [usize; 2], accumulate: bool) {
    for panel in panels::<T>(to) {
        let b = &b[panel.first * from..][..panel.width * from];
        let out = (&mut out[panel.first..], panel.columns);
        match (size_of::<T>(), panel.width) {
            (4, 16) => by_rows::<T, 8, 2>(out, a, b, [from, to], accumulate),
            (4, _) => by_rows::<T, 8, 1>(out, a, b, [from, to], accumulate),
            (_, 8) => by_rows::<T, 4, 2>(out, a, b, [from, to], accumulate),
            _ => by_rows::<T, 4, 1>(out, a, b, [from, to], accumulate),
        }
    }
}

#[inline(always)]
fn by_rows<T: Real, const L: usize, const H: usize>(
    (out, columns): (&mut [T], usize),
    a: &[T],
    b: &[T],
    [from, to]: [usize; 2],
    accumulate: bool,
) {
    let whole = a.len() / from / ROWS * ROWS;
    let (many, few) = a.split_at(whole * from);
    let mut outs = out.chunks_mut(to);
    for a in many.chunks_exact(ROWS * from) {
        block::<T, L, H, ROWS>((&mut outs, columns), a, b, from, accumulate);
    }
    for a in few.chunks_exact(from) {
        block::<T, L, H, 1>((&mut outs, columns), a, b, from, accumulate);
    }
}

/// R rows and H registers of L columns at once.
#[inline(always)]
fn block<'a, T: Real, const L: usize, const H: usize, const R: usize>(
    (outs, columns): (&mut impl Iterator<Item = &'a mut [T]>, usize),
    a: &[T],
    b: &[T],
    from: usize,
    accumulate: bool,
) {
    let rows: [&[T]; R] = from_fn(|r| &a[r * from..][..from]);
    let mut sums = [[[T::zero(); L]; H]; R];
    for (k, b) in b.chunks_exact(L * H).enumerate().take(from) {
        let b: [[T; L]; H] = from_fn(
            #[inline(always)]
            |h| {
                from_fn(
                    #[inline(always)]
                    |l| b[h * L + l],
                )
            },
        );
        for r in 0..R {
            let factor = rows[r][k];
            for h in 0..H {
                sums[r][h] = from_fn(
                    #[inline(always)]
                    |l| factor.mul_add(b[h][l], sums[r][h][l]),
                );
            }
        }
    }
    for (sums, out) in sums.into_iter().zip(outs) {
        for (h, sums) in sums.into_iter().enumerate() {
            let out = &mut out[h * L..];
            // A constant length first: a variable one would keep the sums out of registers.
            if h * L + L <= columns {
                store(&mut out[..L], sums, accumulate);
            } else {
                store(&mut out[..columns - h * L], sums, accumulate);
            }
        }
    }
}

#[inline(always)]
fn store<T: Real, const L: usize>(out: &mut [T], sums: [T; L], accumulate: bool) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = if accumulate { *out + sum } else { sum };
    }
}
