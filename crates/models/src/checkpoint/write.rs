//! Writing safetensors, whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::Tensor;

use super::{CheckpointError, Result};

/// Writes tensors and metadata under a temporary name in the same folder, then renames.
pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>, metadata: &BTreeMap<String, String>) -> Result<()> {
    let refused = |source| CheckpointError::CannotWrite { name: path.display().to_string(), source };
    let metadata = metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let bytes =
        safetensors::serialize(tensors, Some(metadata)).map_err(|e| refused(std::io::Error::other(e.to_string())))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".relief-").tempfile_in(folder).map_err(refused)?;
    file.write_all(&bytes).and_then(|()| file.flush()).map_err(refused)?;
    file.persist(path).map(drop).map_err(|e| refused(e.error))
}
