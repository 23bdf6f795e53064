//! Matrix products through cuBLAS: candle's, and, of factors in bfloat16, our own, because candle rounds their results, too.

use candle_core::{DType, Tensor};

use super::precision::{Precision, precision};
use crate::Result;

/// left right over the last two axes; leading axes broadcast to `batch`.
pub(crate) fn product(left: &Tensor, right: &Tensor, batch: &[usize]) -> Result<Tensor> {
    let (left, right) = (ready(left, batch)?, ready(right, batch)?);
    let [(rows, inner), (_, columns)] =
        [&left, &right].map(|t| (t.dims()[t.rank() - 2], t.dims()[t.rank() - 1]));
    if rows * inner * columns * batch.iter().product::<usize>() == 0 {
        let shape: Vec<usize> = batch.iter().copied().chain([rows, columns]).collect();
        let real = if left.dtype() == DType::BF16 { DType::F32 } else { left.dtype() };
        return Ok(Tensor::zeros(shape, real, left.device())?);
    }
    let (left, right) = (as_multiplied(&left)?, as_multiplied(&right)?);
    if left.dtype() == DType::BF16 { of_rounded(&left, &right) } else { Ok(left.matmul(&right)?) }
}

/// A factor as it is multiplied: rounded to bfloat16 where that was chosen, and lying in memory as before.
pub(super) fn as_multiplied(factor: &Tensor) -> Result<Tensor> {
    if precision() != Precision::Bf16 || factor.dtype() != DType::F32 {
        return Ok(factor.clone());
    }
    if factor.is_contiguous() {
        return Ok(factor.to_dtype(DType::BF16)?);
    }
    Ok(factor.t()?.to_dtype(DType::BF16)?.t()?)
}

/// The product of factors in bfloat16, in single precision.
fn of_rounded(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(device) = left.device() {
        return super::cuda::bf16_product(device, left, right);
    }
    Ok(left.to_dtype(DType::F32)?.matmul(&right.to_dtype(DType::F32)?)?)
}

/// A factor at its full shape, laid out as cuBLAS takes it: whole matrices, or whole transposed ones, one after the other.
fn ready(factor: &Tensor, batch: &[usize]) -> Result<Tensor> {
    let (rank, dims) = (factor.rank(), factor.dims());
    let mut shape = batch.to_vec();
    shape.extend(&dims[rank - 2..]);
    let factor = if dims == shape { factor.clone() } else { factor.broadcast_as(shape)? };
    if factor.is_contiguous() || factor.t()?.is_contiguous() { Ok(factor) } else { Ok(factor.contiguous()?) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::device::emulated::{on_the_device, with_precision};
    use candle_core::Device;

    #[test]
    fn factors_are_rounded_to_bfloat16_and_sums_are_not() {
        let (rows, inner, columns) = (5, 300, 4);
        let entry = |k: usize| (k as f32 * 0.7311).sin();
        let tensor = |from: usize, r: usize, c: usize| {
            let entries: Vec<f32> = (0..r * c).map(|k| entry(from + k)).collect();
            Tensor::from_vec(entries, (r, c), &Device::Cpu).expect("a matrix")
        };
        let left = tensor(0, rows, inner);
        let right = tensor(9, columns, inner).t().expect("a view");
        let found = with_precision(Precision::Bf16, || on_the_device(|| product(&left, &right, &[]))).0;
        let found: Vec<Vec<f32>> = found.and_then(|t| Ok(t.to_vec2()?)).expect("a product");
        // The upper half of an f32's bits, with ties to even.
        let round = |x: f32| {
            f64::from(f32::from_bits((x.to_bits() + 0x7fff + (x.to_bits() >> 16 & 1)) & 0xffff_0000))
        };
        let mut apart: f64 = 0.0;
        for (i, row) in found.iter().enumerate() {
            for (j, &found) in row.iter().enumerate() {
                let factors = (0..inner).map(|k| (entry(i * inner + k), entry(9 + j * inner + k)));
                let (mut rounded, mut full) = (0.0, 0.0);
                for (a, b) in factors {
                    rounded += round(a) * round(b);
                    full += f64::from(a) * f64::from(b);
                }
                assert!((f64::from(found) - rounded).abs() < 1e-4, "{found} at {i}, {j} should be {rounded}");
                apart = apart.max((full - rounded).abs());
            }
        }
        assert!(apart > 1e-2, "no entry tells rounded factors from full ones: {apart:.1e}");
    }
}
