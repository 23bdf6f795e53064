//! The transforms of F(4x4, 3x3), for a run of channels at a time.
//!
//! Interpolation points 0, +-a, +-b and infinity with a = 3/4, b = 3/2: exact in binary, and with half the rounding
//! error of the usual 1 and 2 (8e-7 instead of 1.8e-6 in f32; the direct sum has 1.6e-7).

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Scalar, Simd, WithSimd};

use super::Real;
use super::lanes::{MOST, lanes, load, store};

/// Outputs along a tile's side.
pub(super) const TILE: usize = 4;
/// Inputs along a tile's side: tile + kernel - 1.
pub(super) const SIDE: usize = 6;
/// Weights of a channel.
const TAPS: usize = 9;
/// Places of a tile in the transformed domain.
pub(super) const PLACES: usize = SIDE * SIDE;

const A: f64 = 0.75;
const B: f64 = 1.5;
const A2: f64 = A * A;
const B2: f64 = B * B;

/// One side of a transform: `N` entries to `M`, for as many neighbouring channels as a register holds.
trait Axis<const N: usize, const M: usize> {
    fn apply<T: Real, S: Simd>(registers: Registers<S>, from: [T::Register<S>; N]) -> [T::Register<S>; M];
}

/// Arithmetic with registers.
#[derive(Clone, Copy)]
struct Registers<S>(S);

impl<S: Simd> Registers<S> {
    #[inline(always)]
    fn add<T: Real>(self, x: T::Register<S>, y: T::Register<S>) -> T::Register<S> {
        T::sum(self.0, x, y)
    }

    #[inline(always)]
    fn sub<T: Real>(self, x: T::Register<S>, y: T::Register<S>) -> T::Register<S> {
        T::difference(self.0, x, y)
    }

    #[inline(always)]
    fn times<T: Real>(self, factor: f64, x: T::Register<S>) -> T::Register<S> {
        T::product(self.0, T::splat(self.0, T::round_from(factor)), x)
    }

    /// factor x + y, rounded once.
    #[inline(always)]
    fn fused<T: Real>(self, factor: f64, x: T::Register<S>, y: T::Register<S>) -> T::Register<S> {
        T::multiply_add(self.0, T::splat(self.0, T::round_from(factor)), x, y)
    }
}

/// B'd: six inputs to six places.
struct Input;

impl Axis<6, 6> for Input {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(x: Registers<S>, d: [T::Register<S>; 6]) -> [T::Register<S>; 6] {
        let (even_a, odd_a) = (x.fused::<T>(-B2, d[2], d[4]), x.fused::<T>(-B2, d[1], d[3]));
        let (even_b, odd_b) = (x.fused::<T>(-A2, d[2], d[4]), x.fused::<T>(-A2, d[1], d[3]));
        [
            x.fused::<T>(A2 * B2, d[0], x.fused::<T>(-(A2 + B2), d[2], d[4])),
            x.fused::<T>(A, odd_a, even_a),
            x.fused::<T>(-A, odd_a, even_a),
            x.fused::<T>(B, odd_b, even_b),
            x.fused::<T>(-B, odd_b, even_b),
            x.fused::<T>(A2 * B2, d[1], x.fused::<T>(-(A2 + B2), d[3], d[5])),
        ]
    }
}

/// A'm: six places to four outputs.
struct Output;

impl Axis<6, 4> for Output {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(x: Registers<S>, m: [T::Register<S>; 6]) -> [T::Register<S>; 4] {
        let (sum_a, sum_b) = (x.add::<T>(m[1], m[2]), x.add::<T>(m[3], m[4]));
        let (gap_a, gap_b) = (x.sub::<T>(m[1], m[2]), x.sub::<T>(m[3], m[4]));
        [
            x.add::<T>(m[0], x.add::<T>(sum_a, sum_b)),
            x.fused::<T>(A, gap_a, x.times::<T>(B, gap_b)),
            x.fused::<T>(A2, sum_a, x.times::<T>(B2, sum_b)),
            x.fused::<T>(A * A2, gap_a, x.fused::<T>(B * B2, gap_b, m[5])),
        ]
    }
}

/// A g: four outputs to six places.
struct OutputAdjoint;

impl Axis<4, 6> for OutputAdjoint {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(x: Registers<S>, g: [T::Register<S>; 4]) -> [T::Register<S>; 6] {
        let (even_a, odd_a) =
            (x.fused::<T>(A2, g[2], g[0]), x.fused::<T>(A, g[1], x.times::<T>(A * A2, g[3])));
        let (even_b, odd_b) =
            (x.fused::<T>(B2, g[2], g[0]), x.fused::<T>(B, g[1], x.times::<T>(B * B2, g[3])));
        [
            g[0],
            x.add::<T>(even_a, odd_a),
            x.sub::<T>(even_a, odd_a),
            x.add::<T>(even_b, odd_b),
            x.sub::<T>(even_b, odd_b),
            g[3],
        ]
    }
}

/// Divisors of the rows of G: products of differences of the points.
const AT_ZERO: f64 = A2 * B2;
const AT_A: f64 = 2.0 * A2 * (A2 - B2);
const AT_B: f64 = 2.0 * B2 * (B2 - A2);

/// G w: three weights to six places.
struct Weights;

impl Axis<3, 6> for Weights {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(x: Registers<S>, w: [T::Register<S>; 3]) -> [T::Register<S>; 6] {
        let (even_a, odd_a) =
            (x.fused::<T>(1.0 / AT_A, w[0], x.times::<T>(A2 / AT_A, w[2])), x.times::<T>(A / AT_A, w[1]));
        let (even_b, odd_b) =
            (x.fused::<T>(1.0 / AT_B, w[0], x.times::<T>(B2 / AT_B, w[2])), x.times::<T>(B / AT_B, w[1]));
        let zero = x.times::<T>(1.0 / AT_ZERO, w[0]);
        [
            zero,
            x.add::<T>(even_a, odd_a),
            x.sub::<T>(even_a, odd_a),
            x.add::<T>(even_b, odd_b),
            x.sub::<T>(even_b, odd_b),
            w[2],
        ]
    }
}

/// G'u: six places to three weights.
struct WeightsAdjoint;

impl Axis<6, 3> for WeightsAdjoint {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(x: Registers<S>, u: [T::Register<S>; 6]) -> [T::Register<S>; 3] {
        let (sum_a, sum_b) = (x.add::<T>(u[1], u[2]), x.add::<T>(u[3], u[4]));
        let (gap_a, gap_b) = (x.sub::<T>(u[1], u[2]), x.sub::<T>(u[3], u[4]));
        [
            x.fused::<T>(
                1.0 / AT_ZERO,
                u[0],
                x.fused::<T>(1.0 / AT_A, sum_a, x.times::<T>(1.0 / AT_B, sum_b)),
            ),
            x.fused::<T>(A / AT_A, gap_a, x.times::<T>(B / AT_B, gap_b)),
            x.fused::<T>(A2 / AT_A, sum_a, x.fused::<T>(B2 / AT_B, sum_b, u[5])),
        ]
    }
}

/// The first channel's place of a square's entry, and how far the next channel's is from it.
type Place<P> = (P, usize);

/// A map along both axes of a square, for all channels.
struct Transform<T, A, const N: usize, const M: usize, L, W> {
    axis: PhantomData<(T, A)>,
    channels: usize,
    /// Columns outside are zero.
    inside: Range<usize>,
    /// Where the entries at row and column are.
    load: L,
    /// Where the results go, unless they are not wanted.
    store: W,
}

/// Runs a transform with the widest registers.
///
/// # Safety
/// All channels of every column inside must lie where `load` says, and there must be room for them where `store` says.
unsafe fn transform<T, A, const N: usize, const M: usize>(
    channels: usize,
    inside: Range<usize>,
    load: impl Fn(usize, usize) -> Place<*const T>,
    store: impl Fn(usize, usize) -> Option<Place<*mut T>>,
) where
    T: Real,
    A: Axis<N, M>,
{
    let all = Transform::<T, A, N, M, _, _> { axis: PhantomData, channels, inside, load, store };
    Arch::new().dispatch(all);
}

impl<T, A, const N: usize, const M: usize, L, W> WithSimd for Transform<T, A, N, M, L, W>
where
    T: Real,
    A: Axis<N, M>,
    L: Fn(usize, usize) -> Place<*const T>,
    W: Fn(usize, usize) -> Option<Place<*mut T>>,
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let whole = self.channels / lanes::<T, S>() * lanes::<T, S>();
        for channel in (0..whole).step_by(lanes::<T, S>()) {
            self.run(simd, channel);
        }
        for channel in whole..self.channels {
            self.run(Scalar, channel);
        }
    }
}

impl<T, A, const N: usize, const M: usize, L, W> Transform<T, A, N, M, L, W>
where
    T: Real,
    A: Axis<N, M>,
    L: Fn(usize, usize) -> Place<*const T>,
    W: Fn(usize, usize) -> Option<Place<*mut T>>,
{
    /// A register of channels.
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, channel: usize) {
        let mut half = [[T::splat(simd, T::zero()); N]; M];
        for j in 0..N {
            let mut column = [T::splat(simd, T::zero()); M];
            if self.inside.start <= j && j < self.inside.end {
                let mut entries = [T::splat(simd, T::zero()); N];
                for (i, entry) in entries.iter_mut().enumerate() {
                    // SAFETY: what `transform` was promised.
                    *entry = unsafe { read::<T, S>((self.load)(i, j), channel) };
                }
                column = A::apply::<T, S>(Registers(simd), entries);
            }
            for (half, entry) in half.iter_mut().zip(column) {
                half[j] = entry;
            }
        }
        for (i, row) in half.into_iter().enumerate() {
            let row = A::apply::<T, S>(Registers(simd), row);
            for (j, entry) in row.into_iter().enumerate() {
                if let Some(place) = (self.store)(i, j) {
                    // SAFETY: what `transform` was promised.
                    unsafe { write::<T, S>(place, channel, entry) };
                }
            }
        }
    }
}

/// # Safety
/// All channels of a register must be there.
#[inline(always)]
unsafe fn read<T: Real, S: Simd>((from, apart): Place<*const T>, channel: usize) -> T::Register<S> {
    let from = from.wrapping_add(channel * apart);
    if apart == 1 {
        // SAFETY: the caller's promise; a register may be read from anywhere.
        return unsafe { from.cast::<T::Register<S>>().read_unaligned() };
    }
    let mut entries = [T::zero(); MOST];
    for (l, entry) in entries.iter_mut().enumerate().take(lanes::<T, S>()) {
        // SAFETY: the caller's promise.
        *entry = unsafe { *from.add(l * apart) };
    }
    load::<T, S>(&entries)
}

/// # Safety
/// There must be room for all channels of a register.
#[inline(always)]
unsafe fn write<T: Real, S: Simd>((to, apart): Place<*mut T>, channel: usize, entry: T::Register<S>) {
    let to = to.wrapping_add(channel * apart);
    if apart == 1 {
        // SAFETY: the caller's promise; a register may be written anywhere.
        return unsafe { to.cast::<T::Register<S>>().write_unaligned(entry) };
    }
    let mut entries = [T::zero(); MOST];
    store::<T, S>(entry, &mut entries);
    for (l, &entry) in entries.iter().enumerate().take(lanes::<T, S>()) {
        // SAFETY: the caller's promise.
        unsafe { *to.add(l * apart) = entry };
    }
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
