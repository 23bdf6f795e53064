//! CPU kernels on plain slices: they know shapes and numbers, not tensors.
//!
//! Every kernel splits its work by shape alone and adds partial sums in a fixed order, so the digits do not depend on
//! the number of threads.

pub(crate) mod channels;
pub(crate) mod convolution;
pub(crate) mod matrix;
pub(crate) mod pooling;
mod unfold;

/// Entries below which a kernel stays on the calling thread.
const SERIAL: usize = 1 << 15;

/// The two kinds of number that kernels compute with.
pub(crate) trait Real:
    num_traits::Float + std::ops::AddAssign + Default + Into<f64> + Send + Sync + 'static
{
    /// Rounds to this precision.
    fn round_from(x: f64) -> Self;
}

impl Real for f32 {
    fn round_from(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    fn round_from(x: f64) -> Self {
        x
    }
}
