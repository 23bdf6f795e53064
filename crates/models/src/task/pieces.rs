//! What every objective of a model on a data set is made of.

use std::collections::BTreeMap;

use candle_core::Tensor;
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{Batch, GraphObjective, Parameters, matching};

use super::batch_size::Probe;
use super::{TaskError, TaskOptions};
use crate::architecture::{Architecture, ArchitectureError, BatchNormMode, Net, Role};
use crate::data::Dataset;
use crate::loss::Loss;

/// Parameters, constants, inputs and targets, before they are cut into batches.
#[derive(Debug)]
pub(super) struct Pieces {
    architecture: Architecture,
    pub(super) options: TaskOptions,
    pub(super) loss: Loss,
    pub(super) probe: Probe,
    parameters: Parameters,
    constants: BTreeMap<String, Tensor>,
    /// Names of the running statistics among the constants.
    buffers: Vec<String>,
    pub(super) inputs: Tensor,
    /// As the loss reads them.
    pub(super) targets: Tensor,
}

impl Pieces {
    pub(super) fn new(
        architecture: &Architecture,
        tensors: &BTreeMap<String, Tensor>,
        data: &Dataset,
        options: &TaskOptions,
    ) -> Result<Self, TaskError> {
        let probe = Probe::new(architecture, data, options)?;
        let loss = options.loss.unwrap_or_else(|| Loss::for_targets(&data.targets));
        check_options(loss, options, &probe.outputs)?;
        let targets = loss.target_tensor(&data.targets, &probe.outputs)?;
        let wanted = architecture.wanted(data.example_shape())?;
        let named = |role| wanted.iter().filter(move |w| w.2 == role).map(|w| w.0.as_str());
        let chosen = match options.parameters.as_slice() {
            [] => named(Role::Parameter).map(String::from).collect(),
            patterns => matching(named(Role::Parameter), patterns)?,
        };
        let (mut parameters, mut constants) = (vec![], BTreeMap::new());
        for (name, tensor) in tensors {
            if chosen.contains(name) {
                parameters.push((name.clone(), tensor.to_dtype(options.dtype)?.to_device(&options.device)?));
            } else {
                constants.insert(name.clone(), tensor.clone());
            }
        }
        let buffers = named(Role::Buffer).filter(|name| constants.contains_key(*name)).map(String::from);
        Ok(Self {
            architecture: architecture.clone(),
            options: options.clone(),
            loss,
            buffers: buffers.collect(),
            probe,
            parameters: Parameters::new(parameters)?,
            constants,
            inputs: data.inputs.clone(),
            targets,
        })
    }

    /// Some examples in their order.
    pub(super) fn batch(&self, start: usize, examples: usize) -> Result<Batch, TaskError> {
        let part = |tensor: &Tensor| tensor.narrow(0, start, examples);
        Ok(Batch { tensors: vec![part(&self.inputs)?, part(&self.targets)?], examples })
    }

    /// All examples in their order, in batches of this size but for the last.
    pub(super) fn batches(&self, size: usize) -> Result<Vec<Batch>, TaskError> {
        let examples = self.inputs.dim(0)?;
        (0..examples).step_by(size).map(|start| self.batch(start, size.min(examples - start))).collect()
    }

    /// The loss over batches.
    pub(super) fn objective(
        &self,
        batches: Vec<Batch>,
        mode: BatchNormMode,
    ) -> Result<GraphObjective, TaskError> {
        self.objective_of(batches, |graph, batch| self.forward(&Net::new(graph, mode), batch))
    }

    /// The same loss as `known` over other batches, with its graphs where they fit.
    pub(super) fn with_batches(
        &self,
        known: &GraphObjective,
        batches: Vec<Batch>,
        mode: BatchNormMode,
    ) -> Result<GraphObjective, TaskError> {
        Ok(known.with_batches(batches, |graph, batch| self.forward(&Net::new(graph, mode), batch))?)
    }

    /// The parameters at the checkpoint.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What `build` makes of batches, with this model's tensors.
    pub(super) fn objective_of(
        &self,
        batches: Vec<Batch>,
        build: impl Fn(&GraphBuilder, &[Value]) -> relief_autodiff::Result<(Value, Value)>,
    ) -> Result<GraphObjective, TaskError> {
        let made = GraphObjective::new(self.parameters.clone(), self.constants.clone(), batches, build)?;
        Ok(made.with_weight_decay(self.options.weight_decay))
    }

    /// What the reader of a result should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let normalized = "every example's outputs are centred and divided by their length before the loss";
        let also = self.options.normalized_logits.then(|| normalized.to_string());
        self.probe.notes.iter().cloned().chain(also).collect()
    }

    /// Outputs and mean loss of a batch of inputs and targets.
    pub(super) fn forward(&self, net: &Net, batch: &[Value]) -> relief_autodiff::Result<(Value, Value)> {
        let mut outputs = self.architecture.build(net, &batch[0]).map_err(into_engine)?;
        if self.options.normalized_logits {
            // Of unit variance first, which makes their length the root of their number.
            let classes = outputs.dims().last().copied().unwrap_or(1) as f64;
            outputs = outputs.layer_norm(1, None, None, 0.0)?.scale(classes.sqrt().recip())?;
        }
        let loss = self.loss.value(&outputs, &batch[1], self.options.smoothing)?;
        Ok((outputs, loss))
    }

    /// The running statistics, in the run's numbers.
    pub(super) fn statistics(&self) -> Result<Option<Parameters>, TaskError> {
        if self.buffers.is_empty() {
            return Ok(None);
        }
        let buffer = |name: &String| {
            let tensor =
                self.constants[name].to_dtype(self.options.dtype)?.to_device(&self.options.device)?;
            Ok::<_, candle_core::Error>((name.clone(), tensor))
        };
        let named = self.buffers.iter().map(buffer).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Parameters::new(named)?))
    }
}

fn check_options(loss: Loss, options: &TaskOptions, outputs: &[usize]) -> Result<(), TaskError> {
    if options.normalized_logits && outputs.last().is_none_or(|classes| *classes < 2) {
        return Err(TaskError::Option(format!(
            "outputs of shape {outputs:?} cannot be normalised: logits of at least 2 classes can"
        )));
    }
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

fn into_engine(error: ArchitectureError) -> relief_autodiff::Error {
    relief_autodiff::Error::Unavailable(error.to_string())
}
