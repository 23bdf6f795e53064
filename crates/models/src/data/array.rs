//! One array of numbers out of an NPZ or safetensors file, widened to the few types that the loaders tell apart.

use half::{bf16, f16};

use super::raw::Reals;

/// Numbers of an array. Widening is exact, but for unsigned 64-bit numbers above the signed range, which saturate: they
/// are far out of the range of any label or token.
pub(super) enum Numbers {
    /// `u8`, kept apart as such arrays of inputs are images.
    Bytes(Vec<u8>),
    /// Every other integer.
    Integers(Vec<i64>),
    /// Every float.
    Reals(Reals),
}

/// Row-major numbers and their shape.
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
    /// Type and shape in words, for messages.
    pub(super) described: String,
}

/// The element types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl Array {
    /// Decode little-endian bytes; there must be as many as the shape says.
    pub(super) fn decode(element: Element, shape: Vec<usize>, bytes: &[u8]) -> Self {
        let two = || bytes.as_chunks::<2>().0.iter().copied();
        let four = || bytes.as_chunks::<4>().0.iter().copied();
        let eight = || bytes.as_chunks::<8>().0.iter().copied();
        let numbers = match element {
            Element::U8 => Numbers::Bytes(bytes.to_vec()),
            Element::I8 => {
                Numbers::Integers(bytes.iter().map(|&byte| i64::from(byte.cast_signed())).collect())
            }
            Element::U16 => Numbers::Integers(two().map(|b| i64::from(u16::from_le_bytes(b))).collect()),
            Element::I16 => Numbers::Integers(two().map(|b| i64::from(i16::from_le_bytes(b))).collect()),
            Element::U32 => Numbers::Integers(four().map(|b| i64::from(u32::from_le_bytes(b))).collect()),
            Element::I32 => Numbers::Integers(four().map(|b| i64::from(i32::from_le_bytes(b))).collect()),
            Element::U64 => {
                let narrow = |b| i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX);
                Numbers::Integers(eight().map(narrow).collect())
            }
            Element::I64 => Numbers::Integers(eight().map(i64::from_le_bytes).collect()),
            Element::F16 => {
                Numbers::Reals(Reals::Singles(two().map(|b| f16::from_le_bytes(b).to_f32()).collect()))
            }
            Element::Bf16 => {
                Numbers::Reals(Reals::Singles(two().map(|b| bf16::from_le_bytes(b).to_f32()).collect()))
            }
            Element::F32 => Numbers::Reals(Reals::Singles(four().map(f32::from_le_bytes).collect())),
            Element::F64 => Numbers::Reals(Reals::Doubles(eight().map(f64::from_le_bytes).collect())),
        };
        Self {
            described: format!("{} of shape {shape:?}", format!("{element:?}").to_lowercase()),
            shape,
            numbers,
        }
    }

    /// The first `count` entries of the first dimension.
    pub(super) fn truncated(mut self, count: usize) -> Self {
        let kept = count * self.shape[1..].iter().product::<usize>();
        self.shape[0] = count;
        match &mut self.numbers {
            Numbers::Bytes(values) => values.truncate(kept),
            Numbers::Integers(values) => values.truncate(kept),
            Numbers::Reals(Reals::Singles(values)) => values.truncate(kept),
            Numbers::Reals(Reals::Doubles(values)) => values.truncate(kept),
        }
        self
    }
}
