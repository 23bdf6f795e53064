//! What can go wrong while a graph is built or differentiated.

/// An error of the engine. Messages are fragments that continue "failed: ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arguments of an operation do not fit together.
    #[error("{operation}: {problem}")]
    Shape {
        /// The operation's name.
        operation: &'static str,
        /// What was found and what was expected.
        problem: String,
    },
    /// A named tensor was not supplied.
    #[error("the graph needs a tensor `{name}` of shape {shape:?}, and none was given")]
    Missing {
        /// Name of the parameter or buffer.
        name: String,
        /// Shape the graph was built with.
        shape: Vec<usize>,
    },
    /// A tensor was supplied with another shape than the graph was built for.
    #[error("tensor `{name}` has shape {found:?}, but the graph was built for {expected:?}")]
    Mismatch {
        /// Name of the parameter, buffer or input.
        name: String,
        /// Shape that was given.
        found: Vec<usize>,
        /// Shape the graph was built with.
        expected: Vec<usize>,
    },
    /// The operation has no kernel for this kind of number.
    #[error("{operation} works on f32 and f64, not on {found:?}: convert the tensor first")]
    NumberType {
        /// The operation's name.
        operation: &'static str,
        /// What was given.
        found: candle_core::DType,
    },
    /// The operation has no kernel for this device.
    #[error("{operation} has no version for this device yet: run it on the CPU")]
    Device {
        /// The operation's name.
        operation: &'static str,
    },
    /// There is no such device, or this program cannot use it.
    #[error("no CUDA device: {cause}")]
    NoDevice {
        /// Why, in words.
        cause: String,
    },
    /// A product was asked for that this graph cannot give.
    #[error("{0}")]
    Unavailable(String),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Results of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A [`Error::Shape`], for use in `return Err(shape(...))`.
pub(crate) fn shape(operation: &'static str, problem: impl Into<String>) -> Error {
    Error::Shape { operation, problem: problem.into() }
}
