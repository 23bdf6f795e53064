//! What can go wrong between an objective and its eigenvalues.

/// An error of this crate: one sentence with what was found, what was expected and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arguments that do not fit together.
    #[error("{0}")]
    Input(String),
    /// The loss is not a finite number at the point.
    #[error(
        "the loss is {loss} at this point, so it has no curvature: the run diverged, or the checkpoint and data do not \
         belong together"
    )]
    NonFiniteLoss {
        /// What the loss is instead.
        loss: f64,
    },
    /// A product or value is not finite.
    #[error("{0}")]
    NonFinite(String),
    /// A resume file that does not fit.
    #[error("{0}")]
    State(String),
    /// An error of the engine.
    #[error(transparent)]
    Engine(#[from] relief_autodiff::Error),
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
