//! Unfolding images into the rows of a matrix, one row of taps an output pixel, and folding them back.
//!
//! Taps are ordered (kernel row, kernel column, channel), so that with channels last every kernel row is one run.

use std::ops::Range;

use super::Real;
use super::geometry::Geometry;

/// One kernel row of one output pixel: where its taps lie in the row of the matrix and in the image.
struct Run {
    /// Taps before the run, from the start of the kernel row, that lie in the left border.
    before: usize,
    /// Taps inside the image.
    inside: usize,
    /// Place of the first tap inside, in the images.
    source: usize,
}

/// Calls `visit(start of the kernel row in the matrix, its run of taps)` for the output pixels `range` of all images.
fn runs(geometry: &Geometry, group: usize, range: Range<usize>, mut visit: impl FnMut(usize, Option<Run>)) {
    let ([height, width], [rows, columns]) = (geometry.input, geometry.output());
    let ([kh, kw], channels) = (geometry.kernel, geometry.in_channels);
    let per_group = channels / geometry.groups;
    // Neighbouring taps are neighbours in memory too where nothing lies between them.
    let joined = geometry.dilation[1] == 1 && geometry.groups == 1;
    let taps = geometry.taps();
    for (row, pixel) in range.enumerate() {
        let (image, oy, ox) = (pixel / (rows * columns), pixel / columns % rows, pixel % columns);
        let left = (ox * geometry.stride[1]) as isize - geometry.padding[1] as isize;
        for ky in 0..kh {
            let start = row * taps + ky * kw * per_group;
            let y = (oy * geometry.stride[0] + ky * geometry.dilation[0]).checked_sub(geometry.padding[0]);
            let line = y.filter(|&y| y < height).map(|y| (image * height + y) * width);
            if joined {
                let lo = ((-left).max(0) as usize).min(kw);
                let hi = (width as isize - left).clamp(lo as isize, kw as isize) as usize;
                visit(
                    start,
                    line.filter(|_| lo < hi).map(|line| Run {
                        before: lo * channels,
                        inside: (hi - lo) * channels,
                        source: (line + (left + lo as isize) as usize) * channels,
                    }),
                );
            } else {
                for kx in 0..kw {
                    let x = left + (kx * geometry.dilation[1]) as isize;
                    let inside = (0..width as isize).contains(&x);
                    let run = line.filter(|_| inside).map(|line| Run {
                        before: 0,
                        inside: per_group,
                        source: (line + x as usize) * channels + group * per_group,
                    });
                    visit(start + kx * per_group, run);
                }
            }
        }
    }
}

/// Length of what [`runs`] visits at once.
fn stretch(geometry: &Geometry) -> usize {
    let joined = geometry.dilation[1] == 1 && geometry.groups == 1;
    geometry.in_channels / geometry.groups * if joined { geometry.kernel[1] } else { 1 }
}

/// Fills `matrix` [pixels, taps] with the taps of the output pixels `range`, zeros where they lie in the border.
pub(super) fn unfold<T: Real>(
    geometry: &Geometry,
    group: usize,
    range: Range<usize>,
    x: &[T],
    matrix: &mut [T],
) {
    let length = stretch(geometry);
    runs(geometry, group, range, |start, run| {
        let out = &mut matrix[start..start + length];
        let Some(Run { before, inside, source }) = run else { return out.fill(T::zero()) };
        out[..before].fill(T::zero());
        out[before..before + inside].copy_from_slice(&x[source..source + inside]);
        out[before + inside..].fill(T::zero());
    });
}

/// The adjoint of [`unfold`]: adds every tap to the entry it came from; `x` starts at entry `first`.
pub(super) fn fold<T: Real>(
    geometry: &Geometry,
    group: usize,
    range: Range<usize>,
    matrix: &[T],
    x: &mut [T],
    first: usize,
) {
    runs(geometry, group, range, |start, run| {
        let Some(Run { before, inside, source }) = run else { return };
        let from = &matrix[start + before..start + before + inside];
        x[source - first..source - first + inside].iter_mut().zip(from).for_each(|(x, &t)| *x += t);
    });
}
