//! How many examples are worked on at once.

use relief_autodiff::GraphBuilder;

use super::{TaskError, TaskOptions};
use crate::architecture::{Architecture, BatchNormMode, Net};
use crate::data::Dataset;

/// Entries of intermediate values that a batch aims at: enough for wide matrix products, few enough for the cache.
const BATCH_ENTRIES: usize = 1 << 23;
/// The same where nothing is differentiated, and few of the values are held at a time.
const EVALUATED_ENTRIES: usize = 8 * BATCH_ENTRIES;
/// Examples of a batch at most, where it is not given.
const MOST_EXAMPLES: usize = 512;

/// The asked batch size if it can be, else an automatic one; `whole` means that all examples must be in one batch.
pub(super) fn batch_size(
    examples: usize,
    probe: &Probe,
    whole: bool,
    options: &TaskOptions,
) -> Result<usize, TaskError> {
    match options.batch_size {
        Some(0) => Err(TaskError::Option("the batch size is 0: it must be at least 1".into())),
        Some(size) if size > examples => Err(TaskError::Option(format!(
            "the batch size is {size}, but the data set has {examples} examples: give at most that many"
        ))),
        Some(size) if whole && size < examples => Err(TaskError::Option(format!(
            "batch statistics over {examples} examples need all of them in one batch, but the batch size is {size}: \
             leave it out, or ask for statistics per batch"
        ))),
        Some(size) => Ok(size),
        None if whole => Ok(examples),
        None => Ok(automatic_batch_size(examples, probe, BATCH_ENTRIES)),
    }
}

/// The size of batches that are evaluated and nothing else, where `size` is that of the others.
pub(super) fn evaluated_batch_size(
    examples: usize,
    probe: &Probe,
    size: usize,
    options: &TaskOptions,
) -> usize {
    // Statistics of batches are part of the function.
    if options.batch_size.is_some() || (probe.batch_norm && options.batch_norm == BatchNormMode::Batch) {
        return size;
    }
    automatic_batch_size(examples, probe, EVALUATED_ENTRIES)
}

/// Batches of one size, as large as the cache and the model suggest. Never by the number of threads, because the order of
/// the sums must not depend on it.
fn automatic_batch_size(examples: usize, probe: &Probe, entries: usize) -> usize {
    // A batch's gradient is as long as the parameters, so its work must be longer.
    let most = (entries.max(8 * probe.weights) / probe.entries.max(1)).clamp(1, MOST_EXAMPLES);
    let even = examples.div_ceil(most).next_multiple_of(2);
    let halves_pay = examples / 2 * probe.entries >= (entries / 8).max(2 * probe.weights);
    if examples <= most && !halves_pay { examples } else { examples.div_ceil(even) }
}

/// What graphs for one and two examples tell.
#[derive(Debug)]
pub(super) struct Probe {
    /// Shape of one example's outputs.
    pub(super) outputs: Vec<usize>,
    /// Entries of the intermediate values that another example adds.
    entries: usize,
    /// Entries of all named tensors.
    weights: usize,
    pub(super) batch_norm: bool,
    pub(super) notes: Vec<String>,
}

impl Probe {
    pub(super) fn new(
        architecture: &Architecture,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let (one, two) =
            (Self::of(1, architecture, data, options)?, Self::of(2, architecture, data, options)?);
        Ok(Self { entries: two.entries.saturating_sub(one.entries), ..one })
    }

    fn of(
        examples: usize,
        architecture: &Architecture,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let graph = GraphBuilder::new();
        let mut dims = vec![examples];
        dims.extend(data.example_shape());
        let net = Net::new(&graph, options.batch_norm);
        let outputs = architecture.build(&net, &graph.input(&dims))?;
        let (batch_norm, notes) = (net.has_batch_norm(), net.notes());
        let sum = outputs.sum_all()?;
        let weights = graph.named().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let entries = graph.finish(&outputs, &sum, |_| true)?.intermediate_entries();
        Ok(Self { outputs: outputs.dims()[1..].to_vec(), entries, weights, batch_norm, notes })
    }
}
