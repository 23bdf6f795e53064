//! CPU kernels on plain slices: they know shapes and numbers, not tensors.
//!
//! Every kernel splits its work by shape alone and adds partial sums in a fixed order, so the digits do not depend on
//! the number of threads.

pub(crate) mod chain;
pub(crate) mod channels;
pub(crate) mod combination;
pub(crate) mod convolution;
mod direct;
mod geometry;
mod lanes;
pub(crate) mod matrix;
mod packed;
mod panels;
pub(crate) mod pooling;
pub(crate) mod rows;
mod scratch;
mod tile;
mod tiling;
mod transform;
mod unfold;
mod winograd;

use crate::rule::Elementwise;

/// Entries below which a kernel stays on the calling thread.
const SERIAL: usize = 1 << 15;

/// Runs loops that the compiler vectorises with the widest registers of the processor at hand.
#[inline(always)]
pub(crate) fn vectorised<R>(loops: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(loops)
}

/// Whether the widest registers of the processor at hand have 64 bytes, which are 32 then.
#[inline]
pub(crate) fn wide_registers() -> bool {
    #[cfg(target_arch = "x86_64")]
    if let pulp::Arch::V4(_) = pulp::Arch::new() {
        return true;
    }
    false
}

/// The two kinds of number that kernels compute with.
pub(crate) trait Real:
    num_traits::Float + std::ops::AddAssign + lanes::Lanes + Default + Into<f64> + Send + Sync + 'static
{
    /// Whether this is single precision.
    const IS_SINGLE: bool;

    /// Rounds to this precision.
    fn round_from(x: f64) -> Self;

    /// A function of every entry.
    fn map(rule: &dyn Elementwise, x: &[Self], out: &mut [Self]);

    /// The calling thread's idle buffers.
    fn shelf() -> &'static scratch::Shelf<Self>;
}

thread_local! {
    static SINGLE: std::cell::RefCell<Vec<Vec<f32>>> = const { std::cell::RefCell::new(vec![]) };
    static DOUBLE: std::cell::RefCell<Vec<Vec<f64>>> = const { std::cell::RefCell::new(vec![]) };
}

impl Real for f32 {
    const IS_SINGLE: bool = true;

    fn round_from(x: f64) -> Self {
        x as f32
    }

    fn map(rule: &dyn Elementwise, x: &[Self], out: &mut [Self]) {
        rule.map_f32(0, x, out);
    }

    fn shelf() -> &'static scratch::Shelf<Self> {
        &SINGLE
    }
}

impl Real for f64 {
    const IS_SINGLE: bool = false;

    fn round_from(x: f64) -> Self {
        x
    }

    fn map(rule: &dyn Elementwise, x: &[Self], out: &mut [Self]) {
        rule.map_f64(0, x, out);
    }

    fn shelf() -> &'static scratch::Shelf<Self> {
        &DOUBLE
    }
}
