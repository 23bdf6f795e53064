//! All settings of a run, as they stand in its `run.toml`.

use std::path::{Path, PathBuf};

use candle_core::DType;
use relief_models::loss::Loss;
use relief_models::task::TaskOptions;
use relief_training::Training;
use serde::{Deserialize, Serialize};

use super::probing::Probing;
use crate::device;
use crate::exit::Failure;
use crate::output;

/// The file in the run's folder.
pub(crate) const SETTINGS: &str = "run.toml";

/// What a run depends on: with the data, enough to repeat it to the last digit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The program's version: another one may round differently.
    pub(crate) version: String,
    /// `--optimizer`.
    pub(crate) optimizer: String,
    pub(crate) model: Model,
    pub(crate) data: Data,
    pub(crate) loss: LossSettings,
    pub(crate) record: Record,
    pub(crate) training: Training,
}

/// The network and its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) architecture: String,
    /// f32 or f64.
    pub(crate) dtype: String,
    /// The card it runs on, with the precision of products where it is not full; none for the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// The checkpoint it starts at; without one, the start is random, by the training's seed.
    pub(crate) from: Option<PathBuf>,
    /// Its hash.
    pub(crate) from_sha256: Option<String>,
}

/// The training split, and how it was presented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) path: String,
    pub(crate) sha256: Option<String>,
    pub(crate) examples: usize,
    pub(crate) limit: Option<usize>,
    pub(crate) normalize: Option<String>,
    pub(crate) context: Option<usize>,
}

/// The loss, without weight decay, which is the optimizer's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossSettings {
    pub(crate) function: String,
    pub(crate) label_smoothing: f64,
}

/// What is recorded, and when, in steps; the first and the last step always are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) measure_every: usize,
    pub(crate) checkpoint_every: Option<usize>,
    /// Whether Adam's second moments are kept beside the checkpoints.
    #[serde(default)]
    pub(crate) moments: bool,
    pub(crate) probe: Option<Probing>,
}

impl Settings {
    pub(crate) fn save(&self, folder: &Path) -> Result<(), Failure> {
        output::write(&folder.join(SETTINGS), self.text()?.as_bytes())
    }

    /// The settings as they are saved: what a state must agree with.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(|e| {
            Failure::Usage(format!("the settings cannot be written as TOML ({e}): give a smaller --seed"))
        })
    }

    /// Reads those of a run that this version can go on with.
    pub(crate) fn load(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(SETTINGS);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::Input(format!(
                "`{}` is not the folder of a training: `{SETTINGS}` cannot be read ({e})",
                folder.display()
            ))
        })?;
        let settings: Self = toml::from_str(&text).map_err(|e| {
            Failure::Input(format!("`{}` is not as `relief train` writes it: {e}", path.display()))
        })?;
        let version = env!("CARGO_PKG_VERSION");
        if settings.version != version {
            return Err(Failure::Input(format!(
                "the run in `{}` was begun with version {}, and this is {version}, whose digits may differ: go on with the \
                 version it was begun with, or begin anew",
                folder.display(),
                settings.version
            )));
        }
        let asked = device::recorded();
        if settings.model.device != asked {
            let [begun, asked] = [&settings.model.device, &asked].map(|d| d.as_deref().unwrap_or("cpu"));
            return Err(Failure::Usage(format!(
                "the run in `{}` was begun on the device {begun}, and this is {asked}, whose digits differ: go on with \
                 --device {begun}",
                folder.display()
            )));
        }
        Ok(settings)
    }

    pub(crate) fn dtype(&self) -> DType {
        if self.model.dtype == "f64" { DType::F64 } else { DType::F32 }
    }

    /// How loss and network are put together, without weight decay.
    pub(crate) fn task_options(&self) -> Result<TaskOptions, Failure> {
        device::check_precision(self.dtype())?;
        Ok(TaskOptions {
            loss: Some(self.loss.function.parse::<Loss>()?),
            smoothing: self.loss.label_smoothing,
            dtype: self.dtype(),
            device: device::chosen(),
            ..TaskOptions::default()
        })
    }
}
