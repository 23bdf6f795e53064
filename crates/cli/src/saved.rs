//! Results that relief wrote, read again: what figures need, and no more.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connection_figures::Connection;
use crate::eigenvalue_figures::Spectrum;
use crate::exit::Failure;
use crate::lines::Line;
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
    pub(crate) surfaces: Vec<Saved<Surface>>,
    pub(crate) lines: Vec<Saved<Line>>,
    pub(crate) connections: Vec<Saved<Connection>>,
}

const EIGENVALUES: &str = "relief/eigenvalues/1";
const CONNECT: &str = "relief/connect/1";
const LINE: &str = "relief/line/1";
const SURFACE: &str = "relief/surface/1";
const QUICKSTART: &str = "relief/quickstart/1";

impl Results {
    /// Takes up the results of a JSON document, whose origin serves for messages.
    pub(crate) fn read(&mut self, json: &str, origin: &str) -> Result<(), Failure> {
        let document: serde_json::Value = serde_json::from_str(json).map_err(|e| unreadable(origin, &e))?;
        match document.get("schema").and_then(|s| s.as_str()) {
            Some(EIGENVALUES) => self.spectra.push(parsed(document, origin)?),
            Some(SURFACE) => self.surfaces.push(parsed(document, origin)?),
            Some(CONNECT) => self.connections.push(parsed(document, origin)?),
            Some(LINE) => self.lines.push(parsed(document, origin)?),
            Some(QUICKSTART) => {
                let all =
                    |key: &str| document.get(key).and_then(|n| n.as_array()).cloned().unwrap_or_default();
                for network in all("networks") {
                    self.spectra.push(parsed(network, origin)?);
                }
                for surface in all("surfaces") {
                    self.surfaces.push(parsed(surface, origin)?);
                }
            }
            Some(other) => {
                return Err(Failure::Input(format!(
                    "`{origin}` has the schema `{other}`, which cannot be drawn: known are {EIGENVALUES}, {SURFACE}, \
                     {LINE}, {CONNECT} and {QUICKSTART}"
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

    /// The results of one document.
    pub(crate) fn of(json: &str, origin: &str) -> Result<Self, Failure> {
        let mut results = Self::default();
        results.read(json, origin)?;
        Ok(results)
    }
}

fn parsed<R: DeserializeOwned>(document: serde_json::Value, origin: &str) -> Result<Saved<R>, Failure> {
    serde_json::from_value(document).map_err(|e| unreadable(origin, &e))
}

fn unreadable(origin: &str, problem: &serde_json::Error) -> Failure {
    Failure::Input(format!("`{origin}` is not a result of relief: {problem}"))
}

impl<R> Saved<R> {
    /// The checkpoint's name.
    pub(crate) fn name(&self) -> String {
        stem(&self.checkpoint.path)
    }
}

/// A file's name without folder and extension.
pub(crate) fn stem(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem();
    stem.map_or_else(|| path.to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// Which checkpoint, model and data each result is about, in a line each.
pub(crate) fn provenance<R>(results: &[Saved<R>]) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for saved in results {
        let Saved { model, data, dtype, .. } = saved;
        let line = format!(
            "{}: {model}, {} {} examples of {}, {dtype}.",
            saved.name(),
            data.examples,
            data.split,
            data.path
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
