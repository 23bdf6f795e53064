//! `relief line`: the loss along a line, random or to another checkpoint.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use relief_hessian::Objective;
use relief_landscape::{Barrier, Points, RandomDirection, Slice, between};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::directions::{self, Named};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::saved::{Kind, Results};
use crate::scans::{self, DirectionArguments, Job, ScanArguments, nodes};
use crate::survey::{Found, FoundClass, FoundCurvature, Lies, Survey, SurveyArguments};
use crate::{interrupt, lines, numbers, output, points, report};

/// Draw the loss along a line: in some direction, or to another checkpoint with the barrier between them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief line notebooks-data/digits-sgd.safetensors -o line.png
  relief line notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors -o barrier.png
  relief line notebooks-data/digits-sgd.safetensors --along eigen:1 --with-test -o sharpest.png
  relief line net.pth --model resnet20 --data cifar/ --limit 1000 --range -0.5:0.5 --plot
  relief line a.safetensors --to b.safetensors --model mlp --data digits --format json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Another checkpoint of the same network, which lies at 1
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "along", help_heading = "Line")]
    to: Option<PathBuf>,

    /// The line's direction: random, eigen:1, eigen:2, ..., gradient, sam, sam-inf, asam, adam, or a safetensors file with
    /// the parameters' names
    #[arg(long, value_name = "DIRECTION", default_value = "random", help_heading = "Line")]
    along: Named,

    /// Points on the line
    #[arg(long, value_name = "N", default_value_t = 61, help_heading = "Line")]
    points: usize,

    /// From where to where [default: -0.25:1.25 with --to, -1:1 along a random direction, else to where the loss has risen
    /// by 0.1 or doubled]
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Line")]
    range: Option<[f64; 2]>,

    #[command(flatten)]
    directions: DirectionArguments,

    /// Draw the line in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    #[command(flatten)]
    survey: SurveyArguments,

    #[command(flatten)]
    scan: ScanArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// The `result` of `relief line`.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// What the coordinate is.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    standard_error: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<FoundClass<Vec<f64>>>>,
    /// With `to`, where both ends are among the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    barrier: Option<Barrier>,
    /// The same on the test split.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Found<Vec<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_barrier: Option<Barrier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curvature: Option<FoundCurvature<Vec<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<f64>,
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
    let seed = arguments.run.seed;
    let loaded = load::load(&arguments.task, None, seed)?;
    let Some(planned) = arguments.plan(&loaded)? else {
        eprintln!("interrupted before the first point: there is nothing to resume");
        return Ok(exit::Outcome::Interrupted);
    };
    let survey = Survey::new(&loaded, &arguments.task, &arguments.survey, &arguments.run, planned.lies)?;
    let at = loaded.task.objective.parameters();
    let length = planned.direction.iter().map(|d| d * d).sum::<f64>().sqrt();
    let t = planned.t;
    let context = format!(
        "{} {} {:?} {:?} {length:e} {t:?}",
        loaded.identity(),
        planned.unit,
        planned.random,
        planned.to
    );
    let slice = Slice::new(at, vec![planned.direction], vec![t.clone()])?;
    let job = Job::new(&slice, &survey, "line")?;
    let order = (0..slice.count()).collect();
    let Some(found) = job.run(&arguments.scan, &context, order, &[slice.count()], &mut |_| Ok(false))? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let (Found { loss, accuracy, standard_error, classes }, test) =
        survey.found(&found, &|_, values| Ok(values))?;
    let barrier = |loss: &[f64]| planned.to.as_ref().and_then(|_| Barrier::new(&t, loss));
    let line = Line {
        unit: planned.unit,
        direction: planned.random,
        length,
        barrier: barrier(&loss),
        test_barrier: test.as_ref().and_then(|test| barrier(&test.loss)),
        to: planned.to,
        t,
        loss,
        accuracy,
        standard_error,
        classes,
        test,
        curvature: survey.curvature(&found, &|_, values| Ok(values))?,
        cap: survey.cap,
    };
    let converged = planned.converged && line.curvature.as_ref().is_none_or(|found| found.unconverged == 0);
    let (products, gradients, evaluations) = planned.work;
    let evaluations = evaluations + survey.passes() * slice.count() + 1;
    let products = products + line.curvature.as_ref().map_or(0, |found| found.products);
    let work = Work { products, gradients, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss);
    let mut envelope = Envelope::new("relief/line/1", seed, &loaded, point, (line, work));
    envelope.notes.extend(survey.note());
    envelope.kept_layers = job.kept_layers();
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
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// A line before it is measured.
struct Planned {
    direction: Vec<f64>,
    t: Vec<f64>,
    unit: String,
    random: Option<RandomDirection>,
    /// The checkpoint at 1.
    to: Option<String>,
    lies: Lies,
    /// Products, gradients and evaluations that it took.
    work: (usize, usize, usize),
    /// Whether an eigenvector met its tolerance.
    converged: bool,
}

impl Arguments {
    /// None after Ctrl-C.
    fn plan(&self, loaded: &Loaded) -> Result<Option<Planned>, Failure> {
        if let Some(to) = &self.to {
            return self.plan_between(loaded, to).map(Some);
        }
        let family = self.directions.direction(self.run.seed, 0);
        let Some(made) = directions::make(loaded, &self.run, family, std::slice::from_ref(&self.along))?
        else {
            return Ok(None);
        };
        let (products, gradients) = made.work;
        let Some(direction) = made.directions.into_iter().next() else { return Ok(None) };
        let (range, evaluations) = match self.range {
            Some(range) => (range, 0),
            None => directions::range(loaded, &direction)?,
        };
        Ok(Some(Planned {
            t: nodes(range, self.points),
            unit: direction.axis(),
            random: direction.random,
            to: None,
            lies: Lies::Around,
            work: (products, gradients, evaluations),
            converged: direction.eigen.as_ref().is_none_or(|(_, pair)| pair.converged),
            direction: direction.vector,
        }))
    }

    fn plan_between(&self, loaded: &Loaded, to: &Path) -> Result<Planned, Failure> {
        let other = points::Point::load(loaded, to)?;
        let direction = between(loaded.task.objective.parameters(), &other.parameters)?;
        if direction.iter().all(|d| *d == 0.0) {
            return Err(Failure::Input(
                "the two checkpoints have the same parameters: there is no line between them".into(),
            ));
        }
        let t = nodes(self.range.unwrap_or([-0.25, 1.25]), self.points);
        let statistics = match (loaded.task.statistics(), &other.statistics) {
            (Some(from), Some(to)) => Some(Slice::new(from, vec![between(from, to)?], vec![t.clone()])?),
            _ => None,
        };
        let unit = "distance to the other checkpoint".to_string();
        let lies = Lies::Between(statistics);
        let (to, work) = (Some(to.display().to_string()), (0, 0, 0));
        Ok(Planned { direction, t, unit, random: None, to, lies, work, converged: true })
    }
}

fn human(envelope: &Envelope<Line>) -> String {
    let Line { t, loss, barrier, to, length, unit, .. } = &envelope.result;
    let mut out = vec![report::head(envelope), String::new()];
    out.push(match to {
        Some(to) => {
            format!("  {} points on the line to {to}, which is {} away", t.len(), numbers::plain(*length))
        }
        None => format!("  {} points along: {unit}", t.len()),
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
        if let Some(test) = &envelope.result.test_barrier {
            out.push(format!(
                "  on the test split, barrier {} at {:.4}",
                numbers::plain(test.above_line),
                test.at
            ));
        }
    } else if to.is_some() {
        out.push("  no barrier: 0 and 1 are not both among the points".to_string());
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
