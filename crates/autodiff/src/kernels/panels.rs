//! Products of many small matrices with a factor that is packed once: out [rows, to] from a [rows, from] times b [from, to].
//!
//! For convolutions with few channels: a general product spends more on packing its factors than on multiplying. Here b
//! lies in panels of a few columns each, which the convolution's weights are written in once, and a is read where it lies.

use std::array::from_fn;

use super::Real;

/// Columns of a register of 32 bytes.
const fn lanes<T>() -> usize {
    32 / size_of::<T>()
}

/// Columns of a panel that is not a factor's last one.
pub(super) const fn wide<T>() -> usize {
    2 * lanes::<T>()
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
    (0..to).step_by(wide::<T>()).map(move |first| {
        let left = to - first;
        let width = if left > lanes::<T>() { wide::<T>() } else { lanes::<T>() };
        Panel { first, columns: width.min(left), width }
    })
}

/// Columns of all panels together.
pub(super) fn padded<T>(to: usize) -> usize {
    panels::<T>(to).map(|panel| panel.width).sum()
}

/// Where the rows of a factor lie: in strips, one after the other for the sum, but anywhere in memory.
#[derive(Clone, Copy)]
pub(super) struct Strips {
    pub(super) count: usize,
    /// Entries of a row in a strip.
    pub(super) length: usize,
    /// From one strip of a row to the next.
    pub(super) apart: usize,
    /// From one row to the next.
    pub(super) step: usize,
}

impl Strips {
    /// Row after row without gaps.
    pub(super) fn rows_of(length: usize) -> Self {
        Self { count: 1, length, apart: 0, step: length }
    }
}

/// The panel's columns of out = a b, or out += a b, for some rows: `out` starts at the panel's first column and has `stride`
/// entries a row, `b` has the panel alone, row after row.
#[inline(always)]
pub(super) fn multiply<T: Real>(
    panel: Panel,
    rows: usize,
    (out, stride): (&mut [T], usize),
    (a, strips): (&[T], Strips),
    b: &[T],
    accumulate: bool,
) {
    let out = (out, stride, panel.columns);
    match (size_of::<T>(), panel.width) {
        (4, 16) => by_rows::<T, 8, 2>(rows, out, (a, strips), b, accumulate),
        (4, _) => by_rows::<T, 8, 1>(rows, out, (a, strips), b, accumulate),
        (_, 8) => by_rows::<T, 4, 2>(rows, out, (a, strips), b, accumulate),
        _ => by_rows::<T, 4, 1>(rows, out, (a, strips), b, accumulate),
    }
}

#[inline(always)]
fn by_rows<T: Real, const L: usize, const H: usize>(
    rows: usize,
    (out, stride, columns): (&mut [T], usize, usize),
    (a, strips): (&[T], Strips),
    b: &[T],
    accumulate: bool,
) {
    let mut row = 0;
    // As many at a time as registers hold, then what is left.
    macro_rules! blocks {
        ($($at_once:expr),*) => {$(
            while rows - row >= $at_once {
                let out = (&mut out[row * stride..], stride, columns);
                block::<T, L, H, { $at_once }>(out, (&a[row * strips.step..], strips), b, accumulate);
                row += $at_once;
            }
        )*};
    }
    blocks!(ROWS, 4, 2, 1);
}

/// R rows and H registers of L columns at once.
#[inline(always)]
fn block<T: Real, const L: usize, const H: usize, const R: usize>(
    (out, stride, columns): (&mut [T], usize, usize),
    (a, strips): (&[T], Strips),
    b: &[T],
    accumulate: bool,
) {
    let mut sums = [[[T::zero(); L]; H]; R];
    for (nth, b) in b.chunks_exact(strips.length * L * H).enumerate().take(strips.count) {
        let mut rows: [&[T]; R] = [&[]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &a[nth * strips.apart + r * strips.step..][..strips.length];
        }
        for (k, b) in (0..strips.length).zip(b.chunks_exact(L * H)) {
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
    }
    for (sums, out) in sums.into_iter().zip(out.chunks_mut(stride)) {
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
