//! Architecture, checkpoint and data put together: the objective whose curvature is asked for.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{Batch, GraphObjective, Objective, Parameters, matching, weight_decay_term};

use crate::architecture::{Architecture, ArchitectureError, BatchNormMode, Net, Role};
use crate::data::{Dataset, Targets};
use crate::loss::Loss;

/// Why the pieces do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// An option that cannot be met.
    #[error("{0}")]
    Option(String),
    /// Targets that do not fit the loss or the model.
    #[error("{0}")]
    Targets(String),
    /// The architecture does not fit the inputs.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// The objective cannot be made.
    #[error(transparent)]
    Objective(#[from] relief_hessian::Error),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] relief_autodiff::Error),
    /// An error of candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// How the loss is put together.
#[derive(Debug, Clone)]
pub struct TaskOptions {
    /// The loss; the usual one for the targets if absent.
    pub loss: Option<Loss>,
    /// Label smoothing of a cross-entropy, in 0..1.
    pub smoothing: f64,
    /// Statistics of batch norm.
    pub batch_norm: BatchNormMode,
    /// With [`BatchNormMode::Batch`]: allow several batches, each with its own statistics.
    pub statistics_per_batch: bool,
    /// Examples that are worked on at once; chosen from the model's size if absent. Without batch statistics it
    /// changes only memory, speed and rounding.
    pub batch_size: Option<usize>,
    /// f32 or f64.
    pub dtype: DType,
    /// Patterns of the parameters to differentiate in (`layer4.*`); all if empty.
    pub parameters: Vec<String>,
    /// The factor w of w/2 |theta|^2.
    pub weight_decay: f64,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            loss: None,
            smoothing: 0.0,
            batch_norm: BatchNormMode::Eval,
            statistics_per_batch: false,
            batch_size: None,
            dtype: DType::F32,
            parameters: vec![],
            weight_decay: 0.0,
        }
    }
}

/// A model at its checkpoint with data and loss.
#[derive(Debug)]
pub struct Task {
    /// Loss and derivatives.
    pub objective: GraphObjective,
    /// The loss in use.
    pub loss: Loss,
    /// Examples of a batch (the last may have fewer).
    pub batch_size: usize,
    /// Which statistics batch norm uses; `None` without batch norm.
    pub batch_norm: Option<BatchNormMode>,
    /// What the reader of a result should know, such as that dropout is off.
    pub notes: Vec<String>,
    targets: Targets,
}

/// Entries of intermediate values that a batch aims at: enough for wide matrix products, few enough for the cache.
const BATCH_ENTRIES: usize = 1 << 23;
/// Examples of a batch at most, where it is not given.
const MOST_EXAMPLES: usize = 512;

impl Task {
    /// Puts `tensors` (all that the architecture wants for the data's shape) and data together.
    pub fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let probe = Probe::new(architecture, data, options)?;
        let loss = options.loss.unwrap_or_else(|| Loss::for_targets(&data.targets));
        check_options(loss, options)?;
        let targets = loss.target_tensor(&data.targets, &probe.outputs)?;
        let batch_norm = probe.batch_norm.then_some(options.batch_norm);
        let whole = batch_norm == Some(BatchNormMode::Batch) && !options.statistics_per_batch;
        let batch_size = batch_size(data.examples(), &probe, whole, options)?;

        let wanted = architecture.wanted(data.example_shape())?;
        let trainable: Vec<&str> =
            wanted.iter().filter(|w| w.2 == Role::Parameter).map(|w| w.0.as_str()).collect();
        let chosen = match options.parameters.as_slice() {
            [] => trainable.iter().map(|n| (*n).to_string()).collect(),
            patterns => matching(trainable, patterns)?,
        };
        let (mut parameters, mut constants) = (vec![], BTreeMap::new());
        for (name, tensor) in tensors {
            if chosen.contains(name) {
                parameters.push((name.clone(), tensor.to_dtype(options.dtype)?));
            } else {
                constants.insert(name.clone(), tensor.clone());
            }
        }
        let batches = (0..data.examples())
            .step_by(batch_size)
            .map(|start| {
                let examples = batch_size.min(data.examples() - start);
                let tensors =
                    vec![data.inputs.narrow(0, start, examples)?, targets.narrow(0, start, examples)?];
                Ok(Batch { tensors, examples })
            })
            .collect::<Result<Vec<_>, TaskError>>()?;
        let build = |graph: &GraphBuilder, batch: &[Value]| {
            let net = Net::new(graph, options.batch_norm);
            let outputs = architecture.build(&net, &batch[0]).map_err(into_engine)?;
            let value = loss.value(&outputs, &batch[1], options.smoothing)?;
            Ok((outputs, value))
        };
        let objective = GraphObjective::new(Parameters::new(parameters)?, constants, batches, build)?
            .with_weight_decay(options.weight_decay);
        let targets = data.targets.clone();
        Ok(Self { objective, loss, batch_size, batch_norm, notes: probe.notes, targets })
    }

    /// Share of examples (or positions) whose largest output is the label; `None` for real targets.
    pub fn accuracy(&self, at: &Parameters) -> Result<Option<f64>, TaskError> {
        Ok(self.measure(at)?.accuracy)
    }

    /// Loss, with its weight decay term, and accuracy: one forward pass over the data.
    pub fn measure(&self, at: &Parameters) -> Result<Measured, TaskError> {
        let labels = match &self.targets {
            Targets::Classes(labels) | Targets::Tokens(labels) => {
                Some(labels.flatten_all()?.to_vec1::<u32>()?)
            }
            _ => None,
        };
        let mut labels_left = labels.iter().flatten();
        let (mut right, mut all) = (0usize, 0usize);
        let mut loss = weight_decay_term(&self.objective, at)?;
        for batch in 0..self.objective.batches() {
            let evaluation = self.objective.evaluate(at, batch)?;
            loss += self.objective.weight(batch) * evaluation.loss;
            let (Some(outputs), Some(_)) = (evaluation.outputs, &labels) else { continue };
            let classes = outputs.dims().last().copied().unwrap_or(1);
            let outputs = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for (row, label) in outputs.chunks_exact(classes).zip(&mut labels_left) {
                right += usize::from(prediction(row) == *label as usize);
                all += 1;
            }
        }
        Ok(Measured { loss, accuracy: (all > 0).then(|| right as f64 / all as f64) })
    }
}

/// What a forward pass over the data tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The mean loss with its weight decay term.
    pub loss: f64,
    /// Share of right answers; none for real targets.
    pub accuracy: Option<f64>,
}

/// The first largest output; with one output, whether it is positive.
fn prediction(outputs: &[f64]) -> usize {
    if let [logit] = outputs {
        return usize::from(*logit > 0.0);
    }
    outputs.iter().enumerate().fold(0, |best, (i, x)| if *x > outputs[best] { i } else { best })
}

fn check_options(loss: Loss, options: &TaskOptions) -> Result<(), TaskError> {
    if !(0.0..1.0).contains(&options.smoothing) {
        return Err(TaskError::Option(format!(
            "label smoothing is {}, but must be in 0..1",
            options.smoothing
        )));
    }
    if options.smoothing > 0.0 && !loss.smooths() {
        return Err(TaskError::Option(format!("the loss `{loss}` has no label smoothing: leave it out")));
    }
    if !options.weight_decay.is_finite() || options.weight_decay < 0.0 {
        let found = options.weight_decay;
        return Err(TaskError::Option(format!("weight decay is {found}, but must be a number not below 0")));
    }
    Ok(())
}

fn batch_size(
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
        None => Ok(automatic_batch_size(examples, probe)),
    }
}

/// Batches of one size, as large as the cache and the model suggest. Never by the number of threads, because the order of
/// the sums must not depend on it.
fn automatic_batch_size(examples: usize, probe: &Probe) -> usize {
    // A batch's gradient is as long as the parameters, so its work must be longer.
    let most = (BATCH_ENTRIES.max(8 * probe.weights) / probe.entries.max(1)).clamp(1, MOST_EXAMPLES);
    let even = examples.div_ceil(most).next_multiple_of(2);
    let halves_pay = examples / 2 * probe.entries >= (BATCH_ENTRIES / 8).max(2 * probe.weights);
    if examples <= most && !halves_pay { examples } else { examples.div_ceil(even) }
}

/// What graphs for one and two examples tell.
struct Probe {
    outputs: Vec<usize>,
    /// Entries of the intermediate values that another example adds.
    entries: usize,
    /// Entries of all named tensors.
    weights: usize,
    batch_norm: bool,
    notes: Vec<String>,
}

impl Probe {
    fn new(architecture: &Architecture, data: &Dataset, options: &TaskOptions) -> Result<Self, TaskError> {
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

fn into_engine(error: ArchitectureError) -> relief_autodiff::Error {
    relief_autodiff::Error::Unavailable(error.to_string())
}
