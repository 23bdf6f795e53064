//! The one way from what a file holds to the tensors of a [`Dataset`]: shift and scale in `f64`, then one rounding.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, WithDType};

use super::{
    dataset::{Dataset, Targets},
    error::DataError,
    options::{DataOptions, Normalize},
};

/// Inputs as stored in a file, row-major, without their shape.
pub(super) enum Inputs {
    /// Bytes that stand for `byte / unit`, so that pixels lie in 0..1.
    Pixels { values: Vec<u8>, unit: f64 },
    /// Real numbers.
    Reals(Reals),
    /// Token ids, shape `[N, T]`.
    Tokens(Vec<u32>),
}

/// Real numbers of either width. A number of either width is exact in `f64`.
pub(super) enum Reals {
    /// `f32` and everything narrower.
    Singles(Vec<f32>),
    /// `f64`.
    Doubles(Vec<f64>),
}

/// Targets as stored in a file.
pub(super) enum RawTargets {
    /// Class labels, one an example.
    Classes(Vec<u32>),
    /// Real targets of a shape whose first dimension is N.
    Reals { shape: Vec<usize>, values: Reals },
    /// The next token of every input token, shape `[N, T]`.
    Tokens(Vec<u32>),
}

/// A data set read from its files, split chosen and limit applied.
pub(super) struct Raw {
    /// Where it came from, for messages: the path, or `digits`.
    pub(super) origin: String,
    /// The files it was read from, in the order of their names in the set.
    pub(super) files: Vec<PathBuf>,
    /// The inputs' numbers.
    pub(super) inputs: Inputs,
    /// The inputs' shape; the first dimension is N.
    pub(super) shape: Vec<usize>,
    /// The targets.
    pub(super) targets: RawTargets,
    /// Number of classes (or of different tokens).
    pub(super) classes: Option<usize>,
    /// Names of the classes in the order of their labels; empty where the format has none.
    pub(super) class_names: Vec<String>,
    /// Names of the arrays of inputs and targets, for messages.
    pub(super) arrays: [String; 2],
    /// Whether the examples were cut to the length that the options ask for.
    pub(super) cut_to_context: bool,
}

impl Raw {
    /// A set with no more known of it than its numbers.
    pub(super) fn new(
        origin: &str,
        files: Vec<PathBuf>,
        (shape, inputs): (Vec<usize>, Inputs),
        targets: RawTargets,
    ) -> Self {
        Self {
            origin: origin.to_owned(),
            files,
            inputs,
            shape,
            targets,
            classes: None,
            class_names: Vec::new(),
            arrays: ["x".to_owned(), "y".to_owned()],
            cut_to_context: false,
        }
    }

    /// Round to the asked dtype and make tensors.
    pub(super) fn finish(self, options: &DataOptions) -> Result<Dataset, DataError> {
        let unsuitable = |option, reason: &str| DataError::OptionUnsuitable {
            option,
            origin: self.origin.clone(),
            reason: reason.to_owned(),
        };
        if self.shape.iter().product::<usize>() == 0 {
            return Err(DataError::NoExamples { origin: self.origin });
        }
        let tokens = matches!(self.inputs, Inputs::Tokens(_));
        if tokens && options.normalize.is_some() {
            return Err(unsuitable("a normalisation", "its inputs are token ids, which are no quantities"));
        }
        if options.context.is_some() && !self.cut_to_context {
            return Err(unsuitable("a context", "it is no text, so its examples have their own length"));
        }
        if let Some(normalize) = &options.normalize {
            normalize.validate()?;
            let channels = self.shape[1];
            let found = normalize.mean.len();
            if found != 1 && found != channels {
                let reason = format!(
                    "it has {found} means, but the inputs have {channels} channels: give 1 or {channels}"
                );
                return Err(unsuitable("the normalisation", &reason));
            }
        }
        let (inputs, targets) = match options.dtype {
            DType::F32 => self.tensors::<f32>(options)?,
            DType::F64 => self.tensors::<f64>(options)?,
            other => {
                let option = "a dtype other than f32 and f64";
                return Err(unsuitable(option, &format!("{} is not a type to compute with", other.as_str())));
            }
        };
        Ok(Dataset::loaded(self, inputs, targets))
    }

    fn tensors<T: WithDType>(&self, options: &DataOptions) -> Result<(Tensor, Targets), DataError> {
        let examples = self.shape[0];
        let y = &self.arrays[1];
        let inputs = match &self.inputs {
            Inputs::Pixels { values, unit } => {
                let scaled = |byte: u8| f64::from(byte) / unit;
                self.normalized::<T, u8>(values, scaled, options.normalize.as_ref())?
            }
            Inputs::Reals(Reals::Singles(values)) => {
                self.normalized::<T, f32>(values, f64::from, options.normalize.as_ref())?
            }
            Inputs::Reals(Reals::Doubles(values)) => {
                self.normalized::<T, f64>(values, |value| value, options.normalize.as_ref())?
            }
            Inputs::Tokens(values) => Tensor::from_slice(values, self.shape.as_slice(), &Device::Cpu)?,
        };
        let targets = match &self.targets {
            RawTargets::Classes(labels) => {
                Targets::Classes(Tensor::from_slice(labels, examples, &Device::Cpu)?)
            }
            RawTargets::Tokens(next) => {
                Targets::Tokens(Tensor::from_slice(next, self.shape.as_slice(), &Device::Cpu)?)
            }
            RawTargets::Reals { shape, values } => {
                let width = shape[1..].iter().product::<usize>().max(1);
                let numbers = match values {
                    Reals::Singles(values) => {
                        self.rounded::<T>(values.iter().map(|&v| f64::from(v)), width, y)?
                    }
                    Reals::Doubles(values) => self.rounded::<T>(values.iter().copied(), width, y)?,
                };
                Targets::Real(Tensor::from_vec(numbers, shape.as_slice(), &Device::Cpu)?)
            }
        };
        Ok((inputs, targets))
    }

    /// The inputs as a tensor of `(value - mean) / std`, channel by channel.
    fn normalized<T: WithDType, S: Copy>(
        &self,
        values: &[S],
        real: impl Fn(S) -> f64,
        normalize: Option<&Normalize>,
    ) -> Result<Tensor, DataError> {
        let channels = self.shape[1];
        let plane = self.shape[2..].iter().product::<usize>();
        let numbers = values.chunks(plane).enumerate().flat_map(|(index, plane)| {
            // Without a normalisation (x - 0) / 1 is x, to the last bit.
            let (mean, std) = normalize.map_or((0.0, 1.0), |normalize| normalize.channel(index % channels));
            let real = &real;
            plane.iter().map(move |&value| (real(value) - mean) / std)
        });
        let numbers = self.rounded::<T>(numbers, channels * plane, &self.arrays[0])?;
        Ok(Tensor::from_vec(numbers, self.shape.as_slice(), &Device::Cpu)?)
    }

    /// Round to the run's dtype, refusing what is not finite in it. `width`: numbers of one example.
    fn rounded<T: WithDType>(
        &self,
        numbers: impl Iterator<Item = f64>,
        width: usize,
        array: &str,
    ) -> Result<Vec<T>, DataError> {
        let round = |(index, value): (usize, f64)| {
            let rounded = T::from_f64(value);
            if rounded.to_f64().is_finite() {
                return Ok(rounded);
            }
            Err(DataError::NotFinite {
                origin: self.origin.clone(),
                array: array.to_owned(),
                example: index / width,
                value,
                dtype: T::DTYPE.as_str(),
            })
        };
        numbers.enumerate().map(round).collect()
    }
}
