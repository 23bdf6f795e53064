//! Figures that break other tools: one point, all equal, twelve decades, nothing at all.

use relief_plot::{
    Axis, Bars, ColourMap, Field, Figure, Group, Lines, Mark, Matrix, Names, Note, Overlay, Panel, PointKind,
    Reference, Series, Shading, Surface,
};

use crate::figures::{basin, grid, noise, rectangle};

const LONG: &str = "forty letters, as long as labels may get";

fn lines(series: Vec<Series>, y: Axis) -> Figure {
    let panel = Lines { series, ..Lines::new("", Axis::linear("step"), y) };
    Figure::new("", vec![Panel::Lines(panel)])
}

fn field(title: &str, f: impl Fn(f64, f64) -> f64) -> Field {
    Field::new(title, Axis::linear("direction 1"), Axis::linear("direction 2"), "loss", grid(25, 1.0, f))
}

fn long_labels() -> Figure {
    let t: Vec<f64> = (0..40).map(f64::from).collect();
    let mut panel = Lines::new(format!("{LONG}; {LONG}"), Axis::linear(LONG), Axis::linear(LONG))
        .with_right_axis(Axis::log(LONG));
    for k in 0..3 {
        let y = t.iter().map(|t| t * (1.0 + f64::from(k))).collect();
        panel = panel.with(Series::new(format!("{k}: {LONG}"), t.clone(), y));
    }
    panel =
        panel.with(Series::new(LONG, t.clone(), t.iter().map(|t| (t / 4.0).exp()).collect()).on_the_right());
    for at in [20.0, 21.0, 22.0, 80.0] {
        panel =
            panel.with_reference(Reference::level(at, LONG)).with_reference(Reference::event(at / 2.0, LONG));
    }
    panel.notes = (0..6).map(|i| Note { at: [20.0 + f64::from(i), 60.0], text: LONG.into() }).collect();
    Figure::new(format!("{LONG}; {LONG}"), vec![Panel::Lines(panel)])
        .captioned(format!("{LONG}. {LONG}. {LONG}. {LONG}. {LONG}."))
}

fn many() -> Figure {
    let t: Vec<f64> = (0..200).map(f64::from).collect();
    let series = |k: usize| {
        Series::new(
            format!("run {k}"),
            t.clone(),
            t.iter().map(|t| (t / 30.0 + k as f64).sin() * 3.0 + 0.2 * noise(*t as usize, k)).collect(),
        )
    };
    lines((0..14).map(series).collect(), Axis::linear("value"))
}

fn meeting_ends() -> Figure {
    let t: Vec<f64> = (0..40).map(f64::from).collect();
    let series = (0..9).map(|k| {
        Series::new(
            format!("λ{k} of the layer"),
            t.clone(),
            t.iter().map(|t| 1.0 + 1e-3 * f64::from(k) * (-t / 9.0).exp()).collect(),
        )
    });
    let panel = Lines {
        names: Names::Direct,
        series: series.collect(),
        ..Lines::new("", Axis::linear("step"), Axis::linear("value"))
    };
    Figure::new("", vec![Panel::Lines(panel)])
}

fn crowded_field() -> Figure {
    let mut crowded = field(LONG, basin);
    crowded.x.label = format!("{LONG}; {LONG}");
    crowded.value = format!("{LONG}; {LONG}");
    for i in 0..9 {
        let at = [0.1 * f64::from(i % 3) - 0.1, 0.1 * f64::from(i / 3) - 0.1];
        crowded = crowded.with(Overlay::Point { kind: PointKind::End, at, label: LONG.into() });
    }
    Figure::new("", vec![Panel::Field(crowded)])
}

fn long_names() -> Figure {
    let names: Vec<String> = (0..30).map(|i| format!("{i}: {LONG}")).collect();
    let bars = Bars {
        title: LONG.into(),
        value: Axis::log(LONG),
        names: names.clone(),
        groups: vec![
            Group {
                name: LONG.into(),
                values: (0..30).map(|i| 10f64.powi(i % 13 - 6)).collect(),
                errors: vec![1e-3; 30],
            },
            Group {
                name: "with gaps".into(),
                values: (0..30).map(|i| if i % 3 == 0 { f64::NAN } else { -1.0 + f64::from(i) }).collect(),
                errors: vec![],
            },
        ],
    };
    let matrix = Matrix {
        title: LONG.into(),
        rows: names,
        columns: (0..200).map(|i| format!("{}", i * 1000)).collect(),
        columns_label: LONG.into(),
        value: Axis::log(LONG),
        values: (0..6000).map(|i| if i % 7 == 0 { f64::NAN } else { (10.0 * noise(i, 1)).exp() }).collect(),
        colours: ColourMap::Cividis,
    };
    Figure::new("", vec![Panel::Bars(bars), Panel::Matrix(matrix)])
}

pub(crate) fn all() -> Vec<(&'static str, Figure)> {
    let t: Vec<f64> = (0..30).map(f64::from).collect();
    let of = |f: &dyn Fn(f64) -> f64| t.iter().map(|t| f(*t)).collect::<Vec<_>>();
    vec![
        ("hostile-one-point", lines(vec![Series::new("only", vec![3.0], vec![5.0])], Axis::linear("loss"))),
        ("hostile-nothing", lines(vec![Series::new("nothing", vec![], vec![])], Axis::log("loss"))),
        (
            "hostile-all-nan",
            lines(
                vec![
                    Series::new("nothing", t.clone(), vec![f64::NAN; 30]),
                    Series::new("infinite", t.clone(), vec![f64::INFINITY; 30]),
                ],
                Axis::linear("loss"),
            ),
        ),
        (
            "hostile-all-equal",
            lines(vec![Series::new("constant", t.clone(), vec![0.25; 30])], Axis::linear("loss")),
        ),
        (
            "hostile-equal-log",
            lines(
                vec![Series::new("constant", t.clone(), vec![1e-7; 30]).marked(Mark::Dots)],
                Axis::log("loss"),
            ),
        ),
        (
            "hostile-twelve-decades",
            lines(
                vec![
                    Series::new("falling", t.clone(), of(&|t| 10f64.powf(3.0 - t * 0.41))),
                    Series::new("slower", t.clone(), of(&|t| 10f64.powf(3.0 - t * 0.2))),
                ],
                Axis::log("loss"),
            ),
        ),
        (
            "hostile-gaps",
            lines(
                vec![
                    Series::new(
                        "with gaps",
                        t.clone(),
                        of(&|t| if (t as usize) % 7 == 3 || t > 25.0 { f64::NAN } else { t.sin() }),
                    ),
                    Series::new(
                        "single points",
                        t.clone(),
                        of(&|t| if (t as usize).is_multiple_of(2) { t.cos() } else { f64::NAN }),
                    ),
                ],
                Axis::linear("loss"),
            ),
        ),
        (
            "hostile-negative",
            lines(
                vec![Series::new("log-likelihood", t.clone(), of(&|t| -1e6 + 3e3 * t))],
                Axis::linear("negative loss"),
            ),
        ),
        (
            "hostile-huge",
            lines(
                vec![
                    Series::new("huge", t.clone(), of(&|t| 1e300 * (t - 10.0) * 1e7)),
                    Series::new("tiny", t.clone(), of(&|t| 1e-300 * t)),
                ],
                Axis::linear("loss"),
            ),
        ),
        (
            "hostile-narrow-range",
            lines(
                vec![Series::new("nearly constant", t.clone(), of(&|t| 12_345.678 + 1e-7 * t.sin()))],
                Axis::linear("loss"),
            ),
        ),
        ("hostile-long-labels", long_labels()),
        ("hostile-many-series", many()),
        ("hostile-meeting-ends", meeting_ends()),
        ("hostile-small-panel", Figure { panel_size: Some([170.0, 130.0]), ..long_labels() }),
        (
            "hostile-constant-field",
            Figure::new(
                "",
                vec![
                    Panel::Field(field("all equal", |_, _| 0.5)),
                    Panel::Field(Field { shading: Shading::Smooth, ..field("all zero", |_, _| 0.0) }),
                ],
            ),
        ),
        (
            "hostile-negative-field",
            Figure::new(
                "",
                vec![
                    Panel::Field(field("negative losses", |x, y| -3.0 + x * x - y)),
                    Panel::Field(field("one direction only", |x, _| x.exp())),
                ],
            ),
        ),
        (
            "hostile-twelve-decade-field",
            Figure::new(
                "",
                vec![
                    Panel::Field(field("twelve decades", |x, y| {
                        10f64.powf(-9.0 + 12.0 * (x * x + y * y) / 2.0)
                    })),
                    Panel::Field(field(
                        "one huge value",
                        |x, y| {
                            if x.min(y) > 0.99 { 1e30 } else { basin(x, y) }
                        },
                    )),
                ],
            ),
        ),
        ("hostile-crowded-field", crowded_field()),
        ("hostile-long-names", long_names()),
        (
            "hostile-surface",
            Figure::new(
                "",
                vec![
                    Panel::Surface(Surface::new(
                        "holes",
                        [LONG.into(), LONG.into(), LONG.into()],
                        grid(21, 1.0, |x, y| if x > 0.3 && y > 0.3 { f64::NAN } else { basin(x, y) }),
                    )),
                    Panel::Surface(Surface::new(
                        "flat, far from the origin",
                        ["x".into(), "y".into(), "z".into()],
                        rectangle([2, 5], [1e5, 1e5 + 1.0], [-3e-7, 4e-7], |_, _| -2.0),
                    )),
                ],
            ),
        ),
    ]
}
