//! What every JSON result says about where it comes from.

use relief_hessian::{Curvature, Objective, ParameterGroup, Parameters};
use relief_models::architecture::BatchNormMode;
use serde::Serialize;

use crate::load::{Loaded, Sample};
use crate::numbers;
use crate::preconditioning::{Preconditioned, Preconditioner};
use crate::survey::KeptLayers;

/// The envelope of a result: input, point and work.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<R> {
    pub(crate) schema: &'static str,
    pub(crate) version: &'static str,
    pub(crate) seed: u64,
    pub(crate) checkpoint: File,
    pub(crate) model: String,
    pub(crate) data: Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preconditioner: Option<Preconditioned>,
    /// Of a block-diagonal operator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocks: Vec<Block>,
    /// Number of parameters n in which the loss is differentiated.
    pub(crate) parameters: usize,
    pub(crate) dtype: &'static str,
    /// Where it was computed: `cpu`, or `cuda:` with the numbers of the cards.
    pub(crate) device: String,
    /// What factors of products were rounded to, `tf32` or `bf16`, where they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) precision: Option<String>,
    pub(crate) batch_norm: Option<&'static str>,
    pub(crate) batch_size: usize,
    pub(crate) loss_function: String,
    pub(crate) label_smoothing: f64,
    pub(crate) weight_decay: f64,
    pub(crate) loss: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gradient_norm: Option<f64>,
    pub(crate) accuracy: Option<f64>,
    pub(crate) notes: Vec<String>,
    pub(crate) result: R,
    /// Of scans: what was computed once for all points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept_layers: Option<KeptLayers>,
    pub(crate) work: Work,
}

/// A file and its hash.
#[derive(Debug, Serialize)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) sha256: String,
}

/// The data set as it was used.
#[derive(Debug, Serialize)]
pub(crate) struct Data {
    pub(crate) path: String,
    pub(crate) examples: usize,
    pub(crate) split: &'static str,
    /// Where the examples are a random sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sample: Option<Sample>,
    pub(crate) sha256: Option<String>,
}

/// What it cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Work {
    /// Matrix-vector products over the whole data set.
    pub(crate) products: usize,
    /// Gradients over the whole data set.
    pub(crate) gradients: usize,
    /// Forward passes over the whole data set, besides those of gradients and products.
    pub(crate) evaluations: usize,
    pub(crate) seconds: f64,
}

/// Which matrix was looked at.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    name: String,
    preconditioner: Option<Preconditioned>,
    pub(crate) blocks: Vec<Block>,
}

/// Blocks that a note names before it only counts the rest.
const LISTED: usize = 8;

/// A block of a block-diagonal matrix.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Block {
    name: String,
    /// Rows.
    parameters: usize,
}

impl Block {
    pub(crate) fn new(group: &ParameterGroup, at: &Parameters) -> Self {
        Self { name: group.name.clone(), parameters: group.entries(at) }
    }
}

impl Described {
    pub(crate) fn new(name: String, preconditioner: Option<&Preconditioner>) -> Self {
        Self { name, preconditioner: preconditioner.map(Preconditioner::described), blocks: vec![] }
    }

    /// What a reader should know of it.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.preconditioner.as_ref().map_or(vec![], Preconditioned::notes);
        if !self.blocks.is_empty() {
            let name = |block: &Block| format!("{} ({})", block.name, numbers::count(block.parameters));
            let mut names: Vec<String> = self.blocks.iter().take(LISTED).map(name).collect();
            if self.blocks.len() > LISTED {
                names.push(format!("and {} more", self.blocks.len() - LISTED));
            }
            notes.push(format!(
                "{} blocks, each a product of its own: {}",
                self.blocks.len(),
                names.join(", ")
            ));
        }
        notes
    }
}

impl From<&str> for Described {
    fn from(name: &str) -> Self {
        Self::new(name.to_string(), None)
    }
}

/// What is known of the checkpoint's point.
pub(crate) struct Point {
    operator: Option<Described>,
    loss: f64,
    gradient_norm: Option<f64>,
}

impl Point {
    /// Where a matrix of second derivatives was looked at.
    pub(crate) fn curved(curvature: &Curvature<'_>, operator: impl Into<Described>) -> Self {
        let gradient_norm = Some(curvature.gradient_norm());
        Self { operator: Some(operator.into()), loss: curvature.loss(), gradient_norm }
    }

    /// Where only the loss is known.
    pub(crate) fn with_loss(loss: f64) -> Self {
        Self { operator: None, loss, gradient_norm: None }
    }

    /// The same where a matrix was looked at.
    pub(crate) fn with_operator(self, operator: impl Into<Described>) -> Self {
        Self { operator: Some(operator.into()), ..self }
    }
}

impl<R> Envelope<R> {
    pub(crate) fn new(
        schema: &'static str,
        seed: u64,
        loaded: &Loaded,
        point: Point,
        (result, work): (R, Work),
    ) -> Self {
        let task = &loaded.task;
        let mut notes = task.notes.clone();
        notes.extend(point.operator.iter().flat_map(Described::notes));
        let (operator, preconditioner, blocks) = match point.operator {
            Some(Described { name, preconditioner, blocks }) => (Some(name), preconditioner, blocks),
            None => (None, None, vec![]),
        };
        Self {
            schema,
            version: env!("CARGO_PKG_VERSION"),
            seed,
            checkpoint: File {
                path: loaded.checkpoint_path.clone(),
                sha256: loaded.checkpoint_sha256.clone(),
            },
            model: loaded.model.clone(),
            data: Data {
                path: loaded.data.source.clone(),
                examples: task.objective.examples(),
                split: loaded.split.name(),
                sample: loaded.sample,
                sha256: loaded.data_sha256.clone(),
            },
            operator,
            preconditioner,
            blocks,
            parameters: task.objective.parameters().len(),
            dtype: loaded.dtype_name(),
            device: crate::device::name(task.objective.parameters().device()),
            precision: crate::device::reduced().map(|precision| precision.to_string()),
            batch_norm: task.batch_norm.map(mode_name),
            batch_size: task.batch_size,
            loss_function: task.loss.to_string(),
            label_smoothing: loaded.options.smoothing,
            weight_decay: task.objective.weight_decay(),
            loss: point.loss,
            gradient_norm: point.gradient_norm,
            accuracy: loaded.accuracy,
            notes,
            result,
            kept_layers: None,
            work,
        }
    }
}

/// `eval` or `batch`.
pub(crate) fn mode_name(mode: BatchNormMode) -> &'static str {
    match mode {
        BatchNormMode::Batch => "batch",
        BatchNormMode::Eval => "eval",
    }
}
