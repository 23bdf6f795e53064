//! Curves against closed forms: their algebra, their training, and what is measured along them.

use proptest::prelude::*;
use relief_landscape::{Curve, CurveKind, CurveReport, CurveStatistics};

const KINDS: [CurveKind; 2] = [CurveKind::Bezier, CurveKind::Chain];

/// Numbers without a pattern, some of them with the sign of zero.
fn point(dim: usize, salt: usize) -> Vec<f64> {
    (0..dim)
        .map(|i| {
            if (i + salt).is_multiple_of(7) { -0.0 } else { 3.0 * ((i * 31 + salt * 17) as f64 * 0.37).sin() }
        })
        .collect()
}

fn curve(kind: CurveKind, control_points: usize, dim: usize) -> Curve {
    Curve::new(kind, (0..control_points).map(|j| point(dim, j)).collect()).unwrap()
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn evenly(samples: usize) -> Vec<f64> {
    (0..samples).map(|i| i as f64 / (samples - 1) as f64).collect()
}

proptest! {
    #[test]
    fn ends_are_the_ends_to_the_bit(points in 2..40usize, dim in 1..20usize) {
        for kind in KINDS {
            let curve = curve(kind, points, dim);
            prop_assert_eq!(bits(&curve.at(0.0)), bits(&curve.points()[0]));
            prop_assert_eq!(bits(&curve.at(1.0)), bits(&curve.points()[points - 1]));
        }
    }

    /// Against the definitions: binomials by their product, hats by their formula. And they sum to 1.
    #[test]
    fn coefficients_are_bernstein_polynomials_and_hats(degree in 1..50usize, t in 0.0..=1.0f64) {
        let mut binomial = 1.0;
        let bezier = curve(CurveKind::Bezier, degree + 1, 1).coefficients(t);
        let chain = curve(CurveKind::Chain, degree + 1, 1).coefficients(t);
        for j in 0..=degree {
            let truth = binomial * t.powi(j as i32) * (1.0 - t).powi((degree - j) as i32);
            prop_assert!((bezier[j] - truth).abs() <= 1e-13 * truth + 1e-300, "{} for {truth}", bezier[j]);
            let hat = (1.0 - (t * degree as f64 - j as f64).abs()).max(0.0);
            prop_assert!((chain[j] - hat).abs() < 1e-13, "{} for {hat}", chain[j]);
            binomial *= (degree - j) as f64 / (j + 1) as f64;
        }
        for coefficients in [bezier, chain] {
            prop_assert!((coefficients.iter().sum::<f64>() - 1.0).abs() < 1e-14);
            prop_assert!(coefficients.iter().all(|c| *c >= 0.0));
        }
    }

    #[test]
    fn tangents_are_the_slopes_of_differences(points in 2..12usize, t in 0.001..0.999f64) {
        for kind in KINDS {
            let curve = curve(kind, points, 6);
            let h = 1e-6;
            let corner = (t * curve.degree() as f64).fract();
            // Across a corner there is no slope.
            prop_assume!(kind == CurveKind::Bezier || (1e-3..0.999).contains(&corner));
            let (tangent, (before, after)) = (curve.tangent(t), (curve.at(t - h), curve.at(t + h)));
            for ((slope, a), b) in tangent.iter().zip(&before).zip(&after) {
                prop_assert!((slope - (b - a) / (2.0 * h)).abs() < 1e-6 * (1.0 + slope.abs()) * (points * points) as f64);
            }
        }
    }

    #[test]
    fn without_bends_both_kinds_are_the_chord(t in -0.5..1.5f64, bends in 0..6usize) {
        let (start, end) = (point(9, 1), point(9, 5));
        let chord: Vec<f64> = start.iter().zip(&end).map(|(a, b)| a + t * (b - a)).collect();
        for kind in KINDS {
            let straight = Curve::straight(kind, start.clone(), end.clone(), bends).unwrap();
            prop_assert_eq!(straight.bends().len(), bends);
            prop_assert!(distance(&straight.at(t), &chord) < 1e-12);
            let slope: Vec<f64> = start.iter().zip(&end).map(|(a, b)| b - a).collect();
            prop_assert!(distance(&straight.tangent(t), &slope) < 1e-12);
        }
    }
}

/// Tools that assume one bend draw or train only the first three control points.
#[test]
fn any_number_of_bends_moves_the_curve() {
    for kind in KINDS {
        for bends in 1..=20 {
            let straight = Curve::straight(kind, vec![0.0; 3], vec![1.0; 3], bends).unwrap();
            for moved in 0..bends {
                let mut others = straight.bends().to_vec();
                others[moved][1] += 1.0;
                let t = (moved + 1) as f64 / (bends + 1) as f64;
                let bent = straight.clone().with_bends(others).unwrap();
                let lift = bent.at(t)[1] - straight.at(t)[1];
                assert!(
                    (lift - straight.coefficients(t)[moved + 1]).abs() < 1e-14 && lift > 0.1,
                    "{kind:?} {moved} of {bends}"
                );
                assert_eq!((bits(&bent.at(0.0)), bits(&bent.at(1.0))), (bits(&[0.0; 3]), bits(&[1.0; 3])));
            }
        }
    }
}

#[test]
fn an_end_is_itself_beside_points_that_are_not_finite() {
    for kind in KINDS {
        let wild =
            Curve::new(kind, vec![vec![1.0], vec![f64::INFINITY], vec![f64::NAN], vec![-2.0]]).unwrap();
        assert_eq!((bits(&wild.at(0.0)), bits(&wild.at(1.0))), (bits(&[1.0]), bits(&[-2.0])));
        assert!(wild.at(0.5)[0].is_nan());
    }
}

#[test]
fn a_curve_of_points_that_do_not_fit_is_refused() {
    for points in [vec![], vec![vec![1.0]], vec![vec![1.0], vec![1.0, 2.0]], vec![vec![], vec![]]] {
        assert!(Curve::new(CurveKind::Bezier, points).is_err());
    }
    let curve = curve(CurveKind::Chain, 4, 3);
    assert!(curve.clone().with_bends(vec![vec![1.0]]).is_err());
    assert_eq!(curve.clone().with_bends(vec![]).unwrap().degree(), 1);
    assert!(curve.average(&[]).is_err());
    assert!(Curve::straight(CurveKind::Bezier, vec![1.0], vec![1.0, 2.0], 3).is_err());
}

/// A parabola of height 1 over -1..1 has length sqrt(5) + asinh(2)/2; a chain that of its segments; and the mean of a
/// Bezier curve over t is that of its control points.
#[test]
fn lengths_and_averages_are_those_of_calculus() {
    let parabola =
        Curve::new(CurveKind::Bezier, vec![vec![-1.0, 0.0], vec![0.0, 2.0], vec![1.0, 0.0]]).unwrap();
    let lengths = parabola.lengths(&evenly(4001));
    assert!((lengths[4000] - (5f64.sqrt() + 2f64.asinh() / 2.0)).abs() < 1e-6);
    assert!((lengths[2000] - lengths[4000] / 2.0).abs() < 1e-9 && lengths[0] == 0.0);

    let chain = Curve::new(CurveKind::Chain, vec![vec![0.0, 0.0], vec![3.0, 4.0], vec![3.0, 5.0]]).unwrap();
    let lengths = chain.lengths(&evenly(5));
    assert!(distance(&lengths, &[0.0, 2.5, 5.0, 5.5, 6.0]) < 1e-12);

    let middles: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
    let cubic = curve(CurveKind::Bezier, 4, 5);
    let mean: Vec<f64> = (0..5).map(|i| cubic.points().iter().map(|p| p[i]).sum::<f64>() / 4.0).collect();
    assert!(distance(&cubic.average(&middles).unwrap(), &mean) < 1e-5);
    let few = [0.1, 0.35, 0.9];
    let by_points: Vec<f64> =
        (0..5).map(|i| few.iter().map(|t| cubic.at(*t)[i]).sum::<f64>() / 3.0).collect();
    assert!(distance(&cubic.average(&few).unwrap(), &by_points) < 1e-14);
    assert_eq!(bits(&cubic.average(&[0.0]).unwrap()), bits(&cubic.points()[0]));
}

/// The numbers that Garipov et al. report, for samples whose distances differ.
#[test]
fn statistics_follow_their_definitions() {
    let (t, loss, lengths) = ([0.0, 0.25, 0.5, 1.0], [1.0, 5.0, 2.0, 3.0], [0.0, 1.0, 3.0, 3.5]);
    let report = CurveReport::new(&t, &loss, &lengths).unwrap();
    let integral = (3.0 * 1.0 + 3.5 * 2.0 + 2.5 * 0.5) / 3.5;
    let expected = CurveStatistics {
        start: 1.0,
        end: 3.0,
        min: 1.0,
        min_at: 0.0,
        max: 5.0,
        max_at: 0.25,
        mean: 2.75,
        integral,
    };
    assert_eq!((report.loss, report.length.to_bits()), (expected, 3.5f64.to_bits()));
    let barrier = report.barrier.unwrap();
    assert!((barrier.above_line - 3.5).abs() < 1e-15 && (barrier.above_ends - 2.0).abs() < 1e-15);

    let paused = CurveStatistics::new(&t, &[1.0, f64::INFINITY, 2.0, 3.0], &[0.0, 0.0, 0.0, 2.0]).unwrap();
    assert_eq!(paused.integral.to_bits(), 2.5f64.to_bits(), "what is passed in no length does not count");
    let still = CurveStatistics::new(&t, &loss, &[0.0; 4]).unwrap();
    assert_eq!(still.integral.to_bits(), 2.75f64.to_bits(), "a curve without length");
    for wrong in [
        CurveStatistics::new(&t[..1], &loss[..1], &lengths[..1]),
        CurveStatistics::new(&t, &loss[1..], &lengths),
    ] {
        assert!(wrong.is_err());
    }
}

#[test]
fn what_is_not_known_along_a_curve_is_not_left_out() {
    let t = evenly(5);
    for hole in 0..5 {
        let mut loss = [2.0, 1.0, 4.0, 3.0, 2.5];
        loss[hole] = f64::NAN;
        let report = CurveReport::new(&t, &loss, &t).unwrap();
        let found = report.loss;
        assert!([found.min, found.max, found.mean, found.integral].iter().all(|x| x.is_nan()), "{hole}");
        assert_eq!(report.barrier.is_none(), hole == 0 || hole == 4);
    }
    let infinite = CurveStatistics::new(&t, &[1.0, f64::INFINITY, 2.0, 1.0, 0.0], &t).unwrap();
    assert!(infinite.max == f64::INFINITY && infinite.min == 0.0 && infinite.integral == f64::INFINITY);
}
