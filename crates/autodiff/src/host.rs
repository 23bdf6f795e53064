//! Candle tensors as slices for the CPU kernels, and back.

use candle_core::{CpuStorage, DType, Device, Layout, Storage, Tensor, WithDType};
use parking_lot::RwLockReadGuard;

use crate::{Error, Result};

/// Read access to a tensor in host memory.
pub(crate) struct Host<'a> {
    storage: RwLockReadGuard<'a, Storage>,
    layout: &'a Layout,
    operation: &'static str,
}

impl<'a> Host<'a> {
    /// Opens a tensor for `operation`; an error on another device, where the operation needs a version of its own.
    pub(crate) fn open(operation: &'static str, tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(_) => Ok(Self { storage, layout, operation }),
            _ => Err(Error::Device { operation }),
        }
    }

    /// The entries from the tensor's first one on, in storage order.
    pub(crate) fn entries_from_first<T: WithDType>(&self) -> Result<&[T]> {
        let Storage::Cpu(storage) = &*self.storage else {
            return Err(Error::Device { operation: self.operation });
        };
        Ok(&CpuStorage::as_slice::<T>(storage)?[self.layout.start_offset()..])
    }

    /// The entries of a contiguous tensor.
    pub(crate) fn slice<T: WithDType>(&self) -> Result<&[T]> {
        if !self.layout.is_contiguous() {
            return Err(Error::Unavailable(format!("{}: the argument is not contiguous", self.operation)));
        }
        Ok(&self.entries_from_first()?[..self.layout.shape().elem_count()])
    }

    /// Distance between neighbours along each axis.
    pub(crate) fn strides(&self) -> &[usize] {
        self.layout.stride()
    }
}

/// A tensor that owns `data`.
pub(crate) fn tensor<T: WithDType>(data: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

/// The error for numbers without a kernel.
pub(crate) fn unsupported(operation: &'static str, found: DType) -> Error {
    Error::NumberType { operation, found }
}

/// Runs a block with the type `$real` set to the tensor's own kind of number.
macro_rules! for_real {
    ($operation:expr, $tensor:expr, $real:ident => $body:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F32 => {
                type $real = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $real = f64;
                $body
            }
            found => Err($crate::host::unsupported($operation, found)),
        }
    };
}
pub(crate) use for_real;
