//! Registers of several numbers, of the widest kind that the processor at hand has.

use pulp::Simd;

/// A number that registers hold several of.
pub(crate) trait Lanes: Copy {
    /// A register full.
    type Register<S: Simd>: Copy;

    /// The same number everywhere.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Register<S>;

    /// a b + c, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        c: Self::Register<S>,
    ) -> Self::Register<S>;

    /// a + b.
    fn sum<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;

    /// a - b.
    fn difference<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;

    /// a b.
    fn product<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
}

macro_rules! lanes {
    ($t:ty, $register:ident, $splat:ident, $multiply_add:ident, $add:ident, $sub:ident, $mul:ident) => {
        impl Lanes for $t {
            type Register<S: Simd> = S::$register;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$register {
                simd.$splat(x)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$register,
                b: S::$register,
                c: S::$register,
            ) -> S::$register {
                simd.$multiply_add(a, b, c)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$register, b: S::$register) -> S::$register {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn difference<S: Simd>(simd: S, a: S::$register, b: S::$register) -> S::$register {
                simd.$sub(a, b)
            }

            #[inline(always)]
            fn product<S: Simd>(simd: S, a: S::$register, b: S::$register) -> S::$register {
                simd.$mul(a, b)
            }
        }
    };
}

lanes!(f32, f32s, splat_f32s, mul_add_f32s, add_f32s, sub_f32s, mul_f32s);
lanes!(f64, f64s, splat_f64s, mul_add_f64s, add_f64s, sub_f64s, mul_f64s);

/// The most entries that a register has.
pub(super) const MOST: usize = 16;

/// Entries of a register.
pub(super) const fn lanes<T: Lanes, S: Simd>() -> usize {
    size_of::<T::Register<S>>() / size_of::<T>()
}

/// The first entries of a list in a register.
///
/// # Panics
/// Where there are too few.
#[inline(always)]
pub(super) fn load<T: Lanes, S: Simd>(entries: &[T]) -> T::Register<S> {
    assert!(entries.len() >= lanes::<T, S>(), "a register is longer");
    // SAFETY: there are enough entries; a register is nothing but them, and may be read from anywhere.
    unsafe { entries.as_ptr().cast::<T::Register<S>>().read_unaligned() }
}

/// A register's entries at the beginning of a list.
///
/// # Panics
/// Where there is no room.
#[inline(always)]
pub(super) fn store<T: Lanes, S: Simd>(register: T::Register<S>, entries: &mut [T]) {
    assert!(entries.len() >= lanes::<T, S>(), "a register is longer");
    // SAFETY: there is room; a register is nothing but its entries, and may be written anywhere.
    unsafe { entries.as_mut_ptr().cast::<T::Register<S>>().write_unaligned(register) };
}
