use proptest::prelude::*;

use super::*;

type Ring = Vec<[f64; 2]>;

/// Positive round what lies on the left; rings of holes run the other way.
fn area(rings: &[Ring]) -> f64 {
    let doubled = |ring: &Ring| -> f64 {
        let ends = ring.iter().zip(ring.iter().cycle().skip(1));
        ends.map(|(p, q)| p[0] * q[1] - q[0] * p[1]).sum()
    };
    rings.iter().map(doubled).sum::<f64>() / 2.0
}

fn filled(rings: &[Ring], [x, y]: [f64; 2]) -> bool {
    let crossed = |ring: &Ring| {
        let ends = ring.iter().zip(ring.iter().cycle().skip(1));
        ends.filter(|(p, q)| {
            (p[1] > y) != (q[1] > y) && x < p[0] + (y - p[1]) / (q[1] - p[1]) * (q[0] - p[0])
        })
        .count()
    };
    rings.iter().map(crossed).sum::<usize>() % 2 == 1
}

fn frame_area(grid: &Grid) -> f64 {
    let width = |axis: &[f64]| axis[axis.len() - 1] - axis[0];
    width(grid.x()) * width(grid.y())
}

/// Nodes with gaps from 0.1 to 1, values from -1 to 1, with some of them unknown.
fn grids(holes: u32) -> impl Strategy<Value = Grid> {
    let axis = || {
        prop::collection::vec(0.1..1.0f64, 1..8).prop_map(|gaps| {
            let mut nodes = vec![-1.7];
            nodes.extend(gaps.iter().scan(-1.7, |at, gap| {
                *at += gap;
                Some(*at)
            }));
            nodes
        })
    };
    (axis(), axis()).prop_flat_map(move |(x, y)| {
        let value = prop_oneof![20 - holes => -1.0..1.0f64, holes => prop_oneof![Just(f64::NAN), Just(f64::INFINITY)]];
        prop::collection::vec(value, x.len() * y.len())
            .prop_map(move |values| Grid::new(x.clone(), y.clone(), values).unwrap())
    })
}

/// Each cell's corner nodes and whether all are finite.
fn cells(grid: &Grid) -> Vec<([(usize, usize); 4], bool)> {
    let (nx, ny) = (grid.x().len(), grid.y().len());
    (0..(nx - 1) * (ny - 1))
        .map(|k| (k % (nx - 1), k / (nx - 1)))
        .map(|(i, j)| [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)])
        .map(|corners| (corners, corners.iter().all(|(i, j)| grid.at(*i, *j).is_finite())))
        .collect()
}

/// A point of a cell, so far from its first corner towards the opposite one.
fn inner(grid: &Grid, [(i, j), _, (k, l), _]: [(usize, usize); 4], part: f64) -> [f64; 2] {
    let between = |a: f64, b: f64| a + part * (b - a);
    [between(grid.x()[i], grid.x()[k]), between(grid.y()[j], grid.y()[l])]
}

#[test]
fn a_half_plane_has_its_area() {
    let (x, y) = (vec![1.0, 1.5, 2.25, 4.0], vec![-3.0, -2.0, 0.5, 0.75, 1.0]);
    let values = y.iter().flat_map(|y| x.iter().map(move |x| x + 2.0 * y)).collect();
    let grid = Grid::new(x, y, values).unwrap();
    // The line x + 2y = 1 cuts the frame at (1, 0) and (4, -1.5).
    let above = region_above(&grid, 1.0);
    assert!((area(&above) - 3.0 * (1.0 + 2.5) / 2.0).abs() < 1e-12);
    assert_eq!(above.len(), 1);
    // Corners of the frame are corners of the ring, other nodes on its sides are not.
    let [x0, x1, y0] = [1.0, 4.0, -3.0];
    let on_frame = above[0]
        .iter()
        .filter(|[x, y]| ((x - x0).abs() < 1e-9 || (x - x1).abs() < 1e-9) && (y - 1.0).abs() < 1e-9);
    assert_eq!(on_frame.count(), 2);
    assert!(above[0].iter().all(|p| (p[1] - y0).abs() > 1.0));
}

#[test]
fn everything_is_one_rectangle() {
    let grid = Grid::new(vec![0.0, 1.0, 4.0], vec![-1.0, 0.0, 5.0], vec![7.0; 9]).unwrap();
    let rectangle = vec![vec![[0.0, -1.0], [4.0, -1.0], [4.0, 5.0], [0.0, 5.0]]];
    assert_eq!(region_above(&grid, f64::NEG_INFINITY), rectangle);
    assert_eq!(region_above(&grid, 7.0), rectangle);
    assert!(region_above(&grid, 7.5).is_empty());
    assert!(region_above(&grid, f64::NAN).is_empty());
    assert!(unknown_region(&grid).is_empty());
    let nothing = grid.map(|_| f64::NAN);
    assert_eq!(unknown_region(&nothing), rectangle);
    assert!(region_above(&nothing, f64::NEG_INFINITY).is_empty());
}

#[test]
fn a_hole_is_a_ring_of_its_own() {
    let axis: Vec<f64> = (0..6).map(f64::from).collect();
    let mut values = vec![1.0; 36];
    values[2 * 6 + 3] = f64::NAN;
    let grid = Grid::new(axis.clone(), axis, values).unwrap();
    let known = region_above(&grid, f64::NEG_INFINITY);
    assert_eq!(known.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(unknown_region(&grid).iter().map(Vec::len).collect::<Vec<_>>(), [4]);
    assert!((area(&known) - 21.0).abs() < 1e-12);
    assert!(!filled(&known, [2.5, 1.5]) && filled(&known, [0.5, 0.5]));
}

#[test]
fn cells_that_touch_at_a_corner_are_rings_of_their_own() {
    let axis = vec![0.0, 1.0, 2.0, 3.0];
    let mut values = vec![0.0; 16];
    values[3] = f64::NAN;
    values[12] = f64::NAN;
    let grid = Grid::new(axis.clone(), axis, values).unwrap();
    assert_eq!(unknown_region(&grid).len(), 2);
    // Unknown corners on both sides of the middle leave two squares that touch there.
    let grid = Grid::new(vec![0.0, 1.0, 2.0], vec![0.0, 1.0, 2.0], {
        let mut values = vec![0.0; 9];
        values[2] = f64::NAN;
        values[6] = f64::NAN;
        values
    });
    let known = region_above(&grid.unwrap(), f64::NEG_INFINITY);
    assert_eq!(known.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
}

proptest! {
    #[test]
    fn known_and_unknown_fill_the_frame(grid in grids(3)) {
        let (known, unknown) = (region_above(&grid, f64::NEG_INFINITY), unknown_region(&grid));
        prop_assert!((area(&known) + area(&unknown) - frame_area(&grid)).abs() < 1e-10);
        for (corners, finite) in cells(&grid) {
            let middle = inner(&grid, corners, 0.49);
            prop_assert_eq!(filled(&known, middle), finite);
            prop_assert_eq!(filled(&unknown, middle), !finite);
        }
    }

    #[test]
    fn above_and_below_fill_what_is_known(grid in grids(2), level in -0.9..0.9f64) {
        let above = region_above(&grid, level);
        let below = region_above(&grid.map(|v| -v), -level);
        let known = region_above(&grid, f64::NEG_INFINITY);
        prop_assert!((area(&above) + area(&below) - area(&known)).abs() < 1e-10);
        for (mut corners, _) in cells(&grid).into_iter().filter(|(_, finite)| *finite) {
            for _ in 0..4 {
                let (i, j) = corners[0];
                // Too far from the level for it to cross next to the corner.
                if (grid.at(i, j) - level).abs() > 0.02 {
                    let close = inner(&grid, corners, 0.003);
                    prop_assert_eq!(filled(&above, close), grid.at(i, j) > level);
                    prop_assert_eq!(filled(&below, close), grid.at(i, j) < level);
                }
                corners.rotate_left(1);
            }
        }
    }

    #[test]
    fn levels_on_nodes_leave_no_gap_in_regions(grid in grids(2), level in -1i8..=1) {
        let (grid, level) = (grid.map(|v| (1.4 * v).round()), f64::from(level));
        let known = area(&region_above(&grid, f64::NEG_INFINITY));
        let rings = region_above(&grid, level);
        prop_assert!(rings.iter().flatten().flatten().all(|v| v.is_finite()));
        // A level just below that of nodes has the same region but for slivers.
        prop_assert!((area(&rings) - area(&region_above(&grid, level - 1e-12))).abs() < 1e-9);
        prop_assert!(area(&rings) <= known + 1e-10);
        prop_assert!((area(&region_above(&grid, -1.0)) - known).abs() < 1e-10);
    }

    #[test]
    fn regions_shrink_as_levels_rise(grid in grids(2), level in -0.9..0.8f64) {
        let (low, high) = (region_above(&grid, level), region_above(&grid, level + 0.1));
        for (corners, _) in cells(&grid) {
            for part in [0.003, 0.35, 0.997] {
                let point = inner(&grid, corners, part);
                prop_assert!(filled(&low, point) || !filled(&high, point));
            }
        }
    }
}
