//! The layers that networks are made of, with PyTorch's parameter names and layouts.

use relief_autodiff::{ConvolutionOptions, Value};

use super::error::Result;
use super::initial::Initial;
use super::net::{BatchNormMode, Net};

/// PyTorch's default epsilon of batch, layer and group norm.
pub(super) const EPSILON: f64 = 1e-5;

/// Square stride and padding.
pub(super) fn strided(stride: usize, padding: usize) -> ConvolutionOptions {
    ConvolutionOptions { stride: [stride; 2], padding: [padding; 2], ..ConvolutionOptions::default() }
}

impl Net {
    /// x W' + b over the last axis (`nn.Linear`): `weight` [out, in], `bias` `[out]`.
    pub fn linear(&self, x: &Value, out_features: usize, bias: bool) -> Result<Value> {
        let in_features = self.in_layer(x.dim(x.rank().saturating_sub(1)))?;
        let shape = [out_features, in_features];
        let weight = self.parameter("weight", &shape)?;
        let bias = self.optional("bias", bias, &[out_features], Initial::fan_in(&shape))?;
        self.in_layer(x.linear(&weight, bias.as_ref()))
    }

    /// Two-dimensional convolution (`nn.Conv2d`): `weight` [out, in / groups, kh, kw], `bias` `[out]`.
    pub fn conv2d(
        &self,
        x: &Value,
        out_channels: usize,
        kernel: [usize; 2],
        options: ConvolutionOptions,
        bias: bool,
    ) -> Result<Value> {
        let channels = self.in_layer(x.dim(1))?;
        let shape = [out_channels, channels / options.groups.max(1), kernel[0], kernel[1]];
        let weight = self.parameter("weight", &shape)?;
        let bias = self.optional("bias", bias, &[out_channels], Initial::fan_in(&shape))?;
        self.in_layer(x.conv2d(&weight, bias.as_ref(), options))
    }

    /// One-dimensional convolution (`nn.Conv1d`): `weight` [out, in / groups, k], `bias` `[out]`; the second entry of
    /// each option counts.
    pub fn conv1d(
        &self,
        x: &Value,
        out_channels: usize,
        kernel: usize,
        options: ConvolutionOptions,
        bias: bool,
    ) -> Result<Value> {
        let channels = self.in_layer(x.dim(1))?;
        let shape = [out_channels, channels / options.groups.max(1), kernel];
        let weight = self.parameter("weight", &shape)?;
        let bias = self.optional("bias", bias, &[out_channels], Initial::fan_in(&shape))?;
        self.in_layer(x.conv1d(&weight, bias.as_ref(), options))
    }

    /// Transposed convolution (`nn.ConvTranspose2d`): `weight` [in, out / groups, kh, kw], `bias` `[out]`.
    pub fn conv_transpose2d(
        &self,
        x: &Value,
        out_channels: usize,
        kernel: [usize; 2],
        options: ConvolutionOptions,
        output_padding: [usize; 2],
        bias: bool,
    ) -> Result<Value> {
        let channels = self.in_layer(x.dim(1))?;
        let shape = [channels, out_channels / options.groups.max(1), kernel[0], kernel[1]];
        let weight = self.parameter("weight", &shape)?;
        let bias = self.optional("bias", bias, &[out_channels], Initial::fan_in(&shape))?;
        self.in_layer(x.conv_transpose2d(&weight, bias.as_ref(), options, output_padding))
    }

    /// Batch norm over all axes but the channels' (axis 1), honouring [`BatchNormMode`]: `weight` and `bias` `[c]` where
    /// `affine`, buffers `running_mean` and `running_var` `[c]` (asked for only where they are used).
    pub fn batch_norm(&self, x: &Value, eps: f64, affine: bool) -> Result<Value> {
        let shape = [self.in_layer(x.dim(1))?];
        self.saw_batch_norm();
        let weight = self.optional("weight", affine, &shape, Initial::Constant(1.0))?;
        let bias = self.optional("bias", affine, &shape, Initial::Constant(0.0))?;
        let (weight, bias) = (weight.as_ref(), bias.as_ref());
        match self.batch_norm_mode() {
            BatchNormMode::Batch => {
                match self.record_statistics(|| self.in_layer(x.channel_statistics()))? {
                    Some([mean, variance]) => {
                        self.in_layer(x.batch_norm(&mean, &variance, weight, bias, eps))
                    }
                    None => self.in_layer(x.batch_norm_train(weight, bias, eps)),
                }
            }
            BatchNormMode::Eval => {
                let mean = self.buffer("running_mean", &shape, 0.0)?;
                let variance = self.buffer("running_var", &shape, 1.0)?;
                self.in_layer(x.batch_norm(&mean, &variance, weight, bias, eps))
            }
        }
    }

    /// Layer norm over the last `axes` axes (`nn.LayerNorm`): `weight` and `bias` of those axes' shape.
    pub fn layer_norm(&self, x: &Value, axes: usize, eps: f64, weight: bool, bias: bool) -> Result<Value> {
        let shape = x.dims()[x.rank().saturating_sub(axes)..].to_vec();
        let weight = self.optional("weight", weight, &shape, Initial::Constant(1.0))?;
        let bias = self.optional("bias", bias, &shape, Initial::Constant(0.0))?;
        self.in_layer(x.layer_norm(axes, weight.as_ref(), bias.as_ref(), eps))
    }

    /// Group norm over groups of channels (`nn.GroupNorm`): `weight` and `bias` `[c]`.
    pub fn group_norm(&self, x: &Value, groups: usize, eps: f64, affine: bool) -> Result<Value> {
        let shape = [self.in_layer(x.dim(1))?];
        let weight = self.optional("weight", affine, &shape, Initial::Constant(1.0))?;
        let bias = self.optional("bias", affine, &shape, Initial::Constant(0.0))?;
        self.in_layer(x.group_norm(groups, weight.as_ref(), bias.as_ref(), eps))
    }

    /// Rows of the table `weight` [entries, width] at integer ids (`nn.Embedding`).
    pub fn embedding(&self, ids: &Value, entries: usize, width: usize, initial: Initial) -> Result<Value> {
        let table = self.parameter_from("weight", &[entries, width], initial)?;
        self.in_layer(table.embedding(ids))
    }

    /// Dropout, which is always off: derivatives of a random function mean nothing. Leaves a note.
    pub fn dropout(&self, x: &Value) -> Value {
        self.note("dropout is off");
        x.clone()
    }

    fn optional(
        &self,
        name: &str,
        present: bool,
        shape: &[usize],
        initial: Initial,
    ) -> Result<Option<Value>> {
        present.then(|| self.parameter_from(name, shape, initial)).transpose()
    }
}
