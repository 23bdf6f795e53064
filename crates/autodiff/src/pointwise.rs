//! Entry-by-entry arithmetic on tensors of one shape.

use candle_core::Tensor;

use crate::host::{Host, for_real, tensor};
use crate::rule::Elementwise;
use crate::{Result, host};
use candle_core::DType;

/// f^(order)(x) for every entry of a contiguous tensor.
pub(crate) fn map(rule: &dyn Elementwise, order: usize, x: &Tensor) -> Result<Tensor> {
    let input = Host::open(rule.name(), x)?;
    match x.dtype() {
        DType::F32 => {
            let mut out = vec![0f32; x.elem_count()];
            rule.map_f32(order, input.slice()?, &mut out);
            tensor(out, x.dims())
        }
        DType::F64 => {
            let mut out = vec![0f64; x.elem_count()];
            rule.map_f64(order, input.slice()?, &mut out);
            tensor(out, x.dims())
        }
        found => Err(host::unsupported(rule.name(), found)),
    }
}

/// `sum_i` `a_i` `b_i`, entry by entry, over pairs of tensors of one shape.
pub(crate) fn sum_of_products(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (first, rest) = pairs
        .split_first()
        .ok_or_else(|| crate::Error::Unavailable("a sum of products needs at least one pair".into()))?;
    for_real!("product", first.0, T => {
        let mut out: Vec<T> = {
            let (a, b) = (first.0.contiguous()?, first.1.contiguous()?);
            let (a, b) = (Host::open("product", &a)?, Host::open("product", &b)?);
            a.slice::<T>()?.iter().zip(b.slice::<T>()?).map(|(a, b)| a * b).collect()
        };
        for (a, b) in rest {
            let (a, b) = (a.contiguous()?, b.contiguous()?);
            let (a, b) = (Host::open("product", &a)?, Host::open("product", &b)?);
            for ((o, a), b) in out.iter_mut().zip(a.slice::<T>()?).zip(b.slice::<T>()?) {
                *o += a * b;
            }
        }
        tensor(out, first.0.dims())
    })
}

/// Adds a contribution to a sum that starts out empty.
pub(crate) fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        None => part,
        Some(sum) => {
            let (a, b) = (sum.contiguous()?, part.contiguous()?);
            for_real!("sum", a, T => {
                let (x, y) = (Host::open("sum", &a)?, Host::open("sum", &b)?);
                let out = x.slice::<T>()?.iter().zip(y.slice::<T>()?).map(|(x, y)| x + y).collect::<Vec<T>>();
                tensor(out, a.dims())
            })?
        }
    });
    Ok(())
}
