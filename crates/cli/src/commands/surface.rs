//! `relief surface`: the loss on a plane around a checkpoint, as a picture.

use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_landscape::{Points, Scan};

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load;
use crate::planes::{Choice, Extent, Planned, Surface};
use crate::saved::Results;
use crate::scans::{self, DirectionArguments, Job, ScanArguments};
use crate::survey::{Lies, Survey, SurveyArguments};
use crate::{interrupt, numbers, output, report, surfaces};

/// Draw the loss on a plane around a checkpoint: a random one, or that of the top eigenvectors
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief surface notebooks-data/digits-sgd.safetensors -o surface.png
  relief surface notebooks-data/digits-sgd.safetensors --perspective -o surface.svg
  relief surface notebooks-data/digits-sgd.safetensors --plane eigen -o eigen.png
  relief surface notebooks-data/digits-sgd.safetensors --plane along:gradient,eigen:1 --with-test -o test.json
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

    /// Points along the second direction, where they are other ones
    #[arg(long, value_name = "N", help_heading = "Grid")]
    grid_y: Option<usize>,

    /// From where to where, in units of the directions [default: -1:1 along random ones; else to where the loss, or its
    /// quadratic model along eigenvectors, has risen by 0.1 or doubled]
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range: Option<[f64; 2]>,

    /// The second direction's range, where it is another one
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range_y: Option<[f64; 2]>,

    /// random: of two random directions. eigen: of the two top eigenvectors of the Hessian, with the quadratic model dashed.
    /// along:A,B: of two of random, eigen:1, eigen:2, ..., gradient, sam, sam-inf, asam, adam, or safetensors files
    #[arg(long, default_value = "random", help_heading = "Directions")]
    plane: Choice,

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
    survey: SurveyArguments,

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

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    let counts = [arguments.grid, arguments.grid_y.unwrap_or(arguments.grid)];
    if let Some(few) = counts.into_iter().find(|n| *n < 2) {
        return Err(Failure::Usage(format!("--grid is {few}: give at least 2 points")));
    }
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let seed = arguments.run.seed;
    let loaded = load::load(&arguments.task, None, seed)?;
    if arguments.show == Show::Accuracy && loaded.accuracy.is_none() {
        return Err(Failure::Usage(
            "--show accuracy needs classes, which these targets are not: leave it out".into(),
        ));
    }
    let family = arguments.directions.direction(seed, 0);
    let extent = Extent { counts, ranges: [arguments.range, arguments.range_y.or(arguments.range)] };
    let planned =
        Planned::new(&loaded, &arguments.run, &arguments.plane, family, arguments.orthogonal, &extent)?;
    let Some(planned) = planned else {
        eprintln!("interrupted before the first point: there is nothing to resume");
        return Ok(exit::Outcome::Interrupted);
    };
    let survey = Survey::new(&loaded, &arguments.task, &arguments.survey, seed, Lies::Around)?;
    let job = Job { points: &planned.slice, survey: &survey, what: "surface" };
    let context = format!("{} {}", loaded.identity(), planned.context());
    let order = (0..planned.slice.count()).collect();
    let stops = [planned.slice.count()];
    let Some(found) = job.run(&arguments.scan, &context, order, &stops, &mut |_| Ok(false))? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let envelope = envelope(seed, &survey, planned, &found, begun);
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

/// A measured surface with where it comes from.
pub(crate) fn envelope(
    seed: u64,
    survey: &Survey<'_>,
    planned: Planned,
    found: &Scan,
    begun: Instant,
) -> Envelope<Surface> {
    let (products, gradients, evaluations) = planned.work;
    let evaluations = evaluations + survey.passes() * found.values().len() + 1;
    let work = Work { products, gradients, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let columns = planned.axes[0].len();
    let rows = |values: Vec<f64>| values.chunks(columns).map(<[f64]>::to_vec).collect();
    let result = (planned.found(survey.found(found, rows), survey.cap), work);
    let mut envelope =
        Envelope::new("relief/surface/1", seed, survey.loaded, Point::with_loss(survey.loaded.loss), result);
    envelope.notes.extend(survey.note());
    envelope
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
            "  {} x {} points on a plane: {} and {}",
            axes[0].len(),
            axes[1].len(),
            plane.labels[0],
            plane.labels[1]
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
