//! `relief line`: the loss along a line, random or to another checkpoint.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use relief_hessian::Objective;
use relief_landscape::{Barrier, RandomDirection, Slice, between};
use relief_models::architecture::BatchNormMode;
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::saved::{Kind, Results};
use crate::scans::{self, DirectionArguments, ScanArguments, nodes};
use crate::{interrupt, lines, numbers, output, report};

/// Draw the loss along a line: in a random direction, or to another checkpoint with the barrier between them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief line notebooks-data/digits-sgd.safetensors -o line.png
  relief line notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors -o barrier.png
  relief line net.pth --model resnet20 --data cifar/ --limit 1000 --range -0.5:0.5 --plot
  relief line a.safetensors --to b.safetensors --model mlp --data digits --format json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Another checkpoint of the same network, which lies at 1
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Line")]
    to: Option<PathBuf>,

    /// Points on the line
    #[arg(long, value_name = "N", default_value_t = 61, help_heading = "Line")]
    points: usize,

    /// From where to where [default: -1:1, or -0.25:1.25 with --to]
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Line")]
    range: Option<[f64; 2]>,

    #[command(flatten)]
    directions: DirectionArguments,

    /// Draw the line in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    #[command(flatten)]
    scan: ScanArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// The `result` of `relief line`.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// What a coordinate of 1 is.
    unit: String,
    /// The random direction, or the checkpoint that lies at 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<RandomDirection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Euclidean distance from 0 to 1.
    length: f64,
    t: Vec<f64>,
    /// null where it is not finite.
    loss: Vec<f64>,
    /// Absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<Vec<f64>>,
    /// With `to`, where both ends are among the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    barrier: Option<Barrier>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if arguments.points < 2 {
        return Err(Failure::Usage(format!("--points is {}: give at least 2", arguments.points)));
    }
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Line)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let loaded = load::load(&arguments.task, None)?;
    let (direction, random) = arguments.direction(&loaded)?;
    let default = if arguments.to.is_some() { [-0.25, 1.25] } else { [-1.0, 1.0] };
    let t = nodes(arguments.range.unwrap_or(default), arguments.points);
    let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
    let context = scans::context(&loaded, &format!("{random:?} {:?} {length:e} {t:?}", arguments.to));
    let slice = Slice::new(loaded.task.objective.parameters(), vec![direction], vec![t.clone()])?;
    let Some(found) = scans::run(&slice, &loaded.task, &arguments.scan, &context, "line")? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let loss = found.measure(0);
    let line = Line {
        unit: match random {
            Some(random) => scans::unit(random.normalisation).to_string(),
            None => "distance to the other checkpoint".to_string(),
        },
        direction: random,
        to: arguments.to.as_ref().map(|path| path.display().to_string()),
        length,
        barrier: arguments.to.as_ref().and_then(|_| Barrier::new(&t, &loss)),
        t,
        loss,
        accuracy: loaded.accuracy.map(|_| found.measure(1)),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let work = Work { products: 0, gradients: 0, evaluations: slice.len() + 1, seconds };
    let mut envelope = Envelope::new(
        "relief/line/1",
        arguments.run.seed,
        &loaded,
        Point::with_loss(loaded.loss),
        (line, work),
    );
    if arguments.to.is_some() && loaded.task.batch_norm == Some(BatchNormMode::Eval) {
        let note = "running statistics of batch norm are the first checkpoint's all along the line";
        envelope.notes.push(note.to_string());
    }
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    let saved = Results::of(&json, "the result")?.lines;
    let characters = arguments.plot.then(|| lines::in_characters(&saved));
    output::present_drawn(
        &arguments.run.print,
        &json,
        || human(&envelope),
        || Ok(lines::figure("", &saved)),
        characters,
    )?;
    Ok(exit::Outcome::Done)
}

impl Arguments {
    fn direction(&self, loaded: &Loaded) -> Result<(Vec<f64>, Option<RandomDirection>), Failure> {
        let at = loaded.task.objective.parameters();
        let Some(to) = &self.to else {
            let random = self.directions.direction(self.run.seed, 0);
            return Ok((random.draw(at)?, Some(random)));
        };
        // The same network on the same data, whatever the other checkpoint says of itself.
        let task = TaskArguments {
            checkpoint: to.clone(),
            model: Some(loaded.model.clone()),
            data: Some(loaded.data.source.clone()),
            ..self.task.clone()
        };
        let other = load::load(&task, None)?;
        let direction = between(at, other.task.objective.parameters())?;
        if direction.iter().all(|d| *d == 0.0) {
            return Err(Failure::Input(
                "the two checkpoints have the same parameters: there is no line between them".into(),
            ));
        }
        Ok((direction, None))
    }
}

fn human(envelope: &Envelope<Line>) -> String {
    let Line { t, loss, barrier, to, length, unit, .. } = &envelope.result;
    let mut out = vec![report::head(envelope), String::new()];
    out.push(match to {
        Some(to) => {
            format!("  {} points on the line to {to}, which is {} away", t.len(), numbers::plain(*length))
        }
        None => format!("  {} points in a random direction, in {unit}", t.len()),
    });
    let finite = || t.iter().zip(loss).filter(|(_, loss)| loss.is_finite());
    let place = |point: Option<(&f64, &f64)>| {
        point.map_or("none is finite".to_string(), |(t, loss)| format!("{} at {t:.4}", numbers::plain(*loss)))
    };
    out.push(format!("  lowest loss {}", place(finite().min_by(|a, b| a.1.total_cmp(b.1)))));
    out.push(format!("  highest loss {}", place(finite().max_by(|a, b| a.1.total_cmp(b.1)))));
    if let Some(barrier) = barrier {
        let Barrier { above_line, above_mean, above_ends, mode_connectivity, at } = *barrier;
        out.push(format!(
            "  barrier {} above the line between the ends, at {at:.4}",
            numbers::plain(above_line)
        ));
        out.push(format!(
            "          {} above their mean, {} above the higher one; mode connectivity {}",
            numbers::plain(above_mean),
            numbers::plain(above_ends),
            numbers::plain(mode_connectivity)
        ));
    } else if to.is_some() {
        out.push("  no barrier: 0 and 1 are not both among the points".to_string());
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
