//! What can be wrong with a figure.

use std::path::PathBuf;

/// Why a figure cannot be drawn or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// Data that do not make a figure.
    #[error("{0}")]
    Data(String),
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file name without a known extension.
    #[error("{} ends in none of .svg, .png and .html: give the figure's file one of them", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// A picture that cannot be encoded.
    #[error("the picture cannot be made: {0}")]
    Picture(String),
}
