//! `relief connect`: a curve of low loss between two checkpoints.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use relief_hessian::{Control, Objective};
use relief_landscape::{
    Curve, CurveKind, CurveReport, CurveStatistics, Plane, Points, RandomDirection, Scan, between,
};

use crate::arguments::{RunArguments, TaskArguments};
use crate::commands::surface::{self, Show};
use crate::connections::{self, Answers, Connection};
use crate::curve_training::{Trainer, TrainingArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::planes::{self, Extent, Site};
use crate::points;
use crate::run_folder::{RunFolder, STATE};
use crate::saved::Results;
use crate::scans::{Job, nodes};
use crate::survey::{Lies, Survey, SurveyArguments};
use crate::traces::{MarkKind, Trace};
use crate::{connection_figures, interrupt, numbers, output, report, surface_figures, table};

/// Find a curve of low loss between two checkpoints, and hold it against the straight line
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief connect a.safetensors --to b.safetensors --with-test --run runs/a-b
  relief connect a.safetensors --to b.safetensors --curve chain --bends 3 --epochs 200 --run runs/chain
  relief connect a.safetensors --to b.safetensors --curve band --run runs/band
  relief connect a.safetensors --to b.safetensors --with-test --run runs/a-b --resume

The folder of the run gets connect.json, curve.png, plane.json, plane.png, metrics.jsonl, and the bends as checkpoints.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Another checkpoint of the same network, where the curve ends
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Curve")]
    to: PathBuf,

    #[command(flatten)]
    training: TrainingArguments,

    /// Points at which the paths are measured
    #[arg(long, value_name = "N", default_value_t = 61, help_heading = "Curve")]
    points: usize,

    /// Points along each direction of the picture of the plane that the curve lies in; 0 for no such picture
    #[arg(long, value_name = "N", default_value_t = 33, help_heading = "Output")]
    grid: usize,

    #[command(flatten)]
    survey: SurveyArguments,

    /// Folder of the run
    #[arg(long = "run", value_name = "FOLDER", default_value = "connect", help_heading = "Output")]
    run_folder: PathBuf,

    /// Go on with the run in the folder, which was begun with the same arguments
    #[arg(long, help_heading = "Computation")]
    resume: bool,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if arguments.points < 2 {
        return Err(Failure::Usage(format!("--points is {}: give at least 2", arguments.points)));
    }
    let begun = Instant::now();
    interrupt::install();
    let seed = arguments.run.seed;
    let loaded = load::load(&arguments.task, None, seed)?;
    let end = points::Point::load(&loaded, &arguments.to)?;
    let at = loaded.task.objective.parameters();
    if between(at, &end.parameters)?.iter().all(|d| *d == 0.0) {
        return Err(Failure::Input(
            "the two checkpoints have the same parameters: there is no curve between them".into(),
        ));
    }
    let survey =
        Survey::new(&loaded, &arguments.task, &arguments.survey, &arguments.run, Lies::Between(None))?;
    let mut folder = if arguments.resume {
        RunFolder::open(&arguments.run_folder)?
    } else {
        RunFolder::create(&arguments.run_folder)?
    };
    let state = folder.file(STATE);
    let (start, finish) = (at.to_vec()?, end.parameters.to_vec()?);
    let t = nodes([0.0, 1.0], arguments.points);
    let trainer = Trainer::new(&loaded, &arguments.training, seed, &end.sha256, &state)?;
    let resume = arguments.resume && state.exists();
    let mut record = |step: usize, loss: f64| {
        folder.record(step, [("loss/train".to_string(), loss.into())].into_iter().collect())
    };
    let interrupted = || {
        let folder = arguments.run_folder.display();
        eprintln!("interrupted; go on with the same arguments and --resume (the state is in {folder})");
        Ok(exit::Outcome::Interrupted)
    };
    let Some((curve, steps)) = trainer.run(start.clone(), finish.clone(), resume, &mut record)? else {
        return interrupted();
    };
    let chord = Curve::straight(CurveKind::Chain, start, finish, 0)?;
    let Some(straight) = connections::measure(&chord, &t, &survey, "straight line")? else {
        return interrupted();
    };
    let Some(path) = connections::measure(&curve, &t, &survey, "curve")? else { return interrupted() };
    let (average, ensemble) = connections::together(&curve, &t, &survey)?;
    for (nth, bend) in curve.bends().iter().enumerate() {
        points::save(&loaded, bend, &folder.file(&format!("bend-{}.safetensors", nth + 1)))?;
    }
    let picture =
        Picture { arguments, survey: &survey, end: &end, curve: &curve, t: &t, loss: &path.train.loss };
    if arguments.grid > 1 && !picture.save(&folder)? {
        return interrupted();
    }
    let connection = Connection {
        to: arguments.to.display().to_string(),
        training: arguments.training.clone(),
        steps,
        bends: curve.bends().len(),
        t,
        straight,
        curve: path,
        average,
        ensemble,
    };
    let envelope = envelope(seed, &survey, connection, trainer.gradients(), begun);
    let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
    output::write(&folder.file("connect.json"), format!("{json}\n").as_bytes())?;
    let saved = Results::of(&json, "the result")?.connections;
    connection_figures::figure("", &saved).save(folder.file("curve.png"))?;
    let _ = std::fs::remove_file(&state);
    output::present(&arguments.run.print, &envelope, || human(&envelope))?;
    Ok(exit::Outcome::Done)
}

fn envelope(
    seed: u64,
    survey: &Survey<'_>,
    connection: Connection,
    gradients: usize,
    begun: Instant,
) -> Envelope<Connection> {
    let loaded: &Loaded = survey.loaded;
    let evaluations = 2 * survey.passes() * connection.t.len() + 1;
    let work = Work { products: 0, gradients, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss);
    let kept_layers = connection.curve.kept_layers;
    let mut envelope = Envelope::new("relief/connect/1", seed, loaded, point, (connection, work));
    envelope.notes.extend(survey.note());
    envelope.kept_layers = kept_layers;
    envelope
}

/// The plane through both ends and the bend, or the middle of the curve where there are several bends.
struct Picture<'a> {
    arguments: &'a Arguments,
    survey: &'a Survey<'a>,
    end: &'a points::Point,
    curve: &'a Curve,
    t: &'a [f64],
    /// On the curve.
    loss: &'a [f64],
}

impl Picture<'_> {
    /// Measures and saves it; false after Ctrl-C.
    fn save(&self, folder: &RunFolder) -> Result<bool, Failure> {
        let Self { arguments, survey, end, curve, t, loss } = *self;
        let begun = Instant::now();
        let loaded = survey.loaded;
        let run = &arguments.run;
        let (middle, name) = match curve.bends() {
            [bend] => (bend.clone(), "bend"),
            _ => (curve.at(0.5), "t = 0.5"),
        };
        let middle = points::Point::of(loaded, &middle, name)?;
        let points = [points::Point::own(loaded), end.clone(), middle];
        let extent = Extent { counts: [arguments.grid; 2], ranges: [None; 2] };
        let family = RandomDirection::default();
        let site = Site { loaded, run, family, orthogonal: false, extent, path: &[] };
        let on_curve: Vec<Vec<f64>> = t.iter().map(|t| curve.at(*t)).collect();
        let trace = |plane: &Plane| Trace::curve(plane, &on_curve, loss.to_vec());
        let planned =
            planes::spanned(&site, &points, &[MarkKind::End, MarkKind::End, MarkKind::Bend], Some(&trace))?;
        let mut scan = Scan::new(&planned.slice);
        let count = planned.slice.count();
        let job = Job::new(&planned.slice, survey, "plane")?;
        if job.measure(&mut scan, count, &mut |_| Control::Continue)? == Control::Interrupt {
            return Ok(false);
        }
        let columns = arguments.grid;
        let rows =
            survey.found(&scan, &|_, values| Ok(values.chunks(columns).map(<[f64]>::to_vec).collect()))?;
        let surface = planned.found(rows, survey.cap);
        let mut envelope = surface::envelope(run.seed, survey, &planned, surface, &scan, begun);
        envelope.kept_layers = job.kept_layers();
        let json = serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
        output::write(&folder.file("plane.json"), format!("{json}\n").as_bytes())?;
        let saved = Results::of(&json, "the result")?.surfaces;
        surface_figures::figure("", &saved, Show::Loss, false)?.save(folder.file("plane.png"))?;
        Ok(true)
    }
}

fn human(envelope: &Envelope<Connection>) -> String {
    let Connection { to, steps, bends, straight, curve, average, ensemble, .. } = &envelope.result;
    let percent = |a: f64| format!("{:.2} %", 100.0 * a);
    let row = |name: &str, report: &CurveReport, accuracy: Option<&CurveStatistics>| {
        vec![
            name.to_string(),
            numbers::plain(report.length),
            numbers::plain(report.loss.max),
            numbers::plain(report.loss.min),
            numbers::plain(report.loss.integral),
            report.barrier.map_or("-".into(), |b| numbers::plain(b.above_line)),
            accuracy.map_or("-".into(), |a| percent(a.min)),
        ]
    };
    let mut rows = vec![
        row("straight line", &straight.report, straight.accuracy_report.as_ref()),
        row("curve", &curve.report, curve.accuracy_report.as_ref()),
    ];
    for (name, path) in [("straight line, test", straight), ("curve, test", curve)] {
        rows.extend(path.test_report.as_ref().map(|r| row(name, r, path.test_accuracy_report.as_ref())));
    }
    let heads = ["", "length", "highest loss", "lowest", "mean by length", "barrier", "lowest accuracy"];
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!("  a curve to {to}, bent by {bends} points in {steps} steps"),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
    ];
    let answers = |name: &str, found: &Answers| {
        let accuracy = |a: Option<f64>| a.map_or(String::new(), |a| format!(", accuracy {}", percent(a)));
        let test = found.test_loss.map_or(String::new(), |loss| {
            format!("; on the test split {}{}", numbers::plain(loss), accuracy(found.test_accuracy))
        });
        format!("  {name}: loss {}{}{test}", numbers::plain(found.loss), accuracy(found.accuracy))
    };
    out.push(answers("mean of the weights along the curve", average));
    out.extend(ensemble.iter().map(|found| answers("ensemble along the curve", found)));
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
