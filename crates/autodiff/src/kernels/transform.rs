//! The transforms of F(4x4, 3x3), for a run of channels at a time.
//!
//! Interpolation points 0, +-a, +-b and infinity with a = 3/4, b = 3/2: exact in binary, and with half the rounding
//! error of the usual 1 and 2 (8e-7 instead of 1.8e-6 in f32; the direct sum has 1.6e-7).

use std::array::from_fn;

use super::Real;

/// Outputs along a tile's side.
pub(super) const TILE: usize = 4;
/// Inputs along a tile's side: tile + kernel - 1.
pub(super) const SIDE: usize = 6;

const A: f64 = 0.75;
const B: f64 = 1.5;
const A2: f64 = A * A;
const B2: f64 = B * B;

/// Neighbouring channels in a register.
type Lanes<T, const L: usize> = [T; L];

#[inline(always)]
fn add<T: Real, const L: usize>(x: Lanes<T, L>, y: Lanes<T, L>) -> Lanes<T, L> {
    from_fn(|l| x[l] + y[l])
}

#[inline(always)]
fn sub<T: Real, const L: usize>(x: Lanes<T, L>, y: Lanes<T, L>) -> Lanes<T, L> {
    from_fn(|l| x[l] - y[l])
}

#[inline(always)]
fn times<T: Real, const L: usize>(factor: f64, x: Lanes<T, L>) -> Lanes<T, L> {
    let factor = T::round_from(factor);
    from_fn(|l| factor * x[l])
}

/// B'd: six inputs to six places.
#[inline(always)]
fn input_axis<T: Real, const L: usize>(d: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 6] {
    let even_a = sub(d[4], times(B2, d[2]));
    let odd_a = times(A, sub(d[3], times(B2, d[1])));
    let even_b = sub(d[4], times(A2, d[2]));
    let odd_b = times(B, sub(d[3], times(A2, d[1])));
    [
        add(sub(times(A2 * B2, d[0]), times(A2 + B2, d[2])), d[4]),
        add(even_a, odd_a),
        sub(even_a, odd_a),
        add(even_b, odd_b),
        sub(even_b, odd_b),
        add(sub(times(A2 * B2, d[1]), times(A2 + B2, d[3])), d[5]),
    ]
}

/// A'm: six places to four outputs.
#[inline(always)]
fn output_axis<T: Real, const L: usize>(m: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 4] {
    let (sum_a, sum_b) = (add(m[1], m[2]), add(m[3], m[4]));
    let (gap_a, gap_b) = (sub(m[1], m[2]), sub(m[3], m[4]));
    [
        add(m[0], add(sum_a, sum_b)),
        add(times(A, gap_a), times(B, gap_b)),
        add(times(A2, sum_a), times(B2, sum_b)),
        add(add(times(A * A2, gap_a), times(B * B2, gap_b)), m[5]),
    ]
}

/// A g: four outputs to six places.
#[inline(always)]
fn output_adjoint_axis<T: Real, const L: usize>(g: [Lanes<T, L>; 4]) -> [Lanes<T, L>; 6] {
    let (even_a, odd_a) = (add(g[0], times(A2, g[2])), add(times(A, g[1]), times(A * A2, g[3])));
    let (even_b, odd_b) = (add(g[0], times(B2, g[2])), add(times(B, g[1]), times(B * B2, g[3])));
    [g[0], add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b), sub(even_b, odd_b), g[3]]
}

/// Divisors of the rows of G: products of differences of the points.
const AT_ZERO: f64 = A2 * B2;
const AT_A: f64 = 2.0 * A2 * (A2 - B2);
const AT_B: f64 = 2.0 * B2 * (B2 - A2);

/// G w: three weights to six places.
#[inline(always)]
fn weight_axis<T: Real, const L: usize>(w: [Lanes<T, L>; 3]) -> [Lanes<T, L>; 6] {
    let (even_a, odd_a) = (add(times(1.0 / AT_A, w[0]), times(A2 / AT_A, w[2])), times(A / AT_A, w[1]));
    let (even_b, odd_b) = (add(times(1.0 / AT_B, w[0]), times(B2 / AT_B, w[2])), times(B / AT_B, w[1]));
    let zero = times(1.0 / AT_ZERO, w[0]);
    [zero, add(even_a, odd_a), sub(even_a, odd_a), add(even_b, odd_b), sub(even_b, odd_b), w[2]]
}

/// G'u: six places to three weights.
#[inline(always)]
fn weight_adjoint_axis<T: Real, const L: usize>(u: [Lanes<T, L>; 6]) -> [Lanes<T, L>; 3] {
    let (sum_a, sum_b) = (add(u[1], u[2]), add(u[3], u[4]));
    let (gap_a, gap_b) = (sub(u[1], u[2]), sub(u[3], u[4]));
    [
        add(times(1.0 / AT_ZERO, u[0]), add(times(1.0 / AT_A, sum_a), times(1.0 / AT_B, sum_b))),
        add(times(A / AT_A, gap_a), times(B / AT_B, gap_b)),
        add(add(times(A2 / AT_A, sum_a), times(B2 / AT_B, sum_b)), u[5]),
    ]
}

/// Applies a map along both axes of a square.
#[inline(always)]
fn both_axes<T: Real, const L: usize, const N: usize, const M: usize>(
    load: impl Fn(usize, usize) -> Lanes<T, L>,
    axis: impl Fn([Lanes<T, L>; N]) -> [Lanes<T, L>; M],
    mut store: impl FnMut(usize, usize, Lanes<T, L>),
) {
    let mut half = [[[T::zero(); L]; N]; M];
    for j in 0..N {
        let column = axis(from_fn(|i| load(i, j)));
        for (half, entry) in half.iter_mut().zip(column) {
            half[j] = entry;
        }
    }
    for (i, row) in half.into_iter().enumerate() {
        for (j, entry) in axis(row).into_iter().enumerate() {
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

#[inline(always)]
fn read<T: Real, const L: usize>(x: &[T], at: usize) -> Lanes<T, L> {
    let mut out = [T::zero(); L];
    out.copy_from_slice(&x[at..at + L]);
    out
}

/// Where the rows and the columns of a tile start in memory, those of them that lie in the image.
pub(super) struct Place<const N: usize> {
    pub(super) rows: [Option<usize>; N],
    pub(super) columns: [Option<usize>; N],
}

impl<const N: usize> Place<N> {
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> Option<usize> {
        Some(self.rows[i]? + self.columns[j]?)
    }

    /// The channels of every entry; zeros outside the image.
    #[inline(always)]
    fn entries<'a, T>(&self, x: &'a [T], zeros: &'a [T]) -> [[&'a [T]; N]; N] {
        from_fn(|i| from_fn(|j| self.at(i, j).map_or(zeros, |at| &x[at..at + zeros.len()])))
    }
}

/// Where the channels of the tile go, or come from, place by place.
#[inline(always)]
fn places<T>(out: &mut [T], plane: usize, channels: usize) -> [&mut [T]; SIDE * SIDE] {
    let mut planes = out.chunks_mut(plane);
    from_fn(|_| planes.next().map_or(&mut [][..], |p| &mut p[..channels]))
}

/// Transforms a 6x6 tile of inputs with `zeros.len()` channels. Place p of the result goes to `out[p * plane..]`.
#[inline(always)]
pub(super) fn input<T: Real>(x: &[T], place: &Place<SIDE>, zeros: &[T], out: &mut [T], plane: usize) {
    let (entries, out) = (place.entries(x, zeros), places(out, plane, zeros.len()));
    for_channels!(T, zeros.len(), |channel, L| both_axes::<T, L, 6, 6>(
        #[inline(always)]
        |i, j| read(entries[i][j], channel),
        input_axis,
        #[inline(always)]
        |i, j, entry| out[i * SIDE + j][channel..][..L].copy_from_slice(&entry),
    ));
}

/// Transforms the products of one tile to its 4x4 outputs, those of them that lie in the image.
#[inline(always)]
pub(super) fn output<T: Real>(
    channels: usize,
    products: &[T],
    plane: usize,
    y: &mut [T],
    place: &Place<TILE>,
) {
    let places: [[Option<usize>; TILE]; TILE] = from_fn(|i| from_fn(|j| place.at(i, j)));
    let products: [&[T]; SIDE * SIDE] = from_fn(|p| &products[p * plane..p * plane + channels]);
    for_channels!(T, channels, |channel, L| both_axes::<T, L, 6, 4>(
        #[inline(always)]
        |i, j| read(products[i * SIDE + j], channel),
        output_axis,
        #[inline(always)]
        |i, j, entry| {
            if let Some(at) = places[i][j] {
                y[at + channel..][..L].copy_from_slice(&entry);
            }
        },
    ));
}

/// The adjoint of [`output`]: from 4x4 outputs to 36 places.
#[inline(always)]
pub(super) fn output_adjoint<T: Real>(
    y: &[T],
    place: &Place<TILE>,
    zeros: &[T],
    out: &mut [T],
    plane: usize,
) {
    let (entries, out) = (place.entries(y, zeros), places(out, plane, zeros.len()));
    for_channels!(T, zeros.len(), |channel, L| both_axes::<T, L, 4, 6>(
        #[inline(always)]
        |i, j| read(entries[i][j], channel),
        output_adjoint_axis,
        #[inline(always)]
        |i, j, entry| out[i * SIDE + j][channel..][..L].copy_from_slice(&entry),
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
    for_channels!(T, channels, |channel, L| both_axes::<T, L, 3, 6>(
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
    for_channels!(T, channels, |channel, L| both_axes::<T, L, 6, 3>(
        #[inline(always)]
        |i, j| read(u, (i * SIDE + j) * plane + channel),
        weight_adjoint_axis,
        #[inline(always)]
        |i, j, entry: Lanes<T, L>| {
            for (l, entry) in entry.into_iter().enumerate() {
                w[(channel + l) * 9 + 3 * i + j] = entry;
            }
        },
    ));
}
