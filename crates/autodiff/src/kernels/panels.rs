//! Products of many small matrices with a factor that is packed once: out [rows, to] from a [rows, from] times b [from, to].
//!
//! For the products in the transformed domain of a convolution with few channels: a general product spends more on packing
//! its factors than on multiplying. Here b lies in panels of a few columns each, which the convolution's weights are
//! written in when they are transformed.

use super::Real;

/// Columns of a panel: two registers of the widest that every machine with wide ones has.
pub(super) const fn width<T>() -> usize {
    if size_of::<T>() == 4 { 16 } else { 8 }
}

/// Rows whose sums fit into the registers together.
const ROWS: usize = 6;

/// The panels of a factor with `to` columns: first column and number of columns of each.
pub(super) fn panels<T>(to: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..to).step_by(width::<T>()).map(move |first| (first, width::<T>().min(to - first)))
}

/// out = a b, or out += a b; a and out lie row after row, b panel after panel, and in each row after row.
#[inline(always)]
pub(super) fn multiply<T: Real>(out: &mut [T], a: &[T], b: &[T], [from, to]: [usize; 2], accumulate: bool) {
    for (first, columns) in panels::<T>(to) {
        let panel = &b[first * from..][..columns * from];
        let out = &mut out[first..];
        match columns {
            16 => by_rows::<T, 16>(out, a, panel, [from, to], accumulate),
            8 => by_rows::<T, 8>(out, a, panel, [from, to], accumulate),
            4 => by_rows::<T, 4>(out, a, panel, [from, to], accumulate),
            _ => (0..columns)
                .for_each(|c| column(&mut out[c..], a, &panel[c..], [from, to, columns], accumulate)),
        }
    }
}

#[inline(always)]
fn by_rows<T: Real, const N: usize>(
    out: &mut [T],
    a: &[T],
    panel: &[T],
    [from, to]: [usize; 2],
    accumulate: bool,
) {
    let whole = a.len() / from / ROWS * ROWS;
    let (many, few) = a.split_at(whole * from);
    let mut outs = out.chunks_mut(to);
    for a in many.chunks_exact(ROWS * from) {
        block::<T, N, ROWS>(&mut outs, a, panel, from, accumulate);
    }
    for a in few.chunks_exact(from) {
        block::<T, N, 1>(&mut outs, a, panel, from, accumulate);
    }
}

/// R rows and N columns at once.
#[inline(always)]
fn block<'a, T: Real, const N: usize, const R: usize>(
    outs: &mut impl Iterator<Item = &'a mut [T]>,
    a: &[T],
    panel: &[T],
    from: usize,
    accumulate: bool,
) {
    let rows: [&[T]; R] = std::array::from_fn(|r| &a[r * from..][..from]);
    let mut sums = [[T::zero(); N]; R];
    for (k, b) in panel.chunks_exact(N).enumerate().take(from) {
        for r in 0..R {
            let factor = rows[r][k];
            for n in 0..N {
                sums[r][n] = factor.mul_add(b[n], sums[r][n]);
            }
        }
    }
    for (sums, out) in sums.iter().zip(outs) {
        for (out, &sum) in out[..N].iter_mut().zip(sums) {
            *out = if accumulate { *out + sum } else { sum };
        }
    }
}

/// One column of a narrow panel.
#[inline(always)]
fn column<T: Real>(out: &mut [T], a: &[T], panel: &[T], [from, to, columns]: [usize; 3], accumulate: bool) {
    for (row, out) in a.chunks_exact(from).zip(out.iter_mut().step_by(to)) {
        let terms = row.iter().zip(panel.iter().step_by(columns));
        let sum = terms.fold(T::zero(), |sum, (&x, &b)| x.mul_add(b, sum));
        *out = if accumulate { *out + sum } else { sum };
    }
}
