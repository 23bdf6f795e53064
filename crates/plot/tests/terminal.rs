//! Pictures in characters: exact small ones, and that hostile input keeps within the width.

use proptest::prelude::*;
use relief_plot::{
    Grid,
    terminal::{self, TerminalOptions},
};

const SMALL: TerminalOptions = TerminalOptions { columns: 36, rows: 11, colour: false };

/// A function on equally spaced nodes from -`half` to `half`.
fn grid(nodes: usize, half: f64, f: impl Fn(f64, f64) -> f64) -> Grid {
    let axis: Vec<f64> = (0..nodes).map(|i| half * (2.0 * i as f64 / (nodes - 1) as f64 - 1.0)).collect();
    let values = axis.iter().flat_map(|y| axis.iter().map(|x| f(*x, *y)).collect::<Vec<_>>()).collect();
    Grid::new(axis.clone(), axis, values).unwrap()
}

/// The text as a terminal without colours would show it.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').unwrap().1);
    }
    plain
}

fn widest(text: &str) -> usize {
    plain(text).lines().map(|line| line.chars().count()).max().unwrap()
}

#[track_caller]
fn assert_picture(found: &str, expected: &[&str]) {
    let found: Vec<_> = found.lines().collect();
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

#[test]
fn a_bowl_in_shades() {
    let bowl = grid(41, 2.0, |x, y| x * x + y * y + 0.01);
    assert_picture(
        &terminal::surface(&bowl, false, &SMALL),
        &[
            " 2 ┤█▓▓▓▓▒▒▒▒▒▒▒░░░░░░░░▒▒▒▒▒▒▒▓▓▓▓█",
            "   │▓▒▒▒▒░░░░░░░        ░░░░░░░▒▒▒▒▓",
            "   │▒▒░░░░░                  ░░░░░▒▒",
            " 0 ┤▒▒░░░░          ×         ░░░░▒▒",
            "   │▒▒░░░░░                  ░░░░░▒▒",
            "   │▓▒▒▒▒░░░░░░░        ░░░░░░░▒▒▒▒▓",
            "-2 ┤█▓▓▓▓▒▒▒▒▒▒▒░░░░░░░░▒▒▒▒▒▒▒▓▓▓▓█",
            "   └────────────────────────────────",
            "    -2                             2",
            "0.01 [ ░▒▓█] 8.01 (linear)",
            "× minimum 0.01 at (0, 0)",
        ],
    );
}

#[test]
fn a_bowl_on_a_logarithmic_scale() {
    let bowl = grid(41, 2.0, |x, y| x * x + y * y + 0.01);
    assert_picture(
        &terminal::surface(&bowl, true, &SMALL),
        &[
            " 2 ┤████████████████████████████████",
            "   │█████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓█████████",
            "   │█████▓▓▓▓▓▓▓▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓█████",
            " 0 ┤████▓▓▓▓▓▓▒▒▒░░ ×░░▒▒▒▓▓▓▓▓▓████",
            "   │█████▓▓▓▓▓▓▓▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓█████",
            "   │█████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓█████████",
            "-2 ┤████████████████████████████████",
            "   └────────────────────────────────",
            "    -2                             2",
            "0.01 [ ░▒▓█] 8.01 (log)",
            "× minimum 0.01 at (0, 0)",
        ],
    );
}

#[test]
fn a_step_in_colours() {
    let step = Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 0.0, 1.0, 1.0]).unwrap();
    let options = TerminalOptions { colour: true, ..SMALL };
    let picture = terminal::surface(&step, false, &options);
    assert_picture(
        &plain(&picture),
        &[
            "  1 ┤▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "    │▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "    │▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "0.5 ┤▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "    │▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "    │▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "  0 ┤×▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
            "    └───────────────────────────────",
            "     0                             1",
            "0 ██████████ 1 (linear)",
            "× minimum 0 at (0, 0)",
        ],
    );
    // The upper pixel of a character is its ink, the lower one its paper; one code does for a row of one colour.
    let row = "\x1b[0;38;2;230;228;25;48;2;182;221;41m".to_owned() + &"▀".repeat(31) + "\x1b[0m";
    assert_eq!(picture.lines().next(), Some(&*format!("  1 ┤{row}")));
}

#[test]
fn unknown_values_stay_blank() {
    let holed = grid(9, 1.0, |x, y| {
        if x < -0.3 {
            f64::NAN
        } else if y < -0.6 {
            f64::INFINITY
        } else {
            x + y
        }
    });
    assert_picture(
        &terminal::surface(&holed, false, &SMALL),
        &[
            " 1 ┤············▒▒▒▒▒▒▓▓▓▓▓▓▓▓██████",
            "   │············░░░▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓",
            " 0 ┤············ ░░░░░░░░░▒▒▒▒▒▒▒▒▓▓",
            "   │············×      ░░░░░░░░░▒▒▒▒",
            "-1 ┤································",
            "   └────────────────────────────────",
            "    -1                             1",
            "-0.75 [ ░▒▓█] 2 (linear)",
            "  · not finite",
            "× minimum -0.75 at (-0.25, -0.5)",
        ],
    );
    let signed = grid(21, 1.0, |x, _| x);
    assert_picture(
        &terminal::surface(&signed, true, &SMALL),
        &[
            " 1 ┤················   ░▒▒▓▓▓▓██████",
            "   │················   ░▒▒▓▓▓▓██████",
            "   │················   ░▒▒▓▓▓▓██████",
            " 0 ┤················   ░▒▒▓▓▓▓██████",
            "   │················   ░▒▒▓▓▓▓██████",
            "   │················   ░▒▒▓▓▓▓██████",
            "-1 ┤×···············   ░▒▒▓▓▓▓██████",
            "   └────────────────────────────────",
            "    -1                             1",
            "0.1 [ ░▒▓█] 1 (log) · not positive",
            "× minimum -1 at (-1, -1)",
        ],
    );
}

#[test]
fn surfaces_without_a_range() {
    let flat = grid(3, 1.0, |_, _| 2.5);
    assert_picture(
        &terminal::surface(&flat, false, &SMALL),
        &[
            " 1 ┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "   │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "   │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            " 0 ┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "   │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "   │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "-1 ┤×▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒",
            "   └────────────────────────────────",
            "    -1                             1",
            "all 2.5 (linear)",
            "× minimum 2.5 at (-1, -1)",
        ],
    );
    let unknown = grid(3, 1.0, |_, _| f64::NAN);
    assert_picture(
        &terminal::surface(&unknown, true, &SMALL),
        &[
            " 1 ┤································",
            "   │································",
            "   │································",
            " 0 ┤································",
            "   │································",
            "   │································",
            "-1 ┤································",
            "   └────────────────────────────────",
            "    -1                             1",
            "no positive value",
        ],
    );
}

#[test]
fn the_mark_is_where_the_lowest_node_is() {
    for (i, j) in [(0, 0), (6, 0), (0, 6), (6, 6), (3, 3), (2, 5)] {
        let mut values = vec![1.0; 49];
        values[j * 7 + i] = -1.0;
        let axis: Vec<f64> = (0..7).map(f64::from).collect();
        let grid = Grid::new(axis.clone(), axis, values).unwrap();
        for colour in [false, true] {
            let options = TerminalOptions { columns: 20, rows: 12, colour };
            let picture = plain(&terminal::surface(&grid, false, &options));
            let rows: Vec<Vec<char>> = picture.lines().map(|line| line.chars().collect()).collect();
            let start = rows[0].iter().position(|c| *c == '┤').unwrap() + 1;
            let height = rows.iter().position(|row| row.contains(&'└')).unwrap();
            let marks: Vec<_> = (0..height)
                .flat_map(|r| rows[r].iter().enumerate().filter(|c| *c.1 == '×').map(move |c| (c.0, r)))
                .collect();
            let width = 20 - start;
            let column = (i * width / 6).min(width - 1);
            let row = ((6 - j) * height / 6).min(height - 1);
            assert_eq!(marks, [(start + column, row)], "{i} {j} {colour}\n{picture}");
        }
    }
}

#[test]
fn a_falling_curve() {
    let x: Vec<f64> = (0..=40).map(|i| f64::from(i) / 4.0).collect();
    let y: Vec<f64> = x.iter().map(|x| (-x / 2.0).exp()).collect();
    assert_picture(
        &terminal::lines(&[("loss/train", &x, &y)], false, &SMALL),
        &[
            "       1 ┤⢣",
            "         │ ⢣",
            "         │  ⢣",
            "  0.5034 ┤   ⠣⢄",
            "         │    ⠈⠢⣀",
            "         │       ⠑⠤⢄",
            "0.006738 ┤          ⠉⠉⠒⠒⠢⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀⣀",
            "         └──────────────────────────",
            "          0                       10",
            "loss/train: min 0.006738, max 1,",
            "  last 0.006738",
        ],
    );
    assert_picture(
        &terminal::lines(&[("loss/train", &x, &y)], true, &SMALL),
        &[
            "       1 ┤⠉⠒⠢⢄⣀",
            "         │     ⠉⠒⠢⠤⣀",
            " 0.08208 ┤          ⠉⠑⠢⠤⢄⣀",
            "         │                ⠉⠒⠢⢄⣀",
            "0.006738 ┤                     ⠉⠒⠢⢄⣀",
            "         └──────────────────────────",
            "          0                       10",
            "y is logarithmic",
            "loss/train: min 0.006738, max 1,",
            "  last 0.006738",
        ],
    );
}

#[test]
fn gaps_break_a_curve() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0];
    let y = [0.0, 1.0, f64::NAN, 1.0, 0.0];
    let wide = TerminalOptions { columns: 40, ..SMALL };
    assert_picture(
        &terminal::lines(&[("", &x, &y)], false, &wide),
        &[
            "  1 ┤       ⢀⠎                 ⠱⡀",
            "    │      ⢠⠃                   ⠘⡄",
            "    │     ⡰⠁                     ⠈⢆",
            "0.5 ┤    ⡜                         ⢣",
            "    │  ⢀⠎                           ⠱⡀",
            "    │ ⢠⠃                             ⠘⡄",
            "  0 ┤⡰⠁                               ⠈⢆",
            "    └───────────────────────────────────",
            "     0                                 4",
            "series 1: min 0, max 1, last 0",
            "  (1 not drawn)",
        ],
    );
}

#[test]
fn one_point_and_none() {
    assert_picture(
        &terminal::lines(&[("a", &[3.0], &[7.0])], false, &SMALL),
        &[
            "  │",
            "  │",
            "  │",
            "7 ┤                ⠠",
            "  │",
            "  │",
            "  │",
            "  └─────────────────────────────────",
            "                   3",
            "a: min 7, max 7, last 7",
        ],
    );
    assert_picture(&terminal::lines(&[], false, &SMALL), &["no value to draw"]);
    let series: [(&str, &[f64], &[f64]); 3] =
        [("none", &[], &[]), ("zero", &[1.0], &[0.0]), ("lost", &[f64::NAN, 1.0], &[1.0])];
    assert_picture(
        &terminal::lines(&series, true, &SMALL),
        &[
            "no value to draw",
            "y is logarithmic",
            "none: empty",
            "zero: min 0, max 0, last 0",
            "  (1 not drawn)",
            "lost: min 1, max 1, last 1",
            "  (2 not drawn)",
        ],
    );
}

#[test]
fn series_have_colours_of_their_own_and_overlong_legends_end() {
    let (x, y) = ([0.0, 1.0], [0.0, 1.0]);
    let names: Vec<String> = (0..30).map(|i| format!("run {i}")).collect();
    let series: Vec<(&str, &[f64], &[f64])> = names.iter().map(|name| (&name[..], &x[..], &y[..])).collect();
    let options = TerminalOptions { colour: true, ..TerminalOptions::default() };
    let picture = terminal::lines(&series[..2], false, &options);
    assert!(picture.contains("\x1b[0;38;2;230;159;0m━") && picture.contains("\x1b[0;38;2;86;180;233m━"));
    let crowded = plain(&terminal::lines(&series, false, &options));
    assert!(crowded.lines().count() <= 20, "{crowded}");
    assert_eq!(crowded.lines().last(), Some("and 19 more"), "{crowded}");
    assert!(crowded.contains("━ run 10: min 0, max 1, last 1"), "{crowded}");
    assert!(!terminal::lines(&series, false, &TerminalOptions::default()).contains('\x1b'));
}

#[test]
fn names_cannot_steer_the_terminal() {
    let name = "evil\x1b[2J\r\nname ".repeat(50);
    let picture = terminal::lines(&[(&name, &[0.0, 1.0], &[0.0, 1.0])], false, &SMALL);
    assert!(!picture.contains(['\x1b', '\r']));
    assert!(widest(&picture) <= 36, "{picture}");
}

#[test]
fn usual_sizes_are_filled() {
    let bowl = grid(21, 1.0, |x, y| x * x + 3.0 * y * y);
    let x: Vec<f64> = (0..100).map(f64::from).collect();
    for (columns, rows) in [(60, 20), (80, 24), (120, 41), (200, 50)] {
        for colour in [false, true] {
            let options = TerminalOptions { columns, rows, colour };
            for picture in [
                terminal::surface(&bowl, true, &options),
                terminal::lines(&[("a", &x, &x), ("b", &x[..50], &x[50..])], false, &options),
            ] {
                let lines = picture.lines().count();
                assert!(lines == rows || lines + 1 == rows, "{lines} lines for {rows}");
                assert_eq!(widest(&picture), columns);
            }
        }
    }
}

/// Numbers of all sizes, and those that are none.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0,
        2 => any::<f64>(),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, 1.0, 1.0_f64.next_up(),
        ]),
    ]
}

fn options() -> impl Strategy<Value = TerminalOptions> {
    (
        prop_oneof![20 => 0..100_usize, 1 => Just(usize::MAX)],
        prop_oneof![20 => 0..40_usize, 1 => Just(usize::MAX)],
        any::<bool>(),
    )
        .prop_map(|(columns, rows, colour)| TerminalOptions { columns, rows, colour })
}

fn axis() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 2..8).prop_filter_map("two finite nodes", |mut nodes| {
        nodes.retain(|node| node.is_finite());
        nodes.sort_by(f64::total_cmp);
        nodes.dedup_by(|a, b| *a <= *b);
        (nodes.len() > 1).then_some(nodes)
    })
}

fn check(picture: &str, options: &TerminalOptions) {
    assert!(
        picture.ends_with('\n') && plain(picture).lines().all(|line| !line.chars().any(char::is_control))
    );
    assert!(widest(picture) <= options.columns.clamp(20, 1000), "{picture}");
    assert!(options.colour || !picture.contains('\x1b'));
    // What is too few is exceeded, by what the legends and three rows need.
    assert!(picture.lines().count() <= options.rows.clamp(24, 500), "{picture}");
}

proptest! {
    #[test]
    fn any_surface_keeps_within_its_width(
        (grid, log, options) in (axis(), axis(), any::<bool>(), options()).prop_flat_map(|(x, y, log, options)| {
            let values = prop::collection::vec(value(), x.len() * y.len());
            (values.prop_map(move |v| Grid::new(x.clone(), y.clone(), v).unwrap()), Just(log), Just(options))
        })
    ) {
        let picture = terminal::surface(&grid, log, &options);
        check(&picture, &options);
        prop_assert_eq!(picture, terminal::surface(&grid, log, &options));
    }

    #[test]
    fn any_curves_keep_within_their_width(
        series in prop::collection::vec(
            (any::<String>(), prop::collection::vec(value(), 0..20), prop::collection::vec(value(), 0..20)), 0..6
        ),
        log in any::<bool>(),
        options in options(),
    ) {
        let series: Vec<(&str, &[f64], &[f64])> = series.iter().map(|(name, x, y)| (&name[..], &x[..], &y[..])).collect();
        let picture = terminal::lines(&series, log, &options);
        check(&picture, &options);
        prop_assert_eq!(picture, terminal::lines(&series, log, &options));
    }
}
