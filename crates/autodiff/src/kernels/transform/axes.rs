//! The five maps of F(4x4, 3x3) along one side, with points 0, +-a, +-b and infinity.

use pulp::Simd;

use crate::kernels::Real;

const A: f64 = 0.75;
const B: f64 = 1.5;
const A2: f64 = A * A;
const B2: f64 = B * B;

/// One side of a transform: `N` entries to `M`, for as many neighbouring channels as a register holds.
pub(super) trait Axis<const N: usize, const M: usize> {
    fn apply<T: Real, S: Simd>(registers: Registers<S>, from: [T::Register<S>; N]) -> [T::Register<S>; M];
}

/// Arithmetic with registers.
#[derive(Clone, Copy)]
pub(super) struct Registers<S>(pub(super) S);

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
pub(super) struct Input;

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
pub(super) struct Output;

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
pub(super) struct OutputAdjoint;

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
pub(super) struct Weights;

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
pub(super) struct WeightsAdjoint;

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
