//! Arguments that several verbs share, and the list of verbs.

use std::path::PathBuf;

use candle_core::DType;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use relief_models::architecture::BatchNormMode;
use relief_models::data::Split;
use relief_models::loss::Loss;

use crate::commands;
use crate::device::DeviceArgument;
use relief_autodiff::Precision;

/// Loss landscapes and Hessians of neural networks: certified numbers from a checkpoint and its data.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Start with `relief quickstart`: it needs no files and no download.
Exit codes: 0 done; 1 computed, but not to the asked tolerance; 2 usage; 3 input does not fit; 4 numbers failed
(not finite, or a check refused); 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(commands::quickstart::Arguments),
    Eigenvalues(commands::eigenvalues::Arguments),
    Spectrum(commands::spectrum::Arguments),
    Track(Box<commands::track::Arguments>),
    Trace(commands::trace::Arguments),
    Diagonal(commands::diagonal::Arguments),
    Outliers(commands::outliers::Arguments),
    Kfac(commands::kfac::Arguments),
    Compare(commands::compare::Arguments),
    Subset(commands::subset::Arguments),
    Sharpness(Box<commands::sharpness::Arguments>),
    Line(commands::line::Arguments),
    Surface(commands::surface::Arguments),
    Trajectory(Box<commands::trajectory::Arguments>),
    Train(Box<commands::train::Arguments>),
    Connect(commands::connect::Arguments),
    Align(commands::align::Arguments),
    Shape(commands::shape::Arguments),
    Inspect(commands::inspect::Arguments),
    Check(commands::check::Arguments),
    Plot(commands::plot::Arguments),
    Models(commands::models::Arguments),
    Completions(commands::completions::Arguments),
}

/// Which loss: checkpoint, model, data and how they are put together.
#[derive(Debug, Clone, Args)]
pub(crate) struct TaskArguments {
    /// Checkpoint: safetensors, or a PyTorch .pth or .pt zip archive
    pub(crate) checkpoint: PathBuf,

    /// Architecture (`relief models` lists them) or a .toml model file; else what the checkpoint's metadata says
    #[arg(short, long, help_heading = "Model")]
    pub(crate) model: Option<String>,

    /// Batch norm: running statistics, or those of the whole given set, differentiated through
    #[arg(long, value_enum, default_value = "eval", help_heading = "Model")]
    pub(crate) bn: BatchNormArgument,

    /// With --bn batch: allow several batches, each normalised by its own statistics
    #[arg(long, requires = "bn", help_heading = "Model")]
    pub(crate) bn_per_batch: bool,

    /// Differentiate in these parameters only; patterns such as 'layer4.*', may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Model")]
    pub(crate) params: Vec<String>,

    /// `digits` (built in), idx, CIFAR, .npz, .safetensors, .txt or a folder; else what the metadata says
    #[arg(short, long, help_heading = "Data")]
    pub(crate) data: Option<String>,

    /// Use the first N examples [default: all, or as many as a checkpoint says it was trained on]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) limit: Option<usize>,

    /// Use M random examples (of those, by --seed) instead of all
    #[arg(long, value_name = "M", help_heading = "Data")]
    pub(crate) sample: Option<usize>,

    /// Which part of the data
    #[arg(long, value_enum, default_value = "train", help_heading = "Data")]
    pub(crate) split: SplitArgument,

    /// Inputs become (x - mean) / std: `mean,std`, or per channel `m1,m2,m3/s1,s2,s3`
    #[arg(long, value_name = "MEAN,STD", help_heading = "Data", allow_hyphen_values = true)]
    pub(crate) normalize: Option<String>,

    /// Length of a text's sequences, in tokens
    #[arg(long, value_name = "T", help_heading = "Data")]
    pub(crate) context: Option<usize>,

    /// The loss; by default cross-entropy for labels, mse for real targets, next-token for text
    #[arg(long, value_parser = PossibleValuesParser::new(Loss::ALL.map(Loss::name)), help_heading = "Loss")]
    pub(crate) loss: Option<String>,

    /// Label smoothing of a cross-entropy [default: 0]
    #[arg(long, value_name = "S", help_heading = "Loss")]
    pub(crate) label_smoothing: Option<f64>,

    /// Centre every example's outputs and divide them by their length before the loss, which a factor on the outputs then
    /// leaves as it is
    #[arg(long, help_heading = "Loss")]
    pub(crate) normalize_logits: bool,

    /// Add W/2 |theta|^2 to the loss
    #[arg(long, value_name = "W", default_value_t = 0.0, help_heading = "Loss")]
    pub(crate) weight_decay: f64,

    /// Examples worked on at once; changes memory and speed, not the result
    #[arg(long, value_name = "B", help_heading = "Computation")]
    pub(crate) batch_size: Option<usize>,

    /// Numbers of the products; by default the checkpoint's own (f16 and bf16 become f32)
    #[arg(long, value_enum, help_heading = "Computation")]
    pub(crate) dtype: Option<DTypeArgument>,
}

impl TaskArguments {
    /// A checkpoint as it describes itself.
    pub(crate) fn of(checkpoint: PathBuf) -> Self {
        Self {
            checkpoint,
            model: None,
            bn: BatchNormArgument::Eval,
            bn_per_batch: false,
            params: vec![],
            data: None,
            limit: None,
            sample: None,
            split: SplitArgument::Train,
            normalize: None,
            context: None,
            loss: None,
            label_smoothing: None,
            normalize_logits: false,
            weight_decay: 0.0,
            batch_size: None,
            dtype: None,
        }
    }
}

/// How to compute and what to print.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Seed of every random number
    #[arg(long, default_value_t = 0, help_heading = "Computation")]
    pub(crate) seed: u64,

    /// Threads; by default one per core, which then each keep to their own. The digits do not depend on it
    #[arg(long, value_name = "T", env = "RELIEF_THREADS", help_heading = "Computation")]
    pub(crate) threads: Option<usize>,

    /// Where to compute: cpu, cuda (cuda:1 for the second card), cuda:0,1 or cuda:all for several that share the batches, or
    /// auto, which takes a card if there is one. Digits depend on how many cards there are
    #[arg(long, default_value = "cpu", help_heading = "Computation")]
    pub(crate) device: DeviceArgument,

    /// What products of f32 matrices on a card read: factors in full, or, faster, rounded to TensorFloat-32 (tf32, 11 binary
    /// digits) or bfloat16 (bf16, 8); sums are in f32 in every case
    #[arg(long, default_value = "full", help_heading = "Computation")]
    pub(crate) precision: Precision,

    /// Gigabytes, of each device's memory, for linearized batches, and for layers that a scan computes once for all its points;
    /// what does not fit is computed again for every product or point
    #[arg(long, value_name = "GB", default_value_t = 4.0, help_heading = "Computation")]
    pub(crate) memory: f64,

    #[command(flatten)]
    pub(crate) print: PrintArguments,
}

/// What to print and where.
#[derive(Debug, Args)]
pub(crate) struct PrintArguments {
    /// What to print on stdout
    #[arg(long, value_enum, default_value = "human", help_heading = "Output")]
    pub(crate) format: Format,

    /// Write the result to this file as well: as JSON, or, where it is of curvature, a line or a surface, as what the name
    /// ends in: a picture (.png, .svg, .html), NumPy arrays (.npz), a table (.csv), VTK's polygons or image for ParaView
    /// (lines and surfaces .vtp, surfaces .vti)
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BatchNormArgument {
    Eval,
    Batch,
}

impl From<BatchNormArgument> for BatchNormMode {
    fn from(argument: BatchNormArgument) -> Self {
        match argument {
            BatchNormArgument::Eval => Self::Eval,
            BatchNormArgument::Batch => Self::Batch,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArgument {
    Train,
    Test,
}

impl From<SplitArgument> for Split {
    fn from(argument: SplitArgument) -> Self {
        match argument {
            SplitArgument::Train => Self::Train,
            SplitArgument::Test => Self::Test,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DTypeArgument {
    F32,
    F64,
}

impl From<DTypeArgument> for DType {
    fn from(argument: DTypeArgument) -> Self {
        match argument {
            DTypeArgument::F32 => Self::F32,
            DTypeArgument::F64 => Self::F64,
        }
    }
}
