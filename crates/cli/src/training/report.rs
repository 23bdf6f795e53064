//! What a training came to, for people and for programs.

use std::time::Instant;

use relief_training::{Training, TrainingState, Work as Done};
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
    before: Done,
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
    let n = problem.examples();
    let work = Work {
        products: (state.work.products - before.products).div_ceil(n),
        gradients: (state.work.gradients - before.gradients).div_ceil(n),
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
