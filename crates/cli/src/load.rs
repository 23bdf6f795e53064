//! From arguments to an objective: checkpoint, architecture, data.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use relief_hessian::{Objective, Parameters, check};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset, Normalize, Split};
use relief_models::loss::Loss;
use relief_models::task::{Measured, Task, TaskOptions};
use serde::Serialize;

use crate::arguments::{RunArguments, SplitArgument, TaskArguments};
use crate::exit::Failure;
use crate::{device, threads};

/// Metadata keys of a checkpoint that say what it is.
pub(crate) const MODEL_KEY: &str = "model";
/// See [`MODEL_KEY`].
pub(crate) const DATA_KEY: &str = "data";
/// How the training data were presented, and the loss: what options say of them where they are given.
pub(crate) const LIMIT_KEY: &str = "limit";
/// See [`LIMIT_KEY`].
pub(crate) const NORMALIZE_KEY: &str = "normalize";
/// See [`LIMIT_KEY`].
pub(crate) const CONTEXT_KEY: &str = "context";
/// See [`LIMIT_KEY`].
pub(crate) const LOSS_KEY: &str = "loss";
/// See [`LIMIT_KEY`].
pub(crate) const SMOOTHING_KEY: &str = "label_smoothing";

/// Everything that a verb needs.
pub(crate) struct Loaded {
    pub(crate) task: Task,
    pub(crate) model: String,
    pub(crate) data: Dataset,
    pub(crate) split: Split,
    pub(crate) data_sha256: Option<String>,
    pub(crate) checkpoint_path: String,
    pub(crate) checkpoint_sha256: String,
    pub(crate) accuracy: Option<f64>,
    /// The loss at the checkpoint, with its weight decay term.
    pub(crate) loss: f64,
    pub(crate) options: TaskOptions,
    pub(crate) architecture: Architecture,
    pub(crate) tensors: BTreeMap<String, Tensor>,
    /// How the data were drawn from more, if they were.
    pub(crate) sample: Option<Sample>,
}

/// A random sample of a data set.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// The examples of the whole set.
    pub(crate) of: usize,
    seed: u64,
}

impl Loaded {
    /// `f32` or `f64`.
    pub(crate) fn dtype_name(&self) -> &'static str {
        match self.task.objective.parameters().dtype() {
            DType::F64 => "f64",
            _ => "f32",
        }
    }

    /// Everything that makes the loss at a point what it is: what a saved state must agree with.
    pub(crate) fn identity(&self) -> String {
        let task = &self.task;
        let place = device::recorded().map(|device| format!(" {device}")).unwrap_or_default();
        let logits = if self.options.normalized_logits { " normalized logits" } else { "" };
        format!(
            "{} {} {} {:?} {} {} {:?} {:?} {} {} {} {} {} {:?}{logits}{place}",
            self.checkpoint_sha256,
            self.model,
            self.data.source,
            self.data_sha256,
            self.split.name(),
            task.objective.examples(),
            self.sample,
            task.batch_norm,
            task.batch_size,
            task.loss,
            self.options.smoothing,
            self.options.weight_decay,
            self.dtype_name(),
            self.options.parameters,
        )
    }

    /// The same loss as a function of some parameters alone; the others stay where they are.
    pub(crate) fn restricted_to(&self, names: &[String]) -> Result<Task, Failure> {
        let options = TaskOptions { parameters: names.to_vec(), ..self.options.clone() };
        Ok(Task::new(&self.architecture, &self.tensors, &self.data, &options)?)
    }

    /// From here on a function of these parameters alone.
    pub(crate) fn narrow(&mut self, names: Vec<String>) -> Result<(), Failure> {
        self.task = self.restricted_to(&names)?;
        self.options.parameters = names;
        Ok(())
    }

    /// Holds the model against its own definition on a few examples in f64, before long work on it.
    pub(crate) fn check_rules(&self, seed: u64) -> Result<(), Failure> {
        let mut refusal = String::new();
        for examples in CHECKED_EXAMPLES.map(|n| n.min(self.data.examples())) {
            let (inputs, targets) = self.data.batch(0..examples)?;
            let few = Dataset::from_tensors(&self.data.name, inputs, targets)?;
            let options = TaskOptions { dtype: DType::F64, batch_size: None, ..self.options.clone() };
            let task = Task::new(&self.architecture, &self.tensors, &few, &options)?;
            let report = check(&task.objective, seed)?;
            let Some(failed) = report.findings.iter().find(|f| !f.passed) else { return Ok(()) };
            refusal = format!(
                "the model's derivatives disagree with its loss ({}: error {:.1e}, at most {:.1e} is rounding): {}; \
                 `relief check` shows more, --no-check goes on regardless",
                failed.name,
                failed.error,
                failed.allowed,
                failed.culprit.as_deref().unwrap_or("an operation's rule is wrong")
            );
        }
        Err(Failure::Numbers(refusal))
    }
}

/// Examples on which a model is checked before a long job. Two meet every rule and are not felt; more only where two
/// disagree, because a loss that is almost zero drowns in rounding.
const CHECKED_EXAMPLES: [usize; 2] = [2, 32];

/// Sets up threads and device as asked.
pub(crate) fn prepare(run: &RunArguments) -> Result<(), Failure> {
    if run.threads == Some(0) {
        return Err(Failure::Usage("--threads is 0: give at least 1, or leave it out".into()));
    }
    if !run.memory.is_finite() || run.memory < 0.0 {
        return Err(Failure::Usage(format!(
            "--memory is {}: give a number of gigabytes not below 0",
            run.memory
        )));
    }
    if let Some(path) = &run.print.output {
        crate::output::check_writable(path)?;
    }
    device::choose(&run.device)?;
    device::choose_precision(run.precision)?;
    threads::start(run.threads);
    Ok(())
}

/// Bytes that `--memory` stands for, on all devices together.
pub(crate) fn memory(run: &RunArguments) -> usize {
    (run.memory * 1e9) as usize * device::count()
}

/// Half the distance from 1 to the next number in the precision in which the parameters are multiplied.
pub(crate) fn unit_roundoff(parameters: &Parameters) -> f64 {
    match parameters.dtype() {
        DType::F64 => f64::EPSILON / 2.0,
        _ => relief_autodiff::precision().unit_roundoff(),
    }
}

/// Loads checkpoint and data, and puts them together; `dtype` overrides the checkpoint's, the seed is that of a sample.
pub(crate) fn load(arguments: &TaskArguments, dtype: Option<DType>, seed: u64) -> Result<Loaded, Failure> {
    assemble(arguments, dtype, seed, &Checkpoint::load(&arguments.checkpoint)?)
}

/// As [`load`], for a checkpoint in memory.
pub(crate) fn assemble(
    arguments: &TaskArguments,
    dtype: Option<DType>,
    seed: u64,
    checkpoint: &Checkpoint,
) -> Result<Loaded, Failure> {
    checkpoint.require_finite()?;
    let arguments = &described(arguments, checkpoint);
    let dtype = dtype.or(arguments.dtype.map(DType::from)).unwrap_or_else(|| checkpoint.dtype());
    device::check_precision(dtype)?;
    let architecture = architecture(arguments.model.as_ref(), checkpoint)?;
    let whole = data(arguments, checkpoint, dtype)?;
    let population = whole.examples();
    let data = arguments.sample.map_or_else(|| Ok(whole.clone()), |count| whole.sample(count, seed))?;
    let tensors = checkpoint.fit_model(&architecture, data.example_shape())?;
    let options = TaskOptions {
        loss: arguments.loss.as_deref().map(str::parse::<Loss>).transpose()?,
        smoothing: arguments.label_smoothing.unwrap_or(0.0),
        normalized_logits: arguments.normalize_logits,
        batch_norm: arguments.bn.into(),
        statistics_per_batch: arguments.bn_per_batch,
        batch_size: arguments.batch_size,
        dtype,
        parameters: arguments.params.clone(),
        weight_decay: arguments.weight_decay,
        device: device::chosen(),
    };
    let task = Task::new(&architecture, &tensors, &data, &options)?;
    let Measured { loss, accuracy, .. } = task.measure(task.objective.parameters())?;
    Ok(Loaded {
        model: architecture.to_string(),
        split: arguments.split.into(),
        sample: arguments.sample.map(|_| Sample { of: population, seed }),
        data_sha256: data.fingerprint()?,
        checkpoint_path: arguments.checkpoint.display().to_string(),
        checkpoint_sha256: checkpoint.sha256().to_string(),
        accuracy,
        loss,
        task,
        data,
        options,
        architecture,
        tensors,
    })
}

/// The arguments with what they leave open and the checkpoint says of its training. That was on its own data: where others
/// are named, nothing is taken over.
pub(crate) fn described(arguments: &TaskArguments, checkpoint: &Checkpoint) -> TaskArguments {
    let mut all = arguments.clone();
    let said = |key: &str| checkpoint.metadata.get(key);
    if all.data.is_some() && all.data.as_ref() != said(DATA_KEY) {
        return all;
    }
    let number = |key: &str| said(key).and_then(|text| text.parse().ok());
    if all.split == SplitArgument::Train {
        all.limit = all.limit.or_else(|| number(LIMIT_KEY));
    }
    all.context = all.context.or_else(|| number(CONTEXT_KEY));
    all.normalize = all.normalize.or_else(|| said(NORMALIZE_KEY).cloned());
    if all.loss.is_none() {
        all.loss = said(LOSS_KEY).cloned();
        let smoothing = said(SMOOTHING_KEY).and_then(|text| text.parse().ok());
        all.label_smoothing = all.label_smoothing.or(smoothing);
    }
    all
}

/// The architecture that is named, or that the checkpoint names, with what its shapes tell.
pub(crate) fn architecture(model: Option<&String>, checkpoint: &Checkpoint) -> Result<Architecture, Failure> {
    let shapes = checkpoint.shapes();
    let Some(spec) = model.or_else(|| checkpoint.metadata.get(MODEL_KEY)) else {
        let fitting: Vec<String> = Architecture::fits(&shapes).iter().map(ToString::to_string).collect();
        let advice = if fitting.is_empty() {
            "no built-in fits its tensors, so describe it in a model file and give --model FILE.toml"
                .to_string()
        } else {
            format!("its tensors fit --model {}", fitting.join(" or --model "))
        };
        return Err(Failure::Usage(format!(
            "the checkpoint `{}` does not say which model it is: {advice}",
            checkpoint.source.display()
        )));
    };
    let architecture = Architecture::parse(spec).map_err(|e| {
        if spec.ends_with(".toml") { Failure::Input(e.to_string()) } else { Failure::Usage(e.to_string()) }
    })?;
    Ok(architecture.infer(&shapes)?)
}

pub(crate) fn data(
    arguments: &TaskArguments,
    checkpoint: &Checkpoint,
    dtype: DType,
) -> Result<Dataset, Failure> {
    let Some(source) = arguments.data.as_ref().or_else(|| checkpoint.metadata.get(DATA_KEY)) else {
        return Err(Failure::Usage(
            "the data are not named: give --data with `digits`, a file or a folder (see `relief eigenvalues --help`)".into(),
        ));
    };
    let options = DataOptions {
        split: arguments.split.into(),
        limit: arguments.limit,
        normalize: arguments.normalize.as_deref().map(Normalize::parse).transpose()?,
        context: arguments.context,
        dtype,
    };
    Ok(Dataset::load(source, &options)?)
}
