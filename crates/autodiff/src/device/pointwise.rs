//! Entry-by-entry arithmetic on contiguous tensors of one shape.

use candle_core::{DType, Device, Tensor};

use super::Call;
use crate::rule::Elementwise;
use crate::{Result, pointwise};

/// f^(order)(x) for every entry.
pub(crate) fn map(rule: &dyn Elementwise, order: usize, x: &Tensor) -> Result<Tensor> {
    let Some(constants) = rule.kernel_constants() else {
        // A rule from elsewhere, which only the host can compute.
        return Ok(pointwise::map_on_host(rule, order, &x.to_device(&Device::Cpu)?)?.to_device(x.device())?);
    };
    let kernel = format!("map_{}", rule.name());
    let inputs = [x];
    let call =
        Call { module: "functions", kernel: &kernel, sizes: &[order], numbers: &constants, ..of(&inputs) };
    call.one(x.dtype())
}

/// f(x), f'(x) and, if `curved`, f''(x) for every entry.
pub(crate) fn jet(
    rule: &dyn Elementwise,
    x: &Tensor,
    curved: bool,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    let Some(constants) = rule.kernel_constants() else {
        let (f, slope, bend) = pointwise::jet_on_host(rule, &x.to_device(&Device::Cpu)?, curved)?;
        let back = |t: Tensor| t.to_device(x.device());
        return Ok((back(f)?, back(slope)?, bend.map(back).transpose()?));
    };
    let kernel = format!("jet_{}", rule.name());
    let inputs = [x];
    let call = Call {
        module: "functions",
        kernel: &kernel,
        outputs: &[x.dtype(); 3][..if curved { 3 } else { 2 }],
        sizes: &[usize::from(curved)],
        numbers: &constants,
        ..of(&inputs)
    };
    let mut results = call.launch(x.dtype())?.into_iter();
    match (results.next(), results.next()) {
        (Some(f), Some(slope)) => Ok((f, slope, results.next())),
        _ => Err(crate::Error::Unavailable(format!("{kernel} has no result"))),
    }
}

/// `sum_i` `a_i` `b_i`, entry by entry; there is at least one pair.
pub(crate) fn sum_of_products(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (a, b) = pairs[0];
    let (mut sum, done) = match pairs.get(1) {
        None => (entrywise("product", &[a, b])?, 1),
        Some((c, d)) => (entrywise("two_products", &[a, b, c, d])?, 2),
    };
    for (a, b) in &pairs[done..] {
        sum = entrywise("add_product", &[&sum, a, b])?;
    }
    Ok(sum)
}

/// a + b.
pub(crate) fn plus(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    entrywise("add", &[a, b])
}

/// factor * x.
pub(crate) fn times(factor: f64, x: &Tensor) -> Result<Tensor> {
    Call { kernel: "scale", numbers: &[factor], ..of(&[x]) }.one(x.dtype())
}

fn entrywise(kernel: &str, inputs: &[&Tensor]) -> Result<Tensor> {
    let dtype = inputs[0].dtype();
    Call { kernel, ..of(inputs) }.one(dtype)
}

/// A call on tensors of one shape, with one result like the first of them.
fn of<'a>(inputs: &'a [&'a Tensor]) -> Call<'a> {
    let outputs: &'static [DType] =
        if inputs[0].dtype() == DType::F32 { &[DType::F32] } else { &[DType::F64] };
    Call { module: "kernels", inputs, shape: inputs[0].dims(), outputs, ..Call::default() }
}
