//! A convolution's geometry, and unfolding images into the columns of a matrix (and folding them back).

use std::fmt;

use super::Real;

/// Sizes of a convolution in PyTorch's layouts: x [batch, `in_channels`, h, w], w [`out_channels`, `in_channels`/groups, kh, kw].
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
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }
}

/// Which output pixels one matrix product covers: all of several images, or some rows of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// Images from the start of the slice that is being worked on.
    pub(super) images: usize,
    /// First output row.
    pub(super) first_row: usize,
    /// Number of output rows.
    pub(super) rows: usize,
}

impl Block {
    /// Columns of the unfolded matrix.
    pub(super) fn columns(&self, geometry: &Geometry) -> usize {
        self.images * self.rows * geometry.output()[1]
    }
}

/// Output columns `lo..hi` whose input column `ox * stride + offset` lies inside the image.
fn inside(offset: isize, stride: usize, input: usize, output: usize) -> (usize, usize) {
    let lo = (-offset).max(0) as usize;
    let lo = lo.div_ceil(stride).min(output);
    let hi = if offset >= input as isize { 0 } else { ((input as isize - offset) as usize).div_ceil(stride) };
    (lo, hi.clamp(lo, output))
}

/// Calls `visit(row of the unfolded matrix, start in that row, input row or none, offset of the kernel column)` for every
/// stretch of output pixels of one image.
fn stretches(
    geometry: &Geometry,
    block: Block,
    image: usize,
    mut visit: impl FnMut(usize, usize, Option<usize>, isize),
) {
    let [kh, kw] = geometry.kernel;
    let width = geometry.output()[1];
    for tap in 0..geometry.taps() {
        let (channel, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        let offset = (kx * geometry.dilation[1]) as isize - geometry.padding[1] as isize;
        for row in 0..block.rows {
            let y = (block.first_row + row) * geometry.stride[0] + ky * geometry.dilation[0];
            let inside = y.checked_sub(geometry.padding[0]).filter(|&y| y < geometry.input[0]);
            let start = (image * block.rows + row) * width;
            visit(tap, start, inside.map(|y| channel * geometry.input[0] + y), offset);
        }
    }
}

/// Unfolds `block` of one group: `x` starts at the group's first channel of the block's first image.
pub(super) fn unfold<T: Real>(geometry: &Geometry, block: Block, x: &[T], columns: &mut [T]) {
    let (wide, width, stride) = (block.columns(geometry), geometry.output()[1], geometry.stride[1]);
    let line = geometry.input[1];
    for image in 0..block.images {
        let x = &x[image * geometry.input_image()..];
        stretches(geometry, block, image, |tap, start, row, offset| {
            let out = &mut columns[tap * wide + start..][..width];
            let Some(row) = row else { return out.fill(T::zero()) };
            let source = &x[row * line..][..line];
            let (lo, hi) = inside(offset, stride, line, width);
            out[..lo].fill(T::zero());
            out[hi..].fill(T::zero());
            if lo == hi {
                return;
            }
            let first = ((lo * stride) as isize + offset) as usize;
            if stride == 1 {
                out[lo..hi].copy_from_slice(&source[first..first + hi - lo]);
            } else {
                out[lo..hi].iter_mut().zip(source[first..].iter().step_by(stride)).for_each(|(o, &s)| *o = s);
            }
        });
    }
}

/// The adjoint of [`unfold`]: adds every column entry to the input entry it came from.
pub(super) fn fold<T: Real>(geometry: &Geometry, block: Block, columns: &[T], x: &mut [T]) {
    let (wide, width, stride) = (block.columns(geometry), geometry.output()[1], geometry.stride[1]);
    let line = geometry.input[1];
    for image in 0..block.images {
        let x = &mut x[image * geometry.input_image()..];
        stretches(geometry, block, image, |tap, start, row, offset| {
            let (Some(row), (lo, hi)) = (row, inside(offset, stride, line, width)) else { return };
            if lo == hi {
                return;
            }
            let from = &columns[tap * wide + start..][lo..hi];
            let first = ((lo * stride) as isize + offset) as usize;
            let target = &mut x[row * line..][first..line];
            if stride == 1 {
                target.iter_mut().zip(from).for_each(|(t, &s)| *t += s);
            } else {
                target.iter_mut().step_by(stride).zip(from).for_each(|(t, &s)| *t += s);
            }
        });
    }
}
