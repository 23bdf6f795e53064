//! Reading safetensors.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::SafeTensorError;

use super::{CheckpointError, Contents, ElementType};

/// Bytes of the number that says how long the header is.
const LENGTH_BYTES: usize = 8;

/// Reads the tensors and the metadata of a safetensors file.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Contents, CheckpointError> {
    let explain = |error: SafeTensorError| explain(path, bytes, &error);
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(explain)?;
    let file = SafeTensors::deserialize(bytes).map_err(explain)?;

    let mut contents = Contents::default();
    if let Some(metadata) = header.metadata() {
        contents.metadata.extend(metadata.clone());
    }
    for (name, view) in file.iter() {
        let element =
            ElementType::from_safetensors(view.dtype()).ok_or_else(|| CheckpointError::Unsupported {
                path: path.into(),
                name: name.into(),
                found: format!("entries of type {:?}", view.dtype()),
            })?;
        let tensor = element.decode(view.data(), view.shape())?;
        contents.tensors.insert(name.into(), (tensor, element));
    }
    Ok(contents)
}

/// A file that ends too early is told from one that contradicts itself.
fn explain(path: &Path, bytes: &[u8], error: &SafeTensorError) -> CheckpointError {
    let needed = needed_bytes(bytes);
    match needed {
        Some(needed) if needed > bytes.len() as u64 => CheckpointError::Truncated {
            path: path.into(),
            found: bytes.len(),
            missing: format!("its header asks for {needed}"),
        },
        _ => CheckpointError::Damaged { path: path.into(), detail: error.to_string() },
    }
}

/// How long the file has to be according to its header, or to the header's length when the header itself is cut;
/// nothing when the header makes no sense.
fn needed_bytes(bytes: &[u8]) -> Option<u64> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let header_length = u64::from_le_bytes(*length);
    let header_end = header_length.checked_add(LENGTH_BYTES as u64)?;
    let Some(header) = rest.get(..usize::try_from(header_length).ok()?) else {
        return Some(header_end);
    };
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let data_end =
        header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64()).max().unwrap_or(0);
    header_end.checked_add(data_end)
}
