//! The same on candle tensors of doubles with one axis, where they lie: on a device no entry travels, only coefficients do.
//! Every result has the digits that slices on the host have.

use candle_core::{DType, Device, Tensor};

use super::{coefficients as coefficients_of_slices, subtract as subtract_slices};
use crate::host::Host;
use crate::{Error, Result, device};

/// The inner products of `x` with every vector of a basis.
pub fn coefficients(basis: &[&Tensor], x: &Tensor) -> Result<Vec<f64>> {
    check(basis, x)?;
    if basis.is_empty() {
        return Ok(vec![]);
    }
    if device::holds(x) {
        return device::vectors::coefficients(basis, x);
    }
    with_slices(basis, x, |basis, x| coefficients_of_slices(basis, x))
}

/// |x|.
pub fn norm(x: &Tensor) -> Result<f64> {
    Ok(coefficients(&[x], x)?[0].sqrt())
}

/// x less the sum of `coefficients[i] * basis[i]`. Vectors whose coefficient is zero are not read.
pub fn subtract(basis: &[&Tensor], coefficients: &[f64], x: &Tensor) -> Result<Tensor> {
    check(basis, x)?;
    if basis.len() != coefficients.len() {
        let (vectors, numbers) = (basis.len(), coefficients.len());
        return Err(Error::Unavailable(format!("there are {numbers} coefficients for {vectors} vectors")));
    }
    let used: (Vec<f64>, Vec<&Tensor>) =
        coefficients.iter().zip(basis).filter(|(c, _)| **c != 0.0).map(|(c, v)| (*c, *v)).unzip();
    let (coefficients, basis) = (used.0.as_slice(), used.1.as_slice());
    if basis.is_empty() {
        return Ok(x.clone());
    }
    if device::holds(x) {
        return device::vectors::subtract(basis, coefficients, x);
    }
    let result = with_slices(basis, x, |basis, x| {
        let mut result = x.to_vec();
        subtract_slices(basis, coefficients, &mut result);
        result
    })?;
    Ok(Tensor::from_vec(result, x.dims(), x.device())?)
}

/// factor x.
pub fn scale(x: &Tensor, factor: f64) -> Result<Tensor> {
    check(&[], x)?;
    if device::holds(x) { device::times(factor, x) } else { Ok((x * factor)?) }
}

/// a b, entry by entry.
pub fn multiply(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(&[a], b)?;
    if device::holds(a) { device::sum_of_products(&[(a, b)]) } else { Ok((a * b)?) }
}

/// sum + weight x, with x of any shape, in single or double precision.
pub fn add(sum: &Tensor, weight: f64, x: &Tensor) -> Result<Tensor> {
    let x = x.flatten_all()?.contiguous()?;
    if x.elem_count() != sum.elem_count() {
        let (found, expected) = (x.elem_count(), sum.elem_count());
        return Err(Error::Unavailable(format!("{found} entries cannot be added to {expected}")));
    }
    check(&[], sum)?;
    if !matches!(x.dtype(), DType::F32 | DType::F64) {
        return Err(Error::NumberType { operation: "an addition of vectors", found: x.dtype() });
    }
    if device::holds(sum) {
        return device::vectors::add(sum, weight, &x);
    }
    let result = with_slices(&[&x.to_dtype(DType::F64)?], sum, |x, sum| {
        sum.iter().zip(x[0]).map(|(sum, x)| sum + weight * x).collect::<Vec<_>>()
    })?;
    Ok(Tensor::from_vec(result, sum.dims(), sum.device())?)
}

/// Bytes that are free on a device; `None` on the host, or where it does not say.
pub fn free_memory(device: &Device) -> Option<usize> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(cuda) = device {
        return cuda.cuda_stream().context().mem_get_info().ok().map(|(free, _)| free);
    }
    let _ = device;
    None
}

fn with_slices<R>(basis: &[&Tensor], x: &Tensor, work: impl FnOnce(&[&[f64]], &[f64]) -> R) -> Result<R> {
    let open = |tensor| Host::open("arithmetic on vectors", tensor);
    let opened = basis.iter().map(|&v| open(v)).collect::<Result<Vec<_>>>()?;
    let slices = opened.iter().map(Host::slice).collect::<Result<Vec<&[f64]>>>()?;
    Ok(work(&slices, open(x)?.slice()?))
}

/// All must be contiguous lists of doubles, equally long.
fn check(basis: &[&Tensor], x: &Tensor) -> Result<()> {
    for v in basis.iter().copied().chain([x]) {
        if v.dtype() != DType::F64 {
            return Err(Error::Unavailable(format!("a vector is {:?}, but must be f64", v.dtype())));
        }
        if v.rank() != 1 || v.dims() != x.dims() || !v.is_contiguous() {
            let (found, expected) = (v.dims(), x.dims());
            return Err(Error::Unavailable(format!(
                "vectors must be contiguous and equally long, but their shapes are {found:?} and {expected:?}"
            )));
        }
    }
    Ok(())
}
