//! Data sets through the public interface: what is loaded from files that the tests write themselves, from fixtures
//! that `NumPy` wrote, and from the real files where they are at hand.

mod arrays;
mod cifar;
mod digits;
mod idx;
mod images;
mod options;
mod published;
mod text;
mod truncated;

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use relief_models::data::{DataError, DataOptions, Dataset, Normalize, Split, Targets};

/// The whole train split as `f32`.
fn train() -> DataOptions {
    DataOptions::default()
}

fn test() -> DataOptions {
    DataOptions { split: Split::Test, ..DataOptions::default() }
}

fn limited(limit: usize) -> DataOptions {
    DataOptions { limit: Some(limit), ..DataOptions::default() }
}

fn normalized(text: &str) -> DataOptions {
    DataOptions { normalize: Some(Normalize::parse(text).unwrap()), ..DataOptions::default() }
}

fn load(path: &Path, options: &DataOptions) -> Result<Dataset, DataError> {
    Dataset::load(path.to_str().unwrap(), options)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn singles(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn doubles(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn labels(set: &Dataset) -> Vec<u32> {
    set.class_labels().unwrap().to_vec1().unwrap()
}

fn tokens(targets: &Targets) -> Vec<Vec<u32>> {
    assert!(matches!(targets, Targets::Tokens(_)), "{targets:?}");
    targets.tensor().to_vec2().unwrap()
}

/// What a refusal says; it must be a plain sentence that has every one of the parts.
#[track_caller]
fn assert_refused(result: Result<Dataset, DataError>, parts: &[&str]) {
    let message = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(!message.contains('\n') && !message.ends_with('.'), "not one plain sentence: {message}");
}
