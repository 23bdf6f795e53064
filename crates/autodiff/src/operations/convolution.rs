//! Convolutions and transposed convolutions in one and two dimensions, in PyTorch's layouts.

use candle_core::{Tensor, WithDType};

use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::Real;
use crate::kernels::chain::Program;
use crate::kernels::convolution::{self, Geometry};
use crate::kernels::matrix::written;
use crate::order::Order;
use crate::rule::{Axes, Axis, Bilinear, Index};
use crate::{Result, Value, device};

/// Stride, zero padding and dilation along [height, width], and the number of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvolutionOptions {
    /// Distance between neighbouring outputs.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
    /// Distance between neighbouring kernel entries.
    pub dilation: [usize; 2],
    /// Channels are split into this many independent convolutions.
    pub groups: usize,
}

impl Default for ConvolutionOptions {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

/// A convolution y = x * w; the transposed convolution is its adjoint in x.
#[derive(Debug)]
pub(crate) struct Convolution {
    pub(crate) geometry: Geometry,
    pub(crate) transposed: bool,
}

/// The three maps that are each other's adjoints.
#[derive(Clone, Copy)]
enum Map {
    /// (x, w) to y.
    Forward,
    /// (y, w) to x.
    InputAdjoint,
    /// (x, y) to w.
    WeightAdjoint,
}

impl Convolution {
    fn small_shape(&self) -> [usize; 4] {
        let [h, w] = self.geometry.output();
        [self.geometry.batch, self.geometry.out_channels, h, w]
    }

    fn large_shape(&self) -> [usize; 4] {
        let [h, w] = self.geometry.input;
        [self.geometry.batch, self.geometry.in_channels, h, w]
    }

    fn weight_shape(&self) -> [usize; 4] {
        let [h, w] = self.geometry.kernel;
        [self.geometry.out_channels, self.geometry.in_channels / self.geometry.groups, h, w]
    }

    /// The value of one pair, and what `after` makes of its entries, which lie channels last; on the CPU alone.
    pub(crate) fn value_then<T: Real + WithDType>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        after: &Program<'_, T>,
    ) -> Result<Tensor> {
        let images = Order::channels_last();
        let (x, weight) = (images.pack(x)?, weight.contiguous()?);
        let (x, weight) = (Host::open("convolution", &x)?, Host::open("convolution", &weight)?);
        let pairs = [(x.slice::<T>()?, weight.slice::<T>()?)];
        let out = convolution::forward(&self.geometry, &pairs, Some(after));
        images.unpack(&tensor(out, &images.dims(&self.small_shape()))?)
    }

    /// Runs a map on pairs of images and weights, or of images and images; images travel channels last.
    fn run(&self, map: Map, pairs: &[(&Tensor, &Tensor)], swap: bool) -> Result<Tensor> {
        let images = Order::channels_last();
        let pairs = pairs
            .iter()
            .map(|(a, b)| {
                let (a, b) = if swap { (b, a) } else { (a, b) };
                let b = if matches!(map, Map::WeightAdjoint) { images.pack(b)? } else { b.contiguous()? };
                Ok((images.pack(a)?, b))
            })
            .collect::<Result<Vec<_>>>()?;
        if device::holds(&pairs[0].0) {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a, b)).collect();
            return match map {
                Map::Forward => images.unpack(&device::forward(&self.geometry, &pairs)?),
                Map::InputAdjoint => images.unpack(&device::input_adjoint(&self.geometry, &pairs)?),
                Map::WeightAdjoint => device::weight_adjoint(&self.geometry, &pairs),
            };
        }
        for_real!("convolution", pairs[0].0, T => {
            let hosts = pairs
                .iter()
                .map(|(a, b)| Ok((Host::open("convolution", a)?, Host::open("convolution", b)?)))
                .collect::<Result<Vec<_>>>()?;
            let slices = hosts.iter().map(|(a, b)| Ok((a.slice::<T>()?, b.slice::<T>()?))).collect::<Result<Vec<_>>>()?;
            let shape = match map {
                Map::Forward => self.small_shape(),
                Map::InputAdjoint => self.large_shape(),
                Map::WeightAdjoint => self.weight_shape(),
            };
            let out = match map {
                Map::Forward => convolution::forward::<T>(&self.geometry, &slices, None),
                Map::InputAdjoint => convolution::input_adjoint::<T>(&self.geometry, &slices),
                Map::WeightAdjoint => {
                    let add_all = |out: &mut [T]| -> Result<()> {
                        convolution::weight_adjoint::<T>(&self.geometry, &slices, out);
                        Ok(())
                    };
                    // SAFETY: it writes all weights.
                    return tensor(unsafe { written(shape.iter().product(), add_all) }?, &shape);
                }
            };
            images.unpack(&tensor(out, &images.dims(&shape))?)
        })
    }
}

impl Bilinear for Convolution {
    fn name(&self) -> &'static str {
        if self.transposed { "conv_transpose2d" } else { "conv2d" }
    }

    fn apply(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        self.run(if self.transposed { Map::InputAdjoint } else { Map::Forward }, pairs, false)
    }

    fn adjoint_left(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        self.run(if self.transposed { Map::Forward } else { Map::InputAdjoint }, pairs, false)
    }

    fn adjoint_right(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        // Pairs are (g, x): the weight's adjoint wants the large side first, which is x, or g where transposed.
        self.run(Map::WeightAdjoint, pairs, !self.transposed)
    }

    fn multiplications(&self, [_, weight]: [&[usize]; 2], _: &[usize]) -> usize {
        self.small_shape().iter().product::<usize>() * weight[1..].iter().product::<usize>()
    }

    fn axes(&self, [x, weight]: [&[usize]; 2], y: &[usize]) -> Option<Axes> {
        let groups = Index::free(0, self.geometry.groups);
        let free = |name, length| Index::free(name, length / groups.length);
        let (inputs, outputs) = (free(1, x[1]), free(2, y[1]));
        let product = |indices: &[Index]| Axis::Product(indices.to_vec());
        let image = |shape: &[usize], channels: Index, rows: usize| {
            let (batch, rows, columns) = (
                Index::free(3, shape[0]),
                Index::ordered(rows, shape[2]),
                Index::ordered(rows + 1, shape[3]),
            );
            vec![product(&[batch]), product(&[groups, channels]), product(&[rows]), product(&[columns])]
        };
        // Axis 0 of a weight has the channels of all groups together, axis 1 those of one.
        let (all, one) = if self.transposed { (inputs, outputs) } else { (outputs, inputs) };
        let mut kernel = vec![product(&[groups, all]), product(&[one])];
        kernel.extend((2..4).map(|i| product(&[Index::ordered(6 + i, weight[i])])));
        Some(Axes { arguments: vec![image(x, inputs, 4), kernel], result: image(y, outputs, 6) })
    }
}

impl Value {
    /// Two-dimensional convolution: x [n, c, h, w], weight [o, c / groups, kh, kw], bias `[o]`.
    pub fn conv2d(&self, weight: &Value, bias: Option<&Value>, options: ConvolutionOptions) -> Result<Value> {
        let (&[batch, in_channels, h, w], &[out_channels, per_group, kh, kw]) = (self.dims(), weight.dims())
        else {
            return Err(unfit("conv2d", self, weight));
        };
        if options.groups == 0 || per_group * options.groups != in_channels {
            return Err(unfit("conv2d", self, weight));
        }
        let geometry = geometry("conv2d", batch, [in_channels, out_channels], [h, w], [kh, kw], options)?;
        let rule = Convolution { geometry, transposed: false };
        let out = rule.small_shape();
        self.builder.bilinear(rule, self, weight, &out).with_channel_bias(bias)
    }

    /// One-dimensional convolution: x [n, c, l], weight [o, c / groups, k], bias `[o]`; the first entry of each option
    /// is ignored.
    pub fn conv1d(&self, weight: &Value, bias: Option<&Value>, options: ConvolutionOptions) -> Result<Value> {
        if self.rank() != 3 || weight.rank() != 3 {
            return Err(unfit("conv1d", self, weight));
        }
        let row = ConvolutionOptions {
            stride: [1, options.stride[1]],
            padding: [0, options.padding[1]],
            dilation: [1, options.dilation[1]],
            groups: options.groups,
        };
        self.unsqueeze(2)?.conv2d(&weight.unsqueeze(2)?, bias, row)?.squeeze(2)
    }

    /// Transposed two-dimensional convolution: x [n, c, h, w], weight [c, o / groups, kh, kw], bias `[o]`.
    ///
    /// The output has (h - 1) stride - 2 padding + dilation (kh - 1) + `output_padding` + 1 rows.
    pub fn conv_transpose2d(
        &self,
        weight: &Value,
        bias: Option<&Value>,
        options: ConvolutionOptions,
        output_padding: [usize; 2],
    ) -> Result<Value> {
        let (&[batch, channels, h, w], &[from, per_group, kh, kw]) = (self.dims(), weight.dims()) else {
            return Err(unfit("conv_transpose2d", self, weight));
        };
        if from != channels {
            return Err(unfit("conv_transpose2d", self, weight));
        }
        let size = |i: usize, n: usize, k: usize| {
            let spans = n.checked_sub(1)? * options.stride[i] + options.dilation[i] * k.checked_sub(1)?;
            (spans + output_padding[i] + 1).checked_sub(2 * options.padding[i]).filter(|&s| s > 0)
        };
        let (Some(rows), Some(columns)) = (size(0, h, kh), size(1, w, kw)) else {
            return Err(shape(
                "conv_transpose2d",
                "the image or kernel is empty, or the padding is larger than the output",
            ));
        };
        let large = [rows, columns];
        let geometry = geometry(
            "conv_transpose2d",
            batch,
            [per_group * options.groups, channels],
            large,
            [kh, kw],
            options,
        )?;
        if geometry.output() != [h, w] {
            return Err(shape("conv_transpose2d", "the output padding must be smaller than the stride"));
        }
        let rule = Convolution { geometry, transposed: true };
        let out = rule.large_shape();
        self.builder.bilinear(rule, self, weight, &out).with_channel_bias(bias)
    }

    fn with_channel_bias(self, bias: Option<&Value>) -> Result<Value> {
        match bias {
            None => Ok(self),
            Some(bias) => self.add(&bias.reshape(&[1, bias.elem_count(), 1, 1])?),
        }
    }
}

fn unfit(operation: &'static str, x: &Value, weight: &Value) -> crate::Error {
    shape(
        operation,
        format!("inputs of shape {:?} do not fit a weight of shape {:?}", x.dims(), weight.dims()),
    )
}

fn geometry(
    operation: &'static str,
    batch: usize,
    [in_channels, out_channels]: [usize; 2],
    input: [usize; 2],
    kernel: [usize; 2],
    options: ConvolutionOptions,
) -> Result<Geometry> {
    let ConvolutionOptions { stride, padding, dilation, groups } = options;
    Geometry::new(batch, groups, in_channels, out_channels, input, kernel, stride, padding, dilation)
        .map_err(|problem| shape(operation, problem.to_string()))
}
