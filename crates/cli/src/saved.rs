//! Results that relief wrote, read again: what figures and exports need, and no more.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;

mod results;
mod shown;

pub(crate) use results::{Kind, Results};
pub(crate) use shown::{Entry, Group, Look, Shown};

/// A result and what it is about.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Saved<R> {
    checkpoint: Checkpoint,
    model: String,
    data: Data,
    #[serde(default)]
    pub(crate) operator: String,
    dtype: String,
    /// What factors of products were rounded to, where they were.
    #[serde(default)]
    precision: Option<String>,
    pub(crate) result: R,
    /// Which part of the network it is about, if not the whole.
    #[serde(default)]
    part: Option<String>,
    /// The whole document, less the lists of numbers in its result.
    #[serde(skip)]
    pub(crate) document: serde_json::Value,
}

/// A result's lists of numbers.
pub(crate) trait Lists {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// Whether their lengths agree.
    fn agree(&self) -> bool;
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

fn parsed<R: DeserializeOwned + Lists>(
    mut document: serde_json::Value,
    origin: &str,
) -> Result<Saved<R>, Failure> {
    let mut saved = Saved::<R>::deserialize(&document).map_err(|e| unreadable(origin, &e))?;
    if !saved.result.agree() {
        return Err(Failure::Input(format!(
            "`{origin}` is damaged: its lists ({}) differ in length; save the result anew",
            R::NAMES.join(", ")
        )));
    }
    if let Some(result) = document["result"].as_object_mut() {
        result.retain(|key, _| !R::NAMES.contains(&key.as_str()));
    }
    saved.document = document;
    Ok(saved)
}

fn unreadable(origin: &str, problem: &serde_json::Error) -> Failure {
    Failure::Input(format!("`{origin}` is not a result of relief: {problem}"))
}

impl<R> Saved<R> {
    /// The checkpoint's name, with that of the part.
    pub(crate) fn name(&self) -> String {
        let name = stem(&self.checkpoint.path);
        self.part.as_ref().map_or_else(|| name.clone(), |part| format!("{name}: {part}"))
    }

    /// What it is called beside others: the part alone where all are of one checkpoint.
    pub(crate) fn called(&self, results: &[Self]) -> String {
        let alone = results.iter().all(|other| other.checkpoint.path == self.checkpoint.path);
        let part = self.part.as_ref().filter(|_| alone);
        part.map_or_else(|| self.name(), |part| format!("layer {part}"))
    }

    /// The same as a path.
    fn key(&self) -> String {
        let name = stem(&self.checkpoint.path);
        self.part.as_ref().map_or_else(|| name.clone(), |part| format!("{name}/{part}"))
    }

    /// Which model, data and precision.
    fn about(&self) -> String {
        let Self { model, data, dtype, precision, .. } = self;
        let products = precision.as_ref().map(|p| format!(" with products in {p}")).unwrap_or_default();
        format!("{model}, {} {} examples of {}, {dtype}{products}.", data.examples, data.split, data.path)
    }
}

/// Values in some unit; NaN where they are not known.
pub(crate) fn known<'a>(values: impl IntoIterator<Item = &'a Option<f64>>, factor: f64) -> Vec<f64> {
    values.into_iter().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect()
}

/// A file's name without folder and extension.
pub(crate) fn stem(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem();
    stem.map_or_else(|| path.to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// Which checkpoint, model and data each result is about, in a line each.
pub(crate) fn provenance<R>(results: &[Saved<R>]) -> Vec<String> {
    distinct(results.iter().map(|saved| format!("{}: {}", stem(&saved.checkpoint.path), saved.about())))
}

/// Which models and data the results are about, whatever their checkpoints.
pub(crate) fn subjects<R>(results: &[Saved<R>]) -> Vec<String> {
    distinct(results.iter().map(Saved::about))
}

/// A quantity's label with what it is of, where all results are of one matrix.
pub(crate) fn labelled<R>(quantity: &str, results: &[Saved<R>]) -> String {
    let mut operators = results.iter().map(|saved| saved.operator.as_str());
    match operators.next() {
        Some(first) if operators.all(|o| o == first) => match first {
            "" => quantity.to_string(),
            "hessian" => format!("{quantity} of the Hessian"),
            "gauss-newton" => format!("{quantity} of the Gauss-Newton matrix"),
            other => format!("{quantity} ({other})"),
        },
        _ => quantity.to_string(),
    }
}

/// A result's name in a legend, with what a curve of it is: the name alone where there are several, else what it is.
pub(crate) fn series_name<R>(results: &[Saved<R>], saved: &Saved<R>, what: &str) -> String {
    match (results.len(), what) {
        (1, _) => what.to_string(),
        (_, "") => saved.name(),
        _ => format!("{}: {what}", saved.name()),
    }
}

fn distinct(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for line in lines {
        if !out.contains(&line) {
            out.push(line);
        }
    }
    out
}
