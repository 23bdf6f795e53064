//! Merge trees, basins and roughness against brute force and closed forms.

use std::f64::consts::PI;

use proptest::prelude::*;
use relief_landscape::{Basin, Heights, MergeTree, roughness};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn even(from: f64, to: f64, nodes: usize) -> Vec<f64> {
    (0..nodes).map(|i| from + (to - from) * i as f64 / (nodes - 1) as f64).collect()
}

/// The node of a point along every axis.
fn nodes(lengths: &[usize], mut index: usize) -> Vec<usize> {
    lengths
        .iter()
        .map(|length| {
            let node = index % length;
            index /= length;
            node
        })
        .collect()
}

fn sampled(axes: Vec<Vec<f64>>, f: impl Fn(&[f64]) -> f64) -> Heights {
    let lengths: Vec<usize> = axes.iter().map(Vec::len).collect();
    let at = |i| -> Vec<f64> { nodes(&lengths, i).iter().zip(&axes).map(|(i, axis)| axis[*i]).collect() };
    let values = (0..lengths.iter().product()).map(|i| f(&at(i))).collect();
    Heights::new(axes, values).unwrap()
}

/// Node 0, 1, 2, ... along axes of some lengths.
fn lattice(lengths: &[usize], values: Vec<f64>) -> Heights {
    Heights::new(lengths.iter().map(|n| (0..*n).map(|i| i as f64).collect()).collect(), values).unwrap()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// The component of every vertex in the set at or below a level, by flooding; none for those outside.
fn components(lengths: &[usize], values: &[f64], level: f64) -> (usize, Vec<Option<usize>>) {
    let n = values.len();
    let joined = |a: usize, b: usize| {
        let (a, b) = (nodes(lengths, a), nodes(lengths, b));
        let up = a.iter().zip(&b).all(|(a, b)| *b == *a || *b == a + 1);
        let down = a.iter().zip(&b).all(|(a, b)| *b == *a || *a == b + 1);
        up || down
    };
    let (mut count, mut label) = (0, vec![None; n]);
    for start in 0..n {
        if label[start].is_some() || values[start].is_nan() || values[start] > level {
            continue;
        }
        let mut stack = vec![start];
        label[start] = Some(count);
        while let Some(i) = stack.pop() {
            for j in (0..n).filter(|&j| values[j] <= level && joined(i, j)) {
                if label[j].is_none() {
                    label[j] = Some(count);
                    stack.push(j);
                }
            }
        }
        count += 1;
    }
    (count, label)
}

/// Grids of one to three axes with many ties, unknown and infinite points.
fn grids() -> impl Strategy<Value = (Vec<usize>, Vec<f64>)> {
    let lengths = prop_oneof![
        prop::collection::vec(1..14usize, 1),
        prop::collection::vec(1..7usize, 2),
        prop::collection::vec(1..4usize, 3),
    ];
    lengths.prop_flat_map(|lengths| {
        let n = lengths.iter().product::<usize>();
        let height = prop_oneof![
            12 => (0..6i32).prop_map(f64::from),
            6 => -3.0..3.0f64,
            2 => Just(NAN),
            1 => Just(INF),
            1 => Just(-INF),
            1 => Just(-0.0),
        ];
        (Just(lengths), prop::collection::vec(height, n))
    })
}

fn levels(values: &[f64]) -> Vec<f64> {
    let mut levels: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    levels.extend([-INF, INF]);
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let between: Vec<f64> = levels.windows(2).map(|w| f64::midpoint(w[0], w[1])).collect();
    levels.extend(between.iter().filter(|v| v.is_finite()));
    levels
}

proptest! {
    #[test]
    fn components_are_those_of_a_flood_at_every_level((lengths, values) in grids()) {
        let tree = MergeTree::sublevel(&lattice(&lengths, values.clone()));
        for level in levels(&values) {
            prop_assert_eq!(tree.components_below(level), components(&lengths, &values, level).0, "at {}", level);
        }
        prop_assert!(tree.pairs().iter().all(|p| p.persistence() > 0.0));
        prop_assert!(tree.pairs().windows(2).all(|p| p[0].persistence() >= p[1].persistence()));
    }

    #[test]
    fn passes_are_the_lowest_levels_that_connect((lengths, values) in grids()) {
        let tree = MergeTree::sublevel(&lattice(&lengths, values.clone()));
        let mut rising: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        rising.sort_by(f64::total_cmp);
        let floods: Vec<_> = rising.iter().map(|level| components(&lengths, &values, *level).1).collect();
        for a in 0..values.len() {
            for b in 0..values.len() {
                let connects = |labels: &Vec<Option<usize>>| labels[a].is_some() && labels[a] == labels[b];
                let first = floods.partition_point(|labels| !connects(labels));
                let expected = rising.get(first).copied();
                let found = tree.pass_height(a, b).unwrap();
                prop_assert!(found == expected, "between {} and {}: {:?} {:?}", a, b, found, expected);
                for level in [-1.0, 0.5, 3.0] {
                    prop_assert_eq!(tree.connected_below(a, b, level).unwrap(), expected.is_some_and(|p| p <= level));
                }
            }
        }
    }

    /// What merges where, from the definition: the saddle is the pass to the nearest lower minimum, over all of them.
    #[test]
    fn pairs_follow_the_elder_rule((lengths, values) in grids()) {
        let heights = lattice(&lengths, values.clone());
        let tree = MergeTree::sublevel(&heights);
        for pair in tree.pairs() {
            let minimum = pair.minimum.index;
            let lower = (0..values.len()).filter(|&i| {
                values[i] < values[minimum] || (values[i] <= values[minimum] && i < minimum)
            });
            let passes = lower.filter_map(|i| tree.pass_height(minimum, i).unwrap());
            let escape = passes.fold(None, |least: Option<f64>, pass| Some(least.map_or(pass, |l| l.min(pass))));
            prop_assert!(pair.death() == escape, "{:?} {:?}", pair, escape);
            if let (Some(saddle), Some(into)) = (&pair.saddle, pair.into) {
                prop_assert!(tree.pass_height(minimum, into).unwrap() == Some(saddle.height));
                prop_assert!(tree.minima().any(|m| m.index == into));
                prop_assert_eq!(&heights.vertex(saddle.index).unwrap(), saddle);
            }
        }
        for threshold in [0.0, 0.7, 2.0, INF] {
            let simple = tree.simplified(threshold);
            let expected: Vec<_> = tree.pairs().iter().filter(|p| p.persistence() > threshold).collect();
            prop_assert_eq!(simple.pairs().iter().collect::<Vec<_>>(), expected);
            prop_assert!(simple.pairs().iter().all(|p| p.into.is_none_or(|i| simple.minima().any(|m| m.index == i))));
        }
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
fn a_sequence_pairs_as_by_hand() {
    // Minima 1, 0, 2, 2.5, 6; 1 dies at 4, 2.5 at 3 into 2, 2 at 5 into 0; 6 at 8.
    let values = vec![3.0, 1.0, 4.0, 0.0, 5.0, 2.0, 3.0, 2.5, 8.0, 6.0];
    let heights = Heights::new(vec![even(0.0, 9.0, 10)], values).unwrap();
    let tree = MergeTree::sublevel(&heights);
    let found: Vec<(f64, Option<f64>, Option<usize>)> =
        tree.pairs().iter().map(|p| (p.birth(), p.death(), p.into)).collect();
    let expected = [
        (0.0, None, None),
        (1.0, Some(4.0), Some(3)),
        (2.0, Some(5.0), Some(3)),
        (6.0, Some(8.0), Some(3)),
        (2.5, Some(3.0), Some(5)),
    ];
    assert_eq!(found, expected);
    assert_eq!(tree.saddles().map(|s| s.index).collect::<Vec<_>>(), [2, 4, 8, 6]);
    assert_eq!(tree.simplified(0.5).pairs().len(), 4, "a pair at the threshold goes");
    assert_eq!(tree.simplified(2.0).minima().map(|m| m.index).collect::<Vec<_>>(), [3, 1, 5]);
    // First saddles: 4 for 1 and for 0, 3 for 2 and for 2.5, 8 for 6.
    let smad = tree.saddle_minimum_distance();
    assert!(close(smad.mean, (3.0 + 4.0 + 1.0 + 0.5 + 2.0) / 5.0, 1e-15) && smad.minima == 5);
    assert!(close(smad.relative, smad.mean / 8.0, 1e-15));
    // Without 2.5 the first saddle above 2 is the one at 5.
    let smad = tree.simplified(0.5).saddle_minimum_distance();
    assert!(close(smad.mean, (3.0 + 4.0 + 3.0 + 2.0) / 4.0, 1e-15));
    let hills = MergeTree::sublevel(&heights.negated());
    let peaks: Vec<(f64, Option<f64>)> = hills.pairs().iter().map(|p| (p.birth(), p.death())).collect();
    let expected =
        [(-8.0, None), (-4.0, Some(0.0)), (-5.0, Some(-2.0)), (-3.0, Some(-1.0)), (-3.0, Some(-2.5))];
    assert_eq!(peaks, expected);
}

#[test]
fn flat_floors_are_one_minimum_and_one_basin_has_no_saddle() {
    // A horseshoe at one height, whose arms come first in the order by index.
    let values = vec![1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0];
    let tree = MergeTree::sublevel(&lattice(&[3, 3], values));
    assert_eq!(tree.pairs().len(), 1);
    let smad = tree.saddle_minimum_distance();
    assert!(smad.mean == 0.0 && smad.relative == 0.0 && smad.minima == 0);
    let nothing = MergeTree::sublevel(&lattice(&[2, 2], vec![NAN; 4]));
    assert!(nothing.pairs().is_empty() && nothing.components_below(INF) == 0);
}

#[test]
fn three_basins_can_meet_in_one_saddle() {
    // Around the centre of a hexagon of neighbours, high and low in turn: a monkey saddle.
    let (h, l) = (5.0, [0.0, 1.0, 2.0]);
    let values = vec![l[0], h, 9.0, h, 3.0, l[1], 9.0, l[2], h];
    // Neighbours of the centre: both in its row and column, and those of the rising diagonal.
    let tree = MergeTree::sublevel(&lattice(&[3, 3], values));
    let centre: Vec<usize> = tree.saddles().map(|s| s.index).collect();
    assert_eq!(centre, [4, 4]);
    assert!(tree.pairs()[1..].iter().all(|p| p.into == Some(0)));
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
fn two_wells_have_their_saddle_between_them() {
    let wells = |x: &[f64]| (x[0] * x[0] - 1.0).powi(2) + x[1] * x[1];
    let heights = sampled(vec![even(-2.0, 2.0, 81), even(-1.0, 1.0, 41)], wells);
    let tree = MergeTree::sublevel(&heights).simplified(1e-9);
    assert_eq!(tree.pairs().len(), 2, "{:?}", tree.pairs());
    let [a, b] = [&tree.pairs()[0], &tree.pairs()[1]];
    let saddle = b.saddle.as_ref().unwrap();
    assert!(saddle.coordinates.iter().all(|x| x.abs() < 1e-12) && close(saddle.height, 1.0, 1e-14));
    for minimum in [&a.minimum, &b.minimum] {
        assert!(close(minimum.coordinates[0].abs(), 1.0, 1e-14) && minimum.coordinates[1].abs() < 1e-12);
        assert!(minimum.height.abs() < 1e-14);
    }
    let pass = tree.pass_height(a.minimum.index, b.minimum.index).unwrap().unwrap();
    assert!(close(pass, 1.0, 1e-14));
    let smad = tree.saddle_minimum_distance();
    assert!(close(smad.mean, 1.0, 1e-14) && close(smad.relative, 0.1, 1e-14) && smad.minima == 2);
    // At or below 1/4 one well reaches from sqrt(1/2) to sqrt(3/2).
    let basin = Basin::around(&heights, &[1.0, 0.0], 0.25).unwrap().unwrap();
    assert!(
        (basin.extents[0].low - 0.5f64.sqrt()).abs() < 2e-3
            && (basin.extents[0].high - 1.5f64.sqrt()).abs() < 2e-3
    );
    assert!((basin.extents[1].width() - 1.0).abs() < 2e-3 && basin.extents[1].bounded);
    let both = Basin::around(&heights, &[1.0, 0.0], 1.0).unwrap().unwrap();
    assert!(both.extents[0].low < -1.0, "closed: at the saddle's height the wells are one");

    // Where the grid misses the saddle, the pass is found to second order.
    let errors: Vec<f64> = [20, 40, 80, 160]
        .iter()
        .map(|n| {
            let heights = sampled(vec![even(-2.0, 2.0, *n), even(-1.0, 1.0, *n)], wells);
            let tree = MergeTree::sublevel(&heights);
            (tree.pairs().iter().filter_map(relief_landscape::Pair::death).fold(0.0, f64::max) - 1.0).abs()
        })
        .collect();
    assert!(errors[3] < 5e-4 && errors[0] / errors[3] > 60.0, "{errors:?}");
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
        let widths = basin.extents.iter().chain(&basin.lines).map(relief_landscape::Extent::width);
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
    let flat = roughness(&lattice(&[4, 4], vec![0.1; 16]));
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
    assert!(line(&[0.1, 0.2, 0.30000000000000004, 0.7]).mean < 1e-15);
    assert!(line(&[NAN, 1.0]).mean.is_nan() && line(&[NAN, 1.0]).lines == 0);
    // Three lines of 0, 1 and 3 turns along the first axis; along the second five valleys, flat or not.
    let rows = [[0.0, 1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 1.0, 0.0]].concat();
    let found = roughness(&lattice(&[5, 3], rows)).variation;
    assert!(close(found[0].mean, 4.0 / 3.0, 1e-15) && found[0].lines == 3 && found[1].lines == 5);
    assert!(close(found[0].deviation, ((0.0f64 + 1.0 + 9.0) / 3.0 - 16.0 / 9.0).sqrt(), 1e-14));
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
