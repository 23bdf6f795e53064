//! Minima and passes against brute force and closed forms.

mod common;

use common::{INF, NAN, close, even, lattice, nodes, sampled};
use proptest::prelude::*;
use relief_landscape::{Basin, Heights, MergeTree, Pair};

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

/// A long slope would take a union-find forest without balance minutes.
#[test]
fn hundreds_of_thousands_of_points_take_no_time() {
    let teeth = 1000;
    let slope = |i: usize| i as f64 + if i.is_multiple_of(400) { 0.5 } else { 0.0 };
    let values: Vec<f64> =
        (0..400 * teeth).map(|i| if i % 400 == 1 { i as f64 - 1.0 } else { slope(i) }).collect();
    let tree = MergeTree::sublevel(&lattice(&[400 * teeth], values.clone()));
    assert_eq!(tree.pairs().len(), teeth);
    assert!(tree.pairs()[1..].iter().all(|p| close(p.persistence(), 0.5, 1e-12)));
    let mut highest = values[1];
    for (i, value) in values.iter().enumerate().skip(1) {
        highest = highest.max(*value);
        assert!(tree.pass_height(1, i).unwrap() == Some(highest));
    }
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
            (tree.pairs().iter().filter_map(Pair::death).fold(0.0, f64::max) - 1.0).abs()
        })
        .collect();
    assert!(errors[3] < 5e-4 && errors[0] / errors[3] > 60.0, "{errors:?}");
}
