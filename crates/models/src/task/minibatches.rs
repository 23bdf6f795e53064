//! Mini-batches of any examples, for training.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use relief_hessian::{Batch, GraphObjective, Objective, Parameters, weight_decay_term};

use super::pieces::Pieces;
use super::{TaskError, TaskOptions};
use crate::architecture::{Architecture, BatchNormMode};
use crate::data::Dataset;

/// The examples of a data set, to be taken in any order.
///
/// Batch norm normalises with the statistics of the mini-batch ([`BatchNormMode::Batch`]) as in training.
#[derive(Debug)]
pub struct Minibatches {
    objective: GraphObjective,
    inputs: Tensor,
    targets: Tensor,
    size: usize,
}

impl Minibatches {
    /// Mini-batches of `size` examples, of which the last in an epoch may have fewer.
    pub fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
        size: usize,
    ) -> Result<Self, TaskError> {
        let examples = data.examples();
        if size == 0 || size > examples {
            return Err(TaskError::Option(format!(
                "a mini-batch of {size} examples cannot be taken from {examples}: give at least 1 and at most that many"
            )));
        }
        let options = TaskOptions { batch_norm: BatchNormMode::Batch, ..options.clone() };
        let pieces = Pieces::new(architecture, tensors, data, &options)?;
        let mut shapes = vec![pieces.batch(0, size)?];
        if !examples.is_multiple_of(size) {
            shapes.push(pieces.batch(0, examples % size)?);
        }
        let objective = pieces.objective(shapes, BatchNormMode::Batch)?;
        Ok(Self { objective, inputs: pieces.inputs, targets: pieces.targets, size })
    }

    /// The checkpoint's point.
    pub fn parameters(&self) -> &Parameters {
        self.objective.parameters()
    }

    /// Examples of the data set.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// Mini-batches of an epoch.
    pub fn per_epoch(&self) -> usize {
        self.examples().div_ceil(self.size)
    }

    /// The examples of the mini-batch at `step` where every epoch goes through the data set in an order of its own, given
    /// by the seed and the epoch alone.
    pub fn examples_at(&self, step: usize, seed: u64) -> Vec<u32> {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let (epoch, nth) = (step / self.per_epoch(), step % self.per_epoch());
        let mut order: Vec<u32> = (0..self.examples() as u32).collect();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(epoch as u64);
        order.shuffle(&mut random);
        order.into_iter().skip(nth * self.size).take(self.size).collect()
    }

    /// Mean loss and gradient on some examples, as many as a mini-batch of an epoch has, with the weight decay term.
    pub fn gradient(&self, at: &Parameters, examples: &[u32]) -> Result<(f64, Vec<f64>), TaskError> {
        let index = Tensor::new(examples, &Device::Cpu)?;
        let tensors = vec![self.inputs.index_select(&index, 0)?, self.targets.index_select(&index, 0)?];
        let batch = Batch { tensors, examples: examples.len() };
        // Inside rayon's pool, so that kernels need not wake it up.
        let (mut loss, parts) = rayon::scope(|_| self.objective.gradient_on(at, &batch))?;
        let mut gradient = vec![0.0; at.len()];
        at.flatten(&parts, &mut gradient)?;
        let decay = self.objective.weight_decay();
        if decay != 0.0 {
            loss += weight_decay_term(&self.objective, at)?;
            gradient.iter_mut().zip(at.to_vec()?).for_each(|(g, x)| *g += decay * x);
        }
        Ok((loss, gradient))
    }
}
