//! Saved results as figures.

use std::io::IsTerminal;

use relief_plot::terminal::{self, TerminalOptions};
use relief_plot::{Axis, Bars, Figure, Group, Panel, Scale};
use serde::Deserialize;

use crate::exit::Failure;

/// A result as any version wrote it: what a figure needs, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Saved {
    checkpoint: Checkpoint,
    model: String,
    data: Data,
    operator: String,
    dtype: String,
    result: Spectrum,
}

#[derive(Debug, Clone, Deserialize)]
struct Checkpoint {
    path: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Data {
    path: String,
    examples: usize,
    split: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Spectrum {
    pairs: Vec<Pair>,
    #[serde(default)]
    smallest: Vec<Pair>,
    which: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Pair {
    value: f64,
    error_bound: f64,
}

/// The schemas that can be drawn.
const EIGENVALUES: &str = "relief/eigenvalues/1";
const QUICKSTART: &str = "relief/quickstart/1";

/// Reads the results in a JSON document, whose origin serves for messages.
pub(crate) fn read(json: &str, origin: &str) -> Result<Vec<Saved>, Failure> {
    let unreadable = |problem: serde_json::Error| {
        Failure::Input(format!("`{origin}` is not a result of relief: {problem}"))
    };
    let document: serde_json::Value = serde_json::from_str(json).map_err(unreadable)?;
    let results = match document.get("schema").and_then(|s| s.as_str()) {
        Some(EIGENVALUES) => vec![document],
        Some(QUICKSTART) => document.get("networks").and_then(|n| n.as_array()).cloned().unwrap_or_default(),
        Some(other) => {
            return Err(Failure::Input(format!(
                "`{origin}` has the schema `{other}`, which cannot be drawn: known are {EIGENVALUES} and {QUICKSTART}"
            )));
        }
        None => {
            return Err(Failure::Input(format!(
                "`{origin}` does not say what it is: a result of relief has a \"schema\" (save one with --output FILE)"
            )));
        }
    };
    results.into_iter().map(|r| serde_json::from_value(r).map_err(unreadable)).collect()
}

/// The eigenvalues of some results side by side, with their error bounds.
pub(crate) fn eigenvalues(title: &str, results: &[Saved]) -> Figure {
    let pairs = |saved: &Saved| -> Vec<(String, f64, f64)> {
        let named = |which: &str, pairs: &[Pair]| -> Vec<(String, f64, f64)> {
            pairs
                .iter()
                .enumerate()
                .map(|(i, p)| (format!("{which} {}", i + 1), p.value, p.error_bound))
                .collect()
        };
        let mut all = named(&saved.result.which, &saved.result.pairs);
        all.extend(named("smallest", &saved.result.smallest));
        all
    };
    let mut names: Vec<String> = vec![];
    for (name, ..) in results.iter().flat_map(pairs) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let groups = results.iter().map(|saved| {
        let own = pairs(saved);
        let of = |name: &String| own.iter().find(|(n, ..)| n == name).map(|(_, v, e)| (*v, *e));
        Group {
            name: short(&saved.checkpoint.path),
            values: names.iter().map(|n| of(n).map_or(f64::NAN, |(v, _)| v)).collect(),
            errors: names.iter().map(|n| of(n).map_or(f64::NAN, |(_, e)| e)).collect(),
        }
    });
    let groups: Vec<Group> = groups.collect();
    let operators: Vec<&str> = results.iter().map(|r| r.operator.as_str()).collect();
    let label = match operators.split_first() {
        Some((&"hessian", rest)) if rest.iter().all(|o| *o == "hessian") => {
            "eigenvalue of the Hessian".to_string()
        }
        Some((first, rest)) if rest.iter().all(|o| o == first) => format!("eigenvalue ({first})"),
        _ => "eigenvalue".to_string(),
    };
    let value = Axis { label, scale: Scale::Linear, range: None };
    let bars = Bars { title: String::new(), value, names, groups };
    Figure::new(title, vec![Panel::Bars(bars)]).captioned(provenance(results))
}

/// The eigenvalues of some results in characters, against their rank.
pub(crate) fn in_characters(results: &[Saved]) -> String {
    let curves: Vec<(String, Vec<f64>, Vec<f64>)> = results
        .iter()
        .map(|saved| {
            let values: Vec<f64> = saved.result.pairs.iter().map(|p| p.value).collect();
            (short(&saved.checkpoint.path), (1..=values.len()).map(|i| i as f64).collect(), values)
        })
        .collect();
    let series: Vec<(&str, &[f64], &[f64])> =
        curves.iter().map(|(name, x, y)| (name.as_str(), x.as_slice(), y.as_slice())).collect();
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let picture =
        terminal::lines(&series, false, &TerminalOptions { rows: 14, colour, ..TerminalOptions::default() });
    format!("eigenvalues by rank\n{}", picture.trim_end())
}

/// Which checkpoint, model and data each result is about.
fn provenance(results: &[Saved]) -> String {
    let mut lines: Vec<String> = vec![];
    for saved in results {
        let Saved { checkpoint, model, data, dtype, .. } = saved;
        let line = format!(
            "{}: {model}, {} {} examples of {}, {dtype}.",
            short(&checkpoint.path),
            data.examples,
            data.split,
            data.path
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.push("Error bars are bounds; those too short to be seen are left out.".to_string());
    lines.join(" ")
}

/// A checkpoint's name without folder and extension.
fn short(path: &str) -> String {
    let path = std::path::Path::new(path);
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}
