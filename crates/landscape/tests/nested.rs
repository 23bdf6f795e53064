//! Nested grids: the interpolant against closed forms and SciPy, error estimates against the errors themselves.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_landscape::{Assessment, Bicubic, Nested};

fn axis(n: usize) -> Vec<f64> {
    (0..n).map(|i| -1.0 + 2.0 * i as f64 / (n - 1) as f64).collect()
}

fn nested(counts: [usize; 2]) -> Nested {
    Nested::new(&counts.map(axis)).unwrap()
}

fn grid(counts: [usize; 2], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let [x, y] = counts.map(axis);
    y.iter().flat_map(|y| x.iter().map(|x| f(*x, *y)).collect::<Vec<_>>()).collect()
}

/// Only what the levels up to one have measured.
fn up_to(nested: &Nested, values: &[f64], level: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; values.len()];
    nested.levels()[..=level].iter().flat_map(|l| &l.new).for_each(|&i| out[i] = values[i]);
    out
}

/// The largest and mean errors of a level's interpolant at the points that are not measured.
fn errors(nested: &Nested, values: &[f64], level: usize) -> (f64, f64) {
    let known = up_to(nested, values, level);
    let filled = nested.fill(&known, level).unwrap();
    let unknown = (0..values.len()).filter(|&i| known[i].is_nan());
    let errors: Vec<f64> = unknown.map(|i| (filled[i] - values[i]).abs()).collect();
    (errors.iter().copied().fold(0.0, f64::max), errors.iter().sum::<f64>() / errors.len() as f64)
}

fn assessed(nested: &Nested, values: &[f64], level: usize) -> Assessment {
    nested.assess(&up_to(nested, values, level), level).unwrap()
}

#[test]
fn levels_have_half_the_spacing_of_the_one_before_and_every_point_once() {
    let strides = |counts| nested(counts).levels().iter().map(|l| l.stride).collect::<Vec<_>>();
    assert_eq!(strides([65, 65]), [8, 4, 2, 1]);
    assert_eq!(strides([65, 33]), [4, 2, 1], "nine nodes at least, along either axis");
    assert_eq!(strides([51, 51]), [2, 1]);
    assert_eq!(strides([97, 49]), [4, 2, 1]);
    for counts in [[50, 65], [9, 9], [3, 200], [2, 2]] {
        assert_eq!(strides(counts), [1], "{counts:?}");
    }
    assert_eq!(Nested::new(&[vec![0.5], axis(3)]).unwrap().levels()[0].new, [0, 1, 2]);
    for counts in [[65, 33], [25, 41], [7, 5]] {
        let nested = nested(counts);
        let mut all: Vec<usize> = nested.levels().iter().flat_map(|l| l.new.clone()).collect();
        let mut known = 0;
        for level in nested.levels() {
            assert!(level.new.is_sorted());
            known += level.new.len();
            assert_eq!(level.counts[0] * level.counts[1], known);
            assert!(
                level
                    .new
                    .iter()
                    .all(|i| (i % counts[0]) % level.stride == 0 && (i / counts[0]) % level.stride == 0)
            );
        }
        all.sort_unstable();
        assert_eq!(all, (0..counts[0] * counts[1]).collect::<Vec<_>>());
    }
}

#[test]
fn cubics_in_both_variables_are_reproduced() {
    let cubic = |x: f64, y: f64| {
        let p = |t: f64, a: [f64; 4]| a[0] + t * (a[1] + t * (a[2] + t * a[3]));
        p(x, [1.0, -2.0, 0.5, 3.0]) * p(y, [0.3, 1.0, -4.0, 2.0]) + p(x, [0.0, 1.0, 0.0, -1.0])
    };
    for counts in [[4, 4], [5, 9], [33, 4], [17, 17]] {
        let [x, y] = counts.map(axis);
        let surface = Bicubic::new(counts, &grid(counts, cubic)).unwrap();
        for k in 0..400 {
            let at = [k % 20, k / 20].map(|i| f64::from(i) / 19.0);
            let place = [0, 1].map(|a| at[a] * (counts[a] - 1) as f64);
            let truth = cubic(x[0] + 2.0 * at[0], y[0] + 2.0 * at[1]);
            assert!((surface.at(place) - truth).abs() < 1e-12, "{counts:?} at {place:?}");
        }
    }
}

/// `SciPy` 1.17: `CubicSpline(arange(9), CubicSpline(arange(7), V)(y))(x)`, whose end condition is not-a-knot.
#[test]
fn values_are_those_of_scipy() {
    let (nx, ny) = (9, 7);
    let f = |i: f64, j: f64| (1.3 * i + 0.4 * j).sin() + 0.1 * i * j - (0.7 * j * j).cos();
    let values: Vec<f64> = (0..nx * ny).map(|k| f((k % nx) as f64, (k / nx) as f64)).collect();
    let surface = Bicubic::new([nx, ny], &values).unwrap();
    for (at, scipy) in [
        ([0.25, 0.5], -1.041_694_898_933_320_3),
        ([3.7, 2.1], 1.043_626_210_330_539_6),
        ([7.5, 5.9], 2.975_949_381_393_579),
        ([8.0, 0.3], -2.267_928_495_756_534),
        ([4.5, 6.0], 2.615_820_888_402_230_3),
    ] {
        assert!((surface.at(at) - scipy).abs() < 1e-13, "{at:?}");
    }
    let three = Bicubic::new([3, 1], &values[..3]).unwrap();
    assert!((three.at([0.5, 0.0]) + 0.341_769_032_414_788_3).abs() < 1e-14);
}

#[test]
fn errors_fall_with_the_fourth_power_of_the_spacing_on_smooth_surfaces() {
    let nested = nested([129, 129]);
    let smooth: [fn(f64, f64) -> f64; 2] =
        [|x, y| (3.0 * x + 1.0).sin() * (2.0 * y).cos(), |x, y| (x + 0.5 * y).exp()];
    for f in smooth {
        let values = grid([129, 129], f);
        let e: Vec<f64> = (0..4).map(|level| errors(&nested, &values, level).0).collect();
        for pair in e.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((3.7..4.6).contains(&order), "{e:?}");
        }
        let found = assessed(&nested, &values, 2);
        assert!((3.7..4.8).contains(&found.order.unwrap()), "{found:?}");
    }
}

#[test]
fn what_is_measured_stays_to_the_bit_and_nothing_is_left_out() {
    let nested = nested([33, 17]);
    let values = grid([33, 17], |x, y| (5.0 * x).sin() + y);
    let mut known = up_to(&nested, &values, 0);
    known[33 + 1] = 1.25;
    let filled = nested.fill(&known, 0).unwrap();
    assert!(filled.iter().all(|v| v.is_finite()));
    assert_eq!(filled[34].to_bits(), 1.25f64.to_bits(), "one of a finer level, measured before an interrupt");
    for &i in &nested.levels()[0].new {
        assert_eq!(filled[i].to_bits(), values[i].to_bits());
    }
    let all = nested.fill(&values, 1).unwrap();
    assert!(all.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
}

/// A spline sees all values along its line: a hole must not be felt beyond its own cells.
#[test]
fn holes_stay_where_they_are() {
    let cubic = |x: f64, y: f64| (x * x - 0.3) * x * (1.0 - y * y * y) + y;
    for hole in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let nested = nested([65, 65]);
        let (values, mut broken) = (grid([65, 65], cubic), grid([65, 65], cubic));
        broken[32 * 65 + 32] = hole;
        let filled = nested.fill(&up_to(&nested, &broken, 1), 1).unwrap();
        for (i, (a, b)) in filled.iter().zip(&values).enumerate() {
            let (x, y) = ((i % 65).abs_diff(32), (i / 65).abs_diff(32));
            match (x < 4 && y < 4, x == 0 && y == 0) {
                (_, true) => assert!(a.to_bits() == hole.to_bits() || a.is_nan()),
                (true, _) => assert!(a.is_nan(), "beside the hole nothing is known"),
                (false, _) => {
                    assert!((a - b).abs() < 1e-12, "at {i}: cubics are exact around a hole as well");
                }
            }
        }
    }
    let nothing = Bicubic::new([5, 5], &[f64::NAN; 25]).unwrap();
    assert!(nothing.at([1.5, 2.0]).is_nan());
    let pair = Bicubic::new([4, 1], &[1.0, 2.0, f64::NAN, 7.0]).unwrap();
    assert!((pair.at([0.75, 0.0]) - 1.75).abs() < 1e-15 && pair.at([2.5, 0.0]).is_nan());
    assert_eq!(pair.at([3.0, 0.0]).to_bits(), 7f64.to_bits());
    assert!([[-0.1, 0.0], [3.1, 0.0], [0.0, 0.1], [f64::NAN, 0.0]].iter().all(|&p| pair.at(p).is_nan()));
}

#[test]
fn points_that_nothing_is_known_of_are_counted() {
    let nested = nested([33, 33]);
    let mut values = grid([33, 33], |x, y| x + y);
    let clear = assessed(&nested, &values, 1);
    assert!(clear.within(1e-9) && clear.missed == 0 && clear.unknown == 0);
    assert_eq!((clear.measured, clear.total, clear.stride), (289, 1089, 2));
    values[16 * 33 + 2] = f64::NAN;
    let surprised = assessed(&nested, &values, 1);
    assert_eq!((surprised.missed, surprised.unknown), (1, 8));
    assert!(surprised.error.unwrap().largest < 1e-9 && !surprised.within(1e-9));
    values[16 * 33 + 2] = 0.0;
    values[16 * 33 + 16] = f64::INFINITY;
    let known = assessed(&nested, &values, 1);
    assert_eq!((known.missed, known.unknown), (0, 8), "four on the sides of cells, four in their middles");
    let empty = nested.assess(&vec![f64::NAN; 33 * 33], 1).unwrap();
    assert!(empty.holdout.is_none() && empty.error.is_none() && !empty.within(1.0));
}

#[test]
fn hold_out_errors_are_those_of_the_level_before_at_the_new_points() {
    let nested = nested([65, 65]);
    let values = grid([65, 65], |x, y| (0.05 + x * x + 2.0 * y * y).log10());
    assert!(assessed(&nested, &values, 0).error.is_none(), "one level cannot judge itself");
    for level in 1..4 {
        let found = assessed(&nested, &values, level);
        let filled = nested.fill(&up_to(&nested, &values, level - 1), level - 1).unwrap();
        let off: Vec<f64> =
            nested.levels()[level].new.iter().map(|&i| (filled[i] - values[i]).abs()).collect();
        let holdout = found.holdout.unwrap();
        assert_eq!(holdout.largest.to_bits(), off.iter().copied().fold(0.0, f64::max).to_bits());
        assert!((holdout.mean / (off.iter().sum::<f64>() / off.len() as f64) - 1.0).abs() < 1e-12);
        assert_eq!(found.order.is_some(), level > 1);
    }
    let last = assessed(&nested, &values, 3);
    assert!(last.within(0.0) && last.error.unwrap().largest.abs() < f64::MIN_POSITIVE);
}

/// Estimate over truth of the largest and of the mean error.
fn ratios(nested: &Nested, values: &[f64], level: usize) -> (f64, f64) {
    let (estimate, truth) = (assessed(nested, values, level).error.unwrap(), errors(nested, values, level));
    (estimate.largest / truth.0, estimate.mean / truth.1)
}

#[test]
fn the_estimate_is_within_a_factor_of_two_on_smooth_surfaces() {
    let nested = nested([65, 65]);
    let smooth: [fn(f64, f64) -> f64; 3] = [
        |x, y| (3.0 * x + 1.0).sin() * (2.0 * y).cos(),
        |x, y| (x + 0.5 * y).exp(),
        |x, y| (0.2 + x * x + y * y + 0.3 * x * y).log10(),
    ];
    for f in smooth {
        let values = grid([65, 65], f);
        for level in [1, 2] {
            let (largest, mean) = ratios(&nested, &values, level);
            assert!((0.5..2.0).contains(&largest) && (0.5..2.6).contains(&mean), "{largest} {mean}");
        }
    }
}

/// Quantiles 0, 0.1, 0.5 and 1.
fn quantiles(mut ratios: Vec<f64>) -> [f64; 4] {
    ratios.sort_by(f64::total_cmp);
    [0, ratios.len() / 10, ratios.len() / 2, ratios.len() - 1].map(|i| ratios[i])
}

/// White noise, alone and on a smooth surface that is hundreds of times larger: interpolation is hopeless, and says so.
#[test]
fn the_estimate_is_not_below_the_error_for_fine_noise() {
    let nested = nested([65, 65]);
    for smooth in [0.0, 100.0, 300.0] {
        for level in [1, 2] {
            let found = (0..20).map(|seed| {
                let random = &mut ChaCha8Rng::seed_from_u64(seed);
                let noise = |_: f64| -> f64 { StandardNormal.sample(&mut *random) };
                let noise: Vec<f64> = vec![0.0; 65 * 65].into_iter().map(noise).collect();
                let base = grid([65, 65], |x, y| smooth * (3.0 * x + 1.0).sin() * (2.0 * y).cos());
                ratios(&nested, &noise.iter().zip(&base).map(|(n, b)| n + b).collect::<Vec<_>>(), level)
            });
            let (largest, mean): (Vec<f64>, Vec<f64>) = found.unzip();
            let (largest, mean) = (quantiles(largest), quantiles(mean));
            println!("noise on {smooth}, level {level}: {largest:.2?}, mean {mean:.2?}");
            assert!(largest[0] > 0.9 && largest[3] < 2.5, "{largest:?}");
            assert!(mean[0] > 0.7 && mean[3] < 1.5, "{mean:?}");
        }
    }
}

/// Sums of five ridges |a x + b y + c|, alone and on a smooth surface.
#[test]
fn the_estimate_is_seldom_below_the_error_for_kinks_and_never_by_much() {
    let nested = nested([65, 65]);
    for smooth in [0.0, 10.0] {
        for level in [1, 2] {
            let found = (0..40).map(|seed| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let ridges: Vec<[f64; 2]> = (0..5)
                    .map(|_| [random.random_range(-3.0..3.0), random.random_range(-0.6..0.6)])
                    .collect();
                let values = grid([65, 65], |x, y| {
                    let ridges =
                        ridges.iter().map(|[angle, c]| (angle.cos() * x + angle.sin() * y - c).abs());
                    ridges.sum::<f64>() + smooth * (3.0 * x + 1.0).sin() * (2.0 * y).cos()
                });
                ratios(&nested, &values, level)
            });
            let (largest, mean): (Vec<f64>, Vec<f64>) = found.unzip();
            let (largest, mean) = (quantiles(largest), quantiles(mean));
            println!("kinks on {smooth}, level {level}: {largest:.2?}, mean {mean:.2?}");
            assert!(
                largest[0] > 0.45 && largest[1] > 0.8 && largest[2] > 1.0 && largest[3] < 3.0,
                "{largest:?}"
            );
            assert!(mean[0] > 0.7 && mean[2] > 1.0 && mean[3] < 3.0, "{mean:?}");
        }
    }
}

/// What is sharp at the checkpoint itself, where every level has a node: a cone, and basins down to nearly no loss.
#[test]
fn the_estimate_is_within_a_factor_of_two_at_a_sharp_minimum_in_the_centre() {
    let nested = nested([65, 65]);
    for floor in [1e-1, 1e-2, 1e-3, 1e-4, 1e-6] {
        let values = grid([65, 65], |x, y| (floor + x * x + 2.0 * y * y + 0.5 * x * y).log10());
        for level in [1, 2] {
            let (largest, _) = ratios(&nested, &values, level);
            println!("basin {floor}, level {level}: {largest:.2}");
            assert!((0.5..2.0).contains(&largest), "{floor}: {largest}");
        }
    }
    let cone = grid([65, 65], f64::hypot);
    for level in [1, 2] {
        let (largest, _) = ratios(&nested, &cone, level);
        println!("cone, level {level}: {largest:.2}");
        assert!((0.5..2.0).contains(&largest), "cone: {largest}");
    }
}

#[test]
fn axes_and_values_that_do_not_fit_are_refused() {
    let message = |axes: &[Vec<f64>]| Nested::new(axes).unwrap_err().to_string();
    assert!(message(&[axis(9)]).contains("two axes, not 1"));
    assert!(message(&[axis(9), vec![0.0, 1.0, 3.0]]).contains("axis 2 are not evenly spaced"));
    for bad in [vec![], vec![0.0, 0.0, 0.0], vec![0.0, f64::NAN, 1.0], vec![f64::INFINITY]] {
        assert!(message(&[bad, axis(9)]).contains("axis 1"));
    }
    let nested = nested([17, 17]);
    assert!(nested.fill(&[0.0; 3], 0).unwrap_err().to_string().contains("289 points, but 3 values"));
    assert!(nested.assess(&[0.0; 289], 2).unwrap_err().to_string().contains("levels 0 to 1"));
    assert!(Bicubic::new([3, 3], &[0.0; 8]).unwrap_err().to_string().contains("3 x 3"));
    assert!(Bicubic::new([0, 3], &[]).is_err());
}

proptest! {
    /// Exchanging the axes, scaling and shifting the values commute with interpolation, holes or not.
    #[test]
    fn no_axis_is_preferred_and_units_do_not_matter(
        values in prop::collection::vec(prop_oneof![9 => -2.0..2.0f64, 1 => Just(f64::NAN)], 63),
        x in 0.0..8.0f64, y in 0.0..6.0f64,
    ) {
        let exchanged: Vec<f64> = (0..63).map(|k| values[(k % 7) * 9 + k / 7]).collect();
        let scaled: Vec<f64> = values.iter().map(|v| 3.0 * v - 1.0).collect();
        let a = Bicubic::new([9, 7], &values).unwrap().at([x, y]);
        let b = Bicubic::new([7, 9], &exchanged).unwrap().at([y, x]);
        let c = Bicubic::new([9, 7], &scaled).unwrap().at([x, y]);
        let [i, j] = [x as usize, y as usize];
        let whole = [j * 9 + i, j * 9 + i + 1, j * 9 + i + 9, j * 9 + i + 10].iter().all(|&k| values[k].is_finite());
        prop_assert_eq!(a.is_finite(), whole);
        if whole {
            prop_assert!((a - b).abs() < 1e-12 && (3.0 * a - 1.0 - c).abs() < 1e-12);
        } else {
            prop_assert!(b.is_nan() && c.is_nan());
        }
    }
}
