//! Data sets: inputs and targets on the host, from whatever format they came in.
//!
//! | given | read as |
//! |---|---|
//! | `digits` | the 1,797 embedded 8x8 images, `[N, 64]` in 0..1 |
//! | a folder with idx files, or a file of images | MNIST's format, plain or `.gz` |
//! | a folder with CIFAR's `.bin` files, or one of them | CIFAR-10 or CIFAR-100, binary version |
//! | `.npz`, `.safetensors` | arrays `x` and `y` |
//! | a folder of folders | one class a folder of PNG, JPEG or BMP images |
//! | `.txt` | next-character prediction |
//!
//! Pixels become `x / 255`, then [`Normalize`] applies; nothing else is changed, and what does not fit is a [`DataError`].

mod array;
mod arrays;
mod cifar;
mod dataset;
mod detect;
mod digits;
mod error;
mod files;
mod fingerprint;
mod idx;
mod images;
mod meaning;
mod npz;
mod options;
mod raw;
mod text;

pub use dataset::{Dataset, Targets};
pub use error::DataError;
pub use options::{DataOptions, Normalize, Split};
