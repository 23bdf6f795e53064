//! NumPy archives: a zip of arrays in the `.npy` format.
//!
//! Beside the numbers, `metadata` is the result's JSON without them, as bytes:
//! `json.loads(file["metadata"].tobytes())`.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::exit::Failure;
use crate::saved::Entry;

/// An array in row-major order.
pub(crate) struct Array {
    name: String,
    shape: Vec<usize>,
    /// NumPy's name of the type, such as `<f8`.
    kind: String,
    bytes: Vec<u8>,
}

impl Array {
    /// Double precision.
    pub(crate) fn reals(name: impl Into<String>, shape: Vec<usize>, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), shape, kind: "<f8".into(), bytes }
    }

    /// The same along one axis.
    pub(crate) fn list(name: impl Into<String>, values: &[f64]) -> Self {
        Self::reals(name, vec![values.len()], values)
    }

    /// Yes or no.
    pub(crate) fn flags(name: impl Into<String>, values: impl Iterator<Item = bool>) -> Self {
        let bytes: Vec<u8> = values.map(u8::from).collect();
        Self { name: name.into(), shape: vec![bytes.len()], kind: "|b1".into(), bytes }
    }

    /// Texts, which NumPy pads to the longest.
    pub(crate) fn words<'a>(name: impl Into<String>, words: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<Vec<char>> = words.map(|word| word.chars().collect()).collect();
        let width = words.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let letter = |word: &[char], i: usize| word.get(i).map_or(0, |c| u32::from(*c)).to_le_bytes();
        let bytes = words.iter().flat_map(|word| (0..width).flat_map(move |i| letter(word, i))).collect();
        Self { name: name.into(), shape: vec![words.len()], kind: format!("<U{width}"), bytes }
    }

    /// One file of the archive: magic string, version 1.0, length of the header, header, numbers. Spaces fill the header
    /// up, so that the numbers begin at a multiple of 64.
    fn npy(&self) -> Vec<u8> {
        let shape: String = self.shape.iter().map(|n| format!("{n}, ")).collect();
        let header = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
            self.kind,
            shape.trim_end()
        );
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((length as u16).to_le_bytes());
        out.extend(format!("{header:width$}\n", width = length - 1).bytes());
        out.extend(&self.bytes);
        out
    }
}

/// All arrays of the results: under their own names, or, where there are several results, as `checkpoint/name`.
pub(super) fn archive(entries: Vec<Entry<'_>>) -> Result<Vec<u8>, Failure> {
    let mut arrays = vec![];
    let names = prefixes(entries.iter().map(|entry| entry.name.as_str()));
    for (prefix, entry) in names.into_iter().zip(entries) {
        for array in entry.arrays.into_iter().chain([metadata(&entry.document.to_string())]) {
            arrays.push(Array { name: format!("{prefix}{}", array.name), ..array });
        }
    }
    zipped(&arrays).map_err(|e| Failure::Numbers(format!("the archive cannot be made: {e}")))
}

/// What stands before the names of each result's arrays: nothing where it is the only one.
fn prefixes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let names: Vec<&str> = names.collect();
    if names.len() > 1 {
        for name in &names {
            // Checkpoints in several folders may have one name.
            let numbered = (2..).map(|i| format!("{name}-{i}"));
            let free = std::iter::once((*name).to_string())
                .chain(numbered)
                .map(|name| name + "/")
                .find(|prefix| !out.contains(prefix));
            out.extend(free);
        }
        return out;
    }
    vec![String::new(); names.len()]
}

fn metadata(document: &str) -> Array {
    let bytes = document.as_bytes().to_vec();
    Array { name: "metadata".into(), shape: vec![bytes.len()], kind: "|u1".into(), bytes }
}

fn zipped(arrays: &[Array]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options)?;
        archive.write_all(&array.npy())?;
    }
    Ok(archive.finish()?.into_inner())
}
