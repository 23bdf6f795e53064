//! Run folders: `metrics.jsonl` with a row for every probe, and `results/*.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use relief_plot::{Axis, EventWriter, Figure, Lines, Mark, Panel, Reference, Report, Series, studies};
use serde_json::{Map, Value};

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::pages;
use crate::saved::Results;

/// What a run recorded.
#[derive(Debug)]
pub(crate) struct Run {
    name: String,
    folder: PathBuf,
    /// The numbers of each tag, such as `hessian/lambda_1`, with their steps; NaN where a row says null.
    numbers: BTreeMap<String, (Vec<f64>, Vec<f64>)>,
    /// Remarks, such as a new learning rate, with their steps.
    events: Vec<(f64, String)>,
}

const METRICS: &str = "metrics.jsonl";
const STEP: &str = "step";
const EVENT: &str = "event";

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
    let mut run = Run { name, folder: folder.to_path_buf(), numbers: BTreeMap::new(), events: vec![] };
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |what: String| Failure::Input(format!("line {} of `{}` {what}", i + 1, path.display()));
        let row: Map<String, Value> = match serde_json::from_str(line) {
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
    fn take(&mut self, step: f64, row: &Map<String, Value>) {
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

/// The panel that a tag belongs to: what stands before its slash, with the edges beside the eigenvalues that they bound.
fn group(tag: &str) -> &str {
    match tag.split_once('/').map_or(tag, |(group, _)| group) {
        "edge" => "hessian",
        group => group,
    }
}

/// A tag as the field writes it.
fn shown(tag: &str) -> String {
    let name = tag.split_once('/').map_or(tag, |(_, name)| name);
    let place = name.strip_prefix("lambda_").and_then(|place| place.parse().ok());
    match (tag, place) {
        ("edge/gd", _) => "2/η".into(),
        ("edge/sam", _) => "SAM-edge".into(),
        (_, Some(place)) => format!("λ{}", studies::subscript(place)),
        _ => name.replace('_', " "),
    }
}

/// One panel for every group of tags, below each other over the steps.
pub(crate) fn figure(title: &str, runs: &[Run]) -> Figure {
    let mut groups: Vec<&str> =
        runs.iter().flat_map(|run| run.numbers.keys()).map(|tag| group(tag)).collect();
    // What everyone looks for first, then the rest by name.
    let rank =
        |group: &str| ["loss", "hessian", "align", "accuracy"].iter().position(|g| *g == group).unwrap_or(9);
    groups.sort_unstable_by_key(|group| (rank(group), *group));
    groups.dedup();
    let panels: Vec<Panel> = groups.iter().map(|g| Panel::Lines(panel(g, runs))).collect();
    Figure { share_x: true, panel_size: Some([620.0, 240.0]), ..Figure::new(title, panels).in_columns(1) }
}

fn panel(wanted: &str, runs: &[Run]) -> Lines {
    let mut series = vec![];
    for (place, run) in runs.iter().enumerate() {
        let tags = run.numbers.iter().filter(|(tag, _)| group(tag) == wanted);
        let (edges, curves): (Vec<_>, Vec<_>) = tags.partition(|(tag, _)| tag.starts_with("edge/"));
        for (i, (tag, (steps, values))) in curves.into_iter().chain(edges).enumerate() {
            let one = |name: String| Series::new(name, steps.clone(), values.clone());
            let edge = tag.starts_with("edge/");
            series.push(match (runs.len(), edge) {
                (1, false) => one(shown(tag)),
                (1, true) => one(shown(tag)).marked(Mark::Dashed),
                // One colour for a run, whose curves differ in their marks.
                (_, _) => {
                    let mark = [Mark::Solid, Mark::Dashed, Mark::Dotted][i.min(2)];
                    one(format!("{}: {}", run.name, shown(tag))).marked(mark).coloured(place)
                }
            });
        }
    }
    let drawn = series.iter().flat_map(|s: &Series| s.y.iter().copied()).filter(|v| v.is_finite());
    let (low, high) = drawn.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let y = match wanted {
        "align" => Axis::linear("|cos|").between(0.0, 1.02),
        "hessian" => Axis::linear("Hessian eigenvalue"),
        _ if low > 0.0 && high / low > 30.0 => Axis::log(wanted),
        _ => Axis::linear(wanted),
    };
    let lines = Lines { series, ..Lines::new("", Axis::linear("step"), y) };
    let mut events: Vec<&(f64, String)> = runs.iter().flat_map(|run| &run.events).collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    events.dedup();
    events.into_iter().fold(lines, |lines, (step, text)| lines.with_reference(Reference::event(*step, text)))
}

/// A page with everything that the runs recorded.
pub(crate) fn report(title: &str, runs: &[Run]) -> Result<Report, Failure> {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = if title.is_empty() { names.join(", ") } else { title.to_string() };
    let mut report = Report::new(title).with("Over training", "", &figure("", runs))?;
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
        let (png, size) = figure("", std::slice::from_ref(run)).png_with_size(2.0)?;
        writer.png(last as i64, "figures/metrics", size, &png)?;
        writer.flush()?;
    }
    Ok(())
}
