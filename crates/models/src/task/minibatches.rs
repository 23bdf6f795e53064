//! Mini-batches of any examples, for training.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Batch, FiniteSum, GraphObjective, Objective, Parameters};

use super::batch_size::batch_size;
use super::pieces::Pieces;
use super::{TaskError, TaskOptions};
use crate::architecture::{Architecture, BatchNormMode};
use crate::data::{Dataset, Targets};

/// The examples of a data set, any of which can be chosen.
///
/// With [`BatchNormMode::Batch`], batch norm normalises with the statistics of the chosen examples, as in training; they are
/// then worked on together. Otherwise many examples are cut into smaller batches.
#[derive(Debug)]
pub struct Minibatches {
    pieces: Pieces,
    inputs: Tensor,
    targets: Targets,
    classes: u32,
    /// With the graphs of all sizes of batch met so far.
    known: Mutex<GraphObjective>,
}

impl Minibatches {
    /// Architecture, its tensors and data, put together as for a [`Task`](super::Task).
    pub fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let pieces = Pieces::new(architecture, tensors, data, options)?;
        let known = Mutex::new(pieces.objective(vec![pieces.batch(0, 1)?], options.batch_norm)?);
        let classes = data.classes.unwrap_or(0) as u32;
        Ok(Self { pieces, inputs: data.inputs.clone(), targets: data.targets.clone(), classes, known })
    }

    /// The mean loss over some examples with these targets.
    fn objective(&self, examples: &[u32], targets: &Tensor) -> Result<GraphObjective, TaskError> {
        let inputs = self.inputs.index_select(&Tensor::new(examples, &Device::Cpu)?, 0)?;
        let options = TaskOptions { batch_size: None, ..self.pieces.options.clone() };
        let together = self.pieces.probe.batch_norm && options.batch_norm == BatchNormMode::Batch;
        let size = batch_size(examples.len(), &self.pieces.probe, together, &options)?;
        let batches = (0..examples.len()).step_by(size.max(1)).map(|start| {
            let count = size.min(examples.len() - start);
            let tensors = vec![inputs.narrow(0, start, count)?, targets.narrow(0, start, count)?];
            Ok(Batch { tensors, examples: count })
        });
        let batches = batches.collect::<Result<Vec<_>, TaskError>>()?;
        // A panic elsewhere leaves the graphs as they were.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let objective = self.pieces.with_batches(&known, batches, options.batch_norm)?;
        if objective.graphs() > known.graphs() {
            *known = objective.clone();
        }
        Ok(objective)
    }

    fn check(&self, examples: &[u32]) -> Result<(), TaskError> {
        match examples.iter().find(|i| **i as usize >= self.examples()) {
            None => Ok(()),
            Some(outside) => Err(TaskError::Option(format!(
                "there is no example {outside}: the data set has {}, counted from 0",
                self.examples()
            ))),
        }
    }

    /// Loss targets of some examples.
    fn targets_of(&self, examples: &[u32]) -> Result<Tensor, TaskError> {
        self.check(examples)?;
        Ok(self.pieces.targets.index_select(&Tensor::new(examples, &Device::Cpu)?, 0)?)
    }

    fn relabelled(&self, examples: &[u32], share: f64, seed: u64) -> Result<Tensor, TaskError> {
        self.check(examples)?;
        let Targets::Classes(labels) = &self.targets else {
            return Err(TaskError::Targets(
                "labels can be drawn anew only where the targets are class labels".into(),
            ));
        };
        let all = labels.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let labels = examples.iter().map(|i| {
            // Both numbers are drawn always, so that one example's label does not shift the others'.
            let (drawn, label) =
                (random.random::<f64>() < share, random.random_range(0..self.classes.max(1)));
            if drawn { label } else { all[*i as usize] }
        });
        let labels = Tensor::from_iter(labels, &Device::Cpu)?;
        self.pieces.loss.target_tensor(&Targets::Classes(labels), &self.pieces.probe.outputs)
    }
}

impl FiniteSum for Minibatches {
    fn parameters(&self) -> &Parameters {
        self.pieces.parameters()
    }

    fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }

    fn over(&self, examples: &[u32]) -> relief_hessian::Result<Box<dyn Objective>> {
        let made = self.targets_of(examples).and_then(|targets| self.objective(examples, &targets));
        Ok(Box::new(made.map_err(into_objective)?))
    }

    fn over_relabelled(
        &self,
        examples: &[u32],
        share: f64,
        seed: u64,
    ) -> relief_hessian::Result<Box<dyn Objective>> {
        let made = self.relabelled(examples, share, seed);
        let made = made.and_then(|targets| self.objective(examples, &targets));
        Ok(Box::new(made.map_err(into_objective)?))
    }
}

fn into_objective(error: TaskError) -> relief_hessian::Error {
    match error {
        TaskError::Objective(error) => error,
        other => relief_hessian::Error::Input(other.to_string()),
    }
}
