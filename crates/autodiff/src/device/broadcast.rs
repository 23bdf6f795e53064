//! A large tensor against a small one that repeats along some of its axes.

use candle_core::{DType, Tensor};

use super::Call;
use crate::Result;
use crate::kernels::channels::View;

/// Threads that keep a card busy.
const THREADS: usize = 1 << 17;
/// Entries of a sum that one thread adds up, at least.
const RUN: usize = 8;
/// Neighbours that read memory together.
const TOGETHER: usize = 32;

/// large + small; both contiguous.
pub(crate) fn add_small(view: View, large: &Tensor, small: &Tensor) -> Result<Tensor> {
    combine("add_small", view, large, small)
}

/// large * small; both contiguous.
pub(crate) fn multiply_small(view: View, large: &Tensor, small: &Tensor) -> Result<Tensor> {
    combine("multiply_small", view, large, small)
}

fn combine(kernel: &str, view: View, large: &Tensor, small: &Tensor) -> Result<Tensor> {
    let call = Call {
        module: "kernels",
        kernel,
        inputs: &[large, small],
        shape: large.dims(),
        outputs: &[large.dtype()],
        sizes: &[view.outer, view.channel, view.inner],
        numbers: &[],
    };
    call.one(large.dtype())
}

/// For every entry of the small tensor the sum of the large one's entries there, in a row.
pub(crate) fn sum(view: View, large: &Tensor) -> Result<Tensor> {
    reduce("partial_sums", view, &[large])
}

/// The same sums of the products of two large tensors.
pub(crate) fn sum_of_products(view: View, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    reduce("partial_sums_of_products", view, &[a, b])
}

fn reduce(kernel: &str, view: View, inputs: &[&Tensor]) -> Result<Tensor> {
    let real = inputs[0].dtype();
    let (small, length) = (view.small(), view.outer * view.inner);
    if small * length == 0 {
        return Ok(Tensor::zeros(small, real, inputs[0].device())?);
    }
    // Where the small tensor's entries are neighbours in memory, so are their threads; else neighbouring threads share a sum.
    let in_columns = view.inner == 1;
    let least = if in_columns { 1 } else { TOGETHER };
    let parts = (THREADS / small).max(least).min(length.div_ceil(RUN));
    let partial = Call {
        module: "kernels",
        kernel,
        inputs,
        shape: &[small * parts],
        outputs: &[DType::F64],
        sizes: &[view.outer, view.channel, view.inner, parts, small, usize::from(in_columns)],
        numbers: &[],
    };
    let call = Call {
        module: "kernels",
        kernel: "finish_sums",
        inputs: &[&partial.one(real)?],
        shape: &[small],
        outputs: &[real],
        sizes: &[parts, small, usize::from(in_columns)],
        numbers: &[],
    };
    call.one(real)
}
