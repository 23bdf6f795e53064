//! Matrix products on strided views: packed by ourselves where that is faster, else through the `gemm` crate.

use gemm::Parallelism;
use rayon::prelude::*;

use super::packed::multiply_packed;
use super::scratch::with_buffer;
use super::tile::DEPTH;
use super::{Real, wide_registers};

/// A matrix inside a slice; its number of rows and columns comes with the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    /// The entries, from the first one on.
    pub(crate) data: &'a [T],
    /// Distance between neighbouring rows.
    pub(crate) row_stride: usize,
    /// Distance between neighbouring columns.
    pub(crate) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix with this many columns.
    pub(crate) fn rows_of(data: &'a [T], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// The same entries with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    pub(super) fn skip_rows(self, row: usize) -> Self {
        Self { data: &self.data[row * self.row_stride..], ..self }
    }

    pub(super) fn skip_columns(self, column: usize) -> Self {
        Self { data: &self.data[column * self.column_stride..], ..self }
    }

    fn reaches(self, rows: usize, columns: usize) -> usize {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride + 1
    }
}

/// Products with fewer multiply-adds stay on one thread.
const PARALLEL: usize = 1 << 22;
/// Products that are packed by ourselves have at least as many multiply-adds, rows and columns.
const SMALL: usize = 1 << 18;
const NARROW: usize = 32;
/// Terms of a sum from which on it is no matter that results are transposed.
const TURNED: usize = 128;
/// Rows or columns that one task works on: enough that packing the other side again does not show.
const TASK: usize = 256;

/// out = lhs rhs, or out += lhs rhs: out [m, n] row-major, lhs [m, k], rhs [k, n].
pub(crate) fn multiply_add<T: Real>(
    out: &mut [T],
    m: usize,
    n: usize,
    k: usize,
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    accumulate: bool,
) {
    let parallel = m * n * k >= PARALLEL;
    if suits_packing([m, n, k], lhs) {
        return multiply_packed(&mut out[..m * n], [m, n, k], lhs, rhs, accumulate, parallel);
    }
    let turned = suits_turning([m, n, k], lhs, rhs);
    if !turned && (!parallel || m.max(n) < 2 * TASK) {
        return multiply_add_strided(out, n, m, n, k, lhs, rhs, accumulate);
    }
    if !turned && m >= 2 * TASK {
        return out[..m * n].par_chunks_mut(TASK * n).enumerate().for_each(|(i, out)| {
            multiply_add_strided(out, n, out.len() / n, n, k, lhs.skip_rows(i * TASK), rhs, accumulate);
        });
    }
    // Two halves of the columns, which are apart but not in one piece; or none on the left.
    let half = if parallel { n / 2 } else { 0 };
    let (mut left, mut right) = (vec![], vec![]);
    for row in out[..m * n].chunks_exact_mut(n) {
        let (l, r) = row.split_at_mut(half);
        left.push(l);
        right.push(r);
    }
    let side = |rows: Vec<&mut [T]>, first: usize, n: usize| {
        if n == 0 {
            return;
        }
        with_buffer(m * n, |buffer| {
            let rhs = rhs.skip_columns(first);
            if turned {
                multiply_add_strided(buffer, m, n, m, k, rhs.transposed(), lhs.transposed(), false);
            } else {
                multiply_add_strided(buffer, n, m, n, k, lhs, rhs, false);
            }
            let (row_stride, column_stride) = if turned { (1, m) } else { (n, 1) };
            for (i, row) in rows.into_iter().enumerate() {
                let product = buffer[i * row_stride..].iter().step_by(column_stride);
                if accumulate {
                    row.iter_mut().zip(product).for_each(|(r, &p)| *r += p);
                } else {
                    row.iter_mut().zip(product).for_each(|(r, &p)| *r = p);
                }
            }
        });
    };
    rayon::join(|| side(left, 0, half), || side(right, half, n - half));
}

/// Whether the transposed product is computed instead, of few rows that are short of the many columns they meet: where both
/// factors lie along the sum, the `gemm` crate packs the right one whole, and of the transposed product the left one.
fn suits_turning<T>([m, n, k]: [usize; 3], lhs: Matrix<'_, T>, rhs: Matrix<'_, T>) -> bool {
    n >= 2 * m && m >= NARROW && k >= TURNED && lhs.column_stride == 1 && rhs.row_stride == 1
}

/// Whether [`multiply_packed`] is the faster way: not in f64, not for small or narrow products, not where long columns of
/// `lhs` would have to be gathered, nor with registers of 64 bytes, which the `gemm` crate makes more of.
fn suits_packing<T>([m, n, k]: [usize; 3], lhs: Matrix<'_, T>) -> bool {
    size_of::<T>() == 4
        && m.min(n) >= NARROW
        && m * n * k >= SMALL
        && (lhs.column_stride == 1 || k <= DEPTH)
        && !wide_registers()
}

/// A vector of `length` entries, all of which `write` writes.
///
/// # Safety
/// `write` must write every entry before it reads it, and leave none out unless it fails.
pub(crate) unsafe fn written<T: Real, E>(
    length: usize,
    write: impl FnOnce(&mut [T]) -> Result<(), E>,
) -> Result<Vec<T>, E> {
    let mut out: Vec<T> = Vec::with_capacity(length);
    // SAFETY: the entries are there and belong to the vector; every pattern of bits is a number, and none is read before it
    // was written.
    write(unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr(), length) })?;
    // SAFETY: all entries were written.
    unsafe { out.set_len(length) };
    Ok(out)
}

/// The same on one thread, with `out_stride` entries from one row of the result to the next.
#[expect(clippy::too_many_arguments, reason = "the shape of a matrix product")]
pub(crate) fn multiply_add_strided<T: Real>(
    out: &mut [T],
    out_stride: usize,
    m: usize,
    n: usize,
    k: usize,
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            out.chunks_mut(out_stride).take(m).for_each(|row| row[..n].fill(T::zero()));
        }
        return;
    }
    assert!(out_stride >= n && out.len() >= (m - 1) * out_stride + n, "the result does not fit its slice");
    assert!(
        lhs.data.len() >= lhs.reaches(m, k) && rhs.data.len() >= rhs.reaches(k, n),
        "a factor leaves its slice"
    );
    // SAFETY: the assertions above show that every entry addressed lies in its slice, and rows of `out` do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
