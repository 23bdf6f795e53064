//! Figures as they appear in papers, from made-up numbers of the usual shapes.

use relief_plot::{
    Animation, Axis, Bars, ColourMap, Field, Figure, Grid, Group, Levels, Lines, Mark, Matrix, Overlay,
    Panel, PathKind, PointKind, Quadratic, Reference, Scale, Series, Shading, Surface, studies,
};

fn steps(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 * 20.0).collect()
}

/// Numbers that look random and are the same everywhere.
pub(crate) fn noise(i: usize, seed: usize) -> f64 {
    let x = (i as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43_758.547;
    2.0 * (x - x.floor()) - 1.0
}

pub(crate) fn grid(n: usize, range: f64, f: impl Fn(f64, f64) -> f64) -> Grid {
    rectangle([n, n], [-range, range], [-range, range], f)
}

pub(crate) fn rectangle([nx, ny]: [usize; 2], x: [f64; 2], y: [f64; 2], f: impl Fn(f64, f64) -> f64) -> Grid {
    let nodes = |n: usize, [a, b]: [f64; 2]| -> Vec<f64> {
        (0..n).map(|i| a + (b - a) * i as f64 / (n - 1) as f64).collect()
    };
    let (x, y) = (nodes(nx, x), nodes(ny, y));
    let values = y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y))).map(|(x, y)| f(x, y)).collect();
    Grid::new(x, y, values).expect("the nodes increase")
}

/// A basin with ridges: positive, over three decades.
pub(crate) fn basin(x: f64, y: f64) -> f64 {
    let r = x * x + 1.6 * y * y + 0.5 * x * y;
    0.004 + 1.1 * r + 0.35 * r * (3.0 * x + 1.0).sin().powi(2) * (2.5 * y).cos().powi(2)
}

/// Two minima with a barrier between them and a bent valley around it.
fn two_minima(x: f64, y: f64) -> f64 {
    let valley = (y - 1.2 * (1.0 - x * x)).powi(2);
    let wall = (x * x - 1.0).powi(2) * 0.15;
    0.01 + 0.9 * valley + wall + 0.02 * (x * x + y * y)
}

fn sharpness(t: f64, edge: f64, speed: f64, seed: usize) -> f64 {
    let rise = edge * (1.0 - (-t / speed).exp());
    if t > 3.0 * speed {
        rise * (1.0 + 0.04 * noise(t as usize, seed))
    } else {
        rise * (1.0 + 0.01 * noise(t as usize, seed))
    }
}

fn edge_of_stability() -> Figure {
    let t = steps(120);
    let with = |edge, speed, seed| t.iter().map(|t| sharpness(*t, edge, speed, seed)).collect::<Vec<_>>();
    let panel = Lines::new(
        "MNIST perceptron, full batch",
        Axis::linear("step"),
        Axis::linear("largest eigenvalue λ₁"),
    )
    .with(Series::new("gradient descent", t.clone(), with(20.0, 350.0, 1)))
    .with(Series::new("SAM, ρ = 0.1", t.clone(), with(9.0, 300.0, 2)))
    .with_reference(Reference::level(20.0, "2/η"))
    .with_reference(Reference::level(9.2, "SAM-edge"))
    .with_reference(Reference::event(1500.0, "η halved"));
    Figure::new("", vec![Panel::Lines(panel)])
}

fn seeds() -> Figure {
    let t = steps(80);
    let curve = |a: f64, b: f64| t.iter().map(|t| a + b * (-t / 400.0).exp()).collect::<Vec<_>>();
    let band = |mean: &[f64], w: f64| {
        let moved =
            |s: f64| mean.iter().enumerate().map(|(i, m)| m + s * w * (1.0 + 0.3 * noise(i, 3))).collect();
        (moved(-1.0), moved(1.0))
    };
    let mut panel =
        Lines::new("Test error over training", Axis::linear("step"), Axis::linear("test error (%)"));
    for (name, a, b, w) in [("SGD", 7.0, 60.0, 0.8), ("SAM", 5.6, 62.0, 0.6), ("Eigen-SAM", 5.1, 63.0, 0.7)] {
        let mean = curve(a, b);
        let (low, high) = band(&mean, w);
        panel = panel.with(Series::new(name, t.clone(), mean).banded(low, high));
    }
    Figure::new("", vec![Panel::Lines(panel)]).captioned("Mean and 95 % band of three seeds.")
}

fn twin_axes() -> Figure {
    let t: Vec<f64> = (0..=60).map(|i| -0.25 + f64::from(i) / 40.0).collect();
    let loss: Vec<f64> = t
        .iter()
        .map(|t| {
            0.02 + 2.0 * (t * (t - 1.0)).abs().powf(1.3) + 0.3 * (t * std::f64::consts::PI).sin().powi(2)
        })
        .collect();
    let accuracy = loss.iter().map(|l| 100.0 * (-l).exp()).collect();
    let panel = Lines::new("From SGD's minimum (0) to SAM's (1)", Axis::linear("t"), Axis::log("loss"))
        .with_right_axis(Axis::linear("accuracy (%)").between(0.0, 105.0))
        .with(Series::new("loss", t.clone(), loss.clone()))
        .with(
            Series::new("loss, test", t.clone(), loss.iter().map(|l| l * 1.4 + 0.05).collect())
                .marked(Mark::Dashed)
                .coloured(0),
        )
        .with(Series::new("accuracy", t, accuracy).on_the_right().coloured(1));
    Figure::new("", vec![Panel::Lines(panel)])
}

fn shared_axis() -> Figure {
    let t = steps(100);
    let drop = |f: fn(f64) -> f64| t.iter().map(|t| f(*t)).collect::<Vec<_>>();
    let panel = |y: Axis, series: Series| {
        Panel::Lines(
            Lines::new("", Axis::linear("step"), y).with(series).with_reference(Reference::event(1000.0, "")),
        )
    };
    let panels = vec![
        panel(Axis::log("loss"), Series::new("", t.clone(), drop(|t| 2.3 * (-t / 300.0).exp() + 0.003))),
        panel(Axis::linear("λ₁"), Series::new("", t.clone(), drop(|t| sharpness(t, 40.0, 280.0, 5)))),
        panel(
            Axis::linear("|cos(ε, v₁)|").between(0.0, 1.0),
            Series::new("", t.clone(), drop(|t| 0.9 * (1.0 - (-t / 500.0).exp()))),
        ),
    ];
    Figure {
        share_x: true,
        panel_size: Some([560.0, 190.0]),
        ..Figure::new("Loss, sharpness and alignment", panels).in_columns(1)
    }
}

fn traces() -> Figure {
    let t = steps(90);
    let top: Vec<Vec<f64>> = (0..6)
        .map(|k| {
            t.iter()
                .map(|t| sharpness(*t, 20.0 / (1.0 + 0.35 * k as f64), 250.0 + 60.0 * k as f64, k))
                .collect()
        })
        .collect();
    Figure::new(
        "",
        vec![Panel::Lines(studies::eigenvalue_traces("Top six eigenvalues", &t, &top, &[(20.0, "2/η")]))],
    )
}

fn spectrum() -> Figure {
    let grid: Vec<f64> = (0..800).map(|i| -1.5 + f64::from(i) * 0.035).collect();
    let bump = |x: f64, c: f64, w: f64| (-(x - c).powi(2) / (2.0 * w * w)).exp() / w;
    let outliers = [8.1, 9.4, 11.6, 13.0, 15.2, 18.9, 24.7];
    let density: Vec<f64> = grid
        .iter()
        .map(|x| {
            bump(*x, 0.0, 0.12)
                + 0.02 * bump(*x, 0.8, 0.9)
                + outliers.iter().map(|o| 3e-5 * bump(*x, *o, 0.12)).sum::<f64>()
        })
        .collect();
    let values: Vec<f64> = (0..300).map(|i| -1.0 + f64::from(i) * 0.09).collect();
    let share: Vec<f64> = values.iter().map(|x| 1.0 / (1.0 + (-4.0 * x).exp())).collect();
    let moved = |by: f64| share.iter().map(|s| (s + by).clamp(0.0, 1.0)).collect::<Vec<f64>>();
    let (lower, upper) = (moved(-0.03), moved(0.03));
    Figure::new("ResNet-20 on CIFAR-10, at the end of training", vec![
        Panel::Lines(studies::spectral_density("Spectral density of the Hessian", &grid, &density, &outliers)),
        Panel::Lines(studies::cumulative_spectrum("Cumulative spectrum", &values, &share, [&lower, &upper])),
    ])
    .captioned("5,000 training images, running statistics; 10 probes of 100 Lanczos steps. The band is the bound on the error of the cumulative spectrum.")
}

fn aligned() -> Figure {
    let t = steps(70);
    let curve = |end: f64, speed: f64| t.iter().map(|t| end * (1.0 - (-t / speed).exp())).collect::<Vec<_>>();
    let banded = |name: &str, mean: Vec<f64>| {
        let low = mean.iter().map(|m| m - 0.05).collect();
        let high = mean.iter().map(|m| (m + 0.05).min(1.0)).collect();
        Series::new(name, t.clone(), mean).banded(low, high)
    };
    let curves = vec![
        banded("SAM with v₁", curve(0.55, 500.0)),
        banded("Eigen-SAM with v₁", curve(0.86, 300.0)),
        banded("Eigen-SAM with the top 10", curve(0.95, 150.0)),
    ];
    Figure::new("", vec![Panel::Lines(studies::alignment("Alignment of the SAM perturbation", curves))])
}

fn barrier() -> Figure {
    let t: Vec<f64> = (0..=50).map(|i| f64::from(i) / 50.0).collect();
    let line = t.iter().map(|t| 0.05 + 1.8 * (t * std::f64::consts::PI).sin().powi(2)).collect();
    let curve = t.iter().map(|t| 0.05 + 0.04 * (t * std::f64::consts::PI).sin()).collect();
    let curves = vec![Series::new("straight line", t.clone(), line), Series::new("Bézier curve", t, curve)];
    Figure::new("", vec![Panel::Lines(studies::barrier("Mode connectivity", curves, Scale::Linear))])
}

fn measures() -> Figure {
    let names = [
        "largest eigenvalue",
        "trace / 100",
        "SAM sharpness",
        "adaptive sharpness",
        "Fisher-Rao norm",
        "PAC-Bayes",
    ];
    let group = |name: &str, scale: f64| Group {
        name: name.into(),
        values: (0..6).map(|i| scale * (4.0 + 3.0 * noise(i, 9).abs() + i as f64)).collect(),
        errors: (0..6).map(|i| 0.3 + 0.2 * noise(i, 2).abs()).collect(),
    };
    let bars = Bars {
        title: "Sharpness measures".into(),
        value: Axis::linear("value"),
        names: names.map(String::from).to_vec(),
        groups: vec![group("SGD", 1.0), group("SAM", 0.55)],
    };
    Figure::new("", vec![Panel::Bars(bars)])
}

fn layers() -> Figure {
    let rows: Vec<String> =
        (0..12).map(|i| format!("layer{}.{}.conv{}", i / 4 + 1, i / 2 % 2, i % 2 + 1)).collect();
    let columns: Vec<String> = (0..24).map(|i| format!("{}", i * 50)).collect();
    let values = |signed: bool| -> Vec<f64> {
        (0..12 * 24)
            .map(|k| {
                let (i, j) = (k / 24, k % 24);
                let v = (0.2 * (i as f64 - 6.0)).exp() * (1.0 - (-(j as f64) / 8.0).exp()) + 0.02;
                if signed { v * noise(k, 4) } else { v * (1.0 + 0.2 * noise(k, 4)) }
            })
            .collect()
    };
    let matrix = |title: &str, value: Axis, values: Vec<f64>| {
        Panel::Matrix(Matrix {
            title: title.into(),
            rows: rows.clone(),
            columns: columns.clone(),
            columns_label: "step".into(),
            value,
            values,
            colours: ColourMap::Magma,
        })
    };
    Figure::new(
        "",
        vec![
            matrix("Largest eigenvalue of each layer", Axis::log("λ₁ of the layer's block"), values(false)),
            matrix("Change since the last probe", Axis::linear("Δλ₁"), values(true)),
        ],
    )
}

fn random_plane() -> Field {
    let field = Field::new(
        "Training loss around SGD's minimum",
        Axis::linear("direction 1 (filter-norm units)"),
        Axis::linear("direction 2 (filter-norm units)"),
        "loss",
        grid(41, 1.0, basin),
    );
    field.with(Overlay::Point { kind: PointKind::Centre, at: [0.0, 0.0], label: String::new() })
}

fn smooth_plane() -> Figure {
    let accuracy = grid(41, 1.0, |x, y| 100.0 * (-1.2 * basin(x, y)).exp());
    let field = Field {
        shading: Shading::Smooth,
        scale: Some(Scale::Linear),
        ..Field::new(
            "Test accuracy",
            Axis::linear("direction 1"),
            Axis::linear("direction 2"),
            "accuracy (%)",
            accuracy,
        )
    };
    Figure::new("", vec![Panel::Field(field)])
}

fn connected_minima() -> Figure {
    let plane = rectangle([61, 45], [-1.8, 1.8], [-0.9, 2.2], two_minima);
    let curve: Vec<[f64; 2]> =
        (0..=40).map(|i| -1.0 + f64::from(i) / 20.0).map(|x| [x, 1.2 * (1.0 - x * x)]).collect();
    let mut field = Field::new(
        "A curve of low loss between two minima",
        Axis::linear("u (L2 distance)"),
        Axis::linear("v (L2 distance)"),
        "loss",
        plane,
    )
    .with(Overlay::Path { kind: PathKind::Chord, points: vec![[-1.0, 0.0], [1.0, 0.0]], values: vec![] })
    .with(Overlay::Path { kind: PathKind::Curve, points: curve, values: vec![] })
    .with(Overlay::Point { kind: PointKind::End, at: [-1.0, 0.0], label: "A".into() })
    .with(Overlay::Point { kind: PointKind::End, at: [1.0, 0.0], label: "B".into() })
    .with(Overlay::Point { kind: PointKind::Bend, at: [0.0, 1.9], label: "bend".into() });
    field.equal_aspect = true;
    Figure::new("", vec![Panel::Field(field)])
}

fn trajectory() -> Figure {
    let points: Vec<[f64; 2]> = (0..40)
        .map(|i| f64::from(i) / 6.0)
        .map(|t| [2.6 * (-0.35 * t).exp() * (0.5 * t).cos(), 1.5 * (-0.4 * t).exp() * (0.9 * t + 0.5).sin()])
        .collect();
    let values = points
        .iter()
        .enumerate()
        .map(|(i, p)| two_minima(p[0], p[1]) * (1.0 + 0.2 * noise(i, 8).abs()))
        .collect();
    let plane = rectangle([49, 41], [-2.4, 3.2], [-1.4, 1.8], |x, y| {
        0.01 + 0.6 * x * x + 1.3 * y * y + 0.2 * (2.0 * x).sin().powi(2)
    });
    let drop = points[18];
    let mut field = Field::new(
        "SGD's path, in the plane of its two first principal components",
        Axis::linear("PC1 (81 %)"),
        Axis::linear("PC2 (14 %)"),
        "loss",
        plane,
    )
    .with(Overlay::Path { kind: PathKind::Trajectory, points, values })
    .with(Overlay::Point { kind: PointKind::Event, at: drop, label: "η ÷ 10".into() });
    field.equal_aspect = true;
    Figure::new("", vec![Panel::Field(field)]).captioned(
        "Dots have the colour of their own loss, which is not the plane's: the path leaves it by 0.31 (rms).",
    )
}

fn eigen_plane() -> Figure {
    let loss =
        |x: f64, y: f64| 0.02 + 0.5 * (23.4 * x * x + 6.1 * y * y) + 14.0 * x * x * y * y + 4.0 * x.powi(3);
    let mut field = Field::new(
        "Along the top two eigenvectors",
        Axis::linear("v₁, λ₁ = 23.4"),
        Axis::linear("v₂, λ₂ = 6.1"),
        "loss",
        grid(41, 0.6, loss),
    );
    field.model =
        Some(Quadratic { centre: [0.0, 0.0], value: 0.02, gradient: [0.0, 0.0], hessian: [23.4, 0.0, 6.1] });
    field.equal_aspect = true;
    Figure::new("", vec![Panel::Field(field)]).captioned("Dashed: the quadratic model at the same levels.")
}

fn side_by_side() -> Figure {
    let sgd = grid(41, 1.0, basin);
    let sam = grid(41, 1.0, |x, y| 0.5 * basin(0.6 * x, 0.6 * y) + 0.004);
    let levels = Levels::automatic(&[&sgd, &sam], 18, None).expect("finite values");
    let field = |title: &str, grid: Grid| {
        Panel::Field(Field { levels: Some(levels.clone()), title: title.into(), grid, ..random_plane() })
    };
    Figure::new("The same levels for two minima", vec![field("SGD", sgd), field("SAM", sam)])
}

fn surface(title: &str, path: bool) -> Figure {
    let grid = grid(61, 1.0, basin);
    let mut surface = Surface::new(title, ["direction 1".into(), "direction 2".into(), "loss".into()], grid);
    if path {
        surface.path = (0..30)
            .map(|i| f64::from(i) / 29.0)
            .map(|t| {
                let (x, y) = (0.95 * (1.0 - t), -0.9 * (1.0 - t) * (1.0 - 0.5 * t));
                [x, y, basin(x, y)]
            })
            .collect();
        surface.points = vec![([0.0, 0.0, basin(0.0, 0.0)], "minimum".into())];
    }
    Figure::new("", vec![Panel::Surface(surface)])
}

fn holes() -> Figure {
    let grid = grid(41, 1.5, |x, y| {
        if (x - 0.9).hypot(y + 0.8) < 0.35 {
            f64::NAN
        } else if x < -1.25 {
            f64::INFINITY
        } else {
            basin(2.0 * x, 2.0 * y) * (1.0 + 40.0 * (x * x + y * y).powi(3))
        }
    });
    let levels = Levels::automatic(&[&grid], 18, Some(60.0)).expect("finite values");
    let field = Field {
        levels: Some(levels),
        grid,
        title: "Diverged points are hatched, high ones cut off".into(),
        ..random_plane()
    };
    Figure::new("", vec![Panel::Field(field)])
}

/// A surface that grows steeper, frame by frame.
pub(crate) fn growing() -> Animation {
    let levels = Levels::given((0..=14).map(|i| 0.004 * 1.6f64.powi(i)).collect()).expect("they increase");
    let frames = (0..10).map(|i| {
        let steep = 0.3 + 0.08 * f64::from(i);
        let field = Field {
            levels: Some(levels.clone()),
            grid: grid(31, 1.0, |x, y| basin(steep * x, steep * y)),
            title: format!("step {}", i * 100),
            ..random_plane()
        };
        Figure { panel_size: Some([400.0, 330.0]), ..Figure::new("", vec![Panel::Field(field)]) }
    });
    Animation { density: 1.0, rate: 4.0, ..Animation::new(frames.collect()) }
}

pub(crate) fn all() -> Vec<(&'static str, Figure)> {
    vec![
        ("edge-of-stability", edge_of_stability()),
        ("seeds", seeds()),
        ("twin-axes", twin_axes()),
        ("shared-axis", shared_axis()),
        ("eigenvalue-traces", traces()),
        ("spectrum", spectrum()),
        ("alignment", aligned()),
        ("barrier", barrier()),
        ("measures", measures()),
        ("layers", layers()),
        ("random-plane", Figure::new("", vec![Panel::Field(random_plane())])),
        ("accuracy", smooth_plane()),
        ("connected-minima", connected_minima()),
        ("trajectory", trajectory()),
        ("eigen-plane", eigen_plane()),
        ("side-by-side", side_by_side()),
        ("surface", surface("Training loss around SGD's minimum", false)),
        ("surface-path", surface("A path on the surface", true)),
        ("holes", holes()),
    ]
}
