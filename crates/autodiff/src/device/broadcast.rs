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
/// Partial sums that one thread adds up at the end.
const FEW: usize = 64;

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
        threads: 0,
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

/// Sums of partial sums, until few are left for one thread.
fn reduce(kernel: &str, view: View, inputs: &[&Tensor]) -> Result<Tensor> {
    let real = inputs[0].dtype();
    let small = view.small();
    if small * view.outer * view.inner == 0 {
        return Ok(Tensor::zeros(small, real, inputs[0].device())?);
    }
    // Where the small tensor's entries are neighbours in memory, so are their threads; else neighbouring threads share a sum.
    let in_columns = view.inner == 1;
    let mut parts = parts(view);
    let mut sums = partial_sums(kernel, view, inputs, parts, in_columns)?;
    while parts > FEW {
        let (outer, inner) = if in_columns { (parts, 1) } else { (1, parts) };
        let view = View { repeat: 1, outer, channel: small, inner };
        parts = self::parts(view);
        sums = partial_sums("partial_sums", view, &[&sums], parts, in_columns)?;
    }
    let call = Call {
        module: "kernels",
        kernel: "finish_sums",
        inputs: &[&sums],
        shape: &[small],
        outputs: &[real],
        sizes: &[parts, small, usize::from(in_columns)],
        numbers: &[],
        threads: 0,
    };
    call.one(real)
}

/// Into how many parts each sum is cut: by the shape alone.
fn parts(view: View) -> usize {
    let least = if view.inner == 1 { 1 } else { TOGETHER };
    (THREADS / view.small()).max(least).min((view.outer * view.inner).div_ceil(RUN))
}

fn partial_sums(
    kernel: &str,
    view: View,
    inputs: &[&Tensor],
    parts: usize,
    in_columns: bool,
) -> Result<Tensor> {
    let small = view.small();
    let call = Call {
        module: "kernels",
        kernel,
        inputs,
        shape: &[small * parts],
        outputs: &[DType::F64],
        sizes: &[view.outer, view.channel, view.inner, parts, small, usize::from(in_columns)],
        numbers: &[],
        threads: 0,
    };
    call.one(inputs[0].dtype())
}
