//! Which format is at a path.

use std::path::Path;

use super::{
    array_file::ArrayFile, arrays, cifar, error::DataError, files, idx, images, options::DataOptions,
    raw::Raw, text,
};

/// Read whatever is at the path.
pub(super) fn load(source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let path = Path::new(source);
    if !path.exists() {
        return Err(DataError::Missing { path: path.to_path_buf() });
    }
    if path.is_dir() { folder(path, source, options) } else { file(path, source, options) }
}

fn folder(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let entries = files::entries(path)?;
    let names: Vec<String> = entries.iter().map(|entry| files::name(entry)).collect();
    if names.iter().any(|name| idx::is_images_name(name)) {
        return idx::load_folder(path, source, options);
    }
    if let Some(layout) = cifar::Layout::of_folder(&names) {
        return cifar::load_folder(path, source, layout, options);
    }
    let unrecognised = |found: String| Err(DataError::Unrecognised { path: path.to_path_buf(), found });
    if names.iter().any(|name| name == "data_batch_1" || name == "batches.meta") {
        return unrecognised(
            "CIFAR's Python version, whose pickles are not read: fetch the binary version, with data_batch_1.bin"
                .to_owned(),
        );
    }
    if entries.iter().any(|entry| entry.is_dir()) {
        return images::load(path, source, options);
    }
    match names.as_slice() {
        [] => unrecognised("an empty folder".to_owned()),
        [first, rest @ ..] => unrecognised(match rest.len() {
            0 => format!("a folder with the file {first}"),
            more => format!("a folder with {first} and {more} more"),
        }),
    }
}

fn file(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let beginning = files::beginning(path, 16)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let unrecognised =
        |found: &str| Err(DataError::Unrecognised { path: path.to_path_buf(), found: found.to_owned() });
    match (extension.as_str(), beginning.as_slice()) {
        (_, []) => Err(DataError::Empty { path: path.to_path_buf() }),
        ("npz", _) | (_, [b'P', b'K', 3, 4, ..]) => arrays::load(&ArrayFile::npz(path)?, source, options),
        ("safetensors", _) => arrays::load(&ArrayFile::safetensors(path)?, source, options),
        ("txt", _) => text::load(path, source, options),
        ("bin", _) => cifar::load_file(path, source, options),
        (_, [0, 0, 8, 3, ..]) => idx::load_file(path, source, options),
        (_, [0, 0, 8, 1, ..]) => {
            unrecognised("an idx file of labels: give its file of images, or the folder of both")
        }
        (_, [0x93, b'N', b'U', b'M', b'P', b'Y', ..]) => unrecognised(
            "a single NumPy array: save inputs and targets together with numpy.savez(FILE, x=..., y=...)",
        ),
        _ if idx::is_images_name(&files::name(path)) => idx::load_file(path, source, options),
        _ => unrecognised("a file of an unknown type"),
    }
}
