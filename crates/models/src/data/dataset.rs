//! The data set itself: inputs and targets on the host, whatever the format they came from.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::{detect, digits, error::DataError, fingerprint, options::DataOptions, raw::Raw};

/// What a network should answer, one entry an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Targets {
    /// Class labels: `u32`, shape `[N]`.
    Classes(Tensor),
    /// Real targets: the run's dtype, shape `[N]` or `[N, ...]`.
    Real(Tensor),
    /// The next token at every position: `u32`, shape `[N, T]`.
    Tokens(Tensor),
}

impl Targets {
    /// The tensor, whatever it stands for.
    pub fn tensor(&self) -> &Tensor {
        match self {
            Self::Classes(tensor) | Self::Real(tensor) | Self::Tokens(tensor) => tensor,
        }
    }

    fn narrow(&self, start: usize, length: usize) -> candle_core::Result<Self> {
        Ok(match self {
            Self::Classes(tensor) => Self::Classes(tensor.narrow(0, start, length)?),
            Self::Real(tensor) => Self::Real(tensor.narrow(0, start, length)?),
            Self::Tokens(tensor) => Self::Tokens(tensor.narrow(0, start, length)?),
        })
    }
}

/// Inputs and targets, held on the host in the order of their file.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// A short name: `digits`, or the last part of the path without its extension.
    pub name: String,
    /// `[N, ...]` real inputs in the run's dtype, or `[N, T]` token ids (`u32`). Images are `[N, C, H, W]`.
    pub inputs: Tensor,
    /// The targets, as many as inputs.
    pub targets: Targets,
    /// The path as given, or `digits`.
    pub source: String,
    /// Number of classes, or of different tokens in a text; `None` for real targets. Where the format does not state it
    /// (idx, NPZ, safetensors), one more than the largest label of the whole file, whatever the limit.
    pub classes: Option<usize>,
    /// Names of the classes in the order of their labels: the subfolders of an image folder, the characters of a text.
    /// Empty where the format has none.
    pub class_names: Vec<String>,
    files: Vec<PathBuf>,
}

impl Dataset {
    /// Load `digits` or whatever is at a path; the format is told from the path and the first bytes (see the
    /// [module](super)).
    ///
    /// # Errors
    /// Everything that does not fit is a [`DataError`]; nothing is corrected silently.
    pub fn load(source: &str, options: &DataOptions) -> Result<Self, DataError> {
        let raw =
            if source == digits::NAME { digits::load(options)? } else { detect::load(source, options)? };
        raw.finish(options)
    }

    /// A data set made in memory. It has no files, hence no fingerprint.
    ///
    /// # Errors
    /// [`DataError::NoExamples`] and [`DataError::CountMismatch`], and [`DataError::Tensor`] for labels that are not
    /// `u32`.
    pub fn from_tensors(name: &str, inputs: Tensor, targets: Targets) -> Result<Self, DataError> {
        let (examples, labels) = (inputs.dim(0)?, targets.tensor().dim(0)?);
        if inputs.elem_count() == 0 {
            return Err(DataError::NoExamples { origin: name.to_owned() });
        }
        if examples != labels {
            return Err(DataError::CountMismatch {
                origin: name.to_owned(),
                inputs: examples,
                targets: labels,
            });
        }
        let classes = match &targets {
            Targets::Real(_) => None,
            Targets::Classes(ids) | Targets::Tokens(ids) => {
                Some(ids.flatten_all()?.max(0)?.to_scalar::<u32>()? as usize + 1)
            }
        };
        Ok(Self {
            name: name.to_owned(),
            inputs,
            targets,
            source: name.to_owned(),
            classes,
            class_names: Vec::new(),
            files: Vec::new(),
        })
    }

    pub(super) fn loaded(raw: Raw, inputs: Tensor, targets: Targets) -> Self {
        let name = Path::new(&raw.origin).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Self {
            name: name.unwrap_or_else(|| raw.origin.clone()),
            inputs,
            targets,
            source: raw.origin,
            classes: raw.classes,
            class_names: raw.class_names,
            files: raw.files,
        }
    }

    /// Number of examples N.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// Shape of one input, without N.
    pub fn example_shape(&self) -> &[usize] {
        &self.inputs.dims()[1..]
    }

    /// The class labels: `u32`, shape `[N]`.
    ///
    /// # Errors
    /// [`DataError::NotClasses`] for real targets (labels saved as floats are not rounded silently) and for tokens.
    pub fn class_labels(&self) -> Result<&Tensor, DataError> {
        let found = match &self.targets {
            Targets::Classes(labels) => return Ok(labels),
            Targets::Real(targets) => format!("real numbers of shape {:?}", targets.dims()),
            Targets::Tokens(targets) => format!("next tokens of shape {:?}", targets.dims()),
        };
        Err(DataError::NotClasses { origin: self.source.clone(), found })
    }

    /// The examples of a range, as views: nothing is copied.
    ///
    /// # Errors
    /// [`DataError::Tensor`] when the range leaves the set.
    pub fn batch(&self, range: Range<usize>) -> Result<(Tensor, Targets), DataError> {
        let length = range.len();
        Ok((self.inputs.narrow(0, range.start, length)?, self.targets.narrow(range.start, length)?))
    }

    /// So many different examples, drawn by the seed alone, in the order of the set.
    ///
    /// # Errors
    /// [`DataError::SampleSize`] unless `count` is between 1 and the number of examples.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Self, DataError> {
        let examples = self.examples();
        if count == 0 || count > examples {
            return Err(DataError::SampleSize { asked: count, examples });
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut chosen: Vec<u32> =
            index::sample(&mut random, examples, count).into_iter().map(|i| i as u32).collect();
        chosen.sort_unstable();
        let chosen = Tensor::new(chosen, self.inputs.device())?;
        let pick = |tensor: &Tensor| tensor.index_select(&chosen, 0);
        let targets = match &self.targets {
            Targets::Classes(tensor) => Targets::Classes(pick(tensor)?),
            Targets::Real(tensor) => Targets::Real(pick(tensor)?),
            Targets::Tokens(tensor) => Targets::Tokens(pick(tensor)?),
        };
        Ok(Self { inputs: pick(&self.inputs)?, targets, ..self.clone() })
    }

    /// SHA-256 of what the set was read from, as 64 hexadecimal digits: of the file where it is one (as `sha256sum`
    /// prints it), else of the list `HASH  NAME` of its files, one a line. `None` for a set made in memory.
    ///
    /// It tells whether two results used the same files; split, limit and sample are not part of it.
    ///
    /// # Errors
    /// [`DataError::Unreadable`] when a file has gone.
    pub fn fingerprint(&self) -> Result<Option<String>, DataError> {
        if self.source == digits::NAME {
            return Ok(Some(fingerprint::of_bytes(digits::FILE)));
        }
        fingerprint::of_files(&self.files)
    }
}
