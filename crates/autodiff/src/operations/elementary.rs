//! Exponential functions without branches and calls, so that loops over them vectorise; to a few units of roundoff, or to
//! 1e-8 with shorter polynomials where the result is rounded to single precision (`single`, a constant at every call).

/// 1.5 * 2^52: adding it leaves the nearest integer in the lowest bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts, the first with trailing zeros, so that integer multiples of it are exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// 1/2!, 1/3!, .. 1/13!, highest first: enough for |r| <= ln(2)/2.
const INVERSE_FACTORIALS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// (2^n, e^r - 1) with e^x = 2^n e^r, for -709 <= x <= 709.9; 2^n is zero at -1023 and infinite at 1024.
#[inline(always)]
fn split(x: f64, single: bool) -> (f64, f64) {
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let scale = f64::from_bits(shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(1023) << 52);
    let mut sum = 0f64;
    if single {
        // Up to 1/8!: 2e-10.
        for c in INVERSE_FACTORIALS.into_iter().skip(5) {
            sum = sum.mul_add(r, c);
        }
    } else {
        for c in INVERSE_FACTORIALS {
            sum = sum.mul_add(r, c);
        }
    }
    (scale, (r * r).mul_add(sum, r))
}

/// e^x; infinite above 709.4, zero below -708.7, where the scale is so too.
#[inline(always)]
pub(super) fn exp(x: f64, single: bool) -> f64 {
    let (scale, rest) = split(x.clamp(-709.0, 709.9), single);
    scale * (1.0 + rest)
}

/// Hyperbolic tangent, by e^2x - 1, which keeps small arguments exact.
#[inline(always)]
pub(super) fn tanh(x: f64, single: bool) -> f64 {
    let size = x.abs().clamp(0.0, 20.0);
    let (scale, rest) = split(2.0 * size, single);
    let grown = scale * rest + (scale - 1.0);
    (grown / (grown + 2.0)).copysign(x)
}

/// Chebyshev fit of (1 + 2 z) e^(z^2) erfc(z) in s = (z - 3.75) / (z + 3.75), in powers of s (the mapping is Shepherd &
/// Laframboise's, 1981); relative error 4e-16 for all z >= 0.
const SCALED_TAIL: [f64; 23] = [
    1.237_512_630_837_827_5,
    -0.140_240_598_585_545_25,
    0.003_585_415_485_479_025_7,
    0.082_276_738_489_995_06,
    -0.108_803_930_142_444_62,
    0.092_304_321_164_281_25,
    -0.058_693_398_576_649_34,
    0.028_362_277_372_111_14,
    -0.009_746_579_683_265_262,
    0.001_755_626_165_197_065_2,
    0.000_293_714_378_044_958,
    -0.000_290_155_352_460_776_7,
    5.164_652_974_177_416e-5,
    2.238_756_571_491_181_6e-5,
    -1.143_804_833_304_689_4e-5,
    -9.792_625_707_303_523e-7,
    1.741_982_158_622_481_6e-6,
    -5.084_465_378_687_302e-8,
    -2.485_712_624_801_674_5e-7,
    1.879_082_322_370_048e-8,
    3.197_926_671_666_804e-8,
    -1.955_135_886_898_561_6e-9,
    -2.623_107_347_133_476e-9,
];

/// The same of degree 12, to 5e-9.
const SCALED_TAIL_SINGLE: [f64; 13] = [
    1.237_512_630_203_430_7,
    -0.140_240_661_457_597_6,
    0.003_585_487_254_117_087,
    0.082_278_488_483_070_79,
    -0.108_805_172_407_042_25,
    0.092_290_362_253_262_81,
    -0.058_685_543_756_008_32,
    0.028_410_224_683_837_89,
    -0.009_770_093_912_817_523,
    0.001_674_907_558_318_553_5,
    0.000_330_323_915_099_106_6,
    -0.000_223_741_964_171_535_18,
    2.195_268_289_161_672_8e-5,
];

/// The standard normal distribution's density and cumulative probability at x.
#[inline(always)]
pub(super) fn normal(x: f64, single: bool) -> (f64, f64) {
    let size = x.abs().clamp(0.0, 40.0);
    let z = size * std::f64::consts::FRAC_1_SQRT_2;
    let s = (z - 3.75) / (z + 3.75);
    let mut tail = 0f64;
    if single {
        for c in SCALED_TAIL_SINGLE.into_iter().rev() {
            tail = tail.mul_add(s, c);
        }
    } else {
        for c in SCALED_TAIL.into_iter().rev() {
            tail = tail.mul_add(s, c);
        }
    }
    let bell = exp(-0.5 * size * size, single);
    let tail = 0.5 * bell * tail / (1.0 + 2.0 * z);
    // 1 - tail on the right, without a branch.
    let right = f64::from(u8::from(x > 0.0));
    (bell * 0.398_942_280_401_432_7, right + (1.0 - 2.0 * right) * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_library() {
        for i in -40_000..=40_000 {
            let x = f64::from(i) * 1e-3;
            let close = |found: f64, wanted: f64, tolerance: f64| {
                assert!((found - wanted).abs() <= tolerance * wanted.abs(), "at {x}: {found}, not {wanted}");
            };
            close(exp(x, false), x.exp(), 1e-15);
            close(exp(x, true), x.exp(), 1e-9);
            close(exp(17.0 * x, false), (17.0 * x).exp(), 1e-15);
            close(tanh(x, true), x.tanh(), 1e-9);
            close(tanh(x, false), x.tanh(), 1e-15);
            close(tanh(1e-9 * x, false), (1e-9 * x).tanh(), 1e-15);
            let cumulative = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            // The argument of the bell is rounded, which its tail feels.
            close(normal(x, true).1, cumulative, if cumulative > 1e-300 { 1e-8 } else { 1.0 });
            close(normal(x, false).1, cumulative, if cumulative > 1e-300 { 3e-13 } else { 1.0 });
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact limits")]
    fn what_is_not_finite_stays_so() {
        for single in [false, true] {
            let (exp, tanh) = (|x| exp(x, single), |x| tanh(x, single));
            let cumulative = |x| normal(x, single).1;
            assert!(exp(f64::NAN).is_nan() && tanh(f64::NAN).is_nan() && cumulative(f64::NAN).is_nan());
            assert_eq!([exp(f64::INFINITY), exp(f64::NEG_INFINITY)], [f64::INFINITY, 0.0]);
            assert_eq!([tanh(f64::INFINITY), tanh(f64::NEG_INFINITY)], [1.0, -1.0]);
            assert_eq!([cumulative(f64::INFINITY), cumulative(f64::NEG_INFINITY)], [1.0, 0.0]);
        }
    }
}
