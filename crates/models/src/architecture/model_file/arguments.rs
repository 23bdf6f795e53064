//! Reading the arguments of a model file's layers.

use relief_autodiff::{ConvolutionOptions, PoolOptions};

use super::keys::Keys;
use super::operation::{Convolution, Operation};
use crate::architecture::activation::Activation;
use crate::architecture::error::{Result, nearest};
use crate::architecture::layers::EPSILON;

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
        let pairs = [kernel, options.stride, options.padding, options.dilation];
        if form == Convolution::One && pairs.iter().any(|pair| pair[0] != pair[1]) {
            return Err(keys.error("a `conv1d` layer has one axis: give one number instead of two".into()));
        }
        Ok(Self::Convolution { form, inputs, out, kernel, options, bias: keys.flag_or("bias", true)? })
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
            return Err(keys.error_at(
                "type",
                format!("there is no layer `{kind}`: did you mean `{near}`? (one of {list})"),
            ));
        }
    })
}
