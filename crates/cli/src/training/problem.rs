//! What is trained: network, data and loss, measured at any point.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use relief_hessian::{FiniteSum, Parameters};
use relief_models::architecture::{Architecture, BatchNormMode};
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataError, DataOptions, Dataset, Normalize, Split};
use relief_models::task::{Measure, Minibatches, StatisticsPass, Task, TaskOptions};
use relief_training::Optimiser;

use super::probing::Prober;
use super::settings::{Data, Settings};
use crate::exit::Failure;
use crate::load;
use crate::points;
use crate::run_folder::Row;

/// The problem of a run.
///
/// Batch norm normalises a mini-batch with its own statistics. Where a point is measured or saved, it has those of the whole
/// training split at that point, computed anew: nothing is averaged along the way.
pub(crate) struct Problem {
    pub(crate) settings: Settings,
    pub(crate) minibatches: Minibatches,
    tensors: BTreeMap<String, Tensor>,
    train: Task,
    test: Option<Task>,
    statistics: Option<StatisticsPass>,
    pub(crate) prober: Option<Prober>,
}

impl Problem {
    /// Puts settings, the training split and the tensors of the start together; `memory` is that of the run's probes.
    pub(crate) fn new(
        settings: Settings,
        data: &Dataset,
        tensors: BTreeMap<String, Tensor>,
        memory: usize,
    ) -> Result<Self, Failure> {
        let architecture = Architecture::parse(&settings.model.architecture)?;
        let options = settings.task_options()?;
        let in_training = TaskOptions { batch_norm: BatchNormMode::Batch, ..options.clone() };
        let over = |data: &Dataset| Ok(Minibatches::new(&architecture, &tensors, data, &in_training)?);
        let minibatches = over(data)?;
        let prober = settings
            .record
            .probe
            .as_ref()
            .map(|probing| Prober::new(probing, data, settings.training.seed, memory, over));
        let prober = prober.transpose()?;
        let statistics = StatisticsPass::new(&architecture, &tensors, data, &options)?;
        let train = Task::new(&architecture, &tensors, data, &options)?;
        let test = match split(&settings.data, &settings, Split::Test) {
            Ok(data) => Some(Task::new(&architecture, &tensors, &data, &options)?),
            Err(
                DataError::NoSplit { .. } | DataError::FileMissing { .. } | DataError::TextTooShort { .. },
            ) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { settings, minibatches, tensors, train, test, statistics, prober })
    }

    pub(crate) fn examples(&self) -> usize {
        self.minibatches.examples()
    }

    /// What is remarkable about the network, such as dropout that is off.
    pub(crate) fn notes(&self) -> &[String] {
        &self.train.notes
    }

    /// Loss and accuracy of both splits.
    pub(crate) fn measure(&self, at: &Parameters) -> Result<Row, Failure> {
        let statistics = self.statistics_at(at)?;
        let how = Measure { statistics: statistics.as_ref(), ..Measure::default() };
        let mut row = Row::new();
        for (split, task) in [("train", Some(&self.train)), ("test", self.test.as_ref())] {
            let Some(task) = task else { continue };
            let measured = task.measure_as(at, &how)?;
            row.insert(format!("loss/{split}"), measured.loss.into());
            if let Some(accuracy) = measured.accuracy {
                row.insert(format!("accuracy/{split}"), accuracy.into());
            }
        }
        Ok(row)
    }

    /// Saves a point as a checkpoint that says of itself what it is.
    pub(crate) fn save(&self, at: &Parameters, path: &Path, step: usize) -> Result<(), Failure> {
        let Settings { model, data, loss, training, optimizer, .. } = &self.settings;
        let recipe = format!(
            "{optimizer}, eta {}, batch {}, step {step} of {}, seed {}",
            training.eta,
            training.batch.unwrap_or(data.examples),
            training.steps,
            training.seed
        );
        let mut metadata: BTreeMap<String, String> = [
            (load::MODEL_KEY, model.architecture.clone()),
            (load::DATA_KEY, data.path.clone()),
            (load::LOSS_KEY, loss.function.clone()),
            ("recipe", recipe),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into();
        let presented = [
            (load::LIMIT_KEY, data.limit.map(|n| n.to_string())),
            (load::NORMALIZE_KEY, data.normalize.clone()),
            (load::CONTEXT_KEY, data.context.map(|n| n.to_string())),
            (load::SMOOTHING_KEY, Some(loss.label_smoothing).filter(|s| *s > 0.0).map(|s| s.to_string())),
        ];
        metadata.extend(presented.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
        let statistics = self.statistics_at(at)?;
        points::write(path, self.tensors.clone(), at, statistics.as_ref(), &metadata)
    }

    /// Saves Adam's second moments by the parameters' names, with what its preconditioner takes besides.
    pub(crate) fn save_moments(&self, square: &[f64], path: &Path, step: usize) -> Result<(), Failure> {
        let training = &self.settings.training;
        let Optimiser::Adam(adam) = &training.optimiser else { return Ok(()) };
        let eta = training.eta * training.schedule.factor(step.saturating_sub(1), training.steps);
        let metadata = [
            ("steps", step.to_string()),
            ("beta1", adam.beta1.to_string()),
            ("beta2", adam.beta2.to_string()),
            ("epsilon", adam.epsilon.to_string()),
            ("eta", eta.to_string()),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_string(), value)).into();
        points::write(path, BTreeMap::new(), &self.minibatches.parameters().at(square)?, None, &metadata)
    }

    fn statistics_at(&self, at: &Parameters) -> Result<Option<Parameters>, Failure> {
        Ok(self.statistics.as_ref().map(|pass| pass.at(at)).transpose()?)
    }
}

/// A split of the data; the limit is that of the training split.
pub(crate) fn split(data: &Data, settings: &Settings, split: Split) -> Result<Dataset, DataError> {
    let options = DataOptions {
        split,
        limit: data.limit.filter(|_| split == Split::Train),
        normalize: data.normalize.as_deref().map(Normalize::parse).transpose()?,
        context: data.context,
        dtype: settings.dtype(),
    };
    Dataset::load(&data.path, &options)
}

/// The tensors that a run starts from: those of its first checkpoint, of the one that it was told to start at, or random.
pub(crate) fn start(
    settings: &Settings,
    data: &Dataset,
    first: &Path,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    let architecture = Architecture::parse(&settings.model.architecture)?;
    let shape = data.example_shape();
    let from = if first.exists() { Some(first) } else { settings.model.from.as_deref() };
    let Some(path) = from else {
        return Ok(architecture.random_parameters(shape, settings.training.seed, settings.dtype())?);
    };
    let checkpoint = Checkpoint::load(path)?;
    checkpoint.require_finite()?;
    if path != first && settings.model.from_sha256.as_deref() != Some(checkpoint.sha256()) {
        return Err(Failure::Input(format!(
            "`{}` is not the checkpoint any more that the run started at: bring it back, or begin anew",
            path.display()
        )));
    }
    Ok(checkpoint.fit_model(&architecture, shape)?)
}
