//! The three maps of a convolution; each is the others' adjoint.
//!
//! Images are channels last, so an unfolded image is a matrix with a row for every pixel, whatever image it belongs to.
//! Wide 3x3 convolutions go another way, see `winograd.rs`, and so do the others' outputs, see `direct.rs`.

use rayon::prelude::*;
use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;

use super::chain::{self, Program};
use super::matrix::{Matrix, multiply_add, multiply_add_strided, written};
use super::scratch::with_buffer;
use super::unfold::{fold, unfold};
use super::{Real, SERIAL, direct, winograd};

pub(crate) use super::geometry::Geometry;

/// Entries of an unfolded block: about one megabyte in single precision.
const BLOCK: usize = 1 << 18;
/// Pixels that a block has at least, where there are as many.
const PIXELS: usize = 64;
/// Partial weight gradients that are computed side by side, where the work suffices.
const PARTS: usize = 4;

/// Output pixels of one block.
fn block_pixels(geometry: &Geometry) -> usize {
    (BLOCK / geometry.taps().max(1)).max(PIXELS).min(geometry.batch * geometry.pixels()).max(1)
}

/// The weights of all output channels with their taps in the order of [`unfold`]: [`out_channels`, taps].
fn by_taps<'a, T: Real>(geometry: &Geometry, w: &'a [T]) -> Cow<'a, [T]> {
    let (area, per_group) = (geometry.kernel[0] * geometry.kernel[1], geometry.in_channels / geometry.groups);
    if area == 1 {
        return Cow::Borrowed(w);
    }
    let size = area * per_group;
    let turn = |out: &mut [T]| {
        let rows = out.par_chunks_exact_mut(size).zip(w.par_chunks_exact(size));
        rows.with_min_len(SERIAL.div_ceil(size)).for_each(|(out, w)| {
            for (channel, w) in w.chunks_exact(area).enumerate() {
                w.iter().enumerate().for_each(|(tap, &w)| out[tap * per_group + channel] = w);
            }
        });
        Ok::<_, Infallible>(())
    };
    // SAFETY: every weight has a place of its own.
    let Ok(out) = unsafe { written(w.len(), turn) };
    Cow::Owned(out)
}

/// The adjoint of [`by_taps`].
fn from_taps<T: Real>(geometry: &Geometry, taps: &[T], w: &mut [T]) {
    let (area, per_group) = (geometry.kernel[0] * geometry.kernel[1], geometry.in_channels / geometry.groups);
    let size = area * per_group;
    let rows = taps.par_chunks_exact(size).zip(w.par_chunks_exact_mut(size));
    rows.with_min_len(SERIAL.div_ceil(size)).for_each(|(taps, w)| {
        for (channel, w) in w.chunks_exact_mut(area).enumerate() {
            w.iter_mut().enumerate().for_each(|(tap, w)| *w = taps[tap * per_group + channel]);
        }
    });
}

/// Runs `work` on the unfolded input of one group, a matrix [pixels, taps].
fn with_rows_of_taps<T: Real>(
    geometry: &Geometry,
    group: usize,
    range: Range<usize>,
    x: &[T],
    work: impl FnOnce(Matrix<'_, T>),
) {
    let taps = geometry.taps();
    if geometry.is_pointwise() {
        let start = range.start * geometry.in_channels + group * taps;
        return work(Matrix::rows_of(&x[start..], geometry.in_channels));
    }
    with_buffer(range.len() * taps, |buffer| {
        unfold(geometry, group, range, x, buffer);
        work(Matrix::rows_of(buffer, taps));
    });
}

/// y = sum of x * w over the pairs (x, w), and what `after` makes of it.
pub(crate) fn forward<T: Real>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    after: Option<&Program<'_, T>>,
) -> Vec<T> {
    if winograd::pays(geometry) {
        return winograd::forward(geometry, pairs, after);
    }
    if direct::pays(geometry) {
        return direct::forward(geometry, pairs, after);
    }
    let (pixels, taps, out) = (block_pixels(geometry), geometry.taps(), geometry.out_channels);
    let (channels, all) = (out / geometry.groups, geometry.batch * geometry.pixels());
    let weights: Vec<_> = pairs.iter().map(|(_, w)| by_taps(geometry, w)).collect();
    let blocks: Vec<Range<usize>> =
        (0..all).step_by(pixels).map(|first| first..(first + pixels).min(all)).collect();
    let pieces: Vec<Range<usize>> = blocks.iter().map(|b| b.start * out..b.end * out).collect();
    chain::in_pieces(&pieces, after, |nth, y| {
        let range = blocks[nth].clone();
        for group in 0..geometry.groups {
            for (nth, ((x, _), w)) in pairs.iter().zip(&weights).enumerate() {
                let weight = Matrix::rows_of(&w[group * channels * taps..], taps).transposed();
                let y = &mut y[group * channels..];
                with_rows_of_taps(geometry, group, range.clone(), x, |rows| {
                    multiply_add_strided(y, out, range.len(), channels, taps, rows, weight, nth > 0);
                });
            }
        }
    })
}

/// x = sum of the adjoint in x over the pairs (y, w).
pub(crate) fn input_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])]) -> Vec<T> {
    if winograd::pays(geometry) {
        return winograd::input_adjoint(geometry, pairs);
    }
    let (image, plane, taps, out) =
        (geometry.input_image(), geometry.pixels(), geometry.taps(), geometry.out_channels);
    let channels = out / geometry.groups;
    let weights: Vec<_> = pairs.iter().map(|(_, w)| by_taps(geometry, w)).collect();
    let images = (block_pixels(geometry) / plane.max(1)).max(1);
    let mut x = vec![T::zero(); geometry.batch * image];
    x.par_chunks_mut(images * image).enumerate().for_each(|(i, x)| {
        let (from, to) = (i * images * plane, (i * images + x.len() / image) * plane);
        for start in (from..to).step_by(block_pixels(geometry)) {
            let range = start..(start + block_pixels(geometry)).min(to);
            for group in 0..geometry.groups {
                with_buffer(range.len() * taps, |buffer| {
                    for (nth, ((y, _), w)) in pairs.iter().zip(&weights).enumerate() {
                        let cotangent = Matrix::rows_of(&y[range.start * out + group * channels..], out);
                        let weight = Matrix::rows_of(&w[group * channels * taps..], taps);
                        multiply_add_strided(
                            buffer,
                            taps,
                            range.len(),
                            taps,
                            channels,
                            cotangent,
                            weight,
                            nth > 0,
                        );
                    }
                    fold(geometry, group, range.clone(), buffer, x, i * images * image);
                });
            }
        }
    });
    x
}

/// w = sum of the adjoint in w over the pairs (x, y): all of it is written.
pub(crate) fn weight_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], w: &mut [T]) {
    if winograd::pays(geometry) {
        return winograd::weight_adjoint(geometry, pairs, w);
    }
    let (pixels, taps, out) = (block_pixels(geometry), geometry.taps(), geometry.out_channels);
    let (channels, all) = (out / geometry.groups, geometry.batch * geometry.pixels());
    let finish = |sum: &[T]| from_taps(geometry, sum, w);
    in_parts(all.div_ceil(pixels), out * taps, finish, |blocks, sum| {
        let first = blocks.start;
        for block in blocks {
            let range = block * pixels..((block + 1) * pixels).min(all);
            for group in 0..geometry.groups {
                let sum = &mut sum[group * channels * taps..][..channels * taps];
                for (nth, (x, y)) in pairs.iter().enumerate() {
                    let cotangent =
                        Matrix::rows_of(&y[range.start * out + group * channels..], out).transposed();
                    let accumulate = block > first || nth > 0;
                    with_rows_of_taps(geometry, group, range.clone(), x, |rows| {
                        multiply_add(sum, channels, taps, range.len(), cotangent, rows, accumulate);
                    });
                }
            }
        }
    });
}

/// Hands `finish` the sum over `blocks` blocks of `length` entries each, made of at most [`PARTS`] partial sums: `accumulate`
/// writes the first block of a range and adds the others.
pub(super) fn in_parts<T: Real>(
    blocks: usize,
    length: usize,
    finish: impl FnOnce(&[T]),
    accumulate: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    // With few blocks a part more would spend its time on adding up.
    let parts = (blocks / 2).clamp(1, PARTS);
    let share = blocks.div_ceil(parts).max(1);
    with_buffer(parts * length, |sums: &mut [T]| {
        sums.par_chunks_exact_mut(length.max(1)).enumerate().for_each(|(part, sum)| {
            let range = (part * share).min(blocks)..((part + 1) * share).min(blocks);
            if range.is_empty() {
                sum.fill(T::zero());
            } else {
                accumulate(range, sum);
            }
        });
        let (sum, others) = sums.split_at_mut(length);
        if !others.is_empty() {
            sum.par_chunks_mut(SERIAL).enumerate().for_each(|(piece, sum)| {
                for other in others.chunks_exact(length) {
                    sum.iter_mut().zip(&other[piece * SERIAL..]).for_each(|(s, o)| *s += *o);
                }
            });
        }
        finish(sum);
    });
}
