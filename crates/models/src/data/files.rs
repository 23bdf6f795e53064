//! Reading files and folders, compressed or not.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::error::DataError;

/// The first two bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Far more than any gzip header plus the compressed form of a few bytes.
const ENOUGH: u64 = 1 << 16;

/// Attach a path to an input/output error.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
    move |cause| DataError::Unreadable { path: path.to_path_buf(), cause }
}

/// The whole content of a file, unpacked where it is gzipped (told by its first bytes, not by its name).
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let stored = fs::read(path).map_err(unreadable(path))?;
    if stored.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf() });
    }
    if !stored.starts_with(&GZIP_MAGIC) {
        return Ok(stored);
    }
    let mut content = Vec::new();
    match MultiGzDecoder::new(stored.as_slice()).read_to_end(&mut content) {
        Err(cause) => Err(DataError::Malformed {
            path: path.to_path_buf(),
            reason: format!(
                "its gzip compression is broken after {} bytes ({cause}), fetch it again",
                content.len()
            ),
        }),
        Ok(0) => Err(DataError::Empty { path: path.to_path_buf() }),
        Ok(_) => Ok(content),
    }
}

/// At most the first `count` bytes of a file's content, unpacked where it is gzipped.
pub(super) fn beginning(path: &Path, count: u64) -> Result<Vec<u8>, DataError> {
    let mut stored = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(ENOUGH.max(count)).read_to_end(&mut stored))
        .map_err(unreadable(path))?;
    if stored.starts_with(&GZIP_MAGIC) {
        let mut content = Vec::new();
        // What is broken is told when the file is read in earnest.
        let _ = MultiGzDecoder::new(stored.as_slice()).take(count).read_to_end(&mut content);
        return Ok(content);
    }
    stored.truncate(count as usize);
    Ok(stored)
}

/// The entries of a folder that are not hidden, sorted by name, so that no order depends on the file system.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = fs::read_dir(folder)
        .and_then(|listing| listing.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .map_err(unreadable(folder))?;
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// The last part of a path, as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
