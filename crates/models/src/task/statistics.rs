//! Batch norm's statistics at a point, from all examples at once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::Tensor;
use relief_autodiff::Value;
use relief_hessian::{
    AffineSubspace, Evaluation, GraphObjective, Objective, Parameters, Section, SectionOptions,
};

use super::pieces::Pieces;
use super::{TaskError, TaskOptions};
use crate::architecture::{Architecture, BatchNormMode, Net};
use crate::data::Dataset;

/// One forward pass over a data set as one batch, which tells what every batch norm normalises with there.
#[derive(Debug)]
pub struct StatisticsPass {
    objective: GraphObjective,
    /// Names of the statistics with their lengths, in the order of the pass's outputs.
    names: Vec<(String, usize)>,
}

impl StatisticsPass {
    /// None where the model has no batch norm.
    pub fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Option<Self>, TaskError> {
        let pieces = Pieces::new(architecture, tensors, data, options)?;
        if !pieces.probe.batch_norm {
            return Ok(None);
        }
        let names = RefCell::new(vec![]);
        let objective = pieces.objective_of(vec![pieces.batch(0, data.examples())?], |graph, batch| {
            let net = Net::new(graph, BatchNormMode::Batch).recording_statistics();
            let (_, loss) = pieces.forward(&net, batch)?;
            let recorded = net.statistics();
            names.replace(recorded.iter().map(|(name, value)| (name.clone(), value.elem_count())).collect());
            let values: Vec<&Value> = recorded.iter().map(|(_, value)| value).collect();
            Ok((Value::cat(&values, 0)?, loss))
        })?;
        Ok(Some(Self { objective, names: names.into_inner() }))
    }

    /// Mean and biased variance of every channel at a point, under the names of the running statistics: with them, a
    /// network in `eval` mode computes what it computes in `batch` mode on the whole data set.
    pub fn at(&self, point: &Parameters) -> Result<Parameters, TaskError> {
        self.named(rayon::scope(|_| self.objective.evaluate(point, 0))?)
    }

    /// The pass on an affine subspace, where that saves time: see [`GraphObjective::section`].
    pub fn section(
        &self,
        space: AffineSubspace<'_>,
        options: &SectionOptions,
    ) -> Result<Option<Section>, TaskError> {
        Ok(self.objective.section(space, options)?)
    }

    /// As [`at`](Self::at), at the point with these coordinates of a section of this pass.
    pub fn on(&self, section: &Section, coordinates: &[f64]) -> Result<Parameters, TaskError> {
        let at = section.at(coordinates)?;
        self.named(rayon::scope(|_| section.evaluate(&at, None, 0))?)
    }

    fn named(&self, found: Evaluation) -> Result<Parameters, TaskError> {
        let all = found
            .outputs
            .ok_or_else(|| TaskError::Option("the pass over the data gave no statistics".into()))?;
        let mut start = 0;
        let mut named = vec![];
        for (name, length) in &self.names {
            named.push((name.clone(), all.narrow(0, start, *length)?.copy()?));
            start += length;
        }
        Ok(Parameters::new(named)?)
    }
}
