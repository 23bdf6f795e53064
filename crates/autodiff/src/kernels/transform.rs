//! The transforms of F(4x4, 3x3), for a run of channels at a time.
//!
//! Interpolation points 0, +-a, +-b and infinity with a = 3/4, b = 3/2: exact in binary, and with half the rounding
//! error of the usual 1 and 2 (8e-7 instead of 1.8e-6 in f32; the direct sum has 1.6e-7).

use std::array::from_fn;
use std::ops::Range;

use super::Real;

/// Outputs along a tile's side.
pub(super) const TILE: usize = 4;
/// Inputs along a tile's side: tile + kernel - 1.
pub(super) const SIDE: usize = 6;
/// Places of a tile in the transformed domain.
pub(super) const PLACES: usize = SIDE * SIDE;

const A: f64 = 0.75;
const B: f64 = 1.5;
const A2: f64 = A * A;
const B2: f64 = B * B;

/// Neighbouring channels in a register.
type Lanes<T, const L: usize> = [T; L];

#[inline(always)]
fn add<T: Real, const L: usize>(x: Lanes<T, L>, y: Lanes<T, L>) -> Lanes<T, L> {
    let mut out = x;
    (0..L).for_each(|l| out[l] += y[l]);
    out
}

#[inline(always)]
fn sub<T: Real, const L: usize>(x: Lanes<T, L>, y: Lanes<T, L>) -> Lanes<T, L> {
    let mut out = x;
    (0..L).for_each(|l| out[l] = x[l] - y[l]);
    out
}

#[inline(always)]
fn times<T: Real, const L: usize>(factor: f64, x: Lanes<T, L>) -> Lanes<T, L> {
    let factor = T::round_from(factor);
    let mut out = x;
    (0..L).for_each(|l| out[l] = factor * x[l]);
    out
}

/// factor x + y, rounded once.
#[inline(always)]
fn fused<T: Real, const L: usize>(factor: f64, x: Lanes<T, L>, y: Lanes<T, L>) -> Lanes<T, L> {
    let factor = T::round_from(factor);
    let mut out = y;
    (0..L).for_each(|l| out[l] = factor.mul_add(x[l], y[l]));
    out
}

/// B'd: six inputs to six places.
#[inline(always)]
fn input_axis<T: Real, const L: usize>(d: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 6] {
    let (even_a, odd_a) = (fused(-B2, d[2], d[4]), fused(-B2, d[1], d[3]));
    let (even_b, odd_b) = (fused(-A2, d[2], d[4]), fused(-A2, d[1], d[3]));
    [
        fused(A2 * B2, d[0], fused(-(A2 + B2), d[2], d[4])),
        fused(A, odd_a, even_a),
        fused(-A, odd_a, even_a),
        fused(B, odd_b, even_b),
        fused(-B, odd_b, even_b),
        fused(A2 * B2, d[1], fused(-(A2 + B2), d[3], d[5])),
    ]
}

/// A'm: six places to four outputs.
#[inline(always)]
fn output_axis<T: Real, const L: usize>(m: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 4] {
    let (sum_a, sum_b) = (add(m[1], m[2]), add(m[3], m[4]));
    let (gap_a, gap_b) = (sub(m[1], m[2]), sub(m[3], m[4]));
    [
        add(m[0], add(sum_a, sum_b)),
        fused(A, gap_a, times(B, gap_b)),
        fused(A2, sum_a, times(B2, sum_b)),
        fused(A * A2, gap_a, fused(B * B2, gap_b, m[5])),
    ]
}

/// A g: four outputs to six places.
#[inline(always)]
fn output_adjoint_axis<T: Real, const L: usize>(g: [Lanes<T, L>; 4]) -> [Lanes<T, L>; 6] {
    let (even_a, odd_a) = (fused(A2, g[2], g[0]), fused(A, g[1], times(A * A2, g[3])));
    let (even_b, odd_b) = (fused(B2, g[2], g[0]), fused(B, g[1], times(B * B2, g[3])));
    [g[0], add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b), sub(even_b, odd_b), g[3]]
}

/// Divisors of the rows of G: products of differences of the points.
const AT_ZERO: f64 = A2 * B2;
const AT_A: f64 = 2.0 * A2 * (A2 - B2);
const AT_B: f64 = 2.0 * B2 * (B2 - A2);

/// G w: three weights to six places.
#[inline(always)]
fn weight_axis<T: Real, const L: usize>(w: [Lanes<T, L>; 3]) -> [Lanes<T, L>; 6] {
    let (even_a, odd_a) = (fused(1.0 / AT_A, w[0], times(A2 / AT_A, w[2])), times(A / AT_A, w[1]));
    let (even_b, odd_b) = (fused(1.0 / AT_B, w[0], times(B2 / AT_B, w[2])), times(B / AT_B, w[1]));
    let zero = times(1.0 / AT_ZERO, w[0]);
    [zero, add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b), sub(even_b, odd_b), w[2]]
}

/// G'u: six places to three weights.
#[inline(always)]
fn weight_adjoint_axis<T: Real, const L: usize>(u: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 3] {
    let (sum_a, sum_b) = (add(u[1], u[2]), add(u[3], u[4]));
    let (gap_a, gap_b) = (sub(u[1], u[2]), sub(u[3], u[4]));
    [
        fused(1.0 / AT_ZERO, u[0], fused(1.0 / AT_A, sum_a, times(1.0 / AT_B, sum_b))),
        fused(A / AT_A, gap_a, times(B / AT_B, gap_b)),
        fused(A2 / AT_A, sum_a, fused(B2 / AT_B, sum_b, u[5])),
    ]
}

/// Applies a map along both axes of a square whose columns outside `inside` are zero.
#[inline(always)]
fn both_axes<T: Real, const L: usize, const N: usize, const M: usize>(
    inside: &Range<usize>,
    load: impl Fn(usize, usize) -> Lanes<T, L>,
    axis: impl Fn([Lanes<T, L>; N]) -> [Lanes<T, L>; M],
    mut store: impl FnMut(usize, usize, Lanes<T, L>),
) {
    let mut half = [[[T::zero(); L]; N]; M];
    for j in 0..N {
        let mut column = [[T::zero(); L]; M];
        if inside.start <= j && j < inside.end {
            let mut entries = [[T::zero(); L]; N];
            (0..N).for_each(
                #[inline(always)]
                |i| entries[i] = load(i, j),
            );
            column = axis(entries);
        }
        for (half, entry) in half.iter_mut().zip(column) {
            half[j] = entry;
        }
    }
    for (i, row) in half.into_iter().enumerate() {
        let row = axis(row);
        for (j, entry) in row.into_iter().enumerate() {
            store(i, j, entry);
        }
    }
}

/// Runs `$body` for every run of `$lanes` channels from `$channel` on: as many at a time as registers hold.
macro_rules! for_channels {
    ($real:ty, $channels:expr, |$channel:ident, $lanes:ident| $body:expr) => {{
        let wide = if size_of::<$real>() == 4 { 8 } else { 4 };
        let whole = $channels / wide * wide;
        for $channel in (0..whole).step_by(wide) {
            if wide == 8 {
                const $lanes: usize = 8;
                $body
            } else {
                const $lanes: usize = 4;
                $body
            }
        }
        for $channel in whole..$channels {
            const $lanes: usize = 1;
            $body
        }
    }};
}

/// # Safety
///
/// There are L entries at `x`.
#[inline(always)]
unsafe fn read<T: Real, const L: usize>(x: *const T) -> Lanes<T, L> {
    // SAFETY: the caller's promise; an array of T may lie wherever a T may.
    unsafe { x.cast::<Lanes<T, L>>().read() }
}

/// # Safety
///
/// There is room for L entries at `x`.
#[inline(always)]
unsafe fn write<T: Real, const L: usize>(x: *mut T, entries: Lanes<T, L>) {
    // SAFETY: the caller's promise; an array of T may lie wherever a T may.
    unsafe { x.cast::<Lanes<T, L>>().write(entries) }
}

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
#[inline(always)]
pub(super) fn input<T: Real>(channels: usize, window: &Window<'_, T, SIDE>, out: &mut [T], plane: usize) {
    assert!(out.len() >= (PLACES - 1) * plane + channels, "no room for a tile");
    let (starts, out) = (window.starts(channels), out.as_mut_ptr());
    for_channels!(T, channels, |channel, L| both_axes::<T, L, SIDE, SIDE>(
        &window.inside,
        #[inline(always)]
        // SAFETY: the column lies inside, so the window knows the line to have all of its channels.
        |i, j| unsafe { read(starts[i].wrapping_add(j * channels + channel)) },
        input_axis,
        #[inline(always)]
        // SAFETY: asserted above for the last place and the last channel.
        |i, j, entry| unsafe { write(out.add((i * SIDE + j) * plane + channel), entry) },
    ));
}

/// Transforms the products of one tile to its 4x4 outputs, and writes the first `rows` and `columns` of them; the lines of y
/// are `line` entries long.
#[inline(always)]
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
    for_channels!(T, channels, |channel, L| both_axes::<T, L, SIDE, TILE>(
        &(0..SIDE),
        #[inline(always)]
        // SAFETY: asserted above for the last place and the last channel.
        |i, j| unsafe { read(products.add((i * SIDE + j) * plane + channel)) },
        output_axis,
        #[inline(always)]
        |i, j, entry| {
            if i < rows && j < columns {
                // SAFETY: asserted above for the last row, column and channel.
                unsafe { write(y.add(i * line + j * channels + channel), entry) }
            }
        },
    ));
}

/// The adjoint of [`output`]: from 4x4 outputs to 36 places.
#[inline(always)]
pub(super) fn output_adjoint<T: Real>(
    channels: usize,
    window: &Window<'_, T, TILE>,
    out: &mut [T],
    plane: usize,
) {
    assert!(out.len() >= (PLACES - 1) * plane + channels, "no room for a tile");
    let (starts, out) = (window.starts(channels), out.as_mut_ptr());
    for_channels!(T, channels, |channel, L| both_axes::<T, L, TILE, SIDE>(
        &window.inside,
        #[inline(always)]
        // SAFETY: the column lies inside, so the window knows the line to have all of its channels.
        |i, j| unsafe { read(starts[i].wrapping_add(j * channels + channel)) },
        output_adjoint_axis,
        #[inline(always)]
        // SAFETY: asserted above for the last place and the last channel.
        |i, j, entry| unsafe { write(out.add((i * SIDE + j) * plane + channel), entry) },
    ));
}

/// Transforms the 3x3 weights of `channels` channels that lie `stride` apart, turned by half a turn where `flipped`.
#[inline(always)]
pub(super) fn weights<T: Real>(
    (channels, stride): (usize, usize),
    w: &[T],
    flipped: bool,
    out: &mut [T],
    plane: usize,
) {
    for_channels!(T, channels, |channel, L| both_axes::<T, L, 3, SIDE>(
        &(0..3),
        #[inline(always)]
        |i, j| {
            let tap = if flipped { 8 - (3 * i + j) } else { 3 * i + j };
            from_fn(|l| w[(channel + l) * stride + tap])
        },
        weight_axis,
        #[inline(always)]
        |i, j, entry| out[(i * SIDE + j) * plane + channel..][..L].copy_from_slice(&entry),
    ));
}

/// The adjoint of [`weights`].
#[inline(always)]
pub(super) fn weights_adjoint<T: Real>(channels: usize, u: &[T], plane: usize, w: &mut [T]) {
    for_channels!(T, channels, |channel, L| both_axes::<T, L, SIDE, 3>(
        &(0..SIDE),
        #[inline(always)]
        |i, j| {
            let mut out = [T::zero(); L];
            out.copy_from_slice(&u[(i * SIDE + j) * plane + channel..][..L]);
            out
        },
        weight_adjoint_axis,
        #[inline(always)]
        |i, j, entry: Lanes<T, L>| {
            for (l, entry) in entry.into_iter().enumerate() {
                w[(channel + l) * 9 + 3 * i + j] = entry;
            }
        },
    ));
}
