//! `relief surface`: the loss on a plane around a checkpoint, as a picture.

use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_hessian::Objective;
use relief_landscape::{RandomDirection, Scan, Slice, cosine, orthogonalised};
use serde::Serialize;

use crate::arguments::{Format, RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::saved::Results;
use crate::scans::{self, DirectionArguments, ScanArguments, nodes};
use crate::{interrupt, numbers, output, report, surfaces};

/// Draw the loss on a random plane around a checkpoint
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief surface notebooks-data/digits-sgd.safetensors -o surface.png
  relief surface notebooks-data/digits-sgd.safetensors --perspective -o surface.svg
  relief surface net.pth --model resnet20 --data cifar/ --limit 1000 --grid 51 -o surface.html
  relief surface notebooks-data/digits-sgd.safetensors --grid 17 --plot
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.json
  relief surface notebooks-data/digits-sam.safetensors -o sam.json
  relief plot sgd.json sam.json -o both.png      with the same levels")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Points along each direction; an odd number has the checkpoint itself among them
    #[arg(long, value_name = "N", default_value_t = 33, help_heading = "Grid")]
    grid: usize,

    /// From where to where, in units of the directions
    #[arg(long, value_name = "A:B", default_value = "-1:1", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range: [f64; 2],

    /// The second direction's range, where it is another one
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range_y: Option<[f64; 2]>,

    #[command(flatten)]
    directions: DirectionArguments,

    /// Make the second direction orthogonal to the first; random ones nearly are
    #[arg(long, help_heading = "Directions")]
    orthogonal: bool,

    /// What the colours show
    #[arg(long, value_enum, default_value = "loss", help_heading = "Output")]
    show: Show,

    /// Draw a lit surface instead of a map
    #[arg(long, help_heading = "Output")]
    perspective: bool,

    /// Draw the map in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    #[command(flatten)]
    scan: ScanArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// What the colours show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    Loss,
    Accuracy,
}

/// The `result` of `relief surface`.
#[derive(Debug, Serialize)]
pub(crate) struct Surface {
    pub(crate) plane: Plane,
    /// The coordinates along each direction.
    pub(crate) axes: [Vec<f64>; 2],
    /// Rows of one second coordinate each; null where the loss is not finite.
    pub(crate) loss: Vec<Vec<f64>>,
    /// As `loss`; absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Vec<Vec<f64>>>,
}

/// How the plane was made.
#[derive(Debug, Serialize)]
pub(crate) struct Plane {
    pub(crate) kind: &'static str,
    /// What a coordinate of 1 is.
    pub(crate) unit: &'static str,
    pub(crate) directions: relief_landscape::RandomDirection,
    pub(crate) orthogonal: bool,
    /// Cosine of the angle between the two directions.
    pub(crate) cosine: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if arguments.grid < 2 {
        return Err(Failure::Usage(format!("--grid is {}: give at least 2 points", arguments.grid)));
    }
    if let Some(path) = &arguments.run.print.output {
        surfaces::check_extension(path)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let loaded = load::load(&arguments.task, None)?;
    if arguments.show == Show::Accuracy && loaded.accuracy.is_none() {
        return Err(Failure::Usage(
            "--show accuracy needs classes, which these targets are not: leave it out".into(),
        ));
    }
    let chosen = arguments.directions.direction(arguments.run.seed, 0);
    let ranges = [arguments.range, arguments.range_y.unwrap_or(arguments.range)];
    let axes = ranges.map(|range| nodes(range, arguments.grid));
    let context = scans::context(&loaded, &format!("{chosen:?} {} {axes:?}", arguments.orthogonal));
    let planned = Planned::random(&loaded, chosen, axes, arguments.orthogonal)?;
    let Some(found) = scans::run(&planned.slice, &loaded.task, &arguments.scan, &context, "surface")? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let envelope = envelope(arguments.run.seed, &loaded, planned.found(&found), begun)?;
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    let saved = Results::of(&json, "the result")?.surfaces;
    if let Some(path) = &arguments.run.print.output {
        if path.extension().is_some_and(|e| e == "json") {
            output::write(path, (json.clone() + "\n").as_bytes())?;
        } else {
            surfaces::figure("", &saved, arguments.show, arguments.perspective)?.save(path)?;
        }
    }
    match arguments.run.print.format {
        Format::Json => output::print(&json),
        Format::Human => {
            output::print(&human(&envelope));
            if arguments.plot {
                output::print(&format!("\n{}", surfaces::in_characters(&saved, arguments.show)?));
            }
        }
    }
    Ok(exit::Outcome::Done)
}

/// A measured surface with where it comes from.
pub(crate) fn envelope(
    seed: u64,
    loaded: &Loaded,
    surface: Surface,
    begun: Instant,
) -> Result<Envelope<Surface>, Failure> {
    let loss = loaded.task.measure(loaded.task.objective.parameters())?.loss;
    let evaluations = surface.axes[0].len() * surface.axes[1].len() + 1;
    let work = Work { products: 0, gradients: 0, evaluations, seconds: begun.elapsed().as_secs_f64() };
    Ok(Envelope::new("relief/surface/1", seed, loaded, Point::with_loss(loss), (surface, work)))
}

/// A plane before it is measured.
pub(crate) struct Planned {
    pub(crate) slice: Slice,
    plane: Plane,
    axes: [Vec<f64>; 2],
    classes: bool,
}

impl Planned {
    /// The plane of the first two random directions of a family.
    pub(crate) fn random(
        loaded: &Loaded,
        chosen: RandomDirection,
        axes: [Vec<f64>; 2],
        orthogonal: bool,
    ) -> Result<Self, Failure> {
        let at = loaded.task.objective.parameters();
        let first = chosen.draw(at)?;
        let mut second = RandomDirection { nth: chosen.nth + 1, ..chosen }.draw(at)?;
        if orthogonal {
            second = orthogonalised(&second, &first);
        }
        let unit = scans::unit(chosen.normalisation);
        let plane =
            Plane { kind: "random", unit, directions: chosen, orthogonal, cosine: cosine(&first, &second) };
        let slice = Slice::new(at, vec![first, second], axes.to_vec())?;
        Ok(Self { slice, plane, axes, classes: loaded.accuracy.is_some() })
    }

    /// The result, once it is measured.
    pub(crate) fn found(self, scan: &Scan) -> Surface {
        let columns = self.axes[0].len();
        let rows = |which: usize| -> Vec<Vec<f64>> {
            scan.measure(which).chunks(columns).map(<[f64]>::to_vec).collect()
        };
        Surface { loss: rows(0), accuracy: self.classes.then(|| rows(1)), plane: self.plane, axes: self.axes }
    }
}

fn human(envelope: &Envelope<Surface>) -> String {
    let Surface { plane, axes, loss, .. } = &envelope.result;
    let all = || {
        let cells =
            loss.iter().enumerate().flat_map(|(j, row)| row.iter().enumerate().map(move |(i, v)| (*v, i, j)));
        cells.filter(|(v, ..)| v.is_finite())
    };
    let place = |cell: Option<(f64, usize, usize)>| {
        cell.map_or("none is finite".to_string(), |(v, i, j)| {
            format!("{} at ({:.3}, {:.3})", numbers::plain(v), axes[0][i], axes[1][j])
        })
    };
    let diverged = axes[0].len() * axes[1].len() - all().count();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!(
            "  {} x {} points on a {} plane, in {}",
            axes[0].len(),
            axes[1].len(),
            plane.kind,
            plane.unit
        ),
        format!("  cosine between the directions {:.4}", plane.cosine),
        format!("  lowest loss {}", place(all().min_by(|a, b| a.0.total_cmp(&b.0)))),
        format!("  highest loss {}", place(all().max_by(|a, b| a.0.total_cmp(&b.0)))),
    ];
    if diverged > 0 {
        out.push(format!("  {diverged} points have no finite loss"));
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
