//! Writing safetensors, all of it or nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use super::CheckpointError;

/// The name under which a safetensors header keeps its metadata.
const METADATA: &str = "__metadata__";

/// One entry of the header.
#[derive(Serialize)]
#[serde(untagged)]
enum HeaderEntry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Tensor { dtype: &'static str, shape: &'a [usize], data_offsets: [usize; 2] },
}

/// Writes tensors and metadata to a safetensors file.
///
/// The same contents give the same bytes: names are sorted (within each width of number, the widest first, so that
/// every tensor is aligned). The file appears under its name only when it is whole; on an error the temporary file
/// next to it is removed and an older file of the name is left as it was.
///
/// # Errors
/// [`CheckpointError::CannotWrite`] with the operating system's reason; [`CheckpointError::Unsupported`] for a type
/// that is not written or a name that safetensors reserves; candle's error when a tensor cannot be brought to the host.
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let cannot_write = |source| CheckpointError::CannotWrite { path: path.into(), source };

    let mut ordered: Vec<(&String, &Tensor)> = tensors.iter().collect();
    ordered.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size_in_bytes()));
    let header = header(path, &ordered, metadata)?;

    let temporary = Temporary::beside(path).map_err(cannot_write)?;
    let mut writer = BufWriter::new(File::create(&temporary.path).map_err(cannot_write)?);
    writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(cannot_write)?;
    writer.write_all(&header).map_err(cannot_write)?;
    for (_, tensor) in ordered {
        writer.write_all(&little_endian(tensor)?).map_err(cannot_write)?;
    }
    let file = writer.into_inner().map_err(|error| cannot_write(error.into_error()))?;
    file.sync_all().map_err(cannot_write)?;
    fs::rename(&temporary.path, path).map_err(cannot_write)
}

fn header(
    path: &Path,
    ordered: &[(&String, &Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, CheckpointError> {
    let mut entries = BTreeMap::new();
    if !metadata.is_empty() {
        entries.insert(METADATA, HeaderEntry::Metadata(metadata));
    }
    let mut end = 0;
    for (name, tensor) in ordered {
        let unsupported =
            |found: String| CheckpointError::Unsupported { path: path.into(), name: (*name).clone(), found };
        if name.as_str() == METADATA {
            return Err(unsupported("a name that safetensors reserves".into()));
        }
        let dtype = type_name(tensor.dtype())
            .ok_or_else(|| unsupported(format!("entries of type {}", tensor.dtype().as_str())))?;
        let start = end;
        end += tensor.elem_count() * tensor.dtype().size_in_bytes();
        entries.insert(
            name.as_str(),
            HeaderEntry::Tensor { dtype, shape: tensor.dims(), data_offsets: [start, end] },
        );
    }
    let mut header = serde_json::to_vec(&entries)
        .map_err(|error| CheckpointError::CannotWrite { path: path.into(), source: error.into() })?;
    // The numbers begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// The name of a type in a safetensors header, for the types that are written.
fn type_name(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::U8 => "U8",
        DType::U32 => "U32",
        DType::I16 => "I16",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::BF16 => "BF16",
        DType::F16 => "F16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        _ => return None,
    })
}

/// The entries' bytes, last dimension fastest.
fn little_endian(tensor: &Tensor) -> candle_core::Result<Vec<u8>> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    macro_rules! bytes_of {
        ($kind:ty) => {
            flat.to_vec1::<$kind>()?.into_iter().flat_map(<$kind>::to_le_bytes).collect()
        };
    }
    Ok(match tensor.dtype() {
        DType::U8 => flat.to_vec1()?,
        DType::U32 => bytes_of!(u32),
        DType::I16 => bytes_of!(i16),
        DType::I32 => bytes_of!(i32),
        DType::I64 => bytes_of!(i64),
        DType::BF16 => bytes_of!(half::bf16),
        DType::F16 => bytes_of!(half::f16),
        DType::F32 => bytes_of!(f32),
        DType::F64 => bytes_of!(f64),
        other => candle_core::bail!("entries of type {} are not written", other.as_str()),
    })
}

/// A file that is removed when it is dropped, unless it was renamed before.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// A name in the same folder (a rename does not cross file systems) that no other process uses.
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
        let temporary = format!("{}.{}.partial", name.to_string_lossy(), std::process::id());
        Ok(Self { path: path.with_file_name(temporary) })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing under this name; otherwise there is no one left to tell.
        let _ = fs::remove_file(&self.path);
    }
}
