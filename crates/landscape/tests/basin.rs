//! Widths and volumes of basins against closed forms.

mod common;

use std::f64::consts::PI;

use common::{close, even, lattice, sampled};
use proptest::prelude::*;
use relief_landscape::{Basin, Extent};

proptest! {
    /// The half-space a x <= c in the unit cube has volume sum over its corners v of (-1)^|v| max(c - a v, 0)^n / (n! prod a)
    /// (Barrow & Smith 1979).
    #[test]
    fn half_spaces_have_the_volume_of_the_closed_form(
        a in prop::collection::vec(0.3..2.0f64, 1..=4), share in 0.05..0.95f64, inner in prop::collection::vec(0.1..0.9f64, 4),
    ) {
        let n = a.len();
        let level = share * a.iter().sum::<f64>();
        let axes = inner[..n].iter().map(|x| vec![0.0, *x, 1.0]).collect();
        let dot = |x: &[f64]| x.iter().zip(&a).map(|(x, a)| x * a).sum::<f64>();
        let basin = Basin::around(&sampled(axes, dot), &vec![0.0; n], level).unwrap().unwrap();
        let mut volume = 0.0;
        for corner in 0..1usize << n {
            let bits: Vec<f64> = (0..n).map(|k| (corner >> k & 1) as f64).collect();
            let sign = if corner.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
            volume += sign * (level - dot(&bits)).max(0.0).powi(n as i32);
        }
        volume /= (1..=n).product::<usize>() as f64 * a.iter().product::<f64>();
        prop_assert!(close(basin.volume, volume, 1e-11), "{} {}", basin.volume, volume);
        prop_assert!(basin.touches_border && !basin.touches_unknown);
        for ((extent, line), a) in basin.extents.iter().zip(&basin.lines).zip(&a) {
            prop_assert!(close(extent.high, (level / a).min(1.0), 1e-14) && !extent.bounded);
            prop_assert!(close(line.high, (level / a).min(1.0), 1e-14) && !line.bounded);
        }
    }

    /// Ends of lines from anywhere: at the level, with nothing above it between them.
    #[test]
    fn lines_end_where_the_interpolant_crosses_the_level(
        values in prop::collection::vec(0.0..1.0f64, 120), at in prop::collection::vec(0.0..1.0f64, 3), level in 0.3..0.9f64,
    ) {
        let heights = lattice(&[4, 5, 6], values);
        let at = [3.0 * at[0], 4.0 * at[1], 5.0 * at[2]];
        let Some(basin) = Basin::around(&heights, &at, level).unwrap() else {
            prop_assert!(heights.interpolated(&at).unwrap() > level);
            return Ok(());
        };
        prop_assert!(close(basin.height, heights.interpolated(&at).unwrap(), 1e-15) && basin.lowest.height <= basin.height);
        for (axis, line) in basin.lines.iter().enumerate() {
            let f = |x: f64| {
                let mut point = at;
                point[axis] = x;
                heights.interpolated(&point).unwrap()
            };
            let last = heights.axes()[axis].len() as f64 - 1.0;
            for end in [line.low, line.high] {
                prop_assert!(end <= 0.0 || end >= last || close(f(end), level, 1e-12), "{} {}", f(end), level);
            }
            prop_assert_eq!(line.bounded, line.low > 0.0 && line.high < last);
            let inside = |i: i32| (line.low + line.width() * f64::from(i) / 200.0).clamp(0.0, last);
            prop_assert!((0..=200).all(|i| f(inside(i)) <= level + 1e-12));
            let extent = basin.extents[axis];
            prop_assert!(extent.low <= line.low + 1e-12 && line.high <= extent.high + 1e-12);
        }
    }
}

#[test]
fn a_basin_at_its_own_level_is_a_point() {
    let bowl = sampled(vec![even(-1.0, 1.0, 5); 2], |x| x[0] * x[0] + x[1] * x[1]);
    let basin = Basin::around(&bowl, &[0.0, 0.0], 0.0).unwrap().unwrap();
    assert!(
        basin.points == 1
            && basin.volume == 0.0
            && basin.extents.iter().all(|e| e.width() == 0.0 && e.bounded)
    );
    assert!(Basin::around(&bowl, &[0.0, 0.0], -1e-300).unwrap().is_none());
}

/// The interpolant of a convex function lies above it, by no more than `excess` here, so that its basin lies between those of
/// the function at the level and at the level less `excess`: ellipses. `excess` is of second order in the spacing.
#[test]
fn widths_and_areas_converge_at_second_order() {
    let (level, at) = (0.7f64, [0.2, 0.1]);
    // Area, extents, and chords through the point.
    let truth = |level: f64| {
        [
            PI * level / 2.0,
            2.0 * level.sqrt(),
            level.sqrt(),
            2.0 * (level - 4.0 * at[1] * at[1]).sqrt(),
            (level - at[0] * at[0]).sqrt(),
        ]
    };
    let mut areas = vec![];
    for n in [31, 61, 121, 241] {
        // The nodes are uneven and miss the centre.
        let axis = |n: usize| even(-1.1, 1.3, n).iter().map(|x| x + 0.1 * x * x).collect::<Vec<f64>>();
        let heights = sampled(vec![axis(n), axis(n + 7)], |x| x[0] * x[0] + 4.0 * x[1] * x[1]);
        let basin = Basin::around(&heights, &at, level).unwrap().unwrap();
        assert!(!basin.touches_border && basin.extents.iter().chain(&basin.lines).all(|e| e.bounded));
        let widths = basin.extents.iter().chain(&basin.lines).map(Extent::width);
        let found: Vec<f64> = [basin.volume].into_iter().chain(widths).collect();
        let spacing = |k: usize| heights.axes()[k].windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
        let excess = (2.0 * spacing(0).powi(2) + 8.0 * spacing(1).powi(2)) / 8.0;
        for ((low, found), high) in truth(level - excess).into_iter().zip(found).zip(truth(level)) {
            assert!(low <= found && found <= high, "{n} nodes: {low} <= {found} <= {high}");
        }
        areas.push(truth(level)[0] - basin.volume);
    }
    assert!(areas.windows(2).all(|a| (3.3..4.3).contains(&(a[0] / a[1]))), "{areas:?}");
    assert!(areas[3] < 2e-4 * level, "{areas:?}");
}

#[test]
fn pyramids_are_exact_in_any_number_of_axes() {
    // |x| + |y| + ... is linear on every cell of a grid with nodes at 0: (2 c)^n / n!.
    let axis = vec![-2.0, -1.3, -0.4, 0.0, 0.7, 1.1, 3.0];
    for n in 1..=4usize {
        for level in [0.3, 1.0, 1.25] {
            let heights = sampled(vec![axis.clone(); n], |x| x.iter().map(|x| x.abs()).sum());
            let at = vec![0.05; n];
            let basin = Basin::around(&heights, &at, level).unwrap().unwrap();
            let volume = (2.0 * level).powi(n as i32) / (1..=n).product::<usize>() as f64;
            assert!(close(basin.volume, volume, 1e-13), "{n}, {level}: {} {volume}", basin.volume);
            assert!(close(basin.height, 0.05 * n as f64, 1e-14) && basin.lowest.height == 0.0);
            for (extent, line) in basin.extents.iter().zip(&basin.lines) {
                assert!(
                    close(extent.low, -level, 1e-14) && close(extent.high, level, 1e-14) && extent.bounded
                );
                let half = level - 0.05 * (n - 1) as f64;
                assert!(close(line.low, -half, 1e-14) && close(line.high, half, 1e-14) && line.bounded);
            }
        }
    }
    // Cut off by the border, it is said to be so.
    let heights = sampled(vec![axis; 2], |x| x[0].abs() + x[1].abs());
    let basin = Basin::around(&heights, &[0.0, 0.0], 2.5).unwrap().unwrap();
    assert!(
        basin.touches_border
            && basin.extents.iter().all(|e| !e.bounded)
            && basin.lines.iter().all(|l| !l.bounded)
    );
    assert!(
        close(basin.volume, 2.0 * 2.5 * 2.5 - 2.0 * 0.25, 1e-13),
        "two corners are cut: {}",
        basin.volume
    );
}
