//! The transforms of F(4x4, 3x3), for a run of channels at a time.
//!
//! Interpolation points 0, +-a, +-b and infinity with a = 3/4, b = 3/2: exact in binary, and with half the rounding
//! error of the usual 1 and 2 (8e-7 instead of 1.8e-6 in f32; the direct sum has 1.6e-7).

mod axes;
mod square;

use std::ops::Range;

use self::axes::{Input, Output, OutputAdjoint, Weights, WeightsAdjoint};
use self::square::transform;
use super::Real;

/// Outputs along a tile's side.
pub(super) const TILE: usize = 4;
/// Inputs along a tile's side: tile + kernel - 1.
pub(super) const SIDE: usize = 6;
/// Weights of a channel.
const TAPS: usize = 9;
/// Places of a tile in the transformed domain.
pub(super) const PLACES: usize = SIDE * SIDE;

/// A square of an image: its lines, which are zeros outside the image, where its first column lies in them, and which of
/// its columns lie in the image.
pub(super) struct Window<'a, T, const N: usize> {
    lines: [&'a [T]; N],
    /// The first column, counted from the left edge of a border of this many columns.
    first: usize,
    border: usize,
    inside: Range<usize>,
}

impl<'a, T, const N: usize> Window<'a, T, N> {
    /// The square that starts at column `first`, counted from the left edge of a border.
    #[inline(always)]
    pub(super) fn new(lines: [&'a [T]; N], first: usize, border: usize, width: usize) -> Self {
        let end = (width + border).saturating_sub(first).min(N);
        Self { lines, first, border, inside: border.saturating_sub(first).min(end)..end }
    }

    /// The first column's places in all lines, of which only the columns inside may be read.
    #[inline(always)]
    fn starts(&self, channels: usize) -> [*const T; N] {
        let reach = if self.inside.is_empty() { 0 } else { self.first + self.inside.end - self.border };
        assert!(self.lines.iter().all(|line| line.len() >= reach * channels), "a line is too short");
        let shift = self.first as isize - self.border as isize;
        self.lines.map(
            #[inline(always)]
            |line| line.as_ptr().wrapping_offset(shift * channels as isize),
        )
    }
}

/// Transforms a 6x6 tile of inputs. Place p of the result goes to `out[p * plane..]`.
pub(super) fn input<T: Real>(channels: usize, window: &Window<'_, T, SIDE>, out: &mut [T], plane: usize) {
    assert!(out.len() >= (PLACES - 1) * plane + channels, "no room for a tile");
    let (starts, out) = (window.starts(channels), out.as_mut_ptr());
    // SAFETY: the window knows its lines to have all channels of the columns inside; the results' last place and channel are
    // asserted above.
    unsafe {
        transform::<T, Input, SIDE, SIDE>(
            channels,
            window.inside.clone(),
            #[inline(always)]
            |i, j| (starts[i].wrapping_add(j * channels), 1),
            #[inline(always)]
            |i, j| Some((out.wrapping_add((i * SIDE + j) * plane), 1)),
        );
    }
}

/// Transforms the products of one tile to its 4x4 outputs, and writes the first `rows` and `columns` of them; the lines of y
/// are `line` entries long.
pub(super) fn output<T: Real>(
    channels: usize,
    products: &[T],
    plane: usize,
    y: &mut [T],
    line: usize,
    [rows, columns]: [usize; 2],
) {
    assert!(products.len() >= (PLACES - 1) * plane + channels, "a tile lacks products");
    assert!(y.len() >= (rows - 1) * line + columns * channels, "no room for a tile's outputs");
    let (products, y) = (products.as_ptr(), y.as_mut_ptr());
    // SAFETY: asserted above for the last place and channel, and for the last row and column that are written.
    unsafe {
        transform::<T, Output, SIDE, TILE>(
            channels,
            0..SIDE,
            #[inline(always)]
            |i, j| (products.wrapping_add((i * SIDE + j) * plane), 1),
            #[inline(always)]
            |i, j| (i < rows && j < columns).then(|| (y.wrapping_add(i * line + j * channels), 1)),
        );
    }
}

/// The adjoint of [`output`]: from 4x4 outputs to 36 places.
pub(super) fn output_adjoint<T: Real>(
    channels: usize,
    window: &Window<'_, T, TILE>,
    out: &mut [T],
    plane: usize,
) {
    assert!(out.len() >= (PLACES - 1) * plane + channels, "no room for a tile");
    let (starts, out) = (window.starts(channels), out.as_mut_ptr());
    // SAFETY: as for the inputs.
    unsafe {
        transform::<T, OutputAdjoint, TILE, SIDE>(
            channels,
            window.inside.clone(),
            #[inline(always)]
            |i, j| (starts[i].wrapping_add(j * channels), 1),
            #[inline(always)]
            |i, j| Some((out.wrapping_add((i * SIDE + j) * plane), 1)),
        );
    }
}

/// Transforms the 3x3 weights of `channels` channels that lie `stride` apart, turned by half a turn where `flipped`.
pub(super) fn weights<T: Real>(
    (channels, stride): (usize, usize),
    w: &[T],
    flipped: bool,
    out: &mut [T],
    plane: usize,
) {
    assert!(w.len() >= (channels - 1) * stride + TAPS, "channels without weights");
    assert!(out.len() >= (PLACES - 1) * plane + channels, "no room for the weights' places");
    let (w, out) = (w.as_ptr(), out.as_mut_ptr());
    let tap = |tap: usize| if flipped { TAPS - 1 - tap } else { tap };
    // SAFETY: asserted above for the last tap, place and channel.
    unsafe {
        transform::<T, Weights, 3, SIDE>(
            channels,
            0..3,
            #[inline(always)]
            |i, j| (w.wrapping_add(tap(3 * i + j)), stride),
            #[inline(always)]
            |i, j| Some((out.wrapping_add((i * SIDE + j) * plane), 1)),
        );
    }
}

/// The adjoint of [`weights`], whose channels' weights lie side by side.
pub(super) fn weights_adjoint<T: Real>(channels: usize, u: &[T], plane: usize, w: &mut [T]) {
    assert!(u.len() >= (PLACES - 1) * plane + channels, "a channel lacks places");
    assert!(w.len() >= channels * TAPS, "no room for the weights");
    let (u, w) = (u.as_ptr(), w.as_mut_ptr());
    // SAFETY: asserted above for the last tap, place and channel.
    unsafe {
        transform::<T, WeightsAdjoint, SIDE, 3>(
            channels,
            0..SIDE,
            #[inline(always)]
            |i, j| (u.wrapping_add((i * SIDE + j) * plane), 1),
            #[inline(always)]
            |i, j| Some((w.wrapping_add(3 * i + j), TAPS)),
        );
    }
}
