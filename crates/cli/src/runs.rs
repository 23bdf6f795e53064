//! Runs that were recorded: `metrics.jsonl` with a row for every measurement, `run.toml` with the settings, and
//! `results/*.json`.

mod groups;
mod panels;
mod quantile;
mod table;
mod tags;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use relief_plot::{EventWriter, Report};
use serde_json::Value;

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::pages;
use crate::run_folder::{EVENT, METRICS, Row, STEP};
use crate::saved::Results;
use crate::training::settings::SETTINGS;

pub(crate) use panels::{Shown, figure};
pub(crate) use table::csv;

/// What a run recorded.
#[derive(Debug)]
pub(crate) struct Run {
    name: String,
    folder: PathBuf,
    /// The numbers of each tag, such as `hessian/lambda_1`, with their steps; NaN where a row says null.
    numbers: BTreeMap<String, (Vec<f64>, Vec<f64>)>,
    /// Remarks, such as a new learning rate, with their steps.
    events: Vec<(f64, String)>,
    /// Its settings, where it has a file of them that can be read.
    settings: Option<toml::Table>,
}

/// Reads a run folder. A last line that ends in its middle, as a run that is still going may have, is left out.
pub(crate) fn read(folder: &Path) -> Result<Run, Failure> {
    let path = folder.join(METRICS);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Failure::Input(format!(
            "`{}` is not the folder of a run: `{METRICS}` cannot be read ({e})",
            folder.display()
        ))
    })?;
    // `.` and `..` have names of their own, too.
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let name = whole.file_name().map_or_else(|| "run".to_string(), |n| n.to_string_lossy().into_owned());
    let settings = std::fs::read_to_string(folder.join(SETTINGS)).ok().and_then(|text| text.parse().ok());
    let folder = folder.to_path_buf();
    let mut run = Run { name, folder, numbers: BTreeMap::new(), events: vec![], settings };
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |what: String| Failure::Input(format!("line {} of `{}` {what}", i + 1, path.display()));
        let row: Row = match serde_json::from_str(line) {
            Ok(row) => row,
            Err(_) if i + 1 == lines.len() && !text.ends_with('\n') => break,
            Err(e) => return Err(bad(format!("is not a JSON object: {e}"))),
        };
        let step =
            row.get(STEP).and_then(Value::as_f64).ok_or_else(|| bad(format!("has no number \"{STEP}\"")))?;
        run.take(step, &row);
    }
    if run.numbers.is_empty() {
        return Err(Failure::Input(format!(
            "`{}` has no numbers yet: wait for the first row",
            path.display()
        )));
    }
    Ok(run)
}

impl Run {
    fn take(&mut self, step: f64, row: &Row) {
        for (tag, value) in row.iter().filter(|(tag, _)| *tag != STEP) {
            match value {
                Value::String(text) if tag == EVENT => self.events.push((step, text.clone())),
                Value::Number(_) | Value::Null => {
                    let (steps, values) = self.numbers.entry(tag.clone()).or_default();
                    steps.push(step);
                    values.push(value.as_f64().unwrap_or(f64::NAN));
                }
                // Names and settings are no curves.
                _ => {}
            }
        }
    }

    /// The results saved beside the metrics that can be drawn, with their files' names.
    fn results(&self) -> Result<Vec<(String, Results)>, Failure> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("results")) else { return Ok(vec![]) };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let json = std::fs::read_to_string(path)
                    .map_err(|e| Failure::Input(format!("`{}` cannot be read: {e}", path.display())))?;
                let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
                Ok((stem, Results::of(&json, &path.display().to_string())?))
            })
            .collect()
    }
}

/// A page with everything that the runs recorded.
pub(crate) fn report(title: &str, runs: &[Run]) -> Result<Report, Failure> {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = if title.is_empty() { names.join(", ") } else { title.to_string() };
    let mut report = Report::new(title).with("Over training", "", &figure("", runs, Shown::Everything))?;
    for run in runs {
        for (name, results) in run.results()? {
            for (heading, figure) in pages::figures(&results, Show::Loss)? {
                report = pages::with(report, &format!("{}, {name}: {heading}", run.name), figure)?;
            }
        }
    }
    Ok(report)
}

/// Writes the runs' numbers and figures as TensorBoard's event files, a folder for each run.
pub(crate) fn tensorboard(folder: &Path, runs: &[Run]) -> Result<(), Failure> {
    for run in runs {
        let mut writer = EventWriter::create(&folder.join(&run.name))?;
        let mut last = 0.0f64;
        for (tag, (steps, values)) in &run.numbers {
            for (step, value) in steps.iter().zip(values) {
                writer.scalar(*step as i64, tag, *value)?;
                last = last.max(*step);
            }
        }
        for (step, text) in &run.events {
            writer.text(*step as i64, EVENT, text)?;
        }
        let (png, size) = figure("", std::slice::from_ref(run), Shown::Everything).png_with_size(2.0)?;
        writer.png(last as i64, "figures/metrics", size, &png)?;
        writer.flush()?;
    }
    Ok(())
}
