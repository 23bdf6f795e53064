//! Reading the zip archive that `torch.save` writes: `data.pkl` describes the tensors, `data/0`, `data/1`, ... hold
//! their numbers.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::Path;

use candle_core::Tensor;
use zip::ZipArchive;
use zip::result::ZipError;

use super::pickle::Graph;
use super::state_dict::{self, StoredTensor};
use super::{CheckpointError, Contents, ElementType};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// What the last record of every zip archive begins with.
const LAST_RECORD: &[u8] = b"PK\x05\x06";

/// The least number of bytes of that record.
const LAST_RECORD_BYTES: usize = 22;

/// A PyTorch archive whose description is read, and whose numbers are not yet.
pub(super) struct Opened<'a> {
    path: &'a Path,
    archive: Archive<'a>,
    folder: String,
    /// The description.
    pub(super) graph: Graph,
}

/// Reads the tensors of a PyTorch archive.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Contents, CheckpointError> {
    let mut opened = Opened::new(path, bytes)?;
    let found = state_dict::find(path, &opened.graph)?;
    Ok(Contents {
        tensors: opened.tensors(&found.tensors)?,
        metadata: found.metadata,
        nested_under: found.nested_under,
    })
}

impl<'a> Opened<'a> {
    /// Reads the description.
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            if bytes.windows(LAST_RECORD_BYTES).any(|window| window.starts_with(LAST_RECORD)) {
                damaged(path, error.to_string())
            } else {
                CheckpointError::Truncated {
                    path: path.into(),
                    found: bytes.len(),
                    missing: "the end of its zip archive is not there".into(),
                }
            }
        })?;
        let folder = folder(path, &archive)?;
        if entry(path, &mut archive, &format!("{folder}byteorder"))?.is_some_and(|order| order == b"big") {
            return Err(CheckpointError::NotACheckpoint {
                path: path.into(),
                found:
                    "a PyTorch file in big-endian byte order, which has to be saved again on a usual machine"
                        .into(),
            });
        }
        let description = entry(path, &mut archive, &format!("{folder}data.pkl"))?.unwrap_or_default();
        let graph = Graph::read(&description).map_err(|detail| damaged(path, detail))?;
        Ok(Self { path, archive, folder, graph })
    }

    /// The numbers of described tensors, with the type they are stored in.
    pub(super) fn tensors(
        &mut self,
        described: &BTreeMap<String, StoredTensor>,
    ) -> Result<BTreeMap<String, (Tensor, ElementType)>, CheckpointError> {
        let path = self.path;
        let mut by_storage: BTreeMap<&str, Vec<(&String, &StoredTensor)>> = BTreeMap::new();
        for (name, tensor) in described {
            by_storage.entry(&tensor.storage).or_default().push((name, tensor));
        }
        let mut read = BTreeMap::new();
        for (storage, tensors) in by_storage {
            let numbers = entry(path, &mut self.archive, &format!("{}data/{storage}", self.folder))?
                .ok_or_else(|| damaged(path, format!("its storage `data/{storage}` is missing")))?;
            for (name, stored) in tensors {
                let bytes = gather(stored, &numbers)
                    .ok_or_else(|| damaged(path, format!("tensor `{name}` reaches beyond its storage")))?;
                let tensor = stored.element.decode(&bytes, &stored.shape)?;
                read.insert(name.clone(), (tensor, stored.element));
            }
        }
        Ok(read)
    }
}

/// The folder inside the archive that has `data.pkl`, with its slash; refuses archives that are not PyTorch's.
fn folder(path: &Path, archive: &Archive<'_>) -> Result<String, CheckpointError> {
    let names = archive
        .file_names()
        .map(|name| name.map(std::borrow::Cow::into_owned))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(path, error.to_string()))?;
    if names.iter().any(|name| name.ends_with("/constants.pkl") || name.contains("/code/")) {
        return Err(CheckpointError::TorchScript { path: path.into() });
    }
    let description = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    let folders = description.filter(|folder| folder.is_empty() || folder.ends_with('/'));
    if let Some(folder) = folders.min_by_key(|folder| folder.len()) {
        return Ok(folder.to_string());
    }
    let found = match names.first() {
        Some(name) if Path::new(name).extension().is_some_and(|extension| extension == "npy") => {
            "a NumPy archive (`.npz`)".into()
        }
        Some(name) => format!("a zip archive without PyTorch's `data.pkl` (its first entry is `{name}`)"),
        None => "an empty zip archive".into(),
    };
    Err(CheckpointError::NotACheckpoint { path: path.into(), found })
}

/// The bytes of one entry, checked against its checksum; nothing when there is no such entry.
fn entry(path: &Path, archive: &mut Archive<'_>, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
    let explain = |detail: String| damaged(path, format!("its entry `{name}`: {detail}"));
    let mut bytes = Vec::new();
    match archive.by_name(name) {
        Ok(mut file) => {
            file.read_to_end(&mut bytes).map_err(|error| explain(error.to_string()))?;
            Ok(Some(bytes))
        }
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(explain(error.to_string())),
    }
}

/// The bytes of a strided view in the order of its indices, last dimension fastest; nothing when the view reaches
/// beyond the storage or is larger than the memory.
fn gather(stored: &StoredTensor, storage: &[u8]) -> Option<Vec<u8>> {
    let size = stored.element.size_in_bytes();
    let total = stored.shape.iter().try_fold(1_usize, |total, length| total.checked_mul(*length))?;
    let mut gathered = Vec::new();
    gathered.try_reserve_exact(total.checked_mul(size)?).ok()?;
    if total == 0 {
        return Some(gathered);
    }
    let last =
        stored.shape.iter().zip(&stored.strides).try_fold(stored.offset, |last, (length, stride)| {
            last.checked_add((length - 1).checked_mul(*stride)?)
        })?;
    if last.checked_add(1)?.checked_mul(size)? > storage.len() {
        return None;
    }

    // Runs along the trailing dimensions that lie densely are copied whole.
    let mut run = 1;
    let mut outer = stored.shape.len();
    while outer > 0 && (stored.strides[outer - 1] == run || stored.shape[outer - 1] == 1) {
        run *= stored.shape[outer - 1];
        outer -= 1;
    }
    let mut index = vec![0; outer];
    let mut position = stored.offset;
    loop {
        gathered.extend_from_slice(&storage[position * size..(position + run) * size]);
        let mut dimension = outer;
        loop {
            if dimension == 0 {
                return Some(gathered);
            }
            dimension -= 1;
            index[dimension] += 1;
            position += stored.strides[dimension];
            if index[dimension] < stored.shape[dimension] {
                break;
            }
            position -= stored.strides[dimension] * stored.shape[dimension];
            index[dimension] = 0;
        }
    }
}

fn damaged(path: &Path, detail: String) -> CheckpointError {
    CheckpointError::Damaged { path: path.into(), detail }
}
