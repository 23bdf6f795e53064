//! Iso-lines, the grids under them and the levels they belong to.

use proptest::prelude::*;
use relief_plot::{Grid, IsoLine, Levels, iso_lines};

/// Nodes that begin at `start`, with the given gaps.
fn axis(start: f64, gaps: &[f64]) -> Vec<f64> {
    let mut nodes = vec![start];
    nodes.extend(gaps.iter().scan(start, |at, gap| {
        *at += gap;
        Some(*at)
    }));
    nodes
}

fn sampled(x: Vec<f64>, y: Vec<f64>, f: impl Fn(f64, f64) -> f64) -> Grid {
    let values = y.iter().flat_map(|y| x.iter().map(|x| f(*x, *y))).collect();
    Grid::new(x, y, values).unwrap()
}

/// Grids with uneven gaps, off centre, not square; every tenth value or so is `hole`.
fn grids(value: impl Strategy<Value = f64> + Clone + 'static) -> impl Strategy<Value = Grid> {
    let nodes =
        || (-5.0..5.0, prop::collection::vec(0.1..1.0f64, 1..9)).prop_map(|(start, gaps)| axis(start, &gaps));
    (nodes(), nodes()).prop_flat_map(move |(x, y)| {
        let hole = prop_oneof![Just(f64::NAN), Just(f64::INFINITY)];
        prop::collection::vec(prop_oneof![9 => value.clone(), 1 => hole], x.len() * y.len())
            .prop_map(move |values| Grid::new(x.clone(), y.clone(), values).unwrap())
    })
}

fn known_cell(grid: &Grid, i: usize, j: usize) -> bool {
    [(i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)].iter().all(|(i, j)| grid.at(*i, *j).is_finite())
}

/// Edges of known cells whose ends lie on different sides of the level.
fn crossed_edges(grid: &Grid, level: f64) -> usize {
    let (nx, ny) = (grid.x().len(), grid.y().len());
    let known = |i: Option<usize>, j: Option<usize>| {
        i.zip(j).is_some_and(|(i, j)| i + 1 < nx && j + 1 < ny && known_cell(grid, i, j))
    };
    let crossed = |a: f64, b: f64| (a >= level) != (b >= level);
    let mut count = 0;
    for j in 0..ny {
        for i in 0..nx {
            let beside = known(Some(i), Some(j));
            let along_x = beside || known(Some(i), j.checked_sub(1));
            let along_y = beside || known(i.checked_sub(1), Some(j));
            count += usize::from(along_x && i + 1 < nx && crossed(grid.at(i, j), grid.at(i + 1, j)));
            count += usize::from(along_y && j + 1 < ny && crossed(grid.at(i, j), grid.at(i, j + 1)));
        }
    }
    count
}

fn segments(line: &IsoLine) -> Vec<[[f64; 2]; 2]> {
    let around = line.points.iter().cycle().skip(1);
    let count = line.points.len() - usize::from(!line.closed);
    line.points.iter().zip(around).take(count).map(|(p, q)| [*p, *q]).collect()
}

/// What must hold of every set of lines.
fn check_lines(grid: &Grid, level: f64, lines: &[IsoLine]) -> Result<(), TestCaseError> {
    for line in lines {
        let least = if line.closed { 3 } else { 2 };
        prop_assert!(line.points.len() >= least);
        for &[x, y] in &line.points {
            prop_assert!(
                (grid.sample(x, y) - level).abs() <= 1e-12 * level.abs().max(1.0),
                "{} at {x}, {y}",
                grid.sample(x, y)
            );
            let on_node = |axis: &[f64], at: f64| axis.iter().any(|node| node.to_bits() == at.to_bits());
            prop_assert!(on_node(grid.x(), x) || on_node(grid.y(), y));
        }
        for [p, q] in segments(line) {
            prop_assert!(p.map(f64::to_bits) != q.map(f64::to_bits));
            // Within one cell, and one without unknown corners.
            let middle = [0, 1].map(|k| f64::midpoint(p[k], q[k]));
            let cell = [grid.x(), grid.y()];
            let cell = [0, 1]
                .map(|k| cell[k].partition_point(|node| *node <= middle[k]).clamp(1, cell[k].len() - 1) - 1);
            let on_line = |k: usize| [grid.x(), grid.y()][k][cell[k]].to_bits() == middle[k].to_bits();
            let known = known_cell(grid, cell[0], cell[1])
                || (on_line(0) && cell[0] > 0 && known_cell(grid, cell[0] - 1, cell[1]))
                || (on_line(1) && cell[1] > 0 && known_cell(grid, cell[0], cell[1] - 1));
            prop_assert!(known, "{p:?} {q:?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn vertices_lie_on_the_level(grid in grids(-10.0..10.0f64), level in -9.0..9.0f64) {
        let lines = iso_lines(&grid, level);
        check_lines(&grid, level, &lines)?;
        // Every crossing is on one line, once.
        prop_assert_eq!(lines.iter().map(|line| line.points.len()).sum::<usize>(), crossed_edges(&grid, level));
        prop_assert_eq!(iso_lines(&grid, level), lines);
    }

    #[test]
    fn nodes_on_the_level_leave_no_gap(
        grid in grids(prop_oneof![Just(-1.0), Just(0.0), Just(1.0)]),
        level in prop_oneof![Just(-1.0), Just(0.0), Just(1.0)],
    ) {
        let lines = iso_lines(&grid, level);
        check_lines(&grid, level, &lines)?;
        // Lines end where the known cells end, or not at all.
        let (nx, ny) = (grid.x().len(), grid.y().len());
        for line in lines.iter().filter(|line| !line.closed && line.points.len() > 2) {
            for [x, y] in [line.points[0], line.points[line.points.len() - 1]] {
                let i = grid.x().partition_point(|node| *node < x);
                let j = grid.y().partition_point(|node| *node < y);
                let on_border = i == 0 || j == 0 || i + 1 == nx || j + 1 == ny;
                let around = [i.saturating_sub(1), i].map(|i| [j.saturating_sub(1), j].map(|j| (i, j)));
                let by_hole = around.iter().flatten().any(|(i, j)| i + 1 < nx && j + 1 < ny && !known_cell(&grid, *i, *j));
                prop_assert!(on_border || by_hole, "ends at {x}, {y}");
            }
        }
    }

    #[test]
    fn refinement_keeps_nodes_and_stays_between_them(grid in grids(-10.0..10.0f64), nodes in 0..40usize) {
        let fine = grid.refined(nodes);
        for (coarse, fine) in [(grid.x(), fine.x()), (grid.y(), fine.y())] {
            prop_assert!(fine.len() >= nodes.max(coarse.len()) && (fine.len() - 1) % (coarse.len() - 1) == 0);
            prop_assert!(fine.windows(2).all(|w| w[0] < w[1]));
        }
        let step = |coarse: &[f64], fine: &[f64]| (fine.len() - 1) / (coarse.len() - 1);
        let (sx, sy) = (step(grid.x(), fine.x()), step(grid.y(), fine.y()));
        for (i, x) in grid.x().iter().enumerate() {
            prop_assert_eq!(x.to_bits(), fine.x()[i * sx].to_bits());
            for (j, y) in grid.y().iter().enumerate() {
                prop_assert_eq!(y.to_bits(), fine.y()[j * sy].to_bits());
                prop_assert_eq!(grid.at(i, j).to_bits(), fine.at(i * sx, j * sy).to_bits());
            }
        }
        for j in 0..grid.y().len() - 1 {
            for i in 0..grid.x().len() - 1 {
                let corners = [grid.at(i, j), grid.at(i + 1, j), grid.at(i, j + 1), grid.at(i + 1, j + 1)];
                let low = corners.iter().copied().fold(f64::MAX, f64::min);
                let high = corners.iter().copied().fold(f64::MIN, f64::max);
                let within = (j * sy..=(j + 1) * sy).flat_map(|l| (i * sx..=(i + 1) * sx).map(move |k| (k, l)));
                if known_cell(&grid, i, j) {
                    for (k, l) in within {
                        prop_assert!((low..=high).contains(&fine.at(k, l)));
                    }
                } else {
                    let inside = within.filter(|(k, l)| k % sx != 0 && l % sy != 0);
                    for (k, l) in inside {
                        prop_assert!(fine.at(k, l).is_nan());
                    }
                    let mut parts = (j * sy..(j + 1) * sy).flat_map(|l| (i * sx..(i + 1) * sx).map(move |k| (k, l)));
                    prop_assert!(parts.all(|(k, l)| !known_cell(&fine, k, l)));
                }
            }
        }
    }

    #[test]
    fn refinement_does_not_prefer_an_axis(grid in grids(-10.0..10.0f64)) {
        let swapped = |grid: &Grid| {
            let values = (0..grid.x().len()).flat_map(|i| (0..grid.y().len()).map(move |j| grid.at(i, j))).collect();
            Grid::new(grid.y().to_vec(), grid.x().to_vec(), values).unwrap()
        };
        let (one, other) = (grid.refined(20), swapped(&swapped(&grid).refined(20)));
        prop_assert!(one.values().iter().zip(other.values()).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn refinement_reproduces_linear_functions(a in -3.0..3.0f64, b in -3.0..3.0f64, c in -3.0..3.0f64, grid in grids(0.0..1.0)) {
        let plane = |x: f64, y: f64| a * x + b * y + c;
        let holes = sampled(grid.x().to_vec(), grid.y().to_vec(), |x, y| plane(x, y) + 0.0 * grid.sample(x, y));
        let fine = holes.refined(25);
        for (k, value) in fine.values().iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let (x, y) = (fine.x()[k % fine.x().len()], fine.y()[k / fine.x().len()]);
            prop_assert!((value - plane(x, y)).abs() < 1e-12 * 30.0);
        }
    }

    #[test]
    fn refinement_of_rising_values_rises(gaps in prop::collection::vec((0.01..1.0f64, 0.0..1.0f64), 1..12)) {
        let (widths, rises): (Vec<f64>, Vec<f64>) = gaps.into_iter().unzip();
        let heights = axis(-3.0, &rises);
        let grid = Grid::new(axis(1.0, &widths), vec![0.0, 1.0], heights.repeat(2)).unwrap();
        let fine = grid.refined(100);
        prop_assert!(fine.values()[..fine.x().len()].windows(2).all(|w| w[1] - w[0] > -1e-14));
    }

    #[test]
    fn levels_enclose_values_and_have_telling_labels(
        values in prop::collection::vec((-1.0..1.0f64, -12..12i32, prop::bool::ANY), 4),
        positive in prop::bool::ANY,
        bands in 1..40usize,
    ) {
        let value = |&(v, e, small): &(f64, i32, bool)| {
            let v = if small { v } else { v * 10f64.powi(e) };
            if positive { v.abs() + 1e-13 } else { v }
        };
        let grid = Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], values.iter().map(value).collect()).unwrap();
        let levels = Levels::automatic(&[&grid], bands, None).unwrap();
        let (low, high) = grid.finite_range().unwrap();
        let edges = levels.edges();
        prop_assert!(edges.len() >= 2 && edges.len() <= 2 * bands + 3, "{edges:?}");
        prop_assert!(edges.windows(2).all(|w| w[0] < w[1]), "{edges:?}");
        prop_assert!(edges[0] <= low && (levels.is_capped() || edges[edges.len() - 1] >= high), "{edges:?}");
        prop_assert!(!levels.is_log() || low > 0.0);
        check_labels(&levels)?;
    }

    #[test]
    fn labels_tell_any_edges_apart(start in -1e6..1e6f64, gaps in prop::collection::vec((-9..6i32, 1.0..10.0f64), 1..12)) {
        let gaps: Vec<f64> = gaps.iter().map(|(e, m)| m * 10f64.powi(*e)).collect();
        check_labels(&Levels::given(axis(start, &gaps)).unwrap())?;
    }
}

/// Every label is close to its edge, unlike its neighbours, and no zero with decimals.
fn check_labels(levels: &Levels) -> Result<(), TestCaseError> {
    let edges = levels.edges();
    let labels: Vec<String> = (0..edges.len()).map(|i| levels.label(i)).collect();
    let numbers: Vec<f64> = labels.iter().map(|label| label.replace('−', "-").parse().unwrap()).collect();
    prop_assert!(numbers.windows(2).all(|w| w[0] < w[1]), "{labels:?}");
    for ((number, label), edge) in numbers.iter().zip(&labels).zip(edges) {
        prop_assert!((number.abs() > 0.0) == (edge.abs() > 0.0), "{label} for {edge}");
        prop_assert!(number.abs() > 0.0 || label == "0");
        let size = number.abs();
        prop_assert_eq!(label.contains('e'), size > 0.0 && !(1e-3..1e5).contains(&size), "{}", label);
    }
    Ok(())
}

#[test]
fn a_plane_has_straight_lines() {
    let (x, y) = (axis(2.0, &[0.5, 1.0, 0.25, 2.0]), axis(-7.0, &[1.0, 0.125, 3.0]));
    let grid = sampled(x, y, |x, y| x + 2.0 * y);
    for level in [-10.9, -7.3, -4.0, -1.0] {
        let lines = iso_lines(&grid, level);
        let [IsoLine { points, closed: false }] = &lines[..] else { panic!("{level}: {lines:?}") };
        for [x, y] in points {
            assert!((x + 2.0 * y - level).abs() < 1e-12, "{level}: {x}, {y}");
        }
        // Higher values lie on the left: towards smaller x and larger y.
        let [p, q] = [points[0], points[points.len() - 1]];
        assert!(2.0 * (q[0] - p[0]) - (q[1] - p[1]) > 0.0, "{points:?}");
    }
}

#[test]
fn a_bump_has_one_circle() {
    let nodes = |n: i32, from: f64, to: f64| {
        (0..=n).map(|k| from + (to - from) * f64::from(k) / f64::from(n)).collect::<Vec<_>>()
    };
    let grid = sampled(nodes(60, -1.5, 2.1), nodes(41, -1.2, 1.7), |x, y| (-x * x - y * y).exp());
    for radius in [0.3f64, 0.7, 1.1] {
        let lines = iso_lines(&grid, (-radius * radius).exp());
        let [IsoLine { points, closed: true }] = &lines[..] else { panic!("{lines:?}") };
        let spacing = 2.9 / 41.0;
        assert!(points.iter().all(|[x, y]| (x.hypot(*y) - radius).abs() < spacing * spacing));
        let area: f64 = segments(&lines[0]).iter().map(|[p, q]| (p[0] * q[1] - p[1] * q[0]) / 2.0).sum();
        assert!((area - std::f64::consts::PI * radius * radius).abs() < 4.0 * spacing * spacing * radius);
    }
}

#[test]
fn saddles_are_decided_by_their_mean() {
    let grid = |values: [f64; 4]| Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], values.to_vec()).unwrap();
    let ends = |lines: &[IsoLine]| -> Vec<(f64, f64)> {
        lines
            .iter()
            .map(|line| (line.points[0][0] + line.points[1][0], line.points[0][1] + line.points[1][1]))
            .collect()
    };
    // High corners at (0, 0) and (1, 1), apart: lines cut them off.
    let apart = iso_lines(&grid([1.0, -2.0, -2.0, 1.0]), 0.0);
    let mut cut: Vec<_> = ends(&apart);
    cut.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(
        cut.len() == 2 && cut[0].0 < 0.5 && cut[0].1 < 0.5 && cut[1].0 > 1.5 && cut[1].1 > 1.5,
        "{apart:?}"
    );
    // Joined: lines cut the low corners off.
    let joined = iso_lines(&grid([2.0, -1.0, -1.0, 2.0]), 0.0);
    let mut cut: Vec<_> = ends(&joined);
    cut.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(
        cut.len() == 2 && cut[0].0 < 0.5 && cut[0].1 > 1.5 && cut[1].0 > 1.5 && cut[1].1 < 0.5,
        "{joined:?}"
    );
}

#[test]
fn degenerate_grids_have_no_lines() {
    let grid = sampled(axis(0.0, &[1.0, 1.0]), axis(0.0, &[1.0, 1.0]), |_, _| 3.0);
    let unknown = grid.map(|_| f64::NAN);
    let extremes = grid.map(|_| f64::INFINITY);
    for level in [2.0, 3.0, 4.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for grid in [&grid, &unknown, &extremes] {
            assert!(iso_lines(grid, level).is_empty(), "{level}");
        }
    }
    // A peak that only just reaches the level is a point.
    let peak = sampled(axis(-1.0, &[1.0, 1.0]), axis(-1.0, &[1.0, 1.0]), |x, y| 3.0 - x.abs() - y.abs());
    assert!(iso_lines(&peak, 3.0).is_empty());
    assert_eq!(iso_lines(&peak, 2.5).len(), 1);
    // Differences that overflow.
    let huge = sampled(axis(-1.0, &[2.0]), axis(-1.0, &[2.0]), |x, _| x * f64::MAX);
    let lines = iso_lines(&huge, f64::MAX / 2.0);
    assert!(lines.len() == 1 && lines[0].points.iter().all(|p| (p[0] - 0.5).abs() < 1e-12), "{lines:?}");
}

#[test]
fn samples_interpolate() {
    let grid = sampled(axis(-1.0, &[1.0, 3.0]), axis(0.0, &[2.0, 1.0]), |x, y| x * y);
    assert!((grid.sample(0.5, 1.5) - 0.75).abs() < 1e-15 && (grid.sample(2.0, 3.0) - 6.0).abs() < 1e-15);
    for (x, y) in [(-1.1, 0.0), (0.0, 3.1), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        assert!(grid.sample(x, y).is_nan());
    }
    assert_eq!(grid.finite_range(), Some((-3.0, 9.0)));
    assert_eq!(grid.map(|_| f64::NAN).finite_range(), None);
    // Neighbours of an unknown node are still known.
    let holed = Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], vec![1.0, 2.0, 3.0, f64::NAN]).unwrap();
    assert!((holed.sample(0.5, 0.0) - 1.5).abs() < 1e-15 && holed.sample(0.5, 0.1).is_nan());
}

#[test]
fn refinement_reproduces_one_side_of_a_parabola() {
    let parabola = |x: f64, y: f64| 0.3 * x * x - 2.0 * y * y;
    let grid = sampled(axis(1.0, &[0.3, 0.5, 0.2, 0.4, 0.6]), axis(2.0, &[0.5, 0.25, 0.5, 0.75]), parabola);
    let fine = grid.refined(50);
    let exact = sampled(fine.x().to_vec(), fine.y().to_vec(), parabola);
    assert!(fine.values().iter().zip(exact.values()).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn refinement_is_smoother_than_straight_lines() {
    let f = |x: f64, y: f64| (1.3 * x).sin() + 0.5 * (y + 0.4 * x).cos();
    let grid = sampled(axis(-2.0, &[0.3; 12]), axis(-1.5, &[0.35; 10]), f);
    let fine = grid.refined(100);
    let error = |value: &dyn Fn(usize, f64, f64) -> f64| {
        let place = |k: usize| (fine.x()[k % fine.x().len()], fine.y()[k / fine.x().len()]);
        (0..fine.values().len())
            .map(|k| (k, place(k)))
            .map(|(k, (x, y))| (value(k, x, y) - f(x, y)).powi(2))
            .sum::<f64>()
    };
    let (cubic, linear) = (error(&|k, _, _| fine.values()[k]), error(&|_, x, y| grid.sample(x, y)));
    assert!(cubic < 0.3 * linear, "{cubic} {linear}");
}

/// Levels for some values in a row.
fn levels(values: &[f64], bands: usize, cap: Option<f64>) -> Levels {
    let nodes = (0..values.len()).map(|k| k as f64).collect();
    let grid = Grid::new(nodes, vec![0.0, 1.0], values.repeat(2)).unwrap();
    Levels::automatic(&[&grid], bands, cap).unwrap()
}

#[test]
fn decades_have_levels_equal_in_ratio() {
    let values: Vec<f64> = (0..=240).map(|k| 10f64.powf(f64::from(k) / 20.0 - 6.0)).collect();
    let twelve = levels(&values, 12, None);
    assert!(twelve.is_log() && !twelve.is_capped());
    let labels: Vec<String> = (0..twelve.edges().len()).map(|i| twelve.label(i)).collect();
    assert_eq!(labels[..6], ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]);
    assert_eq!(labels[6..], ["1", "10", "100", "1000", "10000", "1e5", "1e6"]);
    let below = levels(&[1e-6f64.next_down(), 1e6], 12, None);
    assert_eq!(below.label(0), "9e-7");
    for bands in [7, 20, 50] {
        let levels = levels(&values, bands, None);
        assert_eq!(levels.edges().len(), bands + 1);
        let step = (1e12f64.ln()) / bands as f64;
        assert!(
            levels.edges().windows(2).all(|w| ((w[1] / w[0]).ln() / step - 1.0).abs() < 0.5),
            "{levels:?}"
        );
    }
}

#[test]
fn narrow_negative_and_mixed_values_have_equal_steps() {
    assert_eq!(
        levels(&[1.03, 1.5, 1.96], 10, None).edges(),
        [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0]
    );
    assert_eq!(
        levels(&[-300.0, -1.0], 6, None).edges(),
        [-300.0, -250.0, -200.0, -150.0, -100.0, -50.0, 0.0]
    );
    // Edges next to the values, however their quotient with the step is rounded.
    assert_eq!(levels(&[0.3, 1.3], 10, None).edges()[..2], [0.3, 0.4]);
    for k in 1..60 {
        let low = (f64::from(k) * 1e-6).next_down();
        let edges = levels(&[low, low + 1e-5], 10, None).edges().to_vec();
        assert!(edges[0] <= low && low < edges[1], "{low:e} {edges:?}");
    }
    let mixed = levels(&[-2.0, 0.0, 1e2], 5, None);
    assert_eq!((mixed.edges(), mixed.is_log()), (&[-20.0, 0.0, 20.0, 40.0, 60.0, 80.0, 100.0][..], false));
    assert_eq!((mixed.label(0), mixed.label(1)), ("−20".into(), "0".into()));
}

#[test]
fn equal_values_lie_between_two_edges() {
    for value in [0.0, -0.0, 3.7, -3.7, 1e-300, 5e-324, -5e-324, f64::MAX, f64::MIN, 1e-9] {
        let levels = levels(&[value, value], 12, None);
        let [low, high] = levels.edges()[..] else { panic!("{value}: {levels:?}") };
        assert!(low <= value && value <= high && low < high, "{value}: {levels:?}");
        assert_ne!(levels.label(0), levels.label(1));
    }
}

#[test]
fn extreme_ranges_have_levels() {
    for values in [
        [f64::MIN, f64::MAX],
        [5e-324, f64::MAX],
        [0.0, 5e-324],
        [1.0, 1.0 + f64::EPSILON],
        [1e16, 1e16 + 2.0],
    ] {
        for bands in [0, 1, 12, usize::MAX] {
            let levels = levels(&values, bands, None);
            let edges = levels.edges();
            assert!(
                edges.windows(2).all(|w| w[0] < w[1]) && edges.iter().all(|e| e.is_finite()),
                "{levels:?}"
            );
            assert!(
                edges.len() >= 2 && edges[0] <= values[0] && values[1] <= edges[edges.len() - 1],
                "{values:?} {levels:?}"
            );
        }
    }
}

#[test]
fn a_huge_value_does_not_take_the_range() {
    for offset in [1.5, 0.0] {
        let mut values: Vec<f64> = (0..200).map(|k| offset + (f64::from(k) * 0.7).sin() * 0.5).collect();
        let plain = levels(&values, 10, None);
        values[17] = 1e9;
        let capped = levels(&values, 10, None);
        assert!(capped.is_capped() && !capped.is_log() && !plain.is_capped());
        assert_eq!(capped.edges(), plain.edges());
    }
    // What is only high stays above the cap, too; without anything huge it needs none.
    let mut values: Vec<f64> = (0..100).map(|k| 1.0 + f64::from(k) / 100.0).collect();
    values[50] = 30.0;
    assert!(!levels(&values, 10, None).is_capped());
    values[60] = 1e9;
    assert_eq!(levels(&values, 10, None).edges().last(), Some(&2.0));
    // Values that are equal but for a few have no range of their own.
    values[..95].fill(1.0);
    let peaks = levels(&values.iter().map(|v| if *v > 1.0 { 1e9 } else { *v }).collect::<Vec<_>>(), 10, None);
    assert!(!peaks.is_capped() && peaks.is_log());
    // A tenth of huge values is more than a few, and a wide range that is filled needs no cap.
    let half: Vec<f64> =
        (0..100).map(|k| if k % 2 == 0 { 1.0 + f64::from(k) / 100.0 } else { 1e9 }).collect();
    assert!(!levels(&half, 10, None).is_capped());
}

#[test]
fn a_cap_is_the_last_edge() {
    let values: Vec<f64> = (1..100).map(f64::from).collect();
    let log = levels(&values, 8, Some(31.4));
    assert!(log.is_capped() && log.is_log() && (log.edges().last().unwrap() - 31.4).abs() < 1e-12, "{log:?}");
    let linear = levels(&values, 8, Some(8.1));
    assert!(linear.is_capped() && !linear.is_log());
    assert_eq!(linear.edges(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.1]);
    // Above everything it caps nothing.
    assert_eq!(levels(&values, 8, Some(1e9)), levels(&values, 8, None));
    assert!(!levels(&values, 8, Some(99.0)).is_capped());
}

#[test]
fn grids_share_levels_and_unknown_values_do_not_count() {
    let nodes = || vec![0.0, 1.0];
    let one = Grid::new(nodes(), nodes(), vec![1.0, 2.0, f64::NAN, f64::INFINITY]).unwrap();
    let other = Grid::new(nodes(), nodes(), vec![3.0, 4.0, 5.0, 9.0]).unwrap();
    let shared = Levels::automatic(&[&one, &other], 8, None).unwrap();
    assert_eq!(shared.edges(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let unknown = one.map(|_| f64::NAN);
    for (grids, cap) in
        [(&[][..], None), (&[&unknown][..], None), (&[&one][..], Some(1.0)), (&[&one][..], Some(f64::NAN))]
    {
        assert!(Levels::automatic(grids, 8, cap).is_err());
    }
}

#[test]
fn given_levels_are_checked() {
    for wrong in
        [vec![], vec![1.0], vec![1.0, 1.0], vec![2.0, 1.0], vec![0.0, f64::NAN], vec![0.0, f64::INFINITY]]
    {
        assert!(Levels::given(wrong.clone()).is_err(), "{wrong:?}");
    }
    let log = |edges: &[f64]| Levels::given(edges.to_vec()).unwrap().is_log();
    assert!(log(&[0.1, 1.0, 10.0]) && log(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0]));
    assert!(!log(&[1.0, 10.0, 20.0, 30.0]) && !log(&[0.0, 1.0, 100.0]) && !log(&[1.0, 2.0]));
    let grid = Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], vec![1.0, 2.0, 3.0, f64::INFINITY]).unwrap();
    let capped = |top: f64| Levels::given(vec![0.0, top]).unwrap().capped_for(&[&grid]).is_capped();
    assert!(capped(2.5) && !capped(3.0));
    let uneven = Levels::given(vec![0.1 + 0.2, 0.31, 1.23456, 123_456.0, 1e9]).unwrap();
    let labels: Vec<String> = (0..5).map(|i| uneven.label(i)).collect();
    assert_eq!(labels, ["0.3", "0.31", "1.23", "1.23e5", "1e9"]);
}
