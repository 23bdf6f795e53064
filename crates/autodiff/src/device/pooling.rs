//! Maxima and means over windows of contiguous images [n, h, w, c].
//!
//! What is fixed at the point of linearization is one tensor of integers: where the windows lie, and behind that, for maxima,
//! the place of every window's maximum in its image.

use candle_core::{DType, Device, Tensor};

use super::Call;
use crate::Result;
use crate::kernels::pooling::{Pool, Windows};

/// Where the windows lie, for the kernels: first and end of their rows and of their columns; then, for every row and every
/// column of the image, first and end of the windows that hold it.
pub(crate) fn window_table(pool: Pool<'_>, device: &Device) -> Result<Tensor> {
    let Windows { rows, columns } = pool.windows;
    // Windows lie in order, so that those which hold an entry are neighbours.
    let holding = |windows: &[(usize, usize)], at: usize| {
        let before = windows.iter().filter(|(_, end)| *end <= at).count();
        (before, windows.iter().filter(|(first, _)| *first <= at).count())
    };
    let over_rows = (0..pool.size[0]).map(|y| holding(rows, y));
    let over_columns = (0..pool.size[1]).map(|x| holding(columns, x));
    let pairs = rows.iter().chain(columns).copied().chain(over_rows).chain(over_columns);
    let table: Vec<u32> = pairs.flat_map(|(first, end)| [first as u32, end as u32]).collect();
    Ok(Tensor::new(table, device)?)
}

/// The windows' table with the place of every window's first maximum.
pub(crate) fn first_maximum(pool: Pool<'_>, x: &Tensor) -> Result<Tensor> {
    let table = window_table(pool, x.device())?;
    let shape = [x.dims()[0], pool.windows.rows.len(), pool.windows.columns.len(), pool.channels];
    let chosen =
        call("first_maximum", &[x, &table], &shape, &[DType::U32], &sizes(pool, 0)).one(x.dtype())?;
    Ok(Tensor::cat(&[table, chosen.flatten_all()?], 0)?)
}

/// The entries at the places that [`first_maximum`] found.
pub(crate) fn select(pool: Pool<'_>, x: &Tensor, fixed: &Tensor) -> Result<Tensor> {
    let shape = [x.dims()[0], pool.windows.rows.len(), pool.windows.columns.len(), pool.channels];
    let (table, chosen) = parts(pool, fixed)?;
    call("select", &[x, &table, &chosen], &shape, &[x.dtype()], &sizes(pool, 0)).one(x.dtype())
}

/// The adjoint of [`select`].
pub(crate) fn select_adjoint(pool: Pool<'_>, g: &Tensor, fixed: &Tensor) -> Result<Tensor> {
    let shape = [g.dims()[0], pool.size[0], pool.size[1], pool.channels];
    let (table, chosen) = parts(pool, fixed)?;
    call("select_adjoint", &[g, &table, &chosen], &shape, &[g.dtype()], &sizes(pool, 0)).one(g.dtype())
}

/// The sum of every window over `area`, or over the number of its entries.
pub(crate) fn average(pool: Pool<'_>, area: Option<usize>, x: &Tensor, table: &Tensor) -> Result<Tensor> {
    let shape = [x.dims()[0], pool.windows.rows.len(), pool.windows.columns.len(), pool.channels];
    call("average", &[x, table], &shape, &[x.dtype()], &sizes(pool, area.unwrap_or(0))).one(x.dtype())
}

/// The adjoint of [`average`].
pub(crate) fn average_adjoint(
    pool: Pool<'_>,
    area: Option<usize>,
    g: &Tensor,
    table: &Tensor,
) -> Result<Tensor> {
    let shape = [g.dims()[0], pool.size[0], pool.size[1], pool.channels];
    call("average_adjoint", &[g, table], &shape, &[g.dtype()], &sizes(pool, area.unwrap_or(0))).one(g.dtype())
}

/// The table, and what lies behind it.
fn parts(pool: Pool<'_>, fixed: &Tensor) -> Result<(Tensor, Tensor)> {
    let Windows { rows, columns } = pool.windows;
    let table = 2 * (rows.len() + columns.len() + pool.size[0] + pool.size[1]);
    Ok((fixed.narrow(0, 0, table)?, fixed.narrow(0, table, fixed.elem_count() - table)?))
}

fn sizes(pool: Pool<'_>, area: usize) -> [usize; 6] {
    let Windows { rows, columns } = pool.windows;
    [pool.channels, pool.size[0], pool.size[1], rows.len(), columns.len(), area]
}

fn call<'a>(
    kernel: &'a str,
    inputs: &'a [&'a Tensor],
    shape: &'a [usize],
    outputs: &'a [DType],
    sizes: &'a [usize],
) -> Call<'a> {
    Call { module: "kernels", kernel, inputs, shape, outputs, sizes, numbers: &[], threads: 0 }
}
