//! Architecture, checkpoint and data put together: the objective whose curvature is asked for.

mod batch_size;
mod ensemble;
mod measure;
mod minibatches;
mod pieces;
mod roots;
mod statistics;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{AffineSubspace, GraphObjective, Parameters, Section, SectionOptions};

use batch_size::{batch_size, evaluated_batch_size};
use pieces::Pieces;

pub use measure::{ClassMeasured, Measure, Measured};
pub use minibatches::Minibatches;
pub use roots::Fisher;
pub use statistics::StatisticsPass;

use crate::architecture::{Architecture, ArchitectureError, BatchNormMode};
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
    /// Every example's outputs, less their mean, are divided by their length before the loss sees them, so that no factor on
    /// them changes it (Andriushchenko et al. 2023, logit normalisation). The outputs are then these.
    pub normalized_logits: bool,
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
    /// Where to compute: where the parameters lie. The data stay on the host, and every batch travels when it is evaluated
    /// or linearized.
    pub device: Device,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            loss: None,
            smoothing: 0.0,
            normalized_logits: false,
            batch_norm: BatchNormMode::Eval,
            statistics_per_batch: false,
            batch_size: None,
            dtype: DType::F32,
            parameters: vec![],
            weight_decay: 0.0,
            device: Device::Cpu,
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
    /// The same loss over larger batches, where these are better for evaluations.
    evaluated: Option<GraphObjective>,
    smoothing: f64,
    labels: Option<Vec<u32>>,
    statistics: Option<Parameters>,
}

impl Task {
    /// Puts `tensors` (all that the architecture wants for the data's shape) and data together.
    pub fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let pieces = Pieces::new(architecture, tensors, data, options)?;
        let batch_norm = pieces.probe.batch_norm.then_some(options.batch_norm);
        let whole = batch_norm == Some(BatchNormMode::Batch) && !options.statistics_per_batch;
        let batch_size = batch_size(data.examples(), &pieces.probe, whole, options)?;
        let objective = pieces.objective(pieces.batches(batch_size)?, options.batch_norm)?;
        let evaluated = evaluated_batch_size(data.examples(), &pieces.probe, batch_size, options);
        let evaluated = (evaluated != batch_size)
            .then(|| pieces.with_batches(&objective, pieces.batches(evaluated)?, options.batch_norm))
            .transpose()?;
        let labels = match &data.targets {
            Targets::Classes(labels) | Targets::Tokens(labels) => {
                Some(labels.flatten_all()?.to_vec1::<u32>()?)
            }
            _ => None,
        };
        Ok(Self {
            objective,
            evaluated,
            loss: pieces.loss,
            batch_size,
            batch_norm,
            smoothing: options.smoothing,
            labels,
            statistics: pieces.statistics()?,
            notes: pieces.notes(),
        })
    }

    /// The same loss as a function of the coordinates of a subspace, for [`Task::measure_on`]; none where that does not pay.
    pub fn section(
        &self,
        space: AffineSubspace<'_>,
        options: &SectionOptions,
    ) -> Result<Option<Section>, TaskError> {
        Ok(self.evaluated().section(space, options)?)
    }

    /// The objective for evaluations.
    fn evaluated(&self) -> &GraphObjective {
        self.evaluated.as_ref().unwrap_or(&self.objective)
    }

    /// The derivative of every example's loss, as the outputs of a batch (by its place) change along a direction of their
    /// shape.
    pub fn slopes(&self, batch: usize, outputs: &Tensor, direction: &Tensor) -> Result<Vec<f64>, TaskError> {
        let targets = &self.objective.batch(batch).tensors[1];
        self.loss.slopes_of_examples(outputs, targets, direction, self.smoothing)
    }

    /// The checkpoint's running statistics of batch norm, where it has them.
    pub fn statistics(&self) -> Option<&Parameters> {
        self.statistics.as_ref()
    }
}
