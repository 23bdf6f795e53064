//! What the layers of a model file do.

use relief_autodiff::{ConvolutionOptions, PoolOptions, Value};

use super::keys::Keys;
use crate::architecture::activation::Activation;
use crate::architecture::error::{ArchitectureError, Result, nearest};
use crate::architecture::layers::EPSILON;
use crate::architecture::net::Net;

/// The types that are not activations.
const TYPES: [&str; 18] = [
    "linear",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "batch_norm1d",
    "batch_norm2d",
    "layer_norm",
    "group_norm",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_avg_pool2d",
    "flatten",
    "dropout",
    "dropout2d",
    "softmax",
    "log_softmax",
    "residual",
];

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
    /// Reads the keys that belong to a type of layer.
    pub(super) fn parse(kind: &str, keys: &Keys<'_>) -> Result<Self> {
        Ok(match kind {
            "linear" => Self::Linear {
                inputs: keys.count("in_features", 1)?,
                out: keys.required_count("out_features", "10")?,
                bias: keys.flag_or("bias", true)?,
            },
            "conv1d" => Self::convolution(Convolution::One, keys)?,
            "conv2d" => Self::convolution(Convolution::Two, keys)?,
            "conv_transpose2d" => {
                let output_padding = keys.pair("output_padding", 0)?.unwrap_or([0; 2]);
                Self::convolution(Convolution::Transposed { output_padding }, keys)?
            }
            "batch_norm1d" | "batch_norm2d" => Self::BatchNorm {
                inputs: keys.count("num_features", 1)?,
                axes: if kind == "batch_norm2d" { &[4] } else { &[2, 3] },
                eps: keys.number_or("eps", EPSILON)?,
                affine: keys.flag_or("affine", true)?,
            },
            "layer_norm" => Self::LayerNorm {
                shape: keys.counts("normalized_shape")?,
                eps: keys.number_or("eps", EPSILON)?,
                affine: keys.flag_or("elementwise_affine", true)?,
                bias: keys.flag_or("bias", true)?,
            },
            "group_norm" => Self::GroupNorm {
                inputs: keys.count("num_channels", 1)?,
                groups: keys.required_count("num_groups", "8")?,
                eps: keys.number_or("eps", EPSILON)?,
                affine: keys.flag_or("affine", true)?,
            },
            "max_pool2d" => Self::MaxPool(pool(keys, false)?),
            "avg_pool2d" => Self::AveragePool(pool(keys, true)?),
            "adaptive_max_pool2d" => Self::AdaptiveMaxPool(keys.required_pair("output_size", "1")?),
            "adaptive_avg_pool2d" => Self::AdaptiveAveragePool(keys.required_pair("output_size", "1")?),
            "flatten" => Self::Flatten,
            "dropout" | "dropout2d" => {
                keys.number_or("p", 0.5)?;
                Self::Dropout
            }
            "softmax" | "log_softmax" => {
                Self::Softmax { axis: keys.integer_or("dim", -1)?, logarithm: kind == "log_softmax" }
            }
            other => Self::Activation(activation(other, keys)?),
        })
    }

    fn convolution(form: Convolution, keys: &Keys<'_>) -> Result<Self> {
        let inputs = keys.count("in_channels", 1)?;
        let out = keys.required_count("out_channels", "32")?;
        let kernel = keys.required_pair("kernel_size", "3")?;
        let default = ConvolutionOptions::default();
        let options = ConvolutionOptions {
            stride: keys.pair("stride", 1)?.unwrap_or(default.stride),
            padding: keys.pair("padding", 0)?.unwrap_or(default.padding),
            dilation: keys.pair("dilation", 1)?.unwrap_or(default.dilation),
            groups: keys.count("groups", 1)?.unwrap_or(1),
        };
        if !out.is_multiple_of(options.groups) {
            let problem = format!("{out} `out_channels` do not divide into {} `groups`", options.groups);
            return Err(keys.error(problem));
        }
        Ok(Self::Convolution { form, inputs, out, kernel, options, bias: keys.flag_or("bias", true)? })
    }

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

fn pool(keys: &Keys<'_>, average: bool) -> Result<PoolOptions> {
    let kernel = keys.required_pair("kernel_size", "2")?;
    Ok(PoolOptions {
        kernel,
        stride: keys.pair("stride", 1)?.unwrap_or(kernel),
        padding: keys.pair("padding", 0)?.unwrap_or([0; 2]),
        count_include_pad: !average || keys.flag_or("count_include_pad", true)?,
    })
}

fn activation(kind: &str, keys: &Keys<'_>) -> Result<Activation> {
    Ok(match Activation::named(kind) {
        Some(Activation::Elu(alpha)) => Activation::Elu(keys.number_or("alpha", alpha)?),
        Some(Activation::LeakyRelu(slope)) => Activation::LeakyRelu(keys.number_or("negative_slope", slope)?),
        Some(Activation::Hardtanh(low, high)) => {
            Activation::Hardtanh(keys.number_or("min_val", low)?, keys.number_or("max_val", high)?)
        }
        Some(Activation::Gelu) => match keys.text("approximate")?.as_deref() {
            None | Some("none") => Activation::Gelu,
            Some("tanh") => Activation::GeluTanh,
            Some(other) => {
                return Err(keys.error(format!(
                    "`approximate` of gelu must be \"none\" or \"tanh\", but is \"{other}\""
                )));
            }
        },
        Some(plain) => plain,
        None => {
            let all: Vec<&str> = TYPES.into_iter().chain(Activation::NAMES).collect();
            let near = nearest(kind, all.iter().copied());
            let list = all.join(", ");
            return Err(
                keys.error(format!("there is no layer `{kind}`: did you mean `{near}`? (one of {list})"))
            );
        }
    })
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
