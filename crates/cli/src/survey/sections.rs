//! What is computed once for all points of a scan: values that are affine in their coordinates.

use std::cell::OnceCell;

use relief_hessian::{AffineCost, Error, Parameters, Result, Section, SectionOptions};
use relief_landscape::Points;
use serde::Serialize;

use super::{Statistics, Survey};
use crate::exit::Failure;

/// The splits, and the pass for batch norm's statistics, on the affine subspace of a scan; none where each point is evaluated
/// by itself.
pub(crate) struct Sections {
    pub(super) splits: Vec<Option<Section>>,
    pub(super) pass: Option<Section>,
}

/// Layers that were computed once for all points.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct KeptLayers {
    /// Bytes that were kept.
    pub(crate) bytes: usize,
    /// Share of a forward pass's multiply-adds that was left to every point.
    pub(crate) multiply_adds: f64,
}

impl Sections {
    /// Of the points of a scan, where keeping pays and fits the memory.
    pub(super) fn new(survey: &Survey<'_>, points: &dyn Points) -> std::result::Result<Self, Failure> {
        let mut found = Self { splits: survey.splits().map(|_| None).collect(), pass: None };
        // Eigenvalues take most of a point's time where they are asked for, and have use for the memory.
        let Some(space) = points.subspace().filter(|_| survey.convexity.is_none()) else { return Ok(found) };
        let mut memory = survey.memory;
        for (nth, loaded) in survey.splits().enumerate() {
            let statistics =
                loaded.task.statistics().filter(|_| !matches!(survey.statistics, Statistics::Frozen));
            let varying = statistics.into_iter().flat_map(|known| known.names().iter().cloned()).collect();
            let options = SectionOptions { points: points.count(), memory, varying, always: false };
            let section = loaded.task.section(space, &options)?;
            memory -= section.as_ref().map_or(0, Section::bytes).min(memory);
            found.splits[nth] = section;
        }
        if let Statistics::Recomputed(pass) = &survey.statistics {
            let varying = std::collections::BTreeSet::new();
            let options = SectionOptions { points: points.count(), memory, varying, always: false };
            found.pass = pass.section(space, &options)?;
        }
        Ok(found)
    }

    fn all(&self) -> impl Iterator<Item = &Section> {
        self.splits.iter().chain([&self.pass]).flatten()
    }

    /// What was kept, if anything.
    pub(crate) fn kept(&self) -> Option<KeptLayers> {
        let mut cost = AffineCost::default();
        self.all().for_each(|section| cost += section.cost());
        (cost.whole > 0).then(|| KeptLayers {
            bytes: self.all().map(Section::bytes).sum(),
            multiply_adds: cost.rest as f64 / cost.whole as f64,
        })
    }

    /// Which passes use it: for the state of a scan, whose digits depend on that in rounding.
    pub(crate) fn context(&self) -> String {
        let used = |section: &Option<Section>| if section.is_some() { '1' } else { '0' };
        if self.all().next().is_none() {
            return String::new();
        }
        format!(" kept {}", self.splits.iter().chain([&self.pass]).map(used).collect::<String>())
    }
}

/// A point of a scan, whose parameters are made where they are needed.
pub(super) struct Place<'a> {
    points: &'a dyn Points,
    pub(super) index: usize,
    pub(super) coordinates: Vec<f64>,
    parameters: OnceCell<Parameters>,
}

impl<'a> Place<'a> {
    pub(super) fn new(points: &'a dyn Points, index: usize) -> Self {
        Self { points, index, coordinates: points.coordinates(index), parameters: OnceCell::new() }
    }

    pub(super) fn parameters(&self) -> Result<&Parameters> {
        if let Some(known) = self.parameters.get() {
            return Ok(known);
        }
        let made = self.points.point(self.index)?;
        self.parameters.set(made).map_err(|_| Error::Other("a point was made twice".into()))?;
        self.parameters()
    }
}
