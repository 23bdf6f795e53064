//! A map along both axes of a square, for as many channels at a time as a register holds.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Scalar, Simd, WithSimd};

use super::axes::{Axis, Registers};
use crate::kernels::Real;
use crate::kernels::lanes::{MOST, lanes, load, store};

/// The first channel's place of a square's entry, and how far the next channel's is from it.
pub(super) type Place<P> = (P, usize);

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
pub(super) unsafe fn transform<T, A, const N: usize, const M: usize>(
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
