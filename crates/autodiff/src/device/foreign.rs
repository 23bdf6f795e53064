//! Calls of libraries that work on memory of the device.

use candle_core::{DType, Tensor};

use crate::{Error, Result};

/// A call with one result.
pub(super) struct Foreign<'a> {
    /// Whose call it is, for messages.
    pub(super) name: &'a str,
    /// Contiguous tensors on one device.
    pub(super) inputs: &'a [&'a Tensor],
    pub(super) shape: &'a [usize],
    pub(super) dtype: DType,
    /// Bytes to work in.
    pub(super) room: usize,
}

impl Foreign<'_> {
    /// Gives the addresses of inputs, result and room to `run`, which writes every entry of the result.
    pub(super) fn run(&self, run: impl FnOnce(&[u64], u64, u64) -> Result<()>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let candle_core::Device::Cuda(device) = self.inputs[0].device() {
            return super::cuda::foreign(self, device, run);
        }
        #[cfg(all(test, unix))]
        if self.inputs[0].device().is_cpu() {
            return super::emulated::foreign(self, run);
        }
        let _ = run;
        Err(Error::Unavailable(format!(
            "{} does not work on {:?}",
            self.name,
            self.inputs[0].device().location()
        )))
    }
}
