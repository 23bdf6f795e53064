//! Results that relief wrote, read again: what figures and exports need, and no more.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connection_figures::Connection;
use crate::eigenvalue_figures::Spectrum;
use crate::exit::Failure;
use crate::lines::Line;
use crate::spectrum_figures::Distribution;
use crate::surfaces::Surface;

/// A result and what it is about.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Saved<R> {
    checkpoint: Checkpoint,
    model: String,
    data: Data,
    #[serde(default)]
    pub(crate) operator: String,
    dtype: String,
    pub(crate) result: R,
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

/// Results by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    pub(crate) spectra: Vec<Saved<Spectrum>>,
    pub(crate) densities: Vec<Saved<Distribution>>,
    pub(crate) surfaces: Vec<Saved<Surface>>,
    pub(crate) lines: Vec<Saved<Line>>,
    pub(crate) connections: Vec<Saved<Connection>>,
}

/// What a result is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Eigenvalues,
    Spectrum,
    Line,
    Surface,
    Connection,
}

impl Kind {
    /// In a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eigenvalues => "eigenvalues",
            Self::Spectrum => "a spectrum",
            Self::Line => "a line",
            Self::Surface => "a surface",
            Self::Connection => "a curve",
        }
    }
}

const EIGENVALUES: &str = "relief/eigenvalues/1";
const CONNECT: &str = "relief/connect/1";
const LINE: &str = "relief/line/1";
const SURFACE: &str = "relief/surface/1";
const SPECTRUM: &str = crate::spectral::SCHEMA;
const QUICKSTART: &str = "relief/quickstart/1";

impl Results {
    /// Takes up the results of a JSON document, whose origin serves for messages.
    pub(crate) fn read(&mut self, json: &str, origin: &str) -> Result<(), Failure> {
        let document: serde_json::Value = serde_json::from_str(json).map_err(|e| unreadable(origin, &e))?;
        match document.get("schema").and_then(|s| s.as_str()) {
            Some(EIGENVALUES) => self.spectra.push(parsed(document, origin)?),
            Some(SPECTRUM) => self.densities.push(parsed(document, origin)?),
            Some(SURFACE) => self.surfaces.push(parsed(document, origin)?),
            Some(CONNECT) => self.connections.push(parsed(document, origin)?),
            Some(LINE) => self.lines.push(parsed(document, origin)?),
            Some(QUICKSTART) => {
                let all =
                    |key: &str| document.get(key).and_then(|n| n.as_array()).cloned().unwrap_or_default();
                for network in all("networks") {
                    self.spectra.push(parsed(network, origin)?);
                }
                for spectrum in all("spectra") {
                    self.densities.push(parsed(spectrum, origin)?);
                }
                for surface in all("surfaces") {
                    self.surfaces.push(parsed(surface, origin)?);
                }
            }
            Some(other) => {
                return Err(Failure::Input(format!(
                    "`{origin}` has the schema `{other}`, which cannot be drawn: known are {EIGENVALUES}, {SPECTRUM}, \
                     {SURFACE}, {LINE}, {CONNECT} and {QUICKSTART}"
                )));
            }
            None => {
                return Err(Failure::Input(format!(
                    "`{origin}` does not say what it is: a result of relief has a \"schema\" (save one with --output FILE)"
                )));
            }
        }
        Ok(())
    }

    /// The kind that all are of; an error where there are several.
    pub(crate) fn kind(&self) -> Result<Kind, Failure> {
        let all = [
            (Kind::Eigenvalues, self.spectra.len()),
            (Kind::Spectrum, self.densities.len()),
            (Kind::Line, self.lines.len()),
            (Kind::Surface, self.surfaces.len()),
            (Kind::Connection, self.connections.len()),
        ];
        let kinds: Vec<Kind> =
            all.into_iter().filter(|(_, count)| *count > 0).map(|(kind, _)| kind).collect();
        match kinds.as_slice() {
            [kind] => Ok(*kind),
            [] => Err(Failure::Input("there is no result in these files: save one anew".into())),
            _ => Err(Failure::Usage(
                "results of several kinds do not go into one file: write one after the other, or a page with -o FILE.html"
                    .into(),
            )),
        }
    }

    /// The results of one document.
    pub(crate) fn of(json: &str, origin: &str) -> Result<Self, Failure> {
        let mut results = Self::default();
        results.read(json, origin)?;
        Ok(results)
    }
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
    /// The checkpoint's name.
    pub(crate) fn name(&self) -> String {
        stem(&self.checkpoint.path)
    }

    /// Which model, data and precision.
    fn about(&self) -> String {
        let Self { model, data, dtype, .. } = self;
        format!("{model}, {} {} examples of {}, {dtype}.", data.examples, data.split, data.path)
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
    distinct(results.iter().map(|saved| format!("{}: {}", saved.name(), saved.about())))
}

/// Which models and data the results are about, whatever their checkpoints.
pub(crate) fn subjects<R>(results: &[Saved<R>]) -> Vec<String> {
    distinct(results.iter().map(Saved::about))
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
