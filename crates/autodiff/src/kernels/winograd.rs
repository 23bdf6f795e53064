//! 3x3 convolutions with stride 1 by tiles of 4x4 outputs, F(4x4, 3x3) of Winograd (1980) and Lavin & Gray (2016).
//!
//! In the transformed domain a convolution is 36 independent matrix products over channels, with a quarter of the
//! multiplications of the direct sum. The three maps use the same transforms (`transform.rs`) and their transposes, so
//! they stay each other's adjoints up to rounding.

use rayon::prelude::*;
use std::ops::Range;

use super::chain::{self, Program};
use super::convolution::in_parts;
use super::geometry::Geometry;
use super::matrix::{Matrix, multiply_add_strided};
use super::panels::{self, Panel, Strips};
use super::scratch::with_buffer;
use super::tiling::{Tiling, lines};
use super::transform::{self, PLACES, SIDE, TILE, Window};
use super::{Real, SERIAL};

/// Bytes of transformed inputs and products that a block of tiles aims at: most of the second cache.
const BLOCK: usize = 3 << 17;
/// Tiles of a block at least: its products read all weights, which stay in the second cache, or do not.
const TILES: [usize; 2] = [36, 96];
/// Transformed weights, of all pairs, up to which they stay there.
const FEW_WEIGHTS: usize = 1 << 18;
/// Tiles of a block at least whose products are summed over tiles, so that they are not too flat, and entries it aims at.
const SUMMED: (usize, usize) = (96, 1 << 19);
/// Tasks that a convolution is cut into at least, where it is wide enough.
const TASKS: usize = 2;

/// Entries between the tiles of one place and those of the next: a cache line apart from a power of two, because a tile
/// writes to all places in turn, and equal low address bits would throw each other out of the cache.
fn plane(tiles: usize, channels: usize) -> usize {
    tiles * channels + 16
}

/// Tiles of a block of a convolution's forward or backward map that sums over some pairs.
fn tiles_of_block<T>([from, to]: [usize; 2], pairs: usize) -> usize {
    let least = TILES[usize::from(pairs * PLACES * from * to > FEW_WEIGHTS)];
    (BLOCK / (PLACES * (from + to) * size_of::<T>())).max(least)
}

/// Output channels that are computed by themselves: all together where there are enough blocks, else whole panels.
fn shares<T>(blocks: usize, to: usize) -> Vec<Range<usize>> {
    let panels = to.div_ceil(panels::wide::<T>());
    let count = (TASKS / blocks).clamp(1, (panels / 2).max(1));
    let share = panels.div_ceil(count) * panels::wide::<T>();
    (0..to).step_by(share).map(|first| first..(first + share).min(to)).collect()
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
    let (width, border) = (tiling.from[1], tiling.padding[1]);
    with_zeros(width * channels, |zeros| {
        let mut tile = 0;
        for (image, line) in tiling.corners(rows) {
            let lines: [&[T]; SIDE] = lines((x, tiling.from), (image, line, tiling.padding[0]), zeros);
            for column in 0..tiling.columns {
                let window = Window::new(lines, column * TILE, border, width);
                transform::input(channels, &window, &mut out[tile * channels..], plane);
                tile += 1;
            }
        }
    });
}

/// The transformed output tiles of some rows, for the adjoint in the weights: [place, tile, channel].
fn output_tiles<T: Real>(tiling: Tiling, rows: Range<usize>, channels: usize, y: &[T], out: &mut [T]) {
    let plane = plane(rows.len() * tiling.columns, channels);
    let width = tiling.to[1];
    with_zeros(width * channels, |zeros| {
        let mut tile = 0;
        for (image, line) in tiling.corners(rows) {
            let lines: [&[T]; TILE] = lines((y, tiling.to), (image, line, 0), zeros);
            for column in 0..tiling.columns {
                let window = Window::new(lines, column * TILE, 0, width);
                transform::output_adjoint(channels, &window, &mut out[tile * channels..], plane);
                tile += 1;
            }
        }
    });
}

/// Writes the outputs of some rows of tiles; `y` starts at their first line.
fn finish<T: Real>(tiling: Tiling, rows: Range<usize>, channels: usize, products: &[T], y: &mut [T]) {
    let plane = plane(rows.len() * tiling.columns, channels);
    let [height, width] = tiling.to;
    let (line, mut lines) = (width * channels, y);
    let mut tile = 0;
    for (_, first) in tiling.corners(rows) {
        let inside = TILE.min(height - first);
        let (y, rest) = std::mem::take(&mut lines).split_at_mut(inside * line);
        for column in (0..width).step_by(TILE) {
            let size = [inside, TILE.min(width - column)];
            let products = &products[tile * channels..];
            transform::output(channels, products, plane, &mut y[column * channels..], line, size);
            tile += 1;
        }
        lines = rest;
    }
}

fn with_zeros<T: Real>(length: usize, work: impl FnOnce(&[T])) {
    with_buffer(length, |zeros| {
        zeros.fill(T::zero());
        work(zeros);
    });
}

/// What a convolution by tiles reads.
struct Factors<'a, T> {
    tiling: Tiling,
    /// Channels of the images, and of the outputs.
    channels: [usize; 2],
    images: Vec<&'a [T]>,
    /// The transformed weights of each image's channels: panel by panel, and in each place by place.
    weights: &'a [&'a [T]],
}

impl<T: Real> Factors<'_, T> {
    /// Some output channels of some rows of tiles.
    fn block(&self, rows: Range<usize>, share: &Range<usize>, outputs: &mut [T]) {
        let ([from, to], tiles) = (self.channels, rows.len() * self.tiling.columns);
        let (wide, deep) = (plane(tiles, from), plane(tiles, share.len()));
        with_buffer(PLACES * (wide + deep), |buffer| {
            let (inputs, products) = buffer.split_at_mut(PLACES * wide);
            for (nth, (x, w)) in self.images.iter().zip(self.weights).enumerate() {
                input_tiles(self.tiling, rows.clone(), from, x, inputs);
                for place in 0..PLACES {
                    let a = (&inputs[place * wide..][..tiles * from], Strips::rows_of(from));
                    let out = &mut products[place * deep..][..tiles * share.len()];
                    for panel in panels::panels::<T>(to).filter(|p| share.contains(&p.first)) {
                        let size = panel.width * from;
                        let w = &w[panel.first * from * PLACES + place * size..][..size];
                        let out = (&mut out[panel.first - share.start..], share.len());
                        panels::multiply(panel, tiles, out, a, w, nth > 0);
                    }
                }
            }
            finish(self.tiling, rows, share.len(), products, outputs);
        });
    }

    /// All outputs, and what `after` makes of them.
    fn convolve(&self, after: Option<&Program<'_, T>>) -> Vec<T> {
        let (tiling, to) = (self.tiling, self.channels[1]);
        let line = tiling.to[1] * to;
        let block = tiling.block_rows(tiles_of_block::<T>(self.channels, self.images.len()));
        let blocks: Vec<Range<usize>> = (0..tiling.all_rows())
            .step_by(block)
            .map(|start| start..(start + block).min(tiling.all_rows()))
            .collect();
        let place = |row: usize| tiling.line(row) * line;
        let pieces: Vec<Range<usize>> =
            blocks.iter().map(|rows| place(rows.start)..place(rows.end)).collect();
        let shares = shares::<T>(blocks.len(), to);
        if shares.len() == 1 {
            return chain::in_pieces(&pieces, after, |nth, outputs| {
                self.block(blocks[nth].clone(), &shares[0], outputs);
            });
        }
        with_buffer(place(tiling.all_rows()), |buffer| {
            // Block by block, in each share by share, and then pixel by pixel.
            let (mut tasks, mut rest) = (vec![], &mut *buffer);
            for (rows, piece) in blocks.iter().zip(&pieces) {
                for share in &shares {
                    let (outputs, later) = rest.split_at_mut(piece.len() / to * share.len());
                    tasks.push((rows, share, outputs));
                    rest = later;
                }
            }
            tasks.into_par_iter().for_each(|(rows, share, outputs)| self.block(rows.clone(), share, outputs));
            chain::in_pieces(&pieces, after, |nth, outputs| {
                let (mut parts, pixels) = (&buffer[pieces[nth].clone()], outputs.len() / to);
                for share in &shares {
                    let (part, later) = parts.split_at(pixels * share.len());
                    for (pixel, entries) in outputs.chunks_exact_mut(to).zip(part.chunks_exact(share.len())) {
                        pixel[share.clone()].copy_from_slice(entries);
                    }
                    parts = later;
                }
            })
        })
    }
}

/// Runs `work` on the pairs' transformed weights, matrices [from, to] in panels, and in each place by place; with `flipped`
/// those of the convolution that is the adjoint in x, whose kernel is turned by half a turn.
fn with_weights<T: Real, R>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    flipped: bool,
    work: impl FnOnce(&[&[T]]) -> R,
) -> R {
    let (by_output, by_input) =
        ((geometry.out_channels, geometry.in_channels * 9), (geometry.in_channels, 9));
    let ((from, step), (to, stride)) = if flipped { (by_output, by_input) } else { (by_input, by_output) };
    let size = PLACES * from * panels::padded::<T>(to);
    with_buffer(pairs.len() * size, |buffer| {
        let mut tasks = vec![];
        for (out, (_, w)) in buffer.chunks_exact_mut(size).zip(pairs) {
            let parts = out.chunks_mut(PLACES * from * panels::wide::<T>());
            tasks.extend(panels::panels::<T>(to).zip(parts).map(|(panel, out)| (panel, out, w)));
        }
        tasks.into_par_iter().for_each(|(Panel { first, columns, width }, out, w)| {
            if columns < width {
                out.fill(T::zero());
            }
            for row in 0..from {
                let w = &w[first * stride + row * step..];
                transform::weights((columns, stride), w, flipped, &mut out[row * width..], from * width);
            }
        });
        work(&buffer.chunks_exact(size).collect::<Vec<_>>())
    })
}

/// y = sum of x * w over the pairs (x, w), and what `after` makes of it.
pub(super) fn forward<T: Real>(
    geometry: &Geometry,
    pairs: &[(&[T], &[T])],
    after: Option<&Program<'_, T>>,
) -> Vec<T> {
    let images = pairs.iter().map(|p| p.0).collect();
    let channels = [geometry.in_channels, geometry.out_channels];
    with_weights(geometry, pairs, false, |weights| {
        Factors { tiling: Tiling::of(geometry), channels, images, weights }.convolve(after)
    })
}

/// x = sum of the adjoint in x over the pairs (y, w): a convolution too, with the border's other part.
pub(super) fn input_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])]) -> Vec<T> {
    let images = pairs.iter().map(|p| p.0).collect();
    let channels = [geometry.out_channels, geometry.in_channels];
    let padding = geometry.padding.map(|p| 2 - p);
    let tiling = Tiling::new(geometry.batch, geometry.output(), geometry.input, padding);
    with_weights(geometry, pairs, true, |weights| {
        Factors { tiling, channels, images, weights }.convolve(None)
    })
}

/// w = sum of the adjoint in w over the pairs (x, y).
pub(super) fn weight_adjoint<T: Real>(geometry: &Geometry, pairs: &[(&[T], &[T])], w: &mut [T]) {
    let tiling = Tiling::of(geometry);
    let (from, to) = (geometry.in_channels, geometry.out_channels);
    let (least, entries) = SUMMED;
    let block = tiling.block_rows((entries / (PLACES * (from + to))).max(least));
    let blocks = tiling.all_rows().div_ceil(block);
    let size = PLACES * from * to;
    in_parts(
        blocks,
        size,
        |sum| {
            w.par_chunks_exact_mut(from * 9).with_min_len(SERIAL.div_ceil(from * 9)).enumerate().for_each(
                |(row, w)| {
                    transform::weights_adjoint(from, &sum[row * from..], from * to, w);
                },
            );
        },
        |blocks, sum: &mut [T]| {
            let first = blocks.start * block;
            for start in blocks.map(|b| b * block) {
                let rows = start..(start + block).min(tiling.all_rows());
                let tiles = rows.len() * tiling.columns;
                let (wide, deep) = (plane(tiles, from), plane(tiles, to));
                with_buffer(PLACES * (wide + deep), |buffer| {
                    let (inputs, outputs) = buffer.split_at_mut(PLACES * wide);
                    for (nth, (x, y)) in pairs.iter().enumerate() {
                        let accumulate = start > first || nth > 0;
                        input_tiles(tiling, rows.clone(), from, x, inputs);
                        output_tiles(tiling, rows.clone(), to, y, outputs);
                        // With few blocks the places are all there is to share.
                        sum.par_chunks_exact_mut(from * to).enumerate().for_each(|(place, sum)| {
                            let lhs = Matrix::rows_of(&outputs[place * deep..], to).transposed();
                            let rhs = Matrix::rows_of(&inputs[place * wide..], from);
                            multiply_add_strided(sum, from, to, from, tiles, lhs, rhs, accumulate);
                        });
                    }
                });
            }
        },
    );
}
