//! The mean of a loss over examples that can be chosen: what training and the noise of mini-batches are about.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Error, Objective, Parameters, Result};

/// The mean of a loss over the examples of a data set. The mean over any choice of them is an [`Objective`] of its own.
pub trait FiniteSum: Send + Sync {
    /// The checkpoint's own point.
    fn parameters(&self) -> &Parameters;

    /// How many examples there are.
    fn examples(&self) -> usize;

    /// The mean loss over some examples, each given by its place from 0; one may come more than once.
    fn over(&self, examples: &[u32]) -> Result<Box<dyn Objective>>;

    /// The same where each example has, with probability `share`, a label drawn evenly from all classes instead of its
    /// own; `seed` gives the draws.
    fn over_relabelled(&self, _examples: &[u32], _share: f64, _seed: u64) -> Result<Box<dyn Objective>> {
        Err(Error::Input("these examples have no class labels, so labels cannot be drawn anew".into()))
    }

    /// The mean loss over all examples.
    fn whole(&self) -> Result<Box<dyn Objective>> {
        self.over(&(0..self.examples() as u32).collect::<Vec<_>>())
    }
}

/// The order in which training goes through a data set: mini-batches without replacement, every epoch in an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Examples of the data set.
    pub examples: usize,
    /// Examples of a mini-batch; the last of an epoch may have fewer.
    pub size: usize,
    /// Seed of the orders.
    pub seed: u64,
}

impl Epochs {
    /// `size` must lie in 1..=examples.
    pub fn new(examples: usize, size: usize, seed: u64) -> Result<Self> {
        if size == 0 || size > examples {
            return Err(Error::Input(format!(
                "a mini-batch of {size} examples cannot be taken from {examples}: give at least 1 and at most that many"
            )));
        }
        Ok(Self { examples, size, seed })
    }

    /// Mini-batches of an epoch.
    pub fn per_epoch(&self) -> usize {
        self.examples.div_ceil(self.size)
    }

    /// The examples of the mini-batch of a step (from 0), given by the seed and the step alone. A mini-batch of all
    /// examples has them in the data set's own order.
    pub fn at(&self, step: usize) -> Vec<u32> {
        self.order(step / self.per_epoch())[self.range(step)].to_vec()
    }

    /// All examples in the order of an epoch (from 0), for those who take many of its mini-batches.
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.examples as u32).collect();
        if self.size < self.examples {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(epoch as u64);
            order.shuffle(&mut random);
        }
        order
    }

    /// Where the mini-batch of a step (from 0) lies in the order of its epoch.
    pub fn range(&self, step: usize) -> Range<usize> {
        let start = step % self.per_epoch() * self.size;
        start..self.examples.min(start + self.size)
    }
}
