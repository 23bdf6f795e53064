//! Why a checkpoint cannot be used.

use super::fit::Misfit;

/// One plain sentence each: what was found, what was expected, how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("the checkpoint `{name}` cannot be read ({source}): check the path")]
    Unreadable {
        /// The file.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("the checkpoint `{name}` is empty: it has 0 bytes, so it was not saved or not copied")]
    Empty {
        /// The file.
        name: String,
    },
    /// Another kind of file.
    #[error("`{name}` is not a checkpoint: it looks like {found}, expected safetensors or a PyTorch .pth zip archive")]
    NotACheckpoint {
        /// The file.
        name: String,
        /// What its first bytes look like.
        found: String,
    },
    /// The right kind of file, but cut or changed.
    #[error("the checkpoint `{name}` is truncated or damaged ({reason}): copy or save it again")]
    Damaged {
        /// The file.
        name: String,
        /// What does not parse.
        reason: String,
    },
    /// A pickle from before PyTorch 1.6.
    #[error(
        "`{name}` is a legacy pickle, which is not read: load it in PyTorch with `torch.load` and write it with \
         `torch.save` (1.6 or later) or as safetensors"
    )]
    LegacyPickle {
        /// The file.
        name: String,
    },
    /// A compiled module.
    #[error(
        "`{name}` is a TorchScript archive, which holds code: save the weights alone, with \
         `torch.save(torch.jit.load(...).state_dict(), ...)`"
    )]
    TorchScript {
        /// The file.
        name: String,
    },
    /// Nothing in it.
    #[error("the checkpoint `{name}` holds no tensors: save the model's state dictionary")]
    NoTensors {
        /// The file.
        name: String,
    },
    /// Names or shapes that are not the model's.
    #[error("the checkpoint `{name}` does not fit the model: {misfit}")]
    Mismatch {
        /// The file.
        name: String,
        /// Missing, extra and mismatched tensors.
        misfit: Misfit,
    },
    /// The architecture cannot take the data.
    #[error(transparent)]
    Architecture(#[from] crate::architecture::ArchitectureError),
    /// NaN or infinity among the weights.
    #[error("the checkpoint `{name}` holds {value} in `{tensor}` (entry {index}): the run that saved it had diverged")]
    NonFinite {
        /// The file.
        name: String,
        /// The tensor.
        tensor: String,
        /// Position in the flattened tensor.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// The file cannot be written.
    #[error("`{name}` cannot be written ({source}): choose a folder that exists and is yours")]
    CannotWrite {
        /// The file.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An error of candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Says what bytes that are neither format look like.
pub(super) fn not_a_checkpoint(name: String, bytes: &[u8]) -> CheckpointError {
    let text = |bytes: &[u8]| bytes.iter().take(64).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    let found = match bytes {
        [0x80, 2..=5, ..] => return CheckpointError::LegacyPickle { name },
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array",
        bytes if bytes.len() < 9 => "a file cut after its first bytes",
        bytes if text(bytes) => "text",
        _ => "something else",
    };
    CheckpointError::NotACheckpoint { name, found: found.into() }
}

/// An error's message without a backtrace.
pub(super) fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}
