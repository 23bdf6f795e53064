//! SHA-256 of the files of a data set.

use std::{
    fmt::Write as _,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{error::DataError, files::unreadable};

/// Hexadecimal SHA-256 of bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of one file, or of the list `HASH  NAME` of several; `None` without files.
pub(super) fn of_files(files: &[PathBuf]) -> Result<Option<String>, DataError> {
    match files {
        [] => Ok(None),
        [file] => of_file(file).map(Some),
        several => {
            let mut list = String::new();
            for file in several {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                list.extend([of_file(file)?.as_str(), "  ", &*name, "\n"]);
            }
            Ok(Some(of_bytes(list.as_bytes())))
        }
    }
}

fn of_file(path: &Path) -> Result<String, DataError> {
    let mut file = File::open(path).map_err(unreadable(path))?;
    let mut hasher = HashWriter(Sha256::new());
    io::copy(&mut file, &mut hasher).map_err(unreadable(path))?;
    Ok(hexadecimal(&hasher.0.finalize()))
}

/// Lets [`io::copy`] feed the hash, so that a file is never wholly in memory.
struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
