//! Entries chosen by index.

use candle_core::{DType, Tensor};

use super::Call;
use crate::Result;

/// What embeddings fix: the indices, and for every row of the table the places at which it is chosen, so that the adjoint
/// needs no two threads to add to one row. One tensor: indices, first place of every row and the end, places.
pub(crate) fn places_of_rows(ids: &Tensor, rows: usize) -> Result<Tensor> {
    let chosen = ids.flatten_all()?.to_vec1::<u32>()?;
    let mut first = vec![0u32; rows + 1];
    for &row in &chosen {
        first[row as usize + 1] += 1;
    }
    for row in 0..rows {
        first[row + 1] += first[row];
    }
    let (mut next, mut places) = (first.clone(), vec![0u32; chosen.len()]);
    for (place, &row) in chosen.iter().enumerate() {
        places[next[row as usize] as usize] = place as u32;
        next[row as usize] += 1;
    }
    Ok(Tensor::new([chosen, first, places].concat(), ids.device())?)
}

/// Rows of a table [rows, ..], one after the other: [indices, entries of a row].
pub(crate) fn rows(table: &Tensor, fixed: &Tensor) -> Result<Tensor> {
    let rows = table.dims()[0];
    let width = table.elem_count() / rows.max(1);
    let count = indices(fixed, rows);
    call("rows", &[table, &fixed.narrow(0, 0, count)?], &[count, width], &[width])
}

/// The adjoint: a table of this shape.
pub(crate) fn rows_adjoint(g: &Tensor, fixed: &Tensor, table: &[usize]) -> Result<Tensor> {
    let count = indices(fixed, table[0]);
    let (first, places) =
        (fixed.narrow(0, count, table[0] + 1)?, fixed.narrow(0, count + table[0] + 1, count)?);
    call("rows_adjoint", &[g, &first, &places], table, &[table[1..].iter().product()])
}

/// Number of indices in what [`places_of_rows`] made.
fn indices(fixed: &Tensor, rows: usize) -> usize {
    (fixed.elem_count() - rows - 1) / 2
}

/// One entry of every row of [n, c], at these places of the flattened tensor.
pub(crate) fn pick(x: &Tensor, places: &Tensor) -> Result<Tensor> {
    call("pick", &[x, places], places.dims(), &[])
}

/// The adjoint of [`pick`].
pub(crate) fn pick_adjoint(g: &Tensor, places: &Tensor, shape: [usize; 2]) -> Result<Tensor> {
    call("pick_adjoint", &[g, places], &shape, &[shape[1]])
}

/// Every `step`-th entry along an axis.
pub(crate) fn stride(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let (full, inner) = (shape[axis], shape[axis + 1..].iter().product());
    shape[axis] = full.div_ceil(step);
    let taken = shape[axis];
    call("stride", &[x], &shape, &[full, inner, step, taken])
}

/// The adjoint of [`stride`] for an axis of length `full`.
pub(crate) fn stride_adjoint(g: &Tensor, axis: usize, step: usize, full: usize) -> Result<Tensor> {
    let mut shape = g.dims().to_vec();
    let (taken, inner) = (shape[axis], shape[axis + 1..].iter().product());
    shape[axis] = full;
    call("stride_adjoint", &[g], &shape, &[full, inner, step, taken])
}

fn call(kernel: &str, inputs: &[&Tensor], shape: &[usize], sizes: &[usize]) -> Result<Tensor> {
    let real = inputs[0].dtype();
    let outputs: &[DType] = &[real];
    Call { module: "kernels", kernel, inputs, shape, outputs, sizes, numbers: &[], threads: 0 }.one(real)
}
