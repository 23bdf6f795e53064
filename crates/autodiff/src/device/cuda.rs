//! Launching kernels on an NVIDIA card.

use candle_core::cuda_backend::CudaStorageSlice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaStream, DevicePtr, DevicePtrMut, DeviceRepr, LaunchConfig, PushKernelArg, SyncOnDrop,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Layout, Storage, Tensor};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Deref;

use super::foreign::Foreign;
use super::{Arguments, Call, source};
use crate::{Error, Result};

/// Threads of a block.
const BLOCK: u32 = 256;

// SAFETY: plain numbers in C's layout, as declared in `source.rs`.
unsafe impl DeviceRepr for Arguments {}

/// Runs a kernel; see [`Call::launch_with`].
pub(super) fn launch(
    call: &Call<'_>,
    list: &[&Tensor],
    name: &str,
    count: usize,
    device: &CudaDevice,
) -> Result<Vec<Tensor>> {
    let function = device.get_or_load_custom_func(name, call.module, compiled(call.module)?)?;
    let stream = device.cuda_stream();
    let opened: Vec<_> = call.inputs.iter().chain(list).map(|tensor| tensor.storage_and_layout()).collect();
    let mut results =
        call.outputs.iter().map(|&dtype| fresh(device, dtype, count)).collect::<Result<Vec<_>>>()?;
    // Addresses count as in use until the kernel is in the stream.
    let table;
    let mut in_use = vec![];
    let mut inputs = addresses(name, &opened, &stream, &mut in_use)?;
    let listed = inputs.split_off(call.inputs.len());
    if !listed.is_empty() {
        table = device.clone_htod(&listed)?;
        let (address, held) = table.device_ptr(&stream);
        inputs.push(address);
        in_use.push(held);
    }
    let mut outputs = vec![];
    for result in &mut results {
        let (address, held) = address_mut(result, &stream, name)?;
        outputs.push(address);
        in_use.push(held);
    }
    let (arguments, number) = (call.arguments(&inputs, &outputs), count as u32);
    let blocks = (call.threads as u32).max(number).div_ceil(BLOCK);
    let shape = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK, 1, 1), shared_mem_bytes: 0 };
    let mut builder = function.builder();
    builder.arg(&number).arg(&arguments);
    // SAFETY: the kernel takes these two arguments; it reads its inputs within their lengths, which the unit tests check on
    // the host, and writes `count` entries of every result.
    unsafe { builder.launch(shape) }.map_err(candle_core::Error::wrap)?;
    drop(in_use);
    Ok(results.into_iter().map(|result| finished(result, call.shape, device)).collect())
}

/// Calls a library; see [`Foreign::run`].
pub(super) fn foreign(
    call: &Foreign<'_>,
    device: &CudaDevice,
    run: impl FnOnce(&[u64], u64, u64) -> Result<()>,
) -> Result<Tensor> {
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().map_err(candle_core::Error::wrap)?;
    let opened: Vec<_> = call.inputs.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let mut result = fresh(device, call.dtype, call.shape.iter().product())?;
    // SAFETY: what is worked in needs no values.
    let mut room = unsafe { device.alloc::<u8>(call.room.max(1))? };
    let mut in_use = vec![];
    let inputs = addresses(call.name, &opened, &stream, &mut in_use)?;
    let (output, held) = address_mut(&mut result, &stream, call.name)?;
    let (room, held_too) = room.device_ptr_mut(&stream);
    in_use.extend([held, held_too]);
    run(&inputs, output, room)?;
    drop(in_use);
    Ok(finished(result, call.shape, device))
}

/// Room for as many numbers, whose values are whatever lay there: who asks writes all of them.
fn fresh(device: &CudaDevice, dtype: DType, count: usize) -> Result<CudaStorageSlice> {
    // SAFETY: kernels and libraries write every one of the `count` entries.
    unsafe {
        Ok(match dtype {
            DType::F32 => CudaStorageSlice::F32(device.alloc(count)?),
            DType::F64 => CudaStorageSlice::F64(device.alloc(count)?),
            DType::BF16 => CudaStorageSlice::BF16(device.alloc(count)?),
            _ => CudaStorageSlice::U32(device.alloc(count)?),
        })
    }
}

/// Where a result begins on the card.
fn address_mut<'a>(
    result: &'a mut CudaStorageSlice,
    stream: &'a CudaStream,
    name: &str,
) -> Result<(u64, SyncOnDrop<'a>)> {
    match result {
        CudaStorageSlice::F32(slice) => Ok(slice.device_ptr_mut(stream)),
        CudaStorageSlice::F64(slice) => Ok(slice.device_ptr_mut(stream)),
        CudaStorageSlice::BF16(slice) => Ok(slice.device_ptr_mut(stream)),
        CudaStorageSlice::U32(slice) => Ok(slice.device_ptr_mut(stream)),
        _ => Err(elsewhere(name)),
    }
}

/// A result as a tensor.
fn finished(slice: CudaStorageSlice, shape: &[usize], device: &CudaDevice) -> Tensor {
    let storage = Storage::Cuda(CudaStorage { slice, device: device.clone() });
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// Where contiguous tensors begin on the card.
fn addresses<'a, S: Deref<Target = Storage>>(
    name: &str,
    opened: &'a [(S, &Layout)],
    stream: &'a CudaStream,
    in_use: &mut Vec<SyncOnDrop<'a>>,
) -> Result<Vec<u64>> {
    let one = |(storage, layout): &'a (S, &Layout)| {
        let Storage::Cuda(storage) = &**storage else { return Err(elsewhere(name)) };
        if !layout.is_contiguous() {
            return Err(Error::Unavailable(format!("{name}: an argument is not contiguous")));
        }
        let (address, held) = address(&storage.slice, stream).ok_or_else(|| elsewhere(name))?;
        in_use.push(held);
        Ok(address + (layout.start_offset() * storage_size(&storage.slice)) as u64)
    };
    opened.iter().map(one).collect()
}

/// Where a tensor's storage begins on the card.
fn address<'a>(slice: &'a CudaStorageSlice, stream: &'a CudaStream) -> Option<(u64, SyncOnDrop<'a>)> {
    match slice {
        CudaStorageSlice::F32(slice) => Some(slice.device_ptr(stream)),
        CudaStorageSlice::F64(slice) => Some(slice.device_ptr(stream)),
        CudaStorageSlice::U32(slice) => Some(slice.device_ptr(stream)),
        CudaStorageSlice::BF16(slice) => Some(slice.device_ptr(stream)),
        _ => None,
    }
}

/// Bytes of an entry.
fn storage_size(slice: &CudaStorageSlice) -> usize {
    match slice {
        CudaStorageSlice::F64(_) => 8,
        CudaStorageSlice::BF16(_) => 2,
        _ => 4,
    }
}

fn elsewhere(name: &str) -> Error {
    Error::Unavailable(format!(
        "{name}: an argument lies on another device, or is no number that kernels know"
    ))
}

/// A module's machine-independent code, compiled once.
fn compiled(module: &str) -> Result<&'static str> {
    static COMPILED: Mutex<BTreeMap<String, std::result::Result<&'static str, String>>> =
        Mutex::new(BTreeMap::new());
    let mut known = COMPILED.lock();
    let code = known.entry(module.to_owned()).or_insert_with(|| {
        // Without contractions, so that a function has the same digits in every kernel, and those that the tests saw.
        let name = Some(format!("{module}.cu"));
        let options = CompileOptions { name, fmad: Some(false), ..CompileOptions::default() };
        match compile_ptx_with_opts(source::for_the_device(module), options) {
            Ok(code) => Ok(&*code.to_src().leak()),
            Err(cause) => Err(format!("NVRTC does not compile the kernels of `{module}`: {cause:?}")),
        }
    });
    code.clone().map_err(Error::Unavailable)
}

/// left right in single precision, for factors in bfloat16 that lie row by row or column by column, matrices one after the other.
pub(super) fn bf16_product(device: &CudaDevice, left: &Tensor, right: &Tensor) -> Result<Tensor> {
    use candle_core::cuda_backend::cudarc::cublas::sys::{
        cublasComputeType_t, cublasGemmAlgo_t, cublasOperation_t, cudaDataType_t,
    };
    let size = |n: usize| {
        i32::try_from(n)
            .map_err(|_| Error::Unavailable(format!("cuBLAS cannot count to {n}: use smaller batches")))
    };
    let (rank, mut shape) = (left.rank(), left.dims().to_vec());
    let (rows, inner, columns) = (shape[rank - 2], shape[rank - 1], right.dims()[rank - 1]);
    let batch = shape[..rank - 2].iter().product();
    shape[rank - 1] = columns;
    // cuBLAS counts columns first, so it sees everything transposed: the product is that of right' and left'.
    let lies = |factor: &Tensor| -> Result<(Tensor, cublasOperation_t, i32)> {
        let turned = !factor.is_contiguous();
        let stored = if turned { factor.t()? } else { factor.clone() };
        let operation = if turned { cublasOperation_t::CUBLAS_OP_T } else { cublasOperation_t::CUBLAS_OP_N };
        let leading = size(stored.dims()[rank - 1])?;
        Ok((stored, operation, leading))
    };
    let ((left, left_lies, left_leading), (right, right_lies, right_leading)) = (lies(left)?, lies(right)?);
    let (m, n, k, count) = (size(columns)?, size(rows)?, size(inner)?, size(batch)?);
    let (one, zero) = (1.0_f32, 0.0_f32);
    let blas = device.cublas_handle();
    let inputs = [&left, &right];
    let call = Foreign { name: "cuBLAS", inputs: &inputs, shape: &shape, dtype: DType::F32, room: 0 };
    call.run(|inputs, output, _| {
        // SAFETY: the sizes are those of the tensors, and the stream of the handle is that of the device.
        unsafe {
            candle_core::cuda_backend::cudarc::cublas::result::gemm_strided_batched_ex(
                *blas.handle(),
                right_lies,
                left_lies,
                m,
                n,
                k,
                (&raw const one).cast(),
                inputs[1] as *const _,
                cudaDataType_t::CUDA_R_16BF,
                right_leading,
                (inner * columns) as i64,
                inputs[0] as *const _,
                cudaDataType_t::CUDA_R_16BF,
                left_leading,
                (rows * inner) as i64,
                (&raw const zero).cast(),
                output as *mut _,
                cudaDataType_t::CUDA_R_32F,
                m,
                (rows * columns) as i64,
                count,
                cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
            )
        }
        .map_err(|cause| Error::Unavailable(format!("cuBLAS does not multiply in bf16: {cause:?}")))
    })
}

/// cuDNN for a card, started once.
#[cfg(feature = "cudnn")]
pub(super) fn cudnn(device: &CudaDevice) -> Result<&'static Mutex<super::cudnn::Cudnn>> {
    use super::cudnn::Cudnn;
    use candle_core::cuda_backend::cudarc::driver::CudaStream;
    use std::sync::Arc;

    type Started = (Arc<CudaStream>, &'static Mutex<Cudnn>);
    static STARTED: Mutex<Vec<Started>> = Mutex::new(vec![]);
    let stream = device.cuda_stream();
    let mut started = STARTED.lock();
    if let Some((_, known)) = started.iter().find(|(of, _)| Arc::ptr_eq(of, &stream)) {
        return Ok(*known);
    }
    stream.context().bind_to_thread().map_err(candle_core::Error::wrap)?;
    let cudnn = super::cudnn::functions::loaded()
        .and_then(|functions| Cudnn::new(functions, stream.cu_stream() as u64))
        .map_err(Error::Unavailable)?;
    let cudnn: &'static Mutex<Cudnn> = Box::leak(Box::new(Mutex::new(cudnn)));
    started.push((stream, cudnn));
    Ok(cudnn)
}

/// The sum of tensors of doubles on several cards; see [`sum_over_devices`](super::sum_over_devices).
#[cfg(feature = "nccl")]
pub(super) fn sum(nccl: &super::nccl::Nccl, parts: &[Tensor]) -> Result<Tensor> {
    let mut streams = vec![];
    for part in parts {
        let candle_core::Device::Cuda(device) = part.device() else {
            return Err(elsewhere("a sum over cards"));
        };
        streams.push(device.cuda_stream());
    }
    let candle_core::Device::Cuda(first) = parts[0].device() else {
        return Err(elsewhere("a sum over cards"));
    };
    let opened: Vec<_> = parts.iter().map(|part| part.storage_and_layout()).collect();
    let count = parts[0].elem_count();
    let mut result = fresh(first, DType::F64, count)?;
    let mut in_use = vec![];
    let mut inputs = vec![];
    for (one, stream) in opened.chunks(1).zip(&streams) {
        inputs.extend(addresses("a sum over cards", one, stream, &mut in_use)?);
    }
    let (output, held) = address_mut(&mut result, &streams[0], "a sum over cards")?;
    in_use.push(held);
    let queues: Vec<u64> = streams.iter().map(|stream| stream.cu_stream() as u64).collect();
    // SAFETY: all parts have the first one's entries, in double precision, which callers see to.
    unsafe { nccl.sum(&inputs, &queues, output, count) }.map_err(Error::Unavailable)?;
    drop(in_use);
    Ok(finished(result, parts[0].dims(), first))
}
