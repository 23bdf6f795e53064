//! Checkpoints: the named tensors of a trained network, as a file holds them.
//!
//! [`Checkpoint::load`] reads safetensors and PyTorch's zip format (`.pth`, `.pt`), and tells every other file from
//! these by its first bytes. Tensors stay in the precision they were stored in, on the host; a prefix that a wrapper
//! of the model put before every name (`module.`, `_orig_mod.`) is taken off. [`Checkpoint::fit`] compares names and
//! shapes with what a model wants, [`Checkpoint::inspect`] describes the contents, and [`save`] writes safetensors.
//!
//! ```no_run
//! use relief_models::{architecture::Architecture, checkpoint::Checkpoint};
//! let checkpoint = Checkpoint::load("net.pth".as_ref())?;
//! let model = Architecture::parse("resnet18")?.infer(&checkpoint.shapes())?;
//! let tensors = checkpoint.fit_model(&model, &[3, 32, 32])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adam;
mod archive;
mod element;
mod error;
mod fit;
mod inspect;
mod non_finite;
mod optimizer;
mod pickle;
mod prefix;
mod safetensors_file;
mod save;
mod signature;
mod state_dict;
mod unpickler;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use adam::AdamMemory;
pub use element::ElementType;
pub use error::{CheckpointError, ShapeMismatch};
pub use inspect::{Inspection, TensorInspection, TensorRole};
pub use non_finite::NonFiniteEntry;
pub use save::save;

use crate::architecture::Shapes;
use signature::Signature;

/// Results of this room.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// The file formats a checkpoint is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// A safetensors file.
    Safetensors,
    /// A zip archive as `torch.save` writes it since PyTorch 1.6.
    #[serde(rename = "pytorch-zip")]
    PyTorchZip,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::PyTorchZip => "PyTorch zip",
        })
    }
}

/// The contents of one checkpoint file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The tensors by name (without [`stripped_prefix`](Self::stripped_prefix)), in the precision they were stored
    /// in, contiguous, on the host. See [`ElementType`] for the few stored types that candle holds as a wider one.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the file says beside its tensors: the `__metadata__` of safetensors, or the texts and numbers (an epoch,
    /// say) that lie next to a nested state dict in a PyTorch file.
    pub metadata: BTreeMap<String, String>,
    /// The file this was read from.
    pub source: PathBuf,
    /// The format of that file.
    pub format: Format,
    /// What was taken off the front of every name, such as `module.`.
    pub stripped_prefix: Option<String>,
    /// The keys that lead to the state dict inside a PyTorch file, such as `state_dict`, joined by dots.
    pub nested_under: Option<String>,
    /// The element type of every tensor as the file has it.
    pub stored_dtypes: BTreeMap<String, ElementType>,
    sha256: String,
}

/// What a reader of one format found, before any prefix is taken off.
#[derive(Debug, Default)]
struct Contents {
    tensors: BTreeMap<String, (Tensor, ElementType)>,
    metadata: BTreeMap<String, String>,
    nested_under: Option<String>,
}

impl Checkpoint {
    /// Reads a checkpoint; the format is told from the file's first bytes, never from its name.
    ///
    /// # Errors
    /// A [`CheckpointError`] that names the file, what was found in it and how to mend it. No content of the file
    /// makes this panic.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_contents(path, &read_file(path)?)
    }

    /// Reads the contents of a file that is in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::from_contents(Path::new(name), bytes)
    }

    fn from_contents(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(CheckpointError::Empty { path: path.into() });
        }
        let (format, contents) = match signature::identify(bytes) {
            Signature::Safetensors => (Format::Safetensors, safetensors_file::read(path, bytes)?),
            Signature::Zip => (Format::PyTorchZip, archive::read(path, bytes)?),
            Signature::Pickle => return Err(CheckpointError::LegacyPickle { path: path.into() }),
            Signature::TooShort => {
                return Err(CheckpointError::Truncated {
                    path: path.into(),
                    found: bytes.len(),
                    missing: "even the shortest header is longer".into(),
                });
            }
            Signature::Other(found) => {
                return Err(CheckpointError::NotACheckpoint { path: path.into(), found });
            }
        };
        if contents.tensors.is_empty() {
            return Err(CheckpointError::NoTensors {
                path: path.into(),
                holds: "a header without tensors".into(),
            });
        }

        let (stripped_prefix, named) = prefix::strip(contents.tensors);
        let mut tensors = BTreeMap::new();
        let mut stored_dtypes = BTreeMap::new();
        for (name, (tensor, element)) in named {
            stored_dtypes.insert(name.clone(), element);
            tensors.insert(name, tensor);
        }
        Ok(Self {
            tensors,
            metadata: contents.metadata,
            source: path.into(),
            format,
            stripped_prefix,
            nested_under: contents.nested_under,
            stored_dtypes,
            sha256: hexadecimal(&Sha256::digest(bytes)),
        })
    }

    /// SHA-256 of the whole file, as 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The shape of every tensor.
    pub fn shapes(&self) -> Shapes {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect()
    }

    /// The precision to compute in: double if all floating-point tensors are stored so, else single.
    pub fn dtype(&self) -> DType {
        let mut floating = self.tensors.values().map(Tensor::dtype).filter(DType::is_float).peekable();
        if floating.peek().is_some() && floating.all(|dtype| dtype == DType::F64) {
            DType::F64
        } else {
            DType::F32
        }
    }

    /// One tensor converted to `dtype` (usually [`DType::F32`] or [`DType::F64`]).
    ///
    /// # Errors
    /// [`CheckpointError::NoSuchTensor`] when the checkpoint has no tensor of that name; candle's error when it
    /// cannot convert.
    pub fn tensor_as(&self, name: &str, dtype: DType) -> Result<Tensor> {
        let tensor = self.tensors.get(name).ok_or_else(|| CheckpointError::NoSuchTensor {
            path: self.source.clone(),
            name: name.into(),
            nearest: self.nearest_name(name),
        })?;
        Ok(tensor.to_dtype(dtype)?)
    }

    /// All floating-point tensors converted to `dtype` (usually [`DType::F32`] or [`DType::F64`]); tensors of integers
    /// are left out.
    ///
    /// # Errors
    /// Candle's error when it cannot convert.
    pub fn to_dtype(&self, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
        self.tensors
            .iter()
            .filter(|(_, tensor)| !tensor.dtype().is_int())
            .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)))
            .collect()
    }

    /// The name in this checkpoint that is spelled most like `name`.
    fn nearest_name(&self, name: &str) -> String {
        let likeness = |candidate: &str| strsim::jaro_winkler(candidate, name);
        self.tensors
            .keys()
            .max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
            .cloned()
            .unwrap_or_default()
    }
}

/// The whole file, or why it cannot be read.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(CheckpointError::NotACheckpoint { path: path.into(), found: "a folder".into() });
    }
    std::fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => CheckpointError::Missing { path: path.into() },
        _ => CheckpointError::Unreadable { path: path.into(), source },
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
