//! Products of tall matrices, in a fixed order of sums whatever the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Columns of a result that one task computes.
const BLOCK: usize = 32;

/// sum += factor * left' right, column by column.
pub(super) fn add_product(sum: &mut [f64], factor: f64, left: MatRef<'_, f64>, right: MatRef<'_, f64>) {
    let rows = left.ncols();
    sum.par_chunks_mut(rows * BLOCK).enumerate().for_each(|(i, out)| {
        let width = out.len() / rows;
        let out = MatMut::from_column_major_slice_mut(out, rows, width);
        matmul(out, Accum::Add, left.transpose(), right.subcols(i * BLOCK, width), factor, Par::Seq);
    });
}

/// rows * basis, column by column.
pub(super) fn rotated(rows: MatRef<'_, f64>, basis: MatRef<'_, f64>) -> Vec<f64> {
    let mut out = vec![0.0; rows.nrows() * basis.ncols()];
    add_product(&mut out, 1.0, rows.transpose(), basis);
    out
}

/// A matrix whose rows lie one after the other.
pub(super) fn by_rows(entries: &[f64], columns: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(entries, entries.len() / columns, columns)
}

/// A matrix whose columns lie one after the other.
pub(super) fn by_columns(entries: &[f64], rows: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(entries, rows, entries.len() / rows)
}

/// Ranges of at most so many examples each.
pub(super) fn pieces(examples: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let most = most.max(1);
    (0..examples).step_by(most).map(move |start| start..examples.min(start + most))
}
