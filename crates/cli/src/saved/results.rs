//! Results by kind.

use super::{Group, Saved, parsed, unreadable};
use crate::connection_figures::Connection;
use crate::eigenvalue_figures::Spectrum;
use crate::exit::Failure;
use crate::findings::{ByLayer, Comparison, Diagonal, Estimate, Outliers, Subsets};
use crate::lines::Line;
use crate::spectral;
use crate::spectrum_figures::Distribution;
use crate::surfaces::Surface;

/// Results by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    pub(crate) spectra: Vec<Saved<Spectrum>>,
    pub(crate) densities: Vec<Saved<Distribution>>,
    pub(crate) surfaces: Vec<Saved<Surface>>,
    pub(crate) lines: Vec<Saved<Line>>,
    pub(crate) connections: Vec<Saved<Connection>>,
    layers: Vec<Saved<ByLayer>>,
    estimates: Vec<Saved<Estimate>>,
    diagonals: Vec<Saved<Diagonal>>,
    outliers: Vec<Saved<Outliers>>,
    comparisons: Vec<Saved<Comparison>>,
    subsets: Vec<Saved<Subsets>>,
}

/// What a result is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Eigenvalues,
    Spectrum,
    Line,
    Surface,
    Connection,
    Layers,
    Estimate,
    Diagonal,
    Outliers,
    Comparison,
    Subsets,
}

const QUICKSTART: &str = "relief/quickstart/1";

impl Kind {
    const ALL: [Self; 11] = [
        Self::Eigenvalues,
        Self::Spectrum,
        Self::Line,
        Self::Surface,
        Self::Connection,
        Self::Layers,
        Self::Estimate,
        Self::Diagonal,
        Self::Outliers,
        Self::Comparison,
        Self::Subsets,
    ];

    /// In a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eigenvalues => "eigenvalues",
            Self::Spectrum => "a spectrum",
            Self::Line => "a line",
            Self::Surface => "a surface",
            Self::Connection => "a curve",
            Self::Layers => "eigenvalues by layer",
            Self::Estimate => "an estimate",
            Self::Diagonal => "a diagonal",
            Self::Outliers => "outliers",
            Self::Comparison => "a comparison",
            Self::Subsets => "subsets",
        }
    }

    /// What its documents say they are.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Eigenvalues => "relief/eigenvalues/1",
            Self::Spectrum => spectral::SCHEMA,
            Self::Line => "relief/line/1",
            Self::Surface => "relief/surface/1",
            Self::Connection => "relief/connect/1",
            Self::Layers => "relief/eigenvalues-by-layer/1",
            Self::Estimate => "relief/trace/1",
            Self::Diagonal => "relief/diagonal/1",
            Self::Outliers => "relief/outliers/1",
            Self::Comparison => "relief/compare/1",
            Self::Subsets => "relief/subset/1",
        }
    }
}

impl Results {
    /// The results of one document.
    pub(crate) fn of(json: &str, origin: &str) -> Result<Self, Failure> {
        let mut results = Self::default();
        results.read(json, origin)?;
        Ok(results)
    }

    /// Takes up the results of a JSON document, whose origin serves for messages.
    pub(crate) fn read(&mut self, json: &str, origin: &str) -> Result<(), Failure> {
        let document: serde_json::Value = serde_json::from_str(json).map_err(|e| unreadable(origin, &e))?;
        let Some(schema) = document.get("schema").and_then(|s| s.as_str()) else {
            return Err(Failure::Input(format!(
                "`{origin}` does not say what it is: a result of relief has a \"schema\" (save one with --output FILE)"
            )));
        };
        if schema == QUICKSTART {
            let all = |key: &str| document.get(key).and_then(|n| n.as_array()).cloned().unwrap_or_default();
            for (kind, key) in
                [(Kind::Eigenvalues, "networks"), (Kind::Spectrum, "spectra"), (Kind::Surface, "surfaces")]
            {
                for part in all(key) {
                    self.take(kind, part, origin)?;
                }
            }
            return Ok(());
        }
        if schema == spectral::BY_LAYER {
            let layers = document["result"]["layers"].as_array().cloned().unwrap_or_default();
            for layer in layers {
                let mut part = document.clone();
                part["part"] = layer["name"].clone();
                part["result"] = layer;
                self.take(Kind::Spectrum, part, origin)?;
            }
            return Ok(());
        }
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.schema() == schema) else {
            let known: Vec<&str> = Kind::ALL.into_iter().map(Kind::schema).collect();
            return Err(Failure::Input(format!(
                "`{origin}` has the schema `{schema}`, which cannot be drawn: known are {} and {QUICKSTART}",
                known.join(", ")
            )));
        };
        self.take(kind, document, origin)
    }

    fn take(&mut self, kind: Kind, document: serde_json::Value, origin: &str) -> Result<(), Failure> {
        match kind {
            Kind::Eigenvalues => self.spectra.push(parsed(document, origin)?),
            Kind::Spectrum => self.densities.push(parsed(document, origin)?),
            Kind::Line => self.lines.push(parsed(document, origin)?),
            Kind::Surface => self.surfaces.push(parsed(document, origin)?),
            Kind::Connection => self.connections.push(parsed(document, origin)?),
            Kind::Layers => self.layers.push(parsed(document, origin)?),
            Kind::Estimate => self.estimates.push(parsed(document, origin)?),
            Kind::Diagonal => self.diagonals.push(parsed(document, origin)?),
            Kind::Outliers => self.outliers.push(parsed(document, origin)?),
            Kind::Comparison => self.comparisons.push(parsed(document, origin)?),
            Kind::Subsets => self.subsets.push(parsed(document, origin)?),
        }
        Ok(())
    }

    /// The kinds of which there are results, in the order of a page.
    pub(crate) fn groups(&self) -> Vec<&dyn Group> {
        let all: [&dyn Group; 11] = [
            &self.surfaces,
            &self.lines,
            &self.connections,
            &self.spectra,
            &self.layers,
            &self.densities,
            &self.estimates,
            &self.diagonals,
            &self.outliers,
            &self.comparisons,
            &self.subsets,
        ];
        all.into_iter().filter(|group| group.count() > 0).collect()
    }

    /// The results where all are of one kind; an error where there are several.
    pub(crate) fn group(&self) -> Result<&dyn Group, Failure> {
        match self.groups().as_slice() {
            [group] => Ok(*group),
            [] => Err(Failure::Input("there is no result in these files: save one anew".into())),
            _ => Err(Failure::Usage(
                "results of several kinds do not go into one file: write one after the other, or a page with -o FILE.html"
                    .into(),
            )),
        }
    }
}
