//! Matrix products through candle, which calls cuBLAS.

use candle_core::Tensor;

use crate::Result;

/// left right over the last two axes; leading axes broadcast to `batch`.
pub(crate) fn product(left: &Tensor, right: &Tensor, batch: &[usize]) -> Result<Tensor> {
    let (left, right) = (ready(left, batch)?, ready(right, batch)?);
    let [(rows, inner), (_, columns)] =
        [&left, &right].map(|t| (t.dims()[t.rank() - 2], t.dims()[t.rank() - 1]));
    if rows * inner * columns * batch.iter().product::<usize>() == 0 {
        let shape: Vec<usize> = batch.iter().copied().chain([rows, columns]).collect();
        return Ok(Tensor::zeros(shape, left.dtype(), left.device())?);
    }
    Ok(left.matmul(&right)?)
}

/// A factor at its full shape, laid out as cuBLAS takes it: whole matrices, or whole transposed ones, one after the other.
fn ready(factor: &Tensor, batch: &[usize]) -> Result<Tensor> {
    let (rank, dims) = (factor.rank(), factor.dims());
    let mut shape = batch.to_vec();
    shape.extend(&dims[rank - 2..]);
    let factor = if dims == shape { factor.clone() } else { factor.broadcast_as(shape)? };
    if factor.is_contiguous() || factor.t()?.is_contiguous() { Ok(factor) } else { Ok(factor.contiguous()?) }
}
