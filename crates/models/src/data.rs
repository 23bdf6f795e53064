//! Data sets: inputs and targets as tensors on the host, from whatever file the user has.
//!
//! [`Dataset::load`] tells the format from the path and the first bytes:
//!
//! | source | inputs | targets |
//! |---|---|---|
//! | `digits` (embedded, 1,797 examples) | `[N, 64]` in 0..1 | classes |
//! | folder of idx files, or one file of images with its labels beside it; plain or gzipped | `[N, 1, H, W]` in 0..1 | classes |
//! | folder of CIFAR's binary version, or one of its `.bin` files | `[N, 3, 32, 32]` in 0..1 | classes |
//! | `.npz` or `.safetensors` with `x` and `y` (or `x_train`, `y_train`, `x_test`, `y_test`) | `[N, ...]` | classes, real targets or tokens |
//! | folder with one subfolder of images per class, maybe below `train/` and `test/` | `[N, C, H, W]` in 0..1 | classes |
//! | `.txt` | `[N, T]` character ids | the next characters `[N, T]` |
//!
//! Bytes become `byte / 255` (digits: `/ 16`), then `(x - mean) / std` where [`DataOptions::normalize`] asks for it, all
//! in `f64`, and are rounded once to the run's dtype. Nothing is shuffled, and nothing is corrected silently: what does
//! not fit is a [`DataError`] that says what was found and how to mend it.
//!
//! ```
//! use relief_models::data::{DataOptions, Dataset};
//! let digits = Dataset::load("digits", &DataOptions { limit: Some(200), ..DataOptions::default() })?;
//! assert_eq!(digits.inputs.dims(), [200, 64]);
//! assert_eq!(digits.classes, Some(10));
//! # Ok::<(), relief_models::data::DataError>(())
//! ```

mod array_file;
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
mod options;
mod raw;
mod text;

pub use dataset::{Dataset, Targets};
pub use error::DataError;
pub use options::{DataOptions, Normalize, Split};
