//! What the examples of an architecture look like.

use relief_autodiff::Value;

use super::error::{ArchitectureError, Result};
use super::settings::Settings;

/// What the examples of an architecture look like; what is `None` is taken from the data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputKind {
    /// Any shape with this many entries.
    Flat(Option<usize>),
    /// Real images [channels, height, width].
    Images {
        /// Number of channels.
        channels: Option<usize>,
        /// Height and width.
        size: Option<[usize; 2]>,
    },
    /// Integer sequences `[positions]`.
    Tokens {
        /// Number of different tokens.
        vocabulary: usize,
        /// Largest number of positions.
        context: usize,
    },
    /// This shape, or any shape with as many entries.
    Shape(Vec<usize>),
}

/// The (channels, height, width) of a batch of images, or a refusal that says what is wanted.
pub(super) fn image_size(x: &Value, settings: &Settings) -> Result<[usize; 3]> {
    if let &[_, channels, height, width] = x.dims() {
        return Ok([channels, height, width]);
    }
    Err(ArchitectureError::Input {
        architecture: settings.architecture.into(),
        expected:
            "images [channels, height, width] (a model file with `input = [channels, height, width]` folds \
                   flat examples)"
                .into(),
        found: x.dims().iter().skip(1).copied().collect(),
    })
}
