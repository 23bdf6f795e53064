//! NumPy's NPZ: a zip archive of `.npy` arrays, as `numpy.savez` and `numpy.savez_compressed` write it.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use zip::ZipArchive;

use super::{
    array::{Array, Element},
    arrays::ArrayFile,
    error::{DataError, unreadable},
};

/// An open archive.
pub(super) struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Open an archive and read its table of contents.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(unreadable(path))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|cause| DataError::Malformed {
            path: path.to_path_buf(),
            reason: format!("it is no complete NPZ (zip) archive ({cause}), save or fetch it again"),
        })?;
        Ok(Self { path: path.to_path_buf(), archive })
    }

    fn malformed(&self, reason: String) -> DataError {
        DataError::Malformed { path: self.path.clone(), reason }
    }
}

impl ArrayFile for Npz {
    fn names(&self) -> Vec<String> {
        let names = self.archive.file_names();
        names.filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned())).collect()
    }

    fn read(&mut self, name: &str) -> Result<Array, DataError> {
        let mut content = Vec::new();
        let unpacked = self.archive.by_name(&format!("{name}.npy")).map_err(|cause| cause.to_string());
        let unpacked =
            unpacked.and_then(|mut entry| entry.read_to_end(&mut content).map_err(|cause| cause.to_string()));
        unpacked.map_err(|cause| {
            self.malformed(format!(
                "array `{name}` cannot be unpacked ({cause}), save or fetch the file again"
            ))
        })?;
        decode(&content).map_err(|reason| self.malformed(format!("array `{name}` {reason}")))
    }
}

/// Decode a `.npy` file. The header is a Python dictionary of three entries behind a magic, a version and its length:
/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`.
fn decode(content: &[u8]) -> Result<Array, String> {
    let damaged = || "has no NumPy header: save the file again with numpy.savez".to_owned();
    let rest = content.strip_prefix(b"\x93NUMPY").ok_or_else(damaged)?;
    // Version 1 has a two-byte length, versions 2 and 3 a four-byte one.
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return Err(damaged()),
    };
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(damaged)?;
    let header = String::from_utf8_lossy(header);
    let kind = entry(&header, "descr").ok_or_else(damaged)?;
    let element = element(kind).ok_or_else(|| {
        let kind = kind.split([',', '}']).next().unwrap_or(kind).trim();
        format!(
            "has NumPy's type {kind}, expected little-endian integers or floats of 8 to 64 bits: convert it with astype"
        )
    })?;
    let shape = entry(&header, "shape").and_then(parse_shape).ok_or_else(damaged)?;
    let expected = shape.iter().try_fold(element.size(), |product, &size| product.checked_mul(size));
    if expected != Some(data.len()) {
        return Err(format!(
            "holds {} bytes of data, which is not what its shape {shape:?} of {element:?} takes: save the file again",
            data.len()
        ));
    }
    if entry(&header, "fortran_order").is_some_and(|value| value.starts_with("True")) && shape.len() > 1 {
        return Ok(Array::decode(element, shape.clone(), &row_major(data, &shape, element.size())));
    }
    Ok(Array::decode(element, shape, data))
}

/// The text behind a key of the header.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, behind) = header.split_once(&format!("'{key}'"))?;
    Some(behind.trim_start().strip_prefix(':')?.trim_start())
}

fn element(kind: &str) -> Option<Element> {
    let kind = kind.strip_prefix('\'')?.split('\'').next()?;
    Some(match kind.trim_start_matches(['<', '|', '=']) {
        "u1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return None,
    })
}

fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().ok()).collect()
}

/// Bytes of a column-major array, in row-major order.
fn row_major(data: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(data.len());
    for index in 0..data.len() / size {
        // The place of the index's digits, last dimension fastest, when the first dimension is the fastest.
        let (mut rest, mut block, mut place) = (index, data.len() / size, 0);
        for &dimension in shape.iter().rev() {
            block /= dimension;
            place += (rest % dimension) * block;
            rest /= dimension;
        }
        ordered.extend_from_slice(&data[place * size..(place + 1) * size]);
    }
    ordered
}
