//! What can be wrong with a checkpoint, each said in one sentence with its remedy.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::NonFiniteEntry;

/// How many names a message lists before it only counts the rest.
const LISTED: usize = 8;

/// Why a checkpoint could not be read, used or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is no file at the path.
    #[error("no file at `{}`; check the spelling and the folder", .path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("`{}` is empty (0 bytes), expected a checkpoint; copy or download it again", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before its contents do.
    #[error("`{}` is cut short: it has {found} bytes and {missing}; copy or download it again", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
        /// What shows that bytes are missing.
        missing: String,
    },
    /// The file is something else.
    #[error(
        "`{}` is not a checkpoint: found {found}, expected a safetensors file or a PyTorch zip file (`.pth`, `.pt`)",
        .path.display()
    )]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
        /// What the file looks like, with a hint where there is one.
        found: String,
    },
    /// A pickle outside a zip archive.
    #[error(
        "`{}` is a pickle in PyTorch's format from before 1.6, expected a safetensors file or a PyTorch zip file; \
         rewrite it in Python with `torch.save(torch.load(old), new)` or with `safetensors.torch.save_file`",
        .path.display()
    )]
    LegacyPickle {
        /// The file.
        path: PathBuf,
    },
    /// A TorchScript program.
    #[error(
        "`{}` is a TorchScript archive (a program), expected a state dict; \
         rewrite it in Python with `torch.save(torch.jit.load(old).state_dict(), new)`",
        .path.display()
    )]
    TorchScript {
        /// The file.
        path: PathBuf,
    },
    /// The format is right but there are no named tensors in it.
    #[error(
        "`{}` has no named tensors: found {holds}, expected a state dict; save it in Python with \
         `torch.save(model.state_dict(), path)`",
        .path.display()
    )]
    NoTensors {
        /// The file.
        path: PathBuf,
        /// What the file has in place of a state dict.
        holds: String,
    },
    /// The file has more than one state dict and none under a usual key.
    #[error(
        "`{}` has {} state dicts ({}), expected one; save the one that is meant on its own with `torch.save`",
        .path.display(), .keys.len(), listed(.keys)
    )]
    SeveralStateDicts {
        /// The file.
        path: PathBuf,
        /// The keys they lie under.
        keys: Vec<String>,
    },
    /// The file contradicts itself.
    #[error("`{}` is damaged: {detail}; copy or download it again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        detail: String,
    },
    /// A tensor is stored in a way that is not read.
    #[error(
        "tensor `{name}` of `{}` cannot be used: found {found}, expected a dense tensor of floating-point numbers \
         (f16, bf16, f32 or f64) or integers; convert it before saving",
        .path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// How it is stored.
        found: String,
    },
    /// The model and the checkpoint disagree on names or shapes.
    #[error("{}", mismatch_message(path, missing, extra, mismatched))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What the model wants and the checkpoint lacks, with the shapes wanted.
        missing: Vec<(String, Vec<usize>)>,
        /// What the checkpoint has and the model does not know, with the shapes found.
        extra: Vec<(String, Vec<usize>)>,
        /// What both have, in different shapes.
        mismatched: Vec<ShapeMismatch>,
    },
    /// A second copy of a tensor differs from the first, where the model has one for both.
    #[error(
        "`{}` does not fit the model: `{name}` differs from `{original}`, expected equal numbers since the model ties \
         the two; take a model whose weights are not tied",
        .path.display()
    )]
    TiedDiffer {
        /// The file.
        path: PathBuf,
        /// The copy.
        name: String,
        /// What it should be equal to.
        original: String,
    },
    /// The architecture cannot take examples of the data's shape.
    #[error(transparent)]
    Architecture(#[from] crate::architecture::ArchitectureError),
    /// A tensor asked for by name is not there.
    #[error("`{}` has no tensor `{name}`; the nearest name is `{nearest}`", .path.display())]
    NoSuchTensor {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The name in the file that is spelled most like it.
        nearest: String,
    },
    /// A tensor has an entry that is not a number or infinite.
    #[error(
        "tensor `{}` of `{}` has {} at index {:?}, expected finite numbers; the training diverged, \
         take an earlier checkpoint",
        .entry.name, .path.display(), .entry.value, .entry.index
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Where and what the entry is.
        entry: NonFiniteEntry,
    },
    /// There is nothing in the file that Adam remembers, or it cannot be used.
    #[error(
        "`{}` does not say what Adam remembers: {found}; expected a safetensors file with the second moments (exp_avg_sq) \
         under the parameters' names, or a PyTorch file with an optimizer's state_dict beside the model's",
        .path.display()
    )]
    NoAdam {
        /// The file.
        path: PathBuf,
        /// What is in its place.
        found: String,
    },
    /// The operating system refused to read the file.
    #[error("cannot read `{}` ({source}); check its permissions and the disk", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error(
        "cannot write `{}` ({source}); check that its folder exists, may be written to and has space",
        .path.display()
    )]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Candle refused an operation on a tensor.
    #[error("candle refused an operation on a checkpoint's tensor: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// A tensor that the model and the checkpoint have in different shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The name of the tensor.
    pub name: String,
    /// Its shape in the checkpoint.
    pub found: Vec<usize>,
    /// The shape the model wants.
    pub expected: Vec<usize>,
}

fn mismatch_message(
    path: &std::path::Path,
    missing: &[(String, Vec<usize>)],
    extra: &[(String, Vec<usize>)],
    mismatched: &[ShapeMismatch],
) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("the file lacks {} ({})", count(missing.len()), shaped(missing)));
    }
    if !extra.is_empty() {
        parts.push(format!("the model does not know {} ({})", count(extra.len()), shaped(extra)));
    }
    if !mismatched.is_empty() {
        let described: Vec<String> = mismatched
            .iter()
            .map(|one| format!("`{}`: found {:?}, expected {:?}", one.name, one.found, one.expected))
            .collect();
        parts.push(format!("{} of another shape ({})", count(mismatched.len()), shortened(&described, "; ")));
    }
    format!(
        "`{}` does not fit the model: {}; choose the model and the arguments it was trained with",
        path.display(),
        parts.join(", ")
    )
}

fn count(tensors: usize) -> String {
    format!("{tensors} tensor{}", if tensors == 1 { "" } else { "s" })
}

fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    shortened(&quoted, ", ")
}

fn shaped(tensors: &[(String, Vec<usize>)]) -> String {
    let described: Vec<String> = tensors.iter().map(|(name, shape)| format!("`{name}` {shape:?}")).collect();
    shortened(&described, ", ")
}

fn shortened(items: &[String], separator: &str) -> String {
    let shown = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(separator);
    match items.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
