//! Operations on a device, so far NVIDIA cards through CUDA.
//!
//! Each primitive of the engine asks in one place whether its argument lies on a device ([`holds`]); if so, the functions
//! here take over. They are compositions of four things: views and copies of candle tensors, products of matrices (cuBLAS),
//! convolutions by cuDNN (feature `cudnn`), and kernels of our own (`kernels.cu`, `functions.cu`, `rows.cu`; for passes over memory that
//! operations share, text that `chain.rs` writes), which NVRTC compiles when the first of them is launched.
//!
//! - **Sums have a fixed order**, as on the CPU: every entry of a result is computed by one thread from beginning to end,
//!   long sums as partial sums whose number follows from the shape alone, those of a row by 32 threads whose sums are added up
//!   in pairs (`rows.cu`), adjoints of selections as gathers. There are no atomic additions.
//! - **Numbers**: sums over channels and functions of one variable are computed in double precision for f32 tensors too, as on
//!   the CPU. Products of matrices and convolutions read f32 in full, or rounded where [`set_precision`] says so, and add in
//!   f32.
//! - **Libraries** beyond candle's (cuDNN, NCCL) are opened at run time (`library.rs`): no build needs them, and one that is
//!   missing is said in a sentence when a card is opened.
//! - **Several cards** ([`cuda_devices`]) share batches, which are dealt in a fixed way by the crate of Hessians.
//! - **Testing without a card**: kernels are written in what C and CUDA have in common, and all of them have one signature.
//!   The unit tests compile the very same text with the host's C compiler and run the generic cases of `tests/common` with
//!   all operations going through here, on CPU tensors, against the CPU kernels. `cuda.rs`, which finds addresses and
//!   launches, runs in `scripts/cuda/pretend.sh`, on a driver that is none; so do cuDNN's and NCCL's parts, whose libraries
//!   `tests/pretend` plays. With a card present the integration tests run on both.

mod broadcast;
mod chain;
mod convolution;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(any(feature = "cudnn", all(test, unix)))]
mod cudnn;
#[cfg(all(test, unix))]
mod emulated;
#[cfg(any(feature = "cuda", all(test, unix)))]
mod foreign;
mod group;
#[cfg(any(feature = "cudnn", feature = "nccl", all(test, unix)))]
mod library;
mod matmul;
#[cfg(any(feature = "nccl", all(test, unix)))]
mod nccl;
mod open;
mod pointwise;
mod pooling;
mod precision;
mod rows;
mod selection;
#[cfg(any(feature = "cuda", all(test, unix)))]
mod source;
#[cfg(all(test, unix))]
mod tests;
pub(crate) mod vectors;

use candle_core::{DType, Tensor};

pub(crate) use broadcast::{add_small, multiply_small, sum, sum_of_products as small_sum_of_products};
pub(crate) use chain::chain;
pub(crate) use convolution::{forward, input_adjoint, weight_adjoint};
pub use group::{cuda_count, cuda_devices, moved, sharing, sum_over_devices};
pub(crate) use matmul::product as matrix_product;
pub use open::{cuda_device, cuda_is_compiled_in};
pub(crate) use pointwise::{jet, map, plus, sum_of_products, times};
pub(crate) use pooling::{average, average_adjoint, first_maximum, select, select_adjoint, window_table};
pub use precision::{Precision, precision, set_precision};
pub(crate) use rows::{softmax, softmax_derivative, standardise, standardise_derivative};
pub(crate) use selection::{pick, pick_adjoint, places_of_rows, rows, rows_adjoint, stride, stride_adjoint};

use crate::{Error, Result};

/// Entries that a tensor may have: kernels count them in 32 bits.
const MOST: usize = u32::MAX as usize - 1024;

/// Tensors that a kernel reads at most.
const INPUTS: usize = 8;
/// Constants that a kernel knows at most.
const NUMBERS: usize = 16;

/// Whether operations on this tensor go through this module.
pub(crate) fn holds(tensor: &Tensor) -> bool {
    #[cfg(all(test, unix))]
    if emulated::is_on() {
        return true;
    }
    !tensor.device().is_cpu()
}

/// What a kernel receives, by value: addresses of its arguments and results, sizes and numbers.
#[cfg(any(feature = "cuda", all(test, unix)))]
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Arguments {
    inputs: [u64; INPUTS],
    outputs: [u64; 3],
    sizes: [u32; 3 * INPUTS],
    numbers: [f64; NUMBERS],
}

/// A kernel and what it works on.
#[derive(Debug, Default)]
#[cfg_attr(
    not(any(feature = "cuda", all(test, unix))),
    allow(dead_code, reason = "only launches read all of it")
)]
struct Call<'a> {
    /// Which of [`source::MODULES`] it is in, or a chain's.
    module: &'a str,
    kernel: &'a str,
    /// Contiguous tensors, at most [`INPUTS`].
    inputs: &'a [&'a Tensor],
    /// The shape of all results.
    shape: &'a [usize],
    /// Their types; at most three.
    outputs: &'a [DType],
    sizes: &'a [usize],
    numbers: &'a [f64],
    /// Threads, where more than one for every entry of a result are wanted.
    threads: usize,
}

impl Call<'_> {
    /// Runs the variant for numbers of type `real`; gives the results.
    fn launch(&self, real: DType) -> Result<Vec<Tensor>> {
        self.launch_with(&[], real)
    }

    /// The same for a kernel whose last input is the table of where the tensors of a list begin, all of them contiguous.
    fn launch_with(&self, list: &[&Tensor], real: DType) -> Result<Vec<Tensor>> {
        let suffix = match real {
            DType::F32 => "f32",
            DType::F64 => "f64",
            // Moved, never added: see `source.rs`.
            DType::BF16 => "bf16",
            found => return Err(Error::NumberType { operation: "a device kernel", found }),
        };
        let count = self.shape.iter().product::<usize>();
        let largest = self.inputs.iter().chain(list).map(|t| t.elem_count()).fold(count, usize::max);
        let largest = largest.max(self.threads);
        if largest > MOST || self.sizes.iter().any(|&size| size > MOST) {
            return Err(Error::Unavailable(format!(
                "{}: a tensor has {largest} entries, and device kernels count to {MOST}: use smaller batches",
                self.kernel
            )));
        }
        let device = self.inputs[0].device();
        if count == 0 {
            let empty = |&dtype: &DType| Ok(Tensor::zeros(self.shape, dtype, device)?);
            return self.outputs.iter().map(empty).collect();
        }
        let name = format!("{}_{suffix}", self.kernel);
        #[cfg(feature = "cuda")]
        if let candle_core::Device::Cuda(device) = device {
            return cuda::launch(self, list, &name, count, device);
        }
        #[cfg(all(test, unix))]
        if device.is_cpu() {
            return emulated::launch(self, list, &name, count);
        }
        Err(Error::Unavailable(format!("the kernel {name} has no version for {:?}", device.location())))
    }

    /// Runs a kernel with one result.
    fn one(&self, real: DType) -> Result<Tensor> {
        self.one_with(&[], real)
    }

    /// Runs a kernel with a list and one result.
    fn one_with(&self, list: &[&Tensor], real: DType) -> Result<Tensor> {
        let result = self.launch_with(list, real)?.pop();
        result.ok_or_else(|| Error::Unavailable(format!("the kernel {} has no result", self.kernel)))
    }

    #[cfg(any(feature = "cuda", all(test, unix)))]
    fn arguments(&self, inputs: &[u64], outputs: &[u64]) -> Arguments {
        let mut arguments = Arguments::default();
        arguments.inputs[..inputs.len()].copy_from_slice(inputs);
        arguments.outputs[..outputs.len()].copy_from_slice(outputs);
        arguments.sizes.iter_mut().zip(self.sizes).for_each(|(to, &size)| *to = size as u32);
        arguments.numbers[..self.numbers.len()].copy_from_slice(self.numbers);
        arguments
    }
}
