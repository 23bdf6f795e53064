//! The three maps of a convolution as matrix products on unfolded images; each is the others' adjoint.
//!
//! Small images are unfolded several at a time and large ones a few rows at a time, so that a product is wide enough for
//! the processor and its columns stay in cache.

use rayon::prelude::*;

use super::Real;
use super::matrix::{Matrix, multiply_add_strided};
use super::unfold::{Block, fold, unfold};

pub(crate) use super::unfold::Geometry;

/// Entries of an unfolded block: about one megabyte in single precision.
const BLOCK: usize = 1 << 18;
/// Partial weight gradients that are computed side by side, where the work suffices.
const PARTS: usize = 4;

/// Two buffers that one task reuses: unfolded columns, and output pixels of several images side by side.
struct Scratch<T> {
    columns: Vec<T>,
    pixels: Vec<T>,
}

impl<T: Real> Scratch<T> {
    fn new(geometry: &Geometry) -> Self {
        let (images, rows) = block_size(geometry);
        let wide = images * rows * geometry.output()[1];
        let columns = vec![T::zero(); geometry.taps() * wide];
        Self { columns, pixels: vec![T::zero(); geometry.out_channels / geometry.groups * wide] }
    }
}

/// How many images, and how many output rows of each, one product covers.
fn block_size(geometry: &Geometry) -> (usize, usize) {
    let [height, width] = geometry.output();
    let image = geometry.taps() * height * width;
    if image <= BLOCK {
        ((BLOCK / image.max(1)).clamp(1, geometry.batch.max(1)), height)
    } else {
        (1, (BLOCK / (geometry.taps() * width)).clamp(1, height))
    }
}

/// The blocks of `images` images that start together.
fn blocks(geometry: &Geometry, images: usize) -> impl Iterator<Item = Block> {
    let (rows, height) = (block_size(geometry).1, geometry.output()[0]);
    (0..height).step_by(rows).map(move |first_row| Block {
        images,
        first_row,
        rows: rows.min(height - first_row),
    })
}

/// The output-sided operand of a block and a group as a matrix [channels, columns]; `y` starts at the first image.
fn pixels<'a, T: Real>(
    geometry: &Geometry,
    block: Block,
    group: usize,
    y: &'a [T],
    buffer: &'a mut [T],
) -> Matrix<'a, T> {
    let (plane, width) = (geometry.pixels(), geometry.output()[1]);
    let channels = geometry.out_channels / geometry.groups;
    let first = group * channels * plane;
    if block.images == 1 {
        return Matrix::rows_of(&y[first + block.first_row * width..], plane);
    }
    let wide = block.columns(geometry);
    for (channel, row) in buffer.chunks_exact_mut(wide).take(channels).enumerate() {
        for (image, out) in row.chunks_exact_mut(plane).enumerate() {
            let from = image * geometry.out_channels * plane + first + channel * plane;
            out.copy_from_slice(&y[from..from + plane]);
        }
    }
    Matrix::rows_of(buffer, wide)
}

/// The unfolded input of a block and a group as a matrix [taps, columns]; `x` starts at the first image.
fn columns<'a, T: Real>(
    geometry: &Geometry,
    block: Block,
    group: usize,
    x: &'a [T],
    buffer: &'a mut [T],
) -> Matrix<'a, T> {
    let first = group * (geometry.in_channels / geometry.groups) * geometry.input[0] * geometry.input[1];
    if geometry.is_pointwise() && block.images == 1 {
        return Matrix::rows_of(&x[first + block.first_row * geometry.input[1]..], geometry.pixels());
    }
    unfold(geometry, block, &x[first..], buffer);
    Matrix::rows_of(buffer, block.columns(geometry))
}

/// y = sum of x * w over the pairs (x, w).
pub(crate) fn forward<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], y: &mut [T]) {
    let (images, _) = block_size(geometry);
    let (in_image, plane, taps) = (geometry.input_image(), geometry.pixels(), geometry.taps());
    let channels = geometry.out_channels / geometry.groups;
    let out_image = geometry.out_channels * plane;
    y.par_chunks_mut(images * out_image).enumerate().for_each_init(
        || Scratch::new(geometry),
        |scratch, (i, y)| {
            for block in blocks(geometry, y.len() / out_image) {
                let wide = block.columns(geometry);
                for group in 0..geometry.groups {
                    for (nth, (x, w)) in pairs.iter().enumerate() {
                        let x = &x[i * images * in_image..];
                        let unfolded = columns(geometry, block, group, x, &mut scratch.columns);
                        let weight = Matrix::rows_of(&w[group * channels * taps..], taps);
                        if block.images == 1 {
                            let start = group * channels * plane + block.first_row * geometry.output()[1];
                            multiply_add_strided(
                                &mut y[start..],
                                plane,
                                channels,
                                wide,
                                taps,
                                weight,
                                unfolded,
                                nth > 0,
                            );
                        } else {
                            let out = &mut scratch.pixels;
                            multiply_add_strided(out, wide, channels, wide, taps, weight, unfolded, nth > 0);
                        }
                    }
                    if block.images > 1 {
                        spread(geometry, block, group, &scratch.pixels, y);
                    }
                }
            }
        },
    );
}

/// Copies the pixels of several images from side by side to their places.
fn spread<T: Real>(geometry: &Geometry, block: Block, group: usize, buffer: &[T], y: &mut [T]) {
    let plane = geometry.pixels();
    let channels = geometry.out_channels / geometry.groups;
    for (channel, row) in buffer.chunks_exact(block.columns(geometry)).take(channels).enumerate() {
        for (image, from) in row.chunks_exact(plane).enumerate() {
            let to = (image * geometry.out_channels + group * channels + channel) * plane;
            y[to..to + plane].copy_from_slice(from);
        }
    }
}

/// x = sum of the adjoint in x over the pairs (y, w).
pub(crate) fn input_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], x: &mut [T]) {
    let (images, _) = block_size(geometry);
    let (in_image, out_image) = (geometry.input_image(), geometry.out_channels * geometry.pixels());
    let (channels, taps) = (geometry.out_channels / geometry.groups, geometry.taps());
    let group_plane = geometry.in_channels / geometry.groups * geometry.input[0] * geometry.input[1];
    x.par_chunks_mut(images * in_image).enumerate().for_each_init(
        || Scratch::new(geometry),
        |scratch, (i, x)| {
            for block in blocks(geometry, x.len() / in_image) {
                let wide = block.columns(geometry);
                for group in 0..geometry.groups {
                    for (nth, (y, w)) in pairs.iter().enumerate() {
                        let y = &y[i * images * out_image..];
                        let cotangent = pixels(geometry, block, group, y, &mut scratch.pixels);
                        let weight = Matrix::rows_of(&w[group * channels * taps..], taps).transposed();
                        let out = &mut scratch.columns;
                        multiply_add_strided(out, wide, taps, wide, channels, weight, cotangent, nth > 0);
                    }
                    fold(geometry, block, &scratch.columns, &mut x[group * group_plane..]);
                }
            }
        },
    );
}

/// w = sum of the adjoint in w over the pairs (x, y).
pub(crate) fn weight_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], w: &mut [T]) {
    let (images, _) = block_size(geometry);
    let starts = geometry.batch.div_ceil(images);
    // More parts than this would spend their time on adding up.
    let parts = (geometry.batch * geometry.pixels() / 256).clamp(1, PARTS).min(starts.max(1));
    let share = starts.div_ceil(parts) * images;
    let partial = |part: usize, w: &mut [T]| {
        let mut scratch = Scratch::new(geometry);
        let end = ((part + 1) * share).min(geometry.batch);
        for first in (part * share..end).step_by(images) {
            accumulate_weights(geometry, pairs, first, images.min(end - first), &mut scratch, w);
        }
    };
    w.fill(T::zero());
    let other = |part: usize| {
        let mut out = vec![T::zero(); geometry.out_channels * geometry.taps()];
        partial(part, &mut out);
        out
    };
    let ((), others) =
        rayon::join(|| partial(0, w), || (1..parts).into_par_iter().map(other).collect::<Vec<_>>());
    for other in others {
        w.iter_mut().zip(other).for_each(|(w, o)| *w += o);
    }
}

fn accumulate_weights<T: Real>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    first: usize,
    images: usize,
    scratch: &mut Scratch<T>,
    w: &mut [T],
) {
    let (channels, taps) = (geometry.out_channels / geometry.groups, geometry.taps());
    let (in_image, out_image) = (geometry.input_image(), geometry.out_channels * geometry.pixels());
    for block in blocks(geometry, images) {
        let wide = block.columns(geometry);
        for group in 0..geometry.groups {
            let out = &mut w[group * channels * taps..][..channels * taps];
            for (x, y) in pairs {
                let cotangent = pixels(geometry, block, group, &y[first * out_image..], &mut scratch.pixels);
                let unfolded = columns(geometry, block, group, &x[first * in_image..], &mut scratch.columns);
                multiply_add_strided(out, taps, channels, taps, wide, cotangent, unfolded.transposed(), true);
            }
        }
    }
}
