//! Functions of the rows of contiguous tensors [rows, width], one launch each, by 32 threads a row.

use candle_core::{DType, Tensor};

use super::Call;
use crate::Result;

/// Threads of a row.
const WARP: usize = 32;

/// softmax(scale * x + mask), the mask's rows repeated.
pub(crate) fn softmax(scale: f64, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let repeats = mask.map_or(0, |mask| mask.elem_count() / x.dims()[1].max(1));
    let inputs: Vec<&Tensor> = [x].into_iter().chain(mask).collect();
    call("softmax", &inputs, &sizes(x, repeats), &[scale]).one(x.dtype())
}

/// factor * y'[u] or factor * y''[u, v] at the softmax y.
pub(crate) fn softmax_derivative(factor: f64, y: &Tensor, vectors: &[Tensor]) -> Result<Tensor> {
    let inputs: Vec<&Tensor> = [y].into_iter().chain(vectors).collect();
    let kernel = if vectors.len() == 1 { "softmax_first" } else { "softmax_second" };
    call(kernel, &inputs, &sizes(y, 0), &[factor]).one(y.dtype())
}

/// The rows of x, less their means if `centred`, over their deviations; and one over these, [rows, 1] in f64.
pub(crate) fn standardise(centred: bool, eps: f64, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (sizes, rows) = (sizes(x, usize::from(centred)), x.dims()[0]);
    let (input, eps) = ([x], [eps]);
    let deviations = call("deviations", &input, &sizes, &eps);
    let numbers = Call { shape: &[rows, 1], outputs: &[DType::F64], ..deviations }.one(x.dtype())?;
    Ok((call("standardise", &[x, &numbers], &sizes, &[]).one(x.dtype())?, numbers))
}

/// z'[u] or z''[u, v] at what [`standardise`] gave.
pub(crate) fn standardise_derivative(
    centred: bool,
    z: &Tensor,
    numbers: &Tensor,
    vectors: &[Tensor],
) -> Result<Tensor> {
    let inputs: Vec<&Tensor> = [z, numbers].into_iter().chain(vectors).collect();
    let kernel = if vectors.len() == 1 { "standardise_first" } else { "standardise_second" };
    call(kernel, &inputs, &sizes(z, usize::from(centred)), &[]).one(z.dtype())
}

fn sizes(x: &Tensor, third: usize) -> [usize; 3] {
    [x.dims()[0], x.dims()[1], third]
}

/// A kernel whose result is shaped and typed like its first input.
fn call<'a>(kernel: &'a str, inputs: &'a [&'a Tensor], sizes: &'a [usize], numbers: &'a [f64]) -> Call<'a> {
    let outputs = match inputs[0].dtype() {
        DType::F64 => &[DType::F64],
        _ => &[DType::F32],
    };
    Call {
        module: "rows",
        kernel,
        inputs,
        shape: inputs[0].dims(),
        outputs,
        sizes,
        numbers,
        threads: sizes[0] * WARP,
    }
}
