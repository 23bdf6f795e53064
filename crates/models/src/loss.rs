//! The losses, and what each expects of targets.

mod examples;
mod roots;
mod sampled;
mod slopes;

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Tensor};
use relief_autodiff::Value;
use serde::{Deserialize, Serialize};

use crate::data::Targets;
use crate::task::TaskError;

/// A mean over the examples of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Loss {
    /// Cross-entropy of softmax(outputs) against class labels, in nats; optionally with label smoothing.
    CrossEntropy,
    /// Squared error, averaged over all output entries (PyTorch's `MSELoss`). Class labels become one-hot vectors.
    Mse,
    /// Half the squared error, summed over outputs and averaged over examples. Class labels become one-hot vectors.
    HalfSquaredError,
    /// Binary cross-entropy of sigmoid(outputs), averaged over all output entries. Class labels 0 and 1 fit one output.
    BinaryCrossEntropy,
    /// Cross-entropy of the next token, averaged over all positions.
    NextToken,
}

impl Loss {
    /// Every loss, in the order in which they are listed.
    pub const ALL: [Self; 5] =
        [Self::CrossEntropy, Self::Mse, Self::HalfSquaredError, Self::BinaryCrossEntropy, Self::NextToken];

    /// The usual loss for these targets.
    pub fn for_targets(targets: &Targets) -> Self {
        match targets {
            Targets::Classes(_) => Self::CrossEntropy,
            Targets::Tokens(_) => Self::NextToken,
            _ => Self::Mse,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::HalfSquaredError => "half-squared-error",
            Self::BinaryCrossEntropy => "binary-cross-entropy",
            Self::NextToken => "next-token",
        }
    }

    /// Whether label smoothing means anything.
    pub fn smooths(self) -> bool {
        matches!(self, Self::CrossEntropy | Self::NextToken)
    }

    /// The mean loss of `outputs` against targets made by [`Loss::target_tensor`].
    pub fn value(self, outputs: &Value, targets: &Value, smoothing: f64) -> relief_autodiff::Result<Value> {
        match self {
            Self::CrossEntropy => outputs.cross_entropy(targets, smoothing),
            Self::Mse => outputs.mse(targets),
            Self::HalfSquaredError => outputs.half_squared_error(targets),
            Self::BinaryCrossEntropy => outputs.binary_cross_entropy_with_logits(targets),
            Self::NextToken => outputs.token_cross_entropy(targets, smoothing),
        }
    }

    /// The targets of a data set as this loss reads them, for outputs of the given shape (without the batch axis).
    pub fn target_tensor(self, targets: &Targets, outputs: &[usize]) -> Result<Tensor, TaskError> {
        match (self, targets) {
            (Self::CrossEntropy, Targets::Classes(labels)) | (Self::NextToken, Targets::Tokens(labels)) => {
                in_range(labels, outputs.last().copied().unwrap_or(1))?;
                Ok(labels.clone())
            }
            (Self::BinaryCrossEntropy, Targets::Classes(labels))
                if outputs.iter().product::<usize>() == 1 =>
            {
                in_range(labels, 2)?;
                shaped(&labels.to_dtype(DType::F64)?, outputs)
            }
            (Self::Mse | Self::HalfSquaredError | Self::BinaryCrossEntropy, Targets::Classes(labels)) => {
                one_hot(labels, outputs)
            }
            (Self::Mse | Self::HalfSquaredError, Targets::Real(values)) => shaped(values, outputs),
            (Self::BinaryCrossEntropy, Targets::Real(values)) => {
                let all = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                if let Some(found) = all.into_iter().find(|t| !(0.0..=1.0).contains(t)) {
                    return Err(TaskError::Targets(format!(
                        "a target is {found}, but binary cross-entropy needs targets between 0 and 1"
                    )));
                }
                shaped(values, outputs)
            }
            (loss, targets) => Err(TaskError::Targets(format!(
                "the loss `{}` does not fit targets that are {}: `{}` does",
                loss.name(),
                match targets {
                    Targets::Classes(_) => "class labels",
                    Targets::Tokens(_) => "tokens",
                    _ => "real numbers",
                },
                Self::for_targets(targets).name()
            ))),
        }
    }
}

/// Every label must name an output.
fn in_range(labels: &Tensor, classes: usize) -> Result<(), TaskError> {
    let all = labels.flatten_all()?.to_vec1::<u32>()?;
    match all.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(at) => Err(TaskError::Targets(format!(
            "label {} (number {at} of the data) is out of range: the model has {classes} outputs, so labels go from 0 to {}",
            all[at],
            classes.saturating_sub(1)
        ))),
    }
}

fn one_hot(labels: &Tensor, outputs: &[usize]) -> Result<Tensor, TaskError> {
    let &[classes] = outputs else {
        let problem =
            format!("class labels need one output per class, but the model's outputs have shape {outputs:?}");
        return Err(TaskError::Targets(problem));
    };
    in_range(labels, classes)?;
    let labels = labels.to_vec1::<u32>()?;
    let mut entries = vec![0.0; labels.len() * classes];
    labels.iter().enumerate().for_each(|(i, &label)| entries[i * classes + label as usize] = 1.0);
    Ok(Tensor::from_vec(entries, (labels.len(), classes), &candle_core::Device::Cpu)?)
}

/// Real targets in the outputs' shape; [n] fits one output.
fn shaped(values: &Tensor, outputs: &[usize]) -> Result<Tensor, TaskError> {
    let mut dims = vec![values.dim(0)?];
    dims.extend(outputs);
    if values.dims() == dims || (values.rank() == 1 && outputs.iter().product::<usize>() == 1) {
        return Ok(values.reshape(dims)?);
    }
    Err(TaskError::Targets(format!(
        "targets of shape {:?} do not fit outputs of shape {dims:?}: they must agree",
        values.dims()
    )))
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Loss {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        Self::ALL.into_iter().find(|loss| loss.name() == text).ok_or_else(|| {
            let near = Self::ALL.into_iter().max_by(|a, b| {
                strsim::jaro_winkler(a.name(), text).total_cmp(&strsim::jaro_winkler(b.name(), text))
            });
            let all = Self::ALL.map(Self::name).join(", ");
            TaskError::Option(format!(
                "there is no loss `{text}`: did you mean `{}`? (one of {all})",
                near.unwrap_or(Self::CrossEntropy)
            ))
        })
    }
}
