//! What the test pages show.

use crate::html::{HoverAxis, HoverPanel, HoverSeries, SurfacePoint, SurfaceView};

/// Several wells and bumps over four decades, always positive.
fn loss(x: f64, y: f64) -> f64 {
    let well = |a: f64, b: f64| (x - a).powi(2) + (y - b).powi(2);
    let bump = |a: f64, b: f64, width: f64| (-well(a, b) / width).exp();
    1e-3 + 4.0 * well(0.5, 0.3) * (0.02 + well(-0.6, -0.4))
        + 3.0 * bump(-0.2, 0.6, 0.05)
        + 0.5 * bump(0.1, -0.3, 0.02)
}

pub(super) fn wells(nodes: usize, colours: Vec<String>) -> SurfaceView {
    let axis: Vec<f64> = (0..nodes).map(|k| 2.0 * k as f64 / (nodes - 1) as f64 - 1.0).collect();
    let mut z: Vec<f64> = axis.iter().flat_map(|&y| axis.iter().map(move |&x| loss(x, y))).collect();
    // A few losses that were not finite.
    for (i, j) in [(10, 50), (11, 50), (11, 51), (48, 12)] {
        if i < nodes && j < nodes {
            z[j * nodes + i] = f64::NAN;
        }
    }
    // Gradient descent with momentum, by differences.
    let (mut at, mut velocity, step) = ([0.9, -0.9], [0.0, 0.0], 1e-6);
    let mut path = Vec::new();
    for _ in 0..60 {
        let [x, y]: [f64; 2] = at;
        path.push([x, y, loss(x, y)]);
        let slope = [
            (loss(x + step, y) - loss(x - step, y)) / (2.0 * step),
            (loss(x, y + step) - loss(x, y - step)) / (2.0 * step),
        ];
        for k in 0..2 {
            velocity[k] = 0.85 * velocity[k] - 0.004 * slope[k];
            at[k] += velocity[k];
        }
    }
    let [start, end] = [path[0], path[path.len() - 1]];
    SurfaceView {
        x: axis.clone(),
        y: axis,
        z: z.into_iter().map(Some).collect(),
        labels: ["direction 1".to_owned(), "direction 2".to_owned(), "loss".to_owned()],
        log: true,
        cap: Some(10.0),
        range: [1e-3, 40.0],
        colours,
        path,
        points: vec![
            SurfacePoint { at: start, label: "start".to_owned() },
            SurfacePoint { at: end, label: "end".to_owned() },
            SurfacePoint { at: [-0.6, -0.4, loss(-0.6, -0.4)], label: "other well".to_owned() },
        ],
    }
}

/// From dark blue over green to yellow.
pub(super) fn map() -> Vec<String> {
    let stops = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    (0..256)
        .map(|k| {
            let at = f64::from(k) / 255.0 * 3.999;
            let (from, weight) = (at as usize, at.fract());
            let [r, g, b] = [0, 1, 2].map(|c| stops[from][c] * (1.0 - weight) + stops[from + 1][c] * weight);
            format!("#{:02x}{:02x}{:02x}", r.round() as u8, g.round() as u8, b.round() as u8)
        })
        .collect()
}

pub(super) fn bands() -> Vec<String> {
    map().into_iter().skip(12).step_by(29).collect()
}

fn axis(log: bool, range: [f64; 2], label: &str) -> HoverAxis {
    HoverAxis { log, range, label: label.to_owned() }
}

/// Two losses, one with a gap, and an accuracy on an axis of its own.
pub(super) fn lines() -> HoverPanel {
    let steps: Vec<f64> = (0..=40).map(|k| 50.0 * f64::from(k)).collect();
    let series = |name: &str, colour: &str, axis2, value: &dyn Fn(f64) -> f64| HoverSeries {
        name: name.to_owned(),
        colour: colour.to_owned(),
        x: steps.iter().copied().map(Some).collect(),
        y: steps.iter().map(|&step| Some(value(step))).collect(),
        axis2,
    };
    let mut test = series("test loss", "#b0413e", false, &|step| 0.06 + 1.7 * (-step / 420.0).exp());
    test.y[7] = None;
    HoverPanel {
        frame: [70.0, 30.0, 560.0, 300.0],
        x: axis(false, [0.0, 2000.0], "step"),
        y: axis(true, [0.01, 10.0], "loss"),
        y2: Some(axis(false, [0.0, 1.0], "accuracy")),
        series: vec![
            series("training loss", "#2b6cb0", false, &|step| 0.015 + 2.3 * (-step / 300.0).exp()),
            test,
            series("accuracy", "#4d7c0f", true, &|step| 0.97 - 0.87 * (-step / 350.0).exp()),
        ],
    }
}

/// The panel as a figure: just enough of one, with an id that two figures on a page share.
pub(super) fn lines_svg() -> String {
    let panel = lines();
    let [left, top, width, height] = panel.frame;
    let fraction = |axis: &HoverAxis, value: f64| {
        let scaled = |v: f64| if axis.log { v.ln() } else { v };
        (scaled(value) - scaled(axis.range[0])) / (scaled(axis.range[1]) - scaled(axis.range[0]))
    };
    let polylines: String = panel
        .series
        .iter()
        .map(|series| {
            let y_axis = if series.axis2 { panel.y2.as_ref().unwrap() } else { &panel.y };
            let points: String = series
                .x
                .iter()
                .zip(&series.y)
                .filter_map(|(x, y)| {
                    Some((left + width * fraction(&panel.x, (*x)?), fraction(y_axis, (*y)?)))
                })
                .map(|(x, up)| format!("{x:.2},{:.2} ", top + height * (1.0 - up)))
                .collect();
            format!(
                "<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"{}\" points=\"{points}\"/>\n",
                series.colour
            )
        })
        .collect();
    let texts: String = [
        (left + width / 2.0, top + height + 40.0, "step", "middle"),
        (left, top + height + 18.0, "0", "middle"),
        (left + width, top + height + 18.0, "2000", "middle"),
        (left - 8.0, top + 5.0, "10", "end"),
        (left - 8.0, top + height, "0.01", "end"),
        (left + width + 8.0, top + 5.0, "1", "start"),
        (left + width + 8.0, top + height, "0", "start"),
        (left - 8.0, top - 12.0, "loss", "middle"),
        (left + width, top - 12.0, "accuracy", "middle"),
    ]
    .map(|(x, y, text, anchor)| format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>\n"))
    .concat();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"700\" height=\"390\" viewBox=\"0 0 700 390\" font-family=\"sans-serif\" font-size=\"13\">
<title>Training</title>
<clipPath id=\"area\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/></clipPath>
<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#666\"/>
<g clip-path=\"url(#area)\">
{polylines}</g>
{texts}</svg>
"
    )
}
