//! The interpolant of sampled heights, and what holds for all of its measures.

mod common;

use common::{INF, NAN, close, even, lattice, sampled};
use proptest::prelude::*;
use relief_landscape::{Basin, Heights, MergeTree, Pair};

proptest! {
    #[test]
    fn the_interpolant_is_linear_on_the_triangles_of_the_rising_diagonal(
        corners in prop::collection::vec(-2.0..2.0f64, 4), u in 0.0..=1.0f64, v in 0.0..=1.0f64,
    ) {
        let heights = Heights::new(vec![vec![-1.0, 3.0], vec![0.5, 1.0]], corners.clone()).unwrap();
        let [f00, f10, f01, f11] = [corners[0], corners[1], corners[2], corners[3]];
        let expected =
            if u >= v { f00 + u * (f10 - f00) + v * (f11 - f10) } else { f00 + v * (f01 - f00) + u * (f11 - f01) };
        let found = heights.interpolated(&[-1.0 + 4.0 * u, 0.5 + 0.5 * v]).unwrap();
        prop_assert!(close(found, expected, 1e-14), "{} {}", found, expected);
    }

    /// Four times finer, the triangulation is a subdivision and the interpolant the same function: so must be its shape.
    #[test]
    fn a_finer_grid_of_the_interpolant_has_the_same_shape(
        (lengths, values) in prop_oneof![Just(vec![9]), Just(vec![5, 4]), Just(vec![3, 2, 3])].prop_flat_map(|lengths| {
            let n = lengths.iter().product::<usize>();
            let height = prop_oneof![9 => (0..16i32).prop_map(f64::from), 1 => Just(NAN)];
            (Just(lengths), prop::collection::vec(height, n))
        }),
        level in 0..16i32,
    ) {
        let coarse = lattice(&lengths, values);
        let axes: Vec<Vec<f64>> = lengths.iter().map(|n| even(0.0, (n - 1) as f64, 4 * n - 3)).collect();
        let fine = sampled(axes, |x| coarse.interpolated(x).unwrap());
        let bars = |heights: &Heights| {
            let tree = MergeTree::sublevel(heights);
            let mut bars: Vec<(f64, Option<f64>)> = tree.pairs().iter().map(|p| (p.birth(), p.death())).collect();
            bars.sort_by(|a, b| a.partial_cmp(b).unwrap());
            bars
        };
        prop_assert_eq!(bars(&coarse), bars(&fine));
        let level = f64::from(level) + 0.3;
        for index in 0..coarse.len() {
            let at = coarse.vertex(index).unwrap().coordinates;
            let (a, b) = (Basin::around(&coarse, &at, level).unwrap(), Basin::around(&fine, &at, level).unwrap());
            let (a, b) = match (a, b) {
                (None, None) => continue,
                (Some(a), Some(b)) => (a, b),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert!(close(a.volume, b.volume, 1e-12), "{} {}", a.volume, b.volume);
            prop_assert_eq!((a.touches_border, a.touches_unknown, a.lowest.height.to_bits()),
                (b.touches_border, b.touches_unknown, b.lowest.height.to_bits()));
            for (a, b) in a.extents.iter().chain(&a.lines).zip(b.extents.iter().chain(&b.lines)) {
                prop_assert!(close(a.low, b.low, 1e-12) && close(a.high, b.high, 1e-12), "{:?} {:?}", a, b);
                prop_assert_eq!(a.bounded, b.bounded);
            }
        }
    }
}

#[test]
fn unknown_walls_separate_and_infinite_ones_are_passes_at_infinity() {
    let well = |x: &[f64], wall: f64| if x[0] == 0.0 { wall } else { x[0] * x[0] + x[1] * x[1] };
    let axes = || vec![even(-2.0, 2.0, 5), even(-2.0, 2.0, 5)];
    let walled = sampled(axes(), |x| well(x, NAN));
    let tree = MergeTree::sublevel(&walled);
    let (left, right) = (11, 13);
    assert_eq!(tree.pass_height(left, right).unwrap(), None);
    assert!(!tree.connected_below(left, right, INF).unwrap());
    assert!(tree.pairs().len() == 2 && tree.pairs().iter().all(|p| p.death().is_none()));
    assert_eq!(tree.components_below(INF), 2);
    assert_eq!(tree.pass_height(left, 12).unwrap(), None, "an unknown point is nowhere");
    let basin = Basin::around(&walled, &[-1.0, 0.0], 1.5).unwrap().unwrap();
    assert!(basin.touches_unknown && !basin.touches_border && basin.extents.iter().all(|e| !e.bounded));
    assert!(close(basin.extents[0].high, -1.0, 1e-15) && !basin.lines[0].bounded && basin.lines[1].bounded);
    assert!(Basin::around(&walled, &[-0.5, 0.0], 9.0).unwrap().is_none(), "unknown beside the wall");
    assert!(walled.interpolated(&[-0.5, 0.0]).unwrap().is_nan());

    let walled = sampled(axes(), |x| well(x, INF));
    let tree = MergeTree::sublevel(&walled);
    assert_eq!(tree.pass_height(left, right).unwrap(), Some(INF));
    assert!((tree.components_below(1e300), tree.components_below(INF)) == (2, 1));
    let basin = Basin::around(&walled, &[-1.0, 0.0], 1.5).unwrap().unwrap();
    assert!(!basin.touches_unknown && !basin.touches_border && basin.extents[0].bounded);
    assert!(close(basin.extents[0].high, -1.0, 1e-15), "the level is crossed at once");
    assert!(basin.lines[0].bounded && basin.volume.is_finite());
}

#[test]
fn infinite_heights_are_limits_of_large_ones() {
    let line = |values: &[f64]| lattice(&[values.len()], values.to_vec());
    let well = line(&[2.0, -INF, 4.0, 1.0]);
    for (x, height) in [(1.0, -INF), (1.5, -INF), (1.999, -INF), (2.0, 4.0)] {
        assert_eq!(well.interpolated(&[x]).unwrap().to_bits(), f64::to_bits(height), "at {x}");
    }
    let basin = Basin::around(&well, &[1.5], 3.0).unwrap().unwrap();
    assert!(close(basin.volume, 2.0, 1e-15) && close(basin.extents[0].high, 2.0, 1e-15));
    assert!(close(basin.lines[0].low, 0.0, 1e-15) && close(basin.lines[0].high, 2.0, 1e-15));
    assert!(basin.points == 2 && basin.lowest.index == 1);
    let cliff = line(&[-INF, INF]);
    assert!(cliff.interpolated(&[0.5]).unwrap() == INF);
    let basin = Basin::around(&cliff, &[0.0], 0.0).unwrap().unwrap();
    assert!(basin.volume == 0.0 && basin.extents[0].width() == 0.0 && basin.lines[0].width() == 0.0);
    let tree = MergeTree::sublevel(&line(&[-INF, INF, -INF, 5.0, 0.0]));
    assert_eq!(tree.pairs().iter().map(Pair::persistence).collect::<Vec<_>>(), [INF, INF, 5.0]);
    assert!(tree.saddle_minimum_distance().mean == INF);
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = |axes: Vec<Vec<f64>>, n: usize| Heights::new(axes, vec![0.0; n]).unwrap_err().to_string();
    assert!(problem(vec![], 1).contains("1 to 8 axes"));
    assert!(problem(vec![vec![0.0]; 9], 1).contains("not 9"));
    assert!(problem(vec![vec![0.0], vec![]], 0).contains("axis 1 is empty"));
    assert!(problem(vec![vec![0.0, 1.0, 1.0]], 3).contains("node 2 of axis 0"));
    assert!(problem(vec![vec![0.0, NAN]], 2).contains("NaN"));
    assert!(problem(vec![vec![0.0, 1.0], vec![0.0, 1.0, 2.0]], 5).contains("2 x 3"));
    let heights = lattice(&[3, 3], vec![0.0; 9]);
    assert!(
        Basin::around(&heights, &[0.0], 1.0).is_err() && Basin::around(&heights, &[0.0, 2.1], 1.0).is_err()
    );
    assert!(
        Basin::around(&heights, &[0.0, NAN], 1.0).is_err()
            && Basin::around(&heights, &[0.0, 1.0], NAN).is_err()
    );
    assert!(MergeTree::sublevel(&heights).pass_height(0, 9).is_err() && heights.vertex(9).is_err());
}
