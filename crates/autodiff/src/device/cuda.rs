//! Launching kernels on an NVIDIA card.

use candle_core::cuda_backend::CudaStorageSlice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceRepr, LaunchConfig, PushKernelArg, SyncOnDrop,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Storage, Tensor};
use std::sync::OnceLock;

use super::{Arguments, Call, source};
use crate::{Error, Result};

/// Threads of a block.
const BLOCK: u32 = 256;

// SAFETY: plain numbers in C's layout, as declared in `source.rs`.
unsafe impl DeviceRepr for Arguments {}

/// Results in the making.
enum Fresh {
    Single(CudaSlice<f32>),
    Double(CudaSlice<f64>),
    Integers(CudaSlice<u32>),
}

/// Runs a kernel; see [`Call::launch`].
pub(super) fn launch(call: &Call<'_>, name: &str, count: usize, device: &CudaDevice) -> Result<Vec<Tensor>> {
    let function = device.get_or_load_custom_func(name, call.module, compiled(call.module)?)?;
    let stream = device.cuda_stream();
    let opened: Vec<_> = call.inputs.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let mut results = call
        .outputs
        .iter()
        .map(|dtype| {
            // SAFETY: kernels write every one of the `count` entries.
            unsafe {
                Ok(match dtype {
                    DType::F32 => Fresh::Single(device.alloc(count)?),
                    DType::F64 => Fresh::Double(device.alloc(count)?),
                    _ => Fresh::Integers(device.alloc(count)?),
                })
            }
        })
        .collect::<Result<Vec<_>>>()?;
    // Addresses count as in use until the kernel is in the stream.
    let mut in_use = vec![];
    let mut inputs = vec![];
    for (storage, layout) in &opened {
        let Storage::Cuda(storage) = &**storage else { return Err(elsewhere(name)) };
        if !layout.is_contiguous() {
            return Err(Error::Unavailable(format!("{name}: an argument is not contiguous")));
        }
        let (address, held) = address(&storage.slice, &stream).ok_or_else(|| elsewhere(name))?;
        inputs.push(address + (layout.start_offset() * storage_size(&storage.slice)) as u64);
        in_use.push(held);
    }
    let mut outputs = vec![];
    for result in &mut results {
        let (address, held) = match result {
            Fresh::Single(slice) => slice.device_ptr_mut(&stream),
            Fresh::Double(slice) => slice.device_ptr_mut(&stream),
            Fresh::Integers(slice) => slice.device_ptr_mut(&stream),
        };
        outputs.push(address);
        in_use.push(held);
    }
    let (arguments, number) = (call.arguments(&inputs, &outputs), count as u32);
    let blocks = number.div_ceil(BLOCK);
    let shape = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK, 1, 1), shared_mem_bytes: 0 };
    let mut builder = function.builder();
    builder.arg(&number).arg(&arguments);
    // SAFETY: the kernel takes these two arguments; it reads its inputs within their lengths, which the unit tests check on
    // the host, and writes `count` entries of every result.
    unsafe { builder.launch(shape) }.map_err(candle_core::Error::wrap)?;
    drop(in_use);
    let finished = |result| {
        let storage = match result {
            Fresh::Single(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
            Fresh::Double(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
            Fresh::Integers(slice) => CudaStorage::wrap_cuda_slice(slice, device.clone()),
        };
        Tensor::from_storage(Storage::Cuda(storage), call.shape, BackpropOp::none(), false)
    };
    Ok(results.into_iter().map(finished).collect())
}

/// Where a tensor's storage begins on the card.
fn address<'a>(slice: &'a CudaStorageSlice, stream: &'a CudaStream) -> Option<(u64, SyncOnDrop<'a>)> {
    match slice {
        CudaStorageSlice::F32(slice) => Some(slice.device_ptr(stream)),
        CudaStorageSlice::F64(slice) => Some(slice.device_ptr(stream)),
        CudaStorageSlice::U32(slice) => Some(slice.device_ptr(stream)),
        _ => None,
    }
}

/// Bytes of an entry.
fn storage_size(slice: &CudaStorageSlice) -> usize {
    if matches!(slice, CudaStorageSlice::F64(_)) { 8 } else { 4 }
}

fn elsewhere(name: &str) -> Error {
    Error::Unavailable(format!(
        "{name}: an argument lies on another device, or is no number that kernels know"
    ))
}

/// A module's machine-independent code, compiled once.
fn compiled(module: &str) -> Result<&'static str> {
    static COMPILED: [OnceLock<std::result::Result<String, String>>; source::MODULES.len()] =
        [const { OnceLock::new() }; source::MODULES.len()];
    let place = source::MODULES.iter().position(|(name, _)| *name == module).unwrap_or(0);
    let code = COMPILED[place].get_or_init(|| {
        // Without contractions, so that a function has the same digits in every kernel, and those that the tests saw.
        let name = Some(format!("{module}.cu"));
        let options = CompileOptions { name, fmad: Some(false), ..CompileOptions::default() };
        match compile_ptx_with_opts(source::for_the_device(module), options) {
            Ok(code) => Ok(code.to_src()),
            Err(cause) => Err(format!("NVRTC does not compile the kernels of `{module}`: {cause:?}")),
        }
    });
    code.as_deref().map_err(|cause| Error::Unavailable(cause.clone()))
}
