//! The sizes of a convolution.

use std::fmt;

/// Sizes of a convolution. Kernels see images channels last, x [batch, h, w, `in_channels`] and
/// y [batch, oh, ow, `out_channels`], and weights as PyTorch has them, w [`out_channels`, `in_channels`/groups, kh, kw].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) input: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

/// Why sizes make no convolution.
#[derive(Debug)]
pub(crate) struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Geometry {
    #[expect(clippy::too_many_arguments, reason = "the sizes of a convolution")]
    pub(crate) fn new(
        batch: usize,
        groups: usize,
        in_channels: usize,
        out_channels: usize,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Self, Unfit> {
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            let problem = format!(
                "{groups} groups do not divide {in_channels} input and {out_channels} output channels"
            );
            return Err(Unfit(problem));
        }
        for i in 0..2 {
            if kernel[i] == 0 || stride[i] == 0 || dilation[i] == 0 {
                return Err(Unfit("kernel size, stride and dilation must be at least 1".into()));
            }
            let (span, room) = (dilation[i] * (kernel[i] - 1) + 1, input[i] + 2 * padding[i]);
            if span > room {
                return Err(Unfit(format!(
                    "a kernel that spans {span} entries does not fit {room} padded entries"
                )));
            }
        }
        Ok(Self { batch, groups, in_channels, out_channels, input, kernel, stride, padding, dilation })
    }

    /// Rows and columns of the output.
    pub(crate) fn output(&self) -> [usize; 2] {
        let size = |i: usize| {
            (self.input[i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel[i] - 1) - 1)
                / self.stride[i]
                + 1
        };
        [size(0), size(1)]
    }

    /// Entries of one image of the input.
    pub(super) fn input_image(&self) -> usize {
        self.in_channels * self.input[0] * self.input[1]
    }

    /// Entries of one channel of the output.
    pub(super) fn pixels(&self) -> usize {
        let [h, w] = self.output();
        h * w
    }

    /// Weights of one output channel: the rows of an unfolded group.
    pub(super) fn taps(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Whether the unfolded image is the image itself.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }
}
