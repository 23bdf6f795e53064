//! The element types that files store, and their bytes as candle tensors.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde::Serialize;

/// The type of a tensor's entries as the file stores them; written as candle writes its types (`f32`).
///
/// Candle has no type for four of them, which are held as the next wider one: `bool` as `u8`, `i8` as `i16`, `u16` as
/// `u32`, and `u64` as `i64` (where it fits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ElementType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// Floating point of 8 bits with 4 bits of exponent.
    F8E4M3,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl ElementType {
    /// The type that a safetensors header names, if it is read.
    pub(super) fn from_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::BOOL => Self::Bool,
            Dtype::U8 => Self::U8,
            Dtype::I8 => Self::I8,
            Dtype::U16 => Self::U16,
            Dtype::I16 => Self::I16,
            Dtype::U32 => Self::U32,
            Dtype::I32 => Self::I32,
            Dtype::U64 => Self::U64,
            Dtype::I64 => Self::I64,
            Dtype::F8_E4M3 => Self::F8E4M3,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            _ => return None,
        })
    }

    /// The type of a class or dtype of Python's module `torch`, such as `HalfStorage` or `uint16`, if it is read.
    pub(super) fn from_torch(name: &str) -> Option<Self> {
        Some(match name {
            "BoolStorage" => Self::Bool,
            "ByteStorage" => Self::U8,
            "CharStorage" => Self::I8,
            "ShortStorage" => Self::I16,
            "IntStorage" => Self::I32,
            "LongStorage" => Self::I64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "uint16" => Self::U16,
            "uint32" => Self::U32,
            "uint64" => Self::U64,
            "float8_e4m3fn" => Self::F8E4M3,
            _ => return None,
        })
    }

    /// Whether entries are integers or truth values.
    pub(super) const fn is_integer(self) -> bool {
        !matches!(self, Self::F8E4M3 | Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// Bytes of one entry.
    pub(super) const fn size_in_bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The tensor that `bytes` (little-endian, rows first) hold.
    ///
    /// # Errors
    /// Candle's, when the number of bytes is not that of the shape or an unsigned integer exceeds 2^63 - 1.
    pub(super) fn decode(self, bytes: &[u8], shape: &[usize]) -> candle_core::Result<Tensor> {
        let (widened, dtype) = match self {
            Self::Bool | Self::U8 => (None, DType::U8),
            Self::I8 => {
                (Some(widen(bytes, |[byte]: [u8; 1]| i16::from(byte as i8).to_le_bytes())), DType::I16)
            }
            Self::U16 => {
                (Some(widen(bytes, |two| u32::from(u16::from_le_bytes(two)).to_le_bytes())), DType::U32)
            }
            Self::U64 => {
                // The two types share their bytes below 2^63.
                if bytes.chunks_exact(8).any(|entry| entry[7] >= 0x80) {
                    candle_core::bail!("an unsigned integer is larger than 2^63 - 1");
                }
                (None, DType::I64)
            }
            Self::I16 => (None, DType::I16),
            Self::U32 => (None, DType::U32),
            Self::I32 => (None, DType::I32),
            Self::I64 => (None, DType::I64),
            Self::F8E4M3 => (None, DType::F8E4M3),
            Self::F16 => (None, DType::F16),
            Self::BF16 => (None, DType::BF16),
            Self::F32 => (None, DType::F32),
            Self::F64 => (None, DType::F64),
        };
        Tensor::from_raw_buffer(widened.as_deref().unwrap_or(bytes), dtype, shape, &Device::Cpu)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F8E4M3 => "f8e4m3",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Every entry of `N` bytes as one of `M` bytes.
fn widen<const N: usize, const M: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> [u8; M]) -> Vec<u8> {
    bytes.as_chunks::<N>().0.iter().flat_map(|entry| convert(*entry)).collect()
}
