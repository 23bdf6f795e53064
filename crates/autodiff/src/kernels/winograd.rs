//! 3x3 convolutions with stride 1 by tiles of 4x4 outputs, F(4x4, 3x3) of Winograd (1980) and Lavin & Gray (2016).
//!
//! In the transformed domain a convolution is 36 independent matrix products over channels, with a quarter of the
//! multiplications of the direct sum. The three maps use the same transforms (`transform.rs`) and their transposes, so
//! they stay each other's adjoints up to rounding.

use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

use super::convolution::in_parts;
use super::geometry::Geometry;
use super::matrix::{Matrix, multiply_add_strided};
use super::panels::{self, Panel};
use super::scratch::with_buffer;
use super::tiling::Tiling;
use super::transform::{self, Place, SIDE};
use super::{Real, vectorised};

/// Products in the transformed domain, one for each place in a tile.
const PLACES: usize = SIDE * SIDE;
/// Transformed entries that a block of tiles aims at: two megabytes in single precision.
const BLOCK: usize = 1 << 19;

/// Entries between the tiles of one place and those of the next: a cache line apart from a power of two, because a tile
/// writes to all places in turn, and equal low address bits would throw each other out of the cache.
fn plane(tiles: usize, channels: usize) -> usize {
    tiles * channels + 16
}

/// Whether this is such a convolution, and wide enough for the transforms to be worth their time.
pub(super) fn pays(geometry: &Geometry) -> bool {
    let tiling = Tiling::of(geometry);
    geometry.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.dilation == [1, 1]
        && geometry.groups == 1
        && geometry.padding.iter().all(|&p| p <= 2)
        && geometry.in_channels >= 8
        && geometry.out_channels >= 8
        // Otherwise the weights' transforms cost more than they save,
        && tiling.all_rows() * tiling.columns >= 16
        // or too many tiles hang over the edge.
        && tiling.all_rows() * tiling.columns * 6 <= geometry.batch * geometry.pixels()
}

/// The transformed input tiles of some rows: [place, tile, channel].
fn input_tiles<T: Real>(tiling: Tiling, rows: Range<usize>, channels: usize, x: &[T], out: &mut [T]) {
    let plane = plane(rows.len() * tiling.columns, channels);
    let [height, width] = tiling.from;
    with_zeros(channels, |zeros| {
        vectorised(
            #[inline(always)]
            || {
                for (tile, (image, line, column)) in tiling.tiles(rows).enumerate() {
                    let at = |first: usize, padding: usize, size: usize| {
                        from_fn(|k| (first + k).checked_sub(padding).filter(|&p| p < size))
                    };
                    let (lines, columns) =
                        (at(line, tiling.padding[0], height), at(column, tiling.padding[1], width));
                    let place = Place {
                        rows: lines.map(|y| Some((image * height + y?) * width * channels)),
                        columns: columns.map(|x| Some(x? * channels)),
                    };
                    transform::input(x, &place, zeros, &mut out[tile * channels..], plane);
                }
            },
        );
    });
}

/// The transformed output tiles of some rows, for the adjoint in the weights: [place, tile, channel].
fn output_tiles<T: Real>(tiling: Tiling, rows: Range<usize>, channels: usize, y: &[T], out: &mut [T]) {
    let plane = plane(rows.len() * tiling.columns, channels);
    with_zeros(channels, |zeros| {
        vectorised(
            #[inline(always)]
            || {
                for (tile, corner) in tiling.tiles(rows).enumerate() {
                    let place = tiling.outputs(corner, 0, channels);
                    transform::output_adjoint(y, &place, zeros, &mut out[tile * channels..], plane);
                }
            },
        );
    });
}

/// Writes the outputs of some rows of tiles; `y` starts at their first line.
fn finish<T: Real>(tiling: Tiling, rows: Range<usize>, channels: usize, products: &[T], y: &mut [T]) {
    let plane = plane(rows.len() * tiling.columns, channels);
    let first = tiling.line(rows.start);
    vectorised(
        #[inline(always)]
        || {
            for (tile, corner) in tiling.tiles(rows).enumerate() {
                let place = tiling.outputs(corner, first, channels);
                transform::output(channels, &products[tile * channels..], plane, y, &place);
            }
        },
    );
}

fn with_zeros<T: Real>(channels: usize, work: impl FnOnce(&[T])) {
    with_buffer(channels, |zeros| {
        zeros.fill(T::zero());
        work(zeros);
    });
}

/// Convolves by tiles; the transformed weights of every place lie in panels.
fn by_tiles<T: Real>(tiling: Tiling, [from, to]: [usize; 2], images: &[&[T]], weights: &[&[T]], y: &mut [T]) {
    let block = tiling.block_rows(PLACES * (from + to), BLOCK);
    let mut pieces = vec![];
    let mut rest = y;
    for start in (0..tiling.all_rows()).step_by(block) {
        let rows = start..(start + block).min(tiling.all_rows());
        let lines = tiling.line(rows.end) - tiling.line(rows.start);
        let (piece, tail) = rest.split_at_mut(lines * tiling.to[1] * to);
        pieces.push((rows, piece));
        rest = tail;
    }
    pieces.into_par_iter().for_each(|(rows, piece)| {
        let tiles = rows.len() * tiling.columns;
        let (wide, deep) = (plane(tiles, from), plane(tiles, to));
        let panels = from * panels::padded::<T>(to);
        with_buffer(PLACES * (wide + deep), |buffer| {
            let (unfolded, products) = buffer.split_at_mut(PLACES * wide);
            for (nth, (x, w)) in images.iter().zip(weights).enumerate() {
                input_tiles(tiling, rows.clone(), from, x, unfolded);
                vectorised(
                    #[inline(always)]
                    || {
                        for place in 0..PLACES {
                            let tiles_of_place = &unfolded[place * wide..][..tiles * from];
                            let out = &mut products[place * deep..][..tiles * to];
                            let w = &w[place * panels..][..panels];
                            panels::multiply(out, tiles_of_place, w, [from, to], nth > 0);
                        }
                    },
                );
            }
            finish(tiling, rows, to, products, piece);
        });
    });
}

/// Runs `work` on the pairs' transformed weights, place by place in panels of the matrix [from, to]; with `flipped` those of
/// the convolution that is the adjoint in x, whose kernel is turned by half a turn.
fn with_weights<T: Real, R>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    flipped: bool,
    work: impl FnOnce(&[&[T]]) -> R,
) -> R {
    let (by_output, by_input) =
        ((geometry.out_channels, geometry.in_channels * 9), (geometry.in_channels, 9));
    let ((from, step), (to, stride)) = if flipped { (by_output, by_input) } else { (by_input, by_output) };
    let plane = from * panels::padded::<T>(to);
    let size = PLACES * plane;
    with_buffer(pairs.len() * size, |buffer| {
        if plane > from * to {
            buffer.fill(T::zero());
        }
        for (out, (_, w)) in buffer.chunks_exact_mut(size).zip(pairs) {
            vectorised(
                #[inline(always)]
                || {
                    for Panel { first, columns, width } in panels::panels::<T>(to) {
                        for row in 0..from {
                            let w = &w[first * stride + row * step..];
                            let out = &mut out[first * from + row * width..];
                            transform::weights((columns, stride), w, flipped, out, plane);
                        }
                    }
                },
            );
        }
        work(&buffer.chunks_exact(size).collect::<Vec<_>>())
    })
}

/// y = sum of x * w over the pairs (x, w).
pub(super) fn forward<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], y: &mut [T]) {
    let images: Vec<&[T]> = pairs.iter().map(|p| p.0).collect();
    let channels = [geometry.in_channels, geometry.out_channels];
    with_weights(geometry, pairs, false, |weights| {
        by_tiles(Tiling::of(geometry), channels, &images, weights, y);
    });
}

/// x = sum of the adjoint in x over the pairs (y, w): a convolution too, with the border's other part.
pub(super) fn input_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], x: &mut [T]) {
    let images: Vec<&[T]> = pairs.iter().map(|p| p.0).collect();
    let channels = [geometry.out_channels, geometry.in_channels];
    let padding = geometry.padding.map(|p| 2 - p);
    let tiling = Tiling::new(geometry.batch, geometry.output(), geometry.input, padding);
    with_weights(geometry, pairs, true, |weights| by_tiles(tiling, channels, &images, weights, x));
}

/// w = sum of the adjoint in w over the pairs (x, y).
pub(super) fn weight_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], w: &mut [T]) {
    let tiling = Tiling::of(geometry);
    let (from, to) = (geometry.in_channels, geometry.out_channels);
    let block = tiling.block_rows(PLACES * (from + to), BLOCK);
    let blocks = tiling.all_rows().div_ceil(block);
    let size = PLACES * from * to;
    in_parts(
        blocks,
        size,
        |sum| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, w) in w.chunks_exact_mut(from * 9).enumerate() {
                        transform::weights_adjoint(from, &sum[row * from..], from * to, w);
                    }
                },
            );
        },
        |blocks, sum: &mut [T]| {
            for start in blocks.map(|b| b * block) {
                let rows = start..(start + block).min(tiling.all_rows());
                let tiles = rows.len() * tiling.columns;
                let (wide, deep) = (plane(tiles, from), plane(tiles, to));
                with_buffer(PLACES * (wide + deep), |buffer| {
                    let (inputs, outputs) = buffer.split_at_mut(PLACES * wide);
                    for (x, y) in pairs {
                        input_tiles(tiling, rows.clone(), from, x, inputs);
                        output_tiles(tiling, rows.clone(), to, y, outputs);
                        for place in 0..PLACES {
                            let lhs = Matrix::rows_of(&outputs[place * deep..], to).transposed();
                            let rhs = Matrix::rows_of(&inputs[place * wide..], from);
                            let sum = &mut sum[place * from * to..][..from * to];
                            multiply_add_strided(sum, from, to, from, tiles, lhs, rhs, true);
                        }
                    }
                });
            }
        },
    );
}
