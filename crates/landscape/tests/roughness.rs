//! Roughness against sequences by hand and NumPy.

mod common;

use common::{INF, NAN, close, even, lattice, sampled};
use relief_landscape::{Heights, roughness};

#[test]
fn quadratics_are_smooth_and_nothing_else_is() {
    let axes = || vec![vec![-3.0, -1.0, 0.5, 0.6, 2.0], even(0.0, 40.0, 6), vec![1.0, 1.5, 7.0]];
    let bowl =
        |x: &[f64]| 3.0 - x[0] + 2.0 * x[0] * x[0] + x[0] * x[1] - 0.01 * x[1] * x[1] + x[2] * (x[1] - x[2]);
    let residual = |heights: &Heights| roughness(heights).residual.unwrap();
    assert!(residual(&sampled(axes(), bowl)) < 1e-14);
    // -8, -1, 0, 1, 8 less 3.4 x leaves -1.2, 2.4, 0, -2.4, 1.2.
    let cubic = |scale: f64, shift: f64, stretch: f64| {
        sampled(vec![even(-2.0 * stretch, 2.0 * stretch, 5)], move |x| {
            shift + scale * (x[0] / stretch).powi(3)
        })
    };
    let expected = (14.4f64 / 130.0).sqrt();
    assert!(close(residual(&cubic(1.0, 0.0, 1.0)), expected, 1e-14));
    for (scale, shift, stretch) in [(1e-200, 0.0, 1.0), (-1e200, 1e200, 1e-7), (1.0, 1e3, 1e9)] {
        let found = residual(&cubic(scale, shift, stretch));
        assert!(close(found, expected, 1e-11), "{scale} {shift} {stretch}: {found} {expected}");
    }
    // Moved far away the coordinates still span the same quadratics.
    let far = sampled(vec![even(1e6 - 2.0, 1e6 + 2.0, 5)], |x| (x[0] - 1e6).powi(3));
    assert!(close(residual(&far), expected, 1e-12));
    let flat = roughness(&lattice(&[7, 7], vec![0.1; 49]));
    assert!(flat.residual == Some(0.0) && flat.variation.iter().all(|v| v.mean == 0.0));
    // With two nodes on an axis its square is no column of its own, and with too few heights every fit is perfect.
    let two = sampled(vec![vec![0.0, 1.0], even(-2.0, 2.0, 5)], |x| x[1].powi(3));
    assert!(close(residual(&two), expected, 1e-14));
    assert!(roughness(&lattice(&[3, 2], vec![1.0, 5.0, 2.0, 7.0, 1.0, 3.0])).residual.is_some());
    assert!(roughness(&lattice(&[3], vec![1.0, 5.0, 2.0])).residual.is_none());
    assert!(roughness(&lattice(&[3], vec![NAN; 3])).residual.is_none());
}

/// numpy 2: `A` with the columns 1, x, y, x x, x y, y y over the finite points, `numpy.linalg.lstsq(A, f)`, the norm of
/// f - A c by that of f - mean(f).
#[test]
fn roughness_with_gaps_is_that_of_numpy() {
    let mut values: Vec<f64> =
        (0..35).map(|i| (f64::from(i) * 0.9).sin() + 0.05 * f64::from((i * i) % 7)).collect();
    (values[3], values[11], values[20]) = (NAN, INF, -INF);
    let heights = Heights::new(vec![vec![0.0, 1.0, 2.5, 3.0, 7.0], even(-1.0, 2.0, 7)], values).unwrap();
    let found = roughness(&heights);
    assert_eq!(found.points, 32);
    assert!(close(found.residual.unwrap(), 0.982_157_477_658_860_4, 1e-12), "{:?}", found.residual);
    assert_eq!(found.variation.iter().map(|v| v.lines).collect::<Vec<_>>(), [4, 2]);
}

#[test]
fn variation_counts_turns() {
    let line = |values: &[f64]| {
        roughness(&Heights::new(vec![even(0.0, 1.0, values.len())], values.to_vec()).unwrap()).variation[0]
    };
    assert!(line(&[1.0, 2.0, 5.0, 5.0, 9.0]).mean.abs() < 1e-15, "monotone");
    assert!(close(line(&[2.0, 1.0, 0.0, 1.0, 2.0]).mean, 1.0, 1e-15), "a valley with equal ends");
    assert!(close(line(&[2.0, 0.0, 1.0]).mean, 0.5, 1e-15), "a valley whose ends differ");
    assert!(close(line(&[0.0, 1.0, 0.0, 1.0, 0.0]).mean, 3.0, 1e-15), "three turns");
    for scale in 1..100 {
        let rising: Vec<f64> = (0..17).map(|i| (f64::from(i) / f64::from(scale)).powi(3)).collect();
        assert!(
            (0.0..1e-14).contains(&line(&rising).mean),
            "rounding is no roughness, and none is below zero"
        );
    }
    assert!(line(&[NAN, 1.0]).mean.is_nan() && line(&[NAN, 1.0]).lines == 0);
    // Three lines of 0, 1 and 3 turns along the first axis; along the second five valleys, flat or not.
    let rows = [[0.0, 1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 1.0, 0.0]].concat();
    let found = roughness(&lattice(&[5, 3], rows)).variation;
    assert!(close(found[0].mean, 4.0 / 3.0, 1e-15) && found[0].lines == 3 && found[1].lines == 5);
    assert!(close(found[0].deviation, ((0.0f64 + 1.0 + 9.0) / 3.0 - 16.0 / 9.0).sqrt(), 1e-14));
}
