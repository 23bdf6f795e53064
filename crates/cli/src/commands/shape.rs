//! `relief shape`: the shape of a saved surface.

use std::path::PathBuf;

use clap::Args;
use relief_landscape::{Basin, Heights, MergeTree, Pair, Roughness, SaddleMinimumDistance, roughness};
use serde::Serialize;

use crate::arguments::PrintArguments;
use crate::exit::{Failure, Outcome};
use crate::saved::{Results, Saved};
use crate::surfaces::Surface;
use crate::{numbers, output, table};

/// Measure the shape of a saved surface: its minima and the passes between them, the basin at a level, its roughness
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.json
  relief shape sgd.json
  relief shape sgd.json --level 0.5 --format json

Everything is about the surface between the points as triangles, of the logarithm (base 10) of the loss.")]
pub(crate) struct Arguments {
    /// Saved surfaces (relief surface ... -o FILE.json)
    #[arg(required = true, value_name = "RESULT")]
    results: Vec<PathBuf>,

    /// Loss up to which the basin around the lowest point is measured [default: 0.1 or the lowest loss itself above the
    /// lowest loss, whichever is more]
    #[arg(long, value_name = "L")]
    level: Option<f64>,

    /// Leave out minima that are separated by a pass of less than this, in logarithms (base 10) of the loss
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    persistence: f64,

    #[command(flatten)]
    print: PrintArguments,
}

/// What is printed.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the key's name is part of the format")]
struct Shapes {
    schema: &'static str,
    version: &'static str,
    shapes: Vec<Shape>,
}

/// The shape of a surface; heights are logarithms (base 10) of the loss.
#[derive(Debug, Serialize)]
struct Shape {
    name: String,
    /// Every minimum with the pass to a lower one, by falling persistence.
    minima: Vec<Pair>,
    /// Mean height of passes above their minima; absent with one minimum.
    saddle_minimum_distance: Option<SaddleMinimumDistance>,
    roughness: Roughness,
    /// The loss up to which the basin reaches.
    level: f64,
    basin: Option<Basin>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if let Some(path) = &arguments.print.output {
        output::check_writable(path)?;
    }
    if let Some(level) = arguments.level.filter(|level| !level.is_finite() || *level <= 0.0) {
        return Err(Failure::Usage(format!("--level is {level}: give a loss above 0")));
    }
    let mut results = Results::default();
    for path in &arguments.results {
        let json = std::fs::read_to_string(path)
            .map_err(|e| Failure::Input(format!("`{}` cannot be read: {e}", path.display())))?;
        results.read(&json, &path.display().to_string())?;
    }
    if results.surfaces.is_empty() {
        return Err(Failure::Usage(
            "there is no surface among the results: save one with relief surface -o FILE.json".into(),
        ));
    }
    let shapes = results.surfaces.iter().map(|saved| shape(saved, arguments)).collect::<Result<_, _>>()?;
    let shapes = Shapes { schema: "relief/shape/1", version: env!("CARGO_PKG_VERSION"), shapes };
    output::present(&arguments.print, &shapes, || human(&shapes))?;
    Ok(Outcome::Done)
}

fn shape(saved: &Saved<Surface>, arguments: &Arguments) -> Result<Shape, Failure> {
    let (axes, loss) = saved.result.losses();
    let logs = loss.iter().map(|loss| if *loss > 0.0 { loss.log10() } else { f64::NAN }).collect();
    let heights = Heights::new(axes, logs)?;
    let tree = MergeTree::sublevel(&heights).simplified(arguments.persistence);
    let minima = tree.pairs().to_vec();
    let lowest = minima.iter().map(|pair| &pair.minimum).min_by(|a, b| a.height.total_cmp(&b.height));
    let Some(lowest) = lowest else {
        let name = saved.name();
        return Err(Failure::Input(format!("no loss of `{name}` is a number above 0: there is no shape")));
    };
    let least = 10f64.powf(lowest.height);
    let level = arguments.level.unwrap_or(least + least.max(0.1));
    let basin = Basin::around(&heights, &lowest.coordinates, level.log10())?;
    Ok(Shape {
        name: saved.name(),
        saddle_minimum_distance: (minima.len() > 1).then(|| tree.saddle_minimum_distance()),
        minima,
        roughness: roughness(&heights),
        level,
        basin,
    })
}

/// Minima in the table at most.
const SHOWN: usize = 20;

fn human(shapes: &Shapes) -> String {
    let mut out = vec![];
    for shape in &shapes.shapes {
        let count = shape.minima.len();
        out.push(format!("{}: {count} {}", shape.name, if count == 1 { "minimum" } else { "minima" }));
        let loss = |height: f64| numbers::plain(10f64.powf(height));
        let row = |pair: &Pair| {
            let at = &pair.minimum.coordinates;
            vec![
                format!("({:.3}, {:.3})", at[0], at[1]),
                loss(pair.minimum.height),
                pair.saddle.as_ref().map_or("-".into(), |saddle| loss(saddle.height)),
                pair.saddle.as_ref().map_or("-".into(), |_| format!("{:.3}", pair.persistence())),
            ]
        };
        let rows: Vec<Vec<String>> = shape.minima.iter().take(SHOWN).map(row).collect();
        out.push(table::render(&["minimum at", "loss", "loss of its pass", "persistence (log10)"], &rows));
        if count > SHOWN {
            out.push(format!("  and {} more (--format json has all)", count - SHOWN));
        }
        if let Some(found) = &shape.saddle_minimum_distance {
            out.push(format!("  saddle-minimum average distance {} (log10)", numbers::plain(found.mean)));
        }
        out.extend(shape.basin.as_ref().map(|basin| measured(basin, shape.level)));
        let variation: Vec<String> =
            shape.roughness.variation.iter().map(|v| format!("{:.3}", v.mean)).collect();
        out.push(format!(
            "  roughness: residual of a quadratic {}; excess total variation along the axes {}",
            shape.roughness.residual.map_or("-".into(), numbers::plain),
            variation.join(" and ")
        ));
        out.push(String::new());
    }
    out.join("\n").trim_end().to_string()
}

fn measured(basin: &Basin, level: f64) -> String {
    let width = |line: &relief_landscape::Extent| {
        format!("{}{:.4}", if line.bounded { "" } else { "at least " }, line.width())
    };
    let widths: Vec<String> = basin.lines.iter().map(width).collect();
    let border = if basin.touches_border { "; it reaches the border, so these are lower bounds" } else { "" };
    format!(
        "  basin of the lowest point up to loss {}: area {}, widths {}{border}",
        numbers::plain(level),
        numbers::plain(basin.volume),
        widths.join(" and ")
    )
}
