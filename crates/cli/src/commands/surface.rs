//! `relief surface`: the loss on a plane around a checkpoint, as a picture.

use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_landscape::Scan;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::planes::{Planned, Surface};
use crate::saved::{Kind, Results};
use crate::scans::{self, DirectionArguments, ScanArguments, nodes};
use crate::{interrupt, numbers, output, report, surfaces};

/// Draw the loss on a plane around a checkpoint: a random one, or that of the top eigenvectors
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief surface notebooks-data/digits-sgd.safetensors -o surface.png
  relief surface notebooks-data/digits-sgd.safetensors --perspective -o surface.svg
  relief surface notebooks-data/digits-sgd.safetensors --plane eigen -o eigen.png
  relief surface net.pth --model resnet20 --data cifar/ --limit 1000 --grid 51 -o surface.html
  relief surface notebooks-data/digits-sgd.safetensors --grid 17 --plot
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.vtp    for ParaView
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.json
  relief surface notebooks-data/digits-sam.safetensors -o sam.json
  relief plot sgd.json sam.json -o both.png      with the same levels
  relief plot sgd.json -o sgd.npz                for NumPy")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Points along each direction; an odd number has the checkpoint itself among them
    #[arg(long, value_name = "N", default_value_t = 33, help_heading = "Grid")]
    grid: usize,

    /// From where to where, in units of the directions [default: -1:1; along eigenvectors, where the quadratic model has
    /// risen by 0.1, or by the loss]
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range: Option<[f64; 2]>,

    /// The second direction's range, where it is another one
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range_y: Option<[f64; 2]>,

    /// The plane of two random directions, or of the two top eigenvectors of the Hessian, with the quadratic model dashed
    #[arg(long, value_enum, default_value = "random", help_heading = "Directions")]
    plane: PlaneArgument,

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

/// Which plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlaneArgument {
    Random,
    Eigen,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if arguments.grid < 2 {
        return Err(Failure::Usage(format!("--grid is {}: give at least 2 points", arguments.grid)));
    }
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Surface)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let loaded = load::load(&arguments.task, None)?;
    if arguments.show == Show::Accuracy && loaded.accuracy.is_none() {
        return Err(Failure::Usage(
            "--show accuracy needs classes, which these targets are not: leave it out".into(),
        ));
    }
    let Some(planned) = arguments.plan(&loaded)? else {
        eprintln!("interrupted before the first point: there is nothing to resume");
        return Ok(exit::Outcome::Interrupted);
    };
    let context = scans::context(&loaded, &planned.context());
    let Some(found) = scans::run(&planned.slice, &loaded.task, &arguments.scan, &context, "surface")? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let envelope = envelope(arguments.run.seed, &loaded, planned, &found, begun);
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    let saved = Results::of(&json, "the result")?.surfaces;
    let characters = arguments.plot.then(|| surfaces::in_characters(&saved, arguments.show)).transpose()?;
    output::present_drawn(
        &arguments.run.print,
        &json,
        || human(&envelope),
        || surfaces::figure("", &saved, arguments.show, arguments.perspective),
        characters,
    )?;
    let converged = envelope.result.plane.converged();
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Arguments {
    fn plan(&self, loaded: &Loaded) -> Result<Option<Planned>, Failure> {
        match self.plane {
            PlaneArgument::Random => {
                let first = self.range.unwrap_or([-1.0, 1.0]);
                let axes = [first, self.range_y.unwrap_or(first)].map(|range| nodes(range, self.grid));
                let chosen = self.directions.direction(self.run.seed, 0);
                Planned::random(loaded, chosen, axes, self.orthogonal).map(Some)
            }
            PlaneArgument::Eigen => {
                if self.range.is_none() && self.range_y.is_some() {
                    return Err(Failure::Usage(
                        "--range-y needs --range along eigenvectors: give both".into(),
                    ));
                }
                let ranges = self.range.map(|first| [first, self.range_y.unwrap_or(first)]);
                Planned::eigen(loaded, &self.run, self.grid, ranges)
            }
        }
    }
}

/// A measured surface with where it comes from.
pub(crate) fn envelope(
    seed: u64,
    loaded: &Loaded,
    planned: Planned,
    found: &Scan,
    begun: Instant,
) -> Envelope<Surface> {
    let (products, gradients) = planned.work;
    let evaluations = found.values.len() + 1;
    let work = Work { products, gradients, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let result = (planned.found(found), work);
    Envelope::new("relief/surface/1", seed, loaded, Point::with_loss(loaded.loss), result)
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
            "  {} x {} points on the {} plane, in {}",
            axes[0].len(),
            axes[1].len(),
            plane.kind,
            plane.unit
        ),
        match &plane.model {
            Some(model) => {
                let values: Vec<String> =
                    model.pairs.iter().map(|p| numbers::with_bound(p.value, p.error_bound)).collect();
                format!("  eigenvalues {}", values.join(" and "))
            }
            None => format!("  cosine between the directions {:.4}", plane.cosine),
        },
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
