//! Convolutions through cuDNN (feature `cudnn`), where it has an algorithm without atomic additions.
//!
//! The library is loaded when a card is opened. Images are channels last, weights go with them: [out, kh, kw, in / groups]. Only
//! algorithms that cuDNN calls deterministic are used, and the choice among them is by its estimate, never by timing, so
//! that the same version on the same card gives the same digits. In full precision tensor cores are off. Shapes for
//! which there is none go the way of `convolution.rs`.

use candle_core::{DType, Tensor};
use parking_lot::Mutex;
use std::collections::BTreeMap;

use super::foreign::Foreign;
use super::precision::{Precision, precision};
use crate::kernels::convolution::Geometry;
use crate::{Error, Result};

pub(super) mod functions;
mod plan;

use functions::{Functions, Opaque};
use plan::{Plan, Refusal};

/// The three maps that are each other's adjoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Map {
    /// (x, w) to y.
    Forward,
    /// (y, w) to x.
    InputAdjoint,
    /// (x, y) to w.
    WeightAdjoint,
}

/// cuDNN for one stream of one card, with its plans; shapes that it refuses have none.
pub(super) struct Cudnn {
    functions: &'static Functions,
    handle: Opaque,
    plans: BTreeMap<Key, Option<Plan>>,
}

// SAFETY: a handle may be used by any thread, by one at a time, as the lock around this sees to.
unsafe impl Send for Cudnn {}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    map: Map,
    double: bool,
    reduced: bool,
    sizes: [usize; 14],
}

impl Cudnn {
    /// `stream` is CUDA's, on which everything will run.
    pub(super) fn new(functions: &'static Functions, stream: u64) -> std::result::Result<Self, String> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: a place for the answer, and a stream that exists as long as the device.
        let status = unsafe {
            match (functions.create)(&raw mut handle) {
                0 => (functions.set_stream)(handle, stream as Opaque),
                status => status,
            }
        };
        if status != 0 {
            return Err(format!(
                "cuDNN does not start (status {status}): it may not fit the driver or the card"
            ));
        }
        Ok(Self { functions, handle, plans: BTreeMap::new() })
    }

    fn plan(&mut self, map: Map, geometry: &Geometry, dtype: DType, reduced: bool) -> Result<Option<Plan>> {
        let key = Key { map, double: dtype == DType::F64, reduced, sizes: sizes(geometry) };
        if let Some(known) = self.plans.get(&key) {
            return Ok(*known);
        }
        let plan = match Plan::new(self.functions, self.handle, map, geometry, dtype, reduced) {
            Ok(plan) => Some(plan),
            Err(Refusal::Shape) => None,
            Err(Refusal::Failure(status)) => return Err(failed(status)),
        };
        self.plans.insert(key, plan);
        Ok(plan)
    }
}

/// The sum of a map over pairs, if cuDNN takes the shape: images contiguous and channels last, weights and the weight's adjoint as
/// PyTorch has them.
pub(super) fn convolve(
    map: Map,
    geometry: &Geometry,
    pairs: &[(&Tensor, &Tensor)],
) -> Result<Option<Tensor>> {
    let first = pairs[0].0;
    let Some(library) = library(first)? else { return Ok(None) };
    let [rows, columns] = geometry.output();
    let pointwise = geometry.is_pointwise() && geometry.groups == 1;
    let empty = geometry.batch * geometry.in_channels * geometry.out_channels * rows * columns == 0;
    // A product of matrices as it is; and cuDNN would round results in bf16, too.
    if pointwise || empty || precision() == Precision::Bf16 && first.dtype() == DType::F32 {
        return Ok(None);
    }
    let mut library = library.lock();
    let reduced = precision() == Precision::Tf32;
    let Some(plan) = library.plan(map, geometry, first.dtype(), reduced)? else { return Ok(None) };
    let [out, per_group] = [geometry.out_channels, geometry.in_channels / geometry.groups];
    let [h, w] = geometry.kernel;
    let of_weight = map == Map::WeightAdjoint;
    let mut tensors = vec![];
    for (a, b) in pairs {
        tensors.push((*a).clone());
        tensors.push(if of_weight { (*b).clone() } else { taps_before_channels(b, out, per_group, h * w)? });
    }
    let [height, width] = geometry.input;
    let shape = match map {
        Map::Forward => [geometry.batch, rows, columns, out],
        Map::InputAdjoint => [geometry.batch, height, width, geometry.in_channels],
        Map::WeightAdjoint => [out, h, w, per_group],
    };
    let inputs: Vec<&Tensor> = tensors.iter().collect();
    let call =
        Foreign { name: "cuDNN", inputs: &inputs, shape: &shape, dtype: first.dtype(), room: plan.room };
    let result = call.run(|inputs, result, room| {
        for (nth, pair) in inputs.chunks_exact(2).enumerate() {
            // SAFETY: the plan is for these shapes, and the memory has them.
            unsafe { plan.run(library.functions, library.handle, [pair[0], pair[1]], result, room, nth > 0) }
                .map_err(|refusal| {
                    failed(if let Refusal::Failure(status) = refusal { status } else { -1 })
                })?;
        }
        Ok(())
    })?;
    if !of_weight {
        return Ok(Some(result));
    }
    let turned = result.reshape((out, h * w, per_group))?.transpose(1, 2)?.contiguous()?;
    Ok(Some(turned.reshape((out, per_group, h, w))?))
}

/// Weights [out, in / groups, kh, kw] as [out, kh kw, in / groups].
fn taps_before_channels(w: &Tensor, out: usize, per_group: usize, taps: usize) -> Result<Tensor> {
    Ok(w.reshape((out, per_group, taps))?.transpose(1, 2)?.contiguous()?)
}

fn failed(status: i32) -> Error {
    Error::Unavailable(format!(
        "cuDNN failed at a convolution (status {status}): use smaller batches, or a build without the feature `cudnn`"
    ))
}

fn sizes(g: &Geometry) -> [usize; 14] {
    let ([h, w], [kh, kw], [sy, sx], [py, px], [dy, dx]) =
        (g.input, g.kernel, g.stride, g.padding, g.dilation);
    [g.batch, g.groups, g.in_channels, g.out_channels, h, w, kh, kw, sy, sx, py, px, dy, dx]
}

/// The library for a tensor's device.
#[cfg_attr(
    not(feature = "cudnn"),
    expect(clippy::unnecessary_wraps, reason = "with the feature it may fail")
)]
fn library(tensor: &Tensor) -> Result<Option<&'static Mutex<Cudnn>>> {
    #[cfg(feature = "cudnn")]
    if let candle_core::Device::Cuda(device) = tensor.device() {
        return super::cuda::cudnn(device).map(Some);
    }
    #[cfg(all(test, unix))]
    if tensor.device().is_cpu() {
        return Ok(super::emulated::cudnn());
    }
    let _ = tensor;
    Ok(None)
}
