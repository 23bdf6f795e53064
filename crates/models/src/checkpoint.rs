//! Checkpoints: named tensors in safetensors or PyTorch's zip format, and what fits them.
//!
//! ```no_run
//! use relief_models::{architecture::Architecture, checkpoint::Checkpoint};
//! let checkpoint = Checkpoint::load("net.pth".as_ref())?;
//! let model = Architecture::parse("resnet18")?.infer(&checkpoint.shapes())?;
//! let tensors = checkpoint.fit_model(&model, &[3, 32, 32])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod fit;
mod inspect;
mod pth;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use error::CheckpointError;
pub use inspect::{Inspection, TensorInspection};
pub use write::save;

use crate::architecture::Shapes;

/// Results of this room.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// How a checkpoint is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// <https://github.com/huggingface/safetensors>, as `candle_nn::VarMap::save` writes it.
    Safetensors,
    /// What `torch.save` writes since PyTorch 1.6.
    PytorchZip,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::PytorchZip => "PyTorch zip",
        })
    }
}

/// A checkpoint in memory.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The tensors as they are stored, without a wrapper's prefix.
    pub tensors: BTreeMap<String, Tensor>,
    /// Text that came with them (safetensors only).
    pub metadata: BTreeMap<String, String>,
    /// How they were stored.
    pub format: Format,
    /// A prefix that every name had, such as `module.`.
    pub stripped_prefix: Option<String>,
    name: String,
    sha256: String,
}

/// Prefixes that wrappers put before every name: `DataParallel`, and `torch.compile`.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

impl Checkpoint {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Unreadable { name: name.clone(), source })?;
        Self::from_bytes(&name, &bytes)
    }

    /// Reads the content of a file; `name` is for messages.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let name = name.to_string();
        if bytes.is_empty() {
            return Err(CheckpointError::Empty { name });
        }
        let (format, tensors, metadata) = if bytes.starts_with(b"PK\x03\x04") {
            (Format::PytorchZip, pth::read(&name, bytes)?, BTreeMap::new())
        } else {
            let (tensors, metadata) = safetensors(&name, bytes)?;
            (Format::Safetensors, tensors, metadata)
        };
        if tensors.is_empty() {
            return Err(CheckpointError::NoTensors { name });
        }
        let (stripped_prefix, tensors) = strip(tensors);
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { tensors, metadata, format, stripped_prefix, name, sha256 })
    }

    /// SHA-256 of the file, as 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The shape of every tensor.
    pub fn shapes(&self) -> Shapes {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect()
    }

    /// f64 if all its real numbers are, else f32.
    pub fn dtype(&self) -> DType {
        let mut real = self.tensors.values().map(Tensor::dtype).filter(DType::is_float);
        if real.all(|dtype| dtype == DType::F64) { DType::F64 } else { DType::F32 }
    }

    /// An error that names the first number that is not finite.
    pub fn require_finite(&self) -> Result<()> {
        for (name, tensor) in &self.tensors {
            if !tensor.dtype().is_float() {
                continue;
            }
            let entries = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            if let Some(index) = entries.iter().position(|x| !x.is_finite()) {
                let (file, tensor, value) = (self.name.clone(), name.clone(), entries[index]);
                return Err(CheckpointError::NonFinite { name: file, tensor, index, value });
            }
        }
        Ok(())
    }
}

type Named = BTreeMap<String, Tensor>;

fn safetensors(name: &str, bytes: &[u8]) -> Result<(Named, BTreeMap<String, String>)> {
    let name = || name.to_string();
    let declared = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    // A header that begins like one tells a cut file from something else altogether.
    let looks_right = bytes.get(8) == Some(&b'{') && declared.is_some_and(|n| n < 100_000_000);
    if !looks_right {
        return Err(error::not_a_checkpoint(name(), bytes));
    }
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|e| CheckpointError::Damaged { name: name(), reason: format!("its header does not parse: {e}") })?;
    let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|e| CheckpointError::Damaged { name: name(), reason: error::first_line(&e) })?;
    Ok((tensors.into_iter().collect(), metadata))
}

/// Removes wrappers' prefixes as long as every name has one.
fn strip(mut tensors: Named) -> (Option<String>, Named) {
    let mut stripped = String::new();
    while let Some(prefix) = PREFIXES.into_iter().find(|prefix| tensors.keys().all(|name| name.starts_with(prefix))) {
        stripped.push_str(prefix);
        tensors = tensors.into_iter().map(|(name, t)| (name[prefix.len()..].to_string(), t)).collect();
    }
    ((!stripped.is_empty()).then_some(stripped), tensors)
}
