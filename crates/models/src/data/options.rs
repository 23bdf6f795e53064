//! What to load of a data set, and how to present it.

use std::{fmt, str::FromStr};

use candle_core::DType;
use serde::{Deserialize, Serialize};

use super::error::DataError;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The examples that the network is trained on: the default, as a landscape is that of the training loss.
    #[default]
    Train,
    /// The examples held out.
    Test,
}

impl Split {
    pub(super) const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            other => {
                let likeness = |split: Split| strsim::jaro_winkler(other, split.name());
                let nearest =
                    if likeness(Self::Test) > likeness(Self::Train) { Self::Test } else { Self::Train };
                Err(DataError::UnknownSplit { found: other.to_owned(), nearest })
            }
        }
    }
}

/// Inputs become `(x - mean) / std`, channel by channel, before they are rounded to the run's dtype.
///
/// One value serves every channel; otherwise there is one value per channel, the second dimension of the inputs
/// (`[N, C, H, W]`, or the features of `[N, D]`). For pixels `x` is already in 0..1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// Means, one per channel or one for all.
    pub mean: Vec<f64>,
    /// Standard deviations, as many as means, each above zero.
    pub std: Vec<f64>,
}

impl Normalize {
    /// Read `mean,std` for one channel (`0.1307,0.3081`) or `means/stds` for several
    /// (`0.49,0.48,0.45/0.25,0.24,0.26`).
    ///
    /// # Errors
    /// [`DataError::BadNormalization`] when the text is neither, or a standard deviation is not above zero.
    ///
    /// ```
    /// use relief_models::data::Normalize;
    /// let colour = Normalize::parse("0.49,0.48,0.45/0.25,0.24,0.26")?;
    /// assert_eq!(colour.mean, [0.49, 0.48, 0.45]);
    /// # Ok::<(), relief_models::data::DataError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let bad = |reason: String| DataError::BadNormalization { found: format!("`{text}`"), reason };
        let numbers = |list: &str| {
            list.split(',')
                .map(|part| {
                    let part = part.trim();
                    part.parse::<f64>().map_err(|_| bad(format!("`{part}` is not a number")))
                })
                .collect::<Result<Vec<f64>, _>>()
        };
        let normalize = if let Some((means, stds)) = text.split_once('/') {
            Self { mean: numbers(means)?, std: numbers(stds)? }
        } else {
            match numbers(text)?.as_slice() {
                [mean, std] => Self { mean: vec![*mean], std: vec![*std] },
                other => {
                    return Err(bad(format!("without a `/` there must be 2 numbers, found {}", other.len())));
                }
            }
        };
        normalize.validate()?;
        Ok(normalize)
    }

    /// Check that there are as many means as standard deviations, at least one, all finite, every deviation above zero.
    ///
    /// # Errors
    /// [`DataError::BadNormalization`] otherwise.
    pub fn validate(&self) -> Result<(), DataError> {
        let reason = if self.mean.len() != self.std.len() {
            format!("{} means but {} standard deviations", self.mean.len(), self.std.len())
        } else if self.mean.is_empty() {
            "no values".to_owned()
        } else if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            format!("the mean {mean} is not finite")
        } else if let Some(std) = self.std.iter().find(|std| !(std.is_finite() && **std > 0.0)) {
            format!("the standard deviation {std} is not a finite number above 0")
        } else {
            return Ok(());
        };
        Err(DataError::BadNormalization { found: format!("`{self}`"), reason })
    }

    /// Mean and standard deviation of a channel.
    pub(super) fn channel(&self, channel: usize) -> (f64, f64) {
        let at = if self.mean.len() == 1 { 0 } else { channel };
        (self.mean[at], self.std[at])
    }
}

impl fmt::Display for Normalize {
    /// The form that [`Normalize::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let separator = if self.mean.len() == 1 { "," } else { "/" };
        write!(f, "{}{separator}{}", list(&self.mean), list(&self.std))
    }
}

impl FromStr for Normalize {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::parse(text)
    }
}

/// What to load of a data set, and how to present it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataOptions {
    /// Which part.
    pub split: Split,
    /// Only the first so many examples of the split, in the set's own order; `None`: all.
    pub limit: Option<usize>,
    /// Shift and scale of the inputs.
    pub normalize: Option<Normalize>,
    /// Tokens in one example of a text; `None`: [`DataOptions::DEFAULT_CONTEXT`]. Refused for data that is no text.
    pub context: Option<usize>,
    /// Type of real inputs and targets: `f32` or `f64`. All arithmetic before it is done in `f64`.
    pub dtype: DType,
}

impl DataOptions {
    /// Tokens in one example of a text where `context` is not given.
    pub const DEFAULT_CONTEXT: usize = 64;

    /// How many of the available examples to keep.
    pub(super) fn count(&self, origin: &str, available: usize) -> Result<usize, DataError> {
        if available == 0 {
            return Err(DataError::NoExamples { origin: origin.to_owned() });
        }
        match self.limit {
            None => Ok(available),
            Some(limit) if (1..=available).contains(&limit) => Ok(limit),
            Some(limit) => Err(DataError::BadLimit { origin: origin.to_owned(), limit, available }),
        }
    }
}

impl Default for DataOptions {
    fn default() -> Self {
        Self { split: Split::Train, limit: None, normalize: None, context: None, dtype: DType::F32 }
    }
}
