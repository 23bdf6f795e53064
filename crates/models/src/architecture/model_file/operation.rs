//! What the layers of a model file do.

use relief_autodiff::{ConvolutionOptions, PoolOptions, Value};

use crate::architecture::activation::Activation;
use crate::architecture::error::{ArchitectureError, Result};
use crate::architecture::net::Net;

/// Which convolution.
#[derive(Debug, PartialEq)]
pub(super) enum Convolution {
    One,
    Two,
    Transposed { output_padding: [usize; 2] },
}

/// An operation with its arguments.
#[derive(Debug, PartialEq)]
pub(super) enum Operation {
    Linear {
        inputs: Option<usize>,
        out: usize,
        bias: bool,
    },
    Convolution {
        form: Convolution,
        inputs: Option<usize>,
        out: usize,
        kernel: [usize; 2],
        options: ConvolutionOptions,
        bias: bool,
    },
    BatchNorm {
        inputs: Option<usize>,
        axes: &'static [usize],
        eps: f64,
        affine: bool,
    },
    LayerNorm {
        shape: Option<Vec<usize>>,
        eps: f64,
        affine: bool,
        bias: bool,
    },
    GroupNorm {
        inputs: Option<usize>,
        groups: usize,
        eps: f64,
        affine: bool,
    },
    MaxPool(PoolOptions),
    AveragePool(PoolOptions),
    AdaptiveMaxPool([usize; 2]),
    AdaptiveAveragePool([usize; 2]),
    Flatten,
    Activation(Activation),
    Dropout,
    Softmax {
        axis: i64,
        logarithm: bool,
    },
}

impl Operation {
    /// Whether a checkpoint may hold tensors of this layer.
    pub(super) fn has_tensors(&self) -> bool {
        matches!(
            self,
            Self::Linear { .. }
                | Self::Convolution { .. }
                | Self::BatchNorm { .. }
                | Self::LayerNorm { .. }
                | Self::GroupNorm { .. }
        )
    }

    /// Applies the layer in its own scope.
    pub(super) fn build(&self, net: &Net, x: &Value) -> Result<Value> {
        match self {
            Self::Linear { inputs, out, bias } => {
                agree("in_features", *inputs, x, x.rank().saturating_sub(1))?;
                net.linear(x, *out, *bias)
            }
            Self::Convolution { form, inputs, out, kernel, options, bias } => {
                agree("in_channels", *inputs, x, 1)?;
                match form {
                    Convolution::One => net.conv1d(x, *out, kernel[1], *options, *bias),
                    Convolution::Two => net.conv2d(x, *out, *kernel, *options, *bias),
                    Convolution::Transposed { output_padding } => {
                        net.conv_transpose2d(x, *out, *kernel, *options, *output_padding, *bias)
                    }
                }
            }
            Self::BatchNorm { inputs, axes, eps, affine } => {
                if !axes.contains(&x.rank()) {
                    let wanted = if axes.len() == 1 {
                        "[channels, height, width]"
                    } else {
                        "[features] or [channels, length]"
                    };
                    return Err(mismatch(format!("it wants values of shape {wanted}")));
                }
                agree("num_features", *inputs, x, 1)?;
                net.batch_norm(x, *eps, *affine)
            }
            Self::LayerNorm { shape, eps, affine, bias } => {
                let axes = shape.as_ref().map_or(1, Vec::len);
                if let Some(shape) = shape
                    && !x.dims()[1..].ends_with(shape)
                {
                    return Err(mismatch(format!(
                        "`normalized_shape` is {shape:?}, which are not its last axes"
                    )));
                }
                net.layer_norm(x, axes, *eps, *affine, *affine && *bias)
            }
            Self::GroupNorm { inputs, groups, eps, affine } => {
                agree("num_channels", *inputs, x, 1)?;
                net.group_norm(x, *groups, *eps, *affine)
            }
            Self::Dropout => Ok(net.dropout(x)),
            Self::Softmax { axis, logarithm } => {
                let resolved = if *axis < 0 { *axis + x.rank() as i64 } else { *axis };
                if resolved < 1 || resolved >= x.rank() as i64 {
                    let range = format!("from 1 to {} or negative", x.rank() - 1);
                    return Err(mismatch(format!(
                        "`dim` is {axis}, but must be {range}: axis 0 is the batch"
                    )));
                }
                let axis = resolved as usize;
                Ok(if *logarithm { x.log_softmax(axis) } else { x.softmax(axis) }?)
            }
            Self::MaxPool(options) => Ok(x.max_pool2d(*options)?),
            Self::AveragePool(options) => Ok(x.avg_pool2d(*options)?),
            Self::AdaptiveMaxPool(size) => Ok(x.adaptive_max_pool2d(*size)?),
            Self::AdaptiveAveragePool(size) => Ok(x.adaptive_avg_pool2d(*size)?),
            Self::Flatten => Ok(x.flatten_from(1)?),
            Self::Activation(activation) => Ok(activation.apply(x)?),
        }
    }
}

/// Checks what a file says of a layer's input.
fn agree(key: &str, declared: Option<usize>, x: &Value, axis: usize) -> Result<()> {
    match (declared, x.dims().get(axis)) {
        (Some(declared), Some(&found)) if declared != found => Err(mismatch(format!(
            "`{key}` is {declared}, but the layer gets {found}: correct it or leave it out"
        ))),
        _ => Ok(()),
    }
}

/// A mistake whose line the caller adds.
fn mismatch(problem: String) -> ArchitectureError {
    ArchitectureError::Engine(relief_autodiff::Error::Unavailable(problem))
}
