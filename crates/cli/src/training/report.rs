//! What a training came to, for people and for programs.

use std::time::Instant;

use relief_training::{Training, TrainingState};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::recorder::checkpoint;
use crate::arguments::TaskArguments;
use crate::envelope::{Envelope, Point, Work};
use crate::exit::Failure;
use crate::run_folder::{Row, RunFolder, STEP};
use crate::{load, numbers, report, table};

/// The `result` of `relief train`.
#[derive(Debug, Serialize)]
pub(crate) struct Trained {
    /// The folder.
    run: String,
    optimizer: String,
    training: Training,
    /// Rows of `metrics.jsonl`.
    rows: usize,
    first: Row,
    last: Row,
    /// Where the accuracy on the test split was highest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_test: Option<Best>,
}

/// The highest accuracy of a row.
#[derive(Debug, Serialize)]
struct Best {
    step: u64,
    accuracy: f64,
}

/// The result of a finished run, with its last checkpoint as any other verb sees it.
pub(crate) fn envelope(
    problem: &Problem,
    folder: &RunFolder,
    state: &TrainingState,
    begun: Instant,
) -> Result<Envelope<Trained>, Failure> {
    let settings = &problem.settings;
    let training = &settings.training;
    let rows = folder.rows()?;
    let measured = |row: &Row| Some((row[STEP].as_u64()?, row.get("accuracy/test")?.as_f64()?));
    let best_test = rows.iter().filter_map(measured).fold(None, |best: Option<Best>, (step, accuracy)| {
        if best.as_ref().is_some_and(|best| best.accuracy >= accuracy) {
            best
        } else {
            Some(Best { step, accuracy })
        }
    });
    let last = folder.file(&checkpoint(training.steps));
    let loaded = load::load(&TaskArguments::of(last), None, training.seed)?;
    // Of the whole run, whatever came between; the time is that since it was begun or resumed.
    let n = problem.examples() as f64;
    let share = settings.record.probe.as_ref().map_or(0.0, |probe| probe.examples as f64 / n);
    let probed = |tag: &str| share * rows.iter().filter_map(|row| row.get(tag)?.as_f64()).sum::<f64>();
    let work = Work {
        products: (state.work.products as f64 / n + probed("work/probe_products")).round() as usize,
        gradients: (state.work.gradients as f64 / n + probed("work/probe_gradients")).round() as usize,
        evaluations: rows.len(),
        seconds: begun.elapsed().as_secs_f64(),
    };
    let result = Trained {
        run: folder.path().display().to_string(),
        optimizer: settings.optimizer.clone(),
        training: training.clone(),
        rows: rows.len(),
        first: rows.first().cloned().unwrap_or_default(),
        last: rows.last().cloned().unwrap_or_default(),
        best_test,
    };
    let point = Point::with_loss(loaded.loss);
    let mut envelope = Envelope::new("relief/train/1", training.seed, &loaded, point, (result, work));
    envelope.notes.extend(saturation(&rows));
    for note in problem.notes() {
        if !envelope.notes.contains(note) {
            envelope.notes.push(note.clone());
        }
    }
    Ok(envelope)
}

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Trained>) -> String {
    let Trained { run, optimizer, training, last, first, best_test, .. } = &envelope.result;
    let value = |row: &Row, tag: &str| row.get(tag).and_then(Value::as_f64);
    let shown = |tag: &str, value: Option<f64>| match value {
        None => "-".to_string(),
        Some(value) if tag.starts_with("accuracy/") => format!("{:.2} %", 100.0 * value),
        Some(value) => numbers::plain(value),
    };
    let tags = ["loss/train", "accuracy/train", "loss/test", "accuracy/test"];
    let rows: Vec<Vec<String>> = tags
        .iter()
        .filter(|tag| last.contains_key(**tag))
        .map(|tag| vec![(*tag).to_string(), shown(tag, value(first, tag)), shown(tag, value(last, tag))])
        .collect();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!("  {optimizer}, {} steps with eta {}", numbers::count(training.steps), training.eta),
        String::new(),
        table::render(&["", "at the start", "at the end"], &rows),
        String::new(),
    ];
    out.extend(edge(last).map(|line| format!("  {line}")));
    if let Some(best) = best_test {
        out.push(format!("  best test accuracy {:.2} %, at step {}", 100.0 * best.accuracy, best.step));
    }
    out.push(format!("  written: {run}/run.toml, metrics.jsonl, checkpoints/, state.safetensors"));
    out.push(format!("  next: relief plot {run} -o training.png"));
    out.push(format!("        relief surface {} -o surface.png", envelope.checkpoint.path));
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

impl Trained {
    /// How the largest eigenvalue stands to the edge of stability at the end, where it was probed.
    pub(crate) fn edge(&self) -> Option<String> {
        edge(&self.last)
    }
}

/// How the largest eigenvalue stands to the edge of stability that binds.
fn edge(row: &Row) -> Option<String> {
    let value = |tag: &str| row.get(tag).and_then(Value::as_f64);
    let distance = value("edge/distance")?;
    let edges = [
        ("edge/adam", "Adam's edge"),
        ("edge/sam", "the SAM-edge"),
        ("edge/momentum", "the edge"),
        ("edge/gd", "2/eta"),
    ];
    let (edge, name) = edges.iter().find_map(|(tag, name)| Some((value(tag)?, name)))?;
    let (matrix, largest) = match value("hessian/preconditioned_lambda_1") {
        Some(largest) => ("lambda_1 of the preconditioned Hessian", largest),
        None => ("lambda_1", value("hessian/lambda_1")?),
    };
    Some(format!(
        "{matrix} {}, {} of {name} {}",
        numbers::with_bound(largest, largest.abs() * 1e-4),
        numbers::with_bound(distance, distance.abs() * 1e-2),
        numbers::with_bound(edge, edge * 1e-4)
    ))
}

/// The factor by which a fall of eigenvalue and loss together is worth a remark.
const FALL: f64 = 10.0;

/// A remark where the largest eigenvalue fell as the loss did: under a cross-entropy it does so because the outputs saturate,
/// whatever the shape of the minimum.
fn saturation(rows: &[Row]) -> Option<String> {
    let both = |row: &Row| {
        let value = |tag: &str| row.get(tag)?.as_f64();
        Some((value("hessian/lambda_1")?, value("loss/probe")?))
    };
    let probed: Vec<(f64, f64)> = rows.iter().filter_map(both).collect();
    let highest =
        probed.iter().copied().fold((0.0f64, 0.0), |best, row| if row.0 > best.0 { row } else { best });
    let last = *probed.last()?;
    let (eigenvalue, loss) = (highest.0 / last.0, highest.1 / last.1);
    (last.0 > 0.0 && eigenvalue > FALL && loss > FALL).then(|| {
        format!(
            "lambda_1 fell {eigenvalue:.0} times from its highest while the loss fell {loss:.0} times, as it does where outputs \
             saturate; look at hessian/lambda_1_over_loss before calling this minimum flat"
        )
    })
}
