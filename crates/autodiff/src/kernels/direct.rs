//! The outputs of a convolution straight from its input: lines of it, with their border, are the rows of products with packed
//! weights.
//!
//! With channels last, the inputs of an output pixel are one run in every line that the kernel meets, and those of the next
//! pixel begin a stride further on, so that nothing has to be unfolded.

use std::ops::Range;

use rayon::prelude::*;

use super::Real;
use super::chain::{self, Program};
use super::geometry::Geometry;
use super::panels::{self, Panel, Strips};
use super::scratch::with_buffer;

/// Outputs that are computed together, about.
const BLOCK: usize = 1 << 14;

/// Weights up to which they stay in the second cache: every line of outputs reads them all.
const WEIGHTS: usize = 1 << 16;

/// Whether a kernel's inputs are runs, and not the image's own rows, and its weights few.
pub(super) fn pays(geometry: &Geometry) -> bool {
    geometry.groups == 1
        && geometry.dilation[1] == 1
        && !geometry.is_pointwise()
        && geometry.taps() * geometry.out_channels <= WEIGHTS
}

/// y = sum of x * w over the pairs (x, w), and what `after` makes of it.
pub(super) fn forward<T: Real>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    after: Option<&Program<'_, T>>,
) -> Vec<T> {
    let ([rows, columns], [kernel_rows, kernel_columns]) = (geometry.output(), geometry.kernel);
    let (from, to, lines) = (geometry.in_channels, geometry.out_channels, geometry.batch * rows);
    let (line, at_once) = (columns * to, BLOCK.div_ceil((columns * to).max(1)));
    let pieces: Vec<Range<usize>> =
        (0..lines).step_by(at_once).map(|l| l * line..(l + at_once).min(lines) * line).collect();
    // Inputs of a line of outputs, in every line that the kernel meets.
    let met = ((columns - 1) * geometry.stride[1] + kernel_columns) * from;
    let strips = Strips {
        count: kernel_rows,
        length: kernel_columns * from,
        apart: met,
        step: geometry.stride[1] * from,
    };
    let size = geometry.taps() * panels::padded::<T>(to);
    with_buffer(pairs.len() * size, |weights| {
        let mut tasks = vec![];
        for (out, (_, w)) in weights.chunks_exact_mut(size).zip(pairs) {
            let parts = out.chunks_mut(geometry.taps() * panels::wide::<T>());
            tasks.extend(panels::panels::<T>(to).zip(parts).map(|(panel, out)| (panel, out, w)));
        }
        tasks.into_par_iter().for_each(|(panel, out, w)| pack(geometry, panel, w, out));
        chain::in_pieces(&pieces, after, |nth, y| {
            with_buffer(kernel_rows * met, |inputs| {
                for (k, y) in y.chunks_exact_mut(line).enumerate() {
                    let at = pieces[nth].start / line + k;
                    for (pair, ((x, _), w)) in pairs.iter().zip(weights.chunks_exact(size)).enumerate() {
                        gather(geometry, at, x, inputs);
                        for panel in panels::panels::<T>(to) {
                            let w = &w[panel.first * geometry.taps()..][..panel.width * geometry.taps()];
                            let out = (&mut y[panel.first..], to);
                            panels::multiply(panel, columns, out, (inputs, strips), w, pair > 0);
                        }
                    }
                }
            });
        })
    })
}

/// A panel's weights, tap by tap in the order (kernel row, kernel column, channel).
fn pack<T: Real>(geometry: &Geometry, panel: Panel, w: &[T], out: &mut [T]) {
    let (area, taps) = (geometry.kernel[0] * geometry.kernel[1], geometry.taps());
    out.fill(T::zero());
    for (column, w) in w.chunks_exact(taps).skip(panel.first).take(panel.columns).enumerate() {
        for (channel, w) in w.chunks_exact(area).enumerate() {
            for (tap, &w) in w.iter().enumerate() {
                out[(tap * geometry.in_channels + channel) * panel.width + column] = w;
            }
        }
    }
}

/// The inputs of an output line (counted over all images), one line after the other, with zeros in the border.
fn gather<T: Real>(geometry: &Geometry, at: usize, x: &[T], out: &mut [T]) {
    let ([height, width], [rows, _]) = (geometry.input, geometry.output());
    let (image, row) = (at / rows, at % rows);
    let line = width * geometry.in_channels;
    let met = out.len() / geometry.kernel[0];
    for (k, out) in out.chunks_exact_mut(met).enumerate() {
        let y = (row * geometry.stride[0] + k * geometry.dilation[0]).checked_sub(geometry.padding[0]);
        let Some(y) = y.filter(|&y| y < height) else {
            out.fill(T::zero());
            continue;
        };
        let left = (geometry.padding[1] * geometry.in_channels).min(met);
        let (before, out) = out.split_at_mut(left);
        let (inside, after) = out.split_at_mut(line.min(out.len()));
        before.fill(T::zero());
        inside.copy_from_slice(&x[(image * height + y) * line..][..inside.len()]);
        after.fill(T::zero());
    }
}
