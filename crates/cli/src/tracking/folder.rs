//! The run folder: rows, the settings they were made with, and where the next probe starts from.

use std::path::Path;

use relief_hessian::{Objective, StateFile};
use relief_sharpness::Probe;
use serde_json::{Value, json};

use crate::commands::track::TrainingArguments;
use crate::exit::Failure;
use crate::load::Loaded;
use crate::output;
use crate::run_folder::{Row, RunFolder, STATE};

/// The settings of a folder's rows.
const SETTINGS: &str = "track.json";
/// What the state is of.
const KIND: &str = "relief track state 1";

/// A run folder whose rows are probes.
pub(super) struct Folder {
    run: RunFolder,
    /// What the state must agree with.
    context: String,
}

/// All that the digits of a row depend on, besides the checkpoint.
pub(super) fn settings(loaded: &Loaded, probe: &Probe, training: &TrainingArguments) -> Value {
    let task = &loaded.task;
    // The memory changes no digits.
    let probe = Probe { memory: 0, ..probe.clone() };
    json!({
        "model": loaded.model,
        "data": loaded.data.source,
        "data_sha256": loaded.data_sha256,
        "split": loaded.split.name(),
        "examples": task.objective.examples(),
        "sample": loaded.sample,
        "loss": task.loss.to_string(),
        "label_smoothing": loaded.options.smoothing,
        "normalized_logits": loaded.options.normalized_logits,
        "weight_decay": task.objective.weight_decay(),
        "batch_norm": task.batch_norm.map(crate::envelope::mode_name),
        "parameters": loaded.options.parameters,
        "dtype": loaded.dtype_name(),
        "device": crate::device::recorded(),
        "training": training,
        "probe": probe,
    })
}

impl Folder {
    /// A folder that is new, or has rows of the same settings.
    pub(super) fn open(path: &Path, settings: &Value) -> Result<Self, Failure> {
        let file = path.join(SETTINGS);
        let recorded = std::fs::read_to_string(&file).ok();
        let run = if let Some(recorded) = recorded {
            let recorded: Value = serde_json::from_str(&recorded)
                .map_err(|e| Failure::Input(format!("`{}` is damaged: {e}", file.display())))?;
            if let Some(key) = differing(&recorded, settings) {
                return Err(Failure::Usage(format!(
                    "`{}` holds rows with another `{key}` ({} instead of {}): name another folder with --run",
                    path.display(),
                    recorded[&key],
                    settings[&key]
                )));
            }
            RunFolder::open(path)?
        } else {
            let run = RunFolder::create(path)?;
            output::write(&file, format!("{settings:#}\n").as_bytes())?;
            run
        };
        Ok(Self { run, context: settings.to_string() })
    }

    /// The rows so far.
    pub(super) fn rows(&self) -> Result<Vec<Row>, Failure> {
        self.run.rows()
    }

    /// The eigenvectors of the last row; none before the first.
    pub(super) fn vectors(&self) -> Result<Vec<Vec<f64>>, Failure> {
        let path = self.run.file(STATE);
        if !path.exists() {
            return Ok(vec![]);
        }
        let file = StateFile::load(&path, KIND, &self.context)?;
        let mut lists: Vec<(String, Vec<f64>)> = file.lists.into_iter().collect();
        lists.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(lists.into_iter().map(|(_, list)| list).collect())
    }

    /// Adds a row, and keeps the eigenvectors found.
    pub(super) fn record(&mut self, step: usize, row: Row, vectors: &[Vec<f64>]) -> Result<(), Failure> {
        self.run.record(step, row)?;
        self.run.settle()?;
        let mut file = StateFile::new("", &[step as u64], []);
        for (nth, vector) in vectors.iter().enumerate() {
            file.lists.insert(format!("{nth:06}"), vector.clone());
        }
        Ok(file.save(&self.run.file(STATE), KIND, &self.context)?)
    }
}

/// The first key whose values differ.
fn differing(recorded: &Value, settings: &Value) -> Option<String> {
    let keys = settings.as_object()?.keys();
    // What is not recorded was not chosen.
    keys.into_iter().find(|key| recorded[key.as_str()] != settings[key.as_str()]).cloned()
}
