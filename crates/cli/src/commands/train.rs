//! `relief train`: training with a record of what the loss looks like on the way.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use clap::builder::PossibleValuesParser;
use relief_hessian::{Control, FiniteSum};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{Dataset, Split};
use relief_models::loss::Loss;
use relief_training::{Ending, Optimiser, TrainingState};

use crate::arguments::{DTypeArgument, RunArguments};
use crate::envelope::Envelope;
use crate::exit::{Failure, Outcome};
use crate::run_folder::{RunFolder, STATE};
use crate::training::arguments::RecipeArguments;
use crate::training::probing::ProbeArguments;
use crate::training::problem::{self, Problem};
use crate::training::recorder::{Recorder, checkpoint};
use crate::training::report::{self, Trained};
use crate::training::rules::RuleArguments;
use crate::training::settings::{self, LossSettings, Model, Record, Settings};
use crate::{interrupt, load, output};

/// Train a network with SGD, Adam or sharpness-aware minimization, and record what the loss looks like on the way
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief train --model mlp:widths=64-32-32-10 --data digits --run runs/sgd
  relief train --model mlp:widths=64-32-32-10 --data digits --optimizer sam --rho 0.1 --run runs/sam
  relief train --model cnn --data cifar/ --optimizer sam --schedule cosine --epochs 60 --run runs/cnn-sam
  relief train --from net.safetensors --data digits --optimizer asam --steps 500 --run runs/tuned
  relief train --model mlp:widths=64-32-32-10 --data digits --batch full --momentum 0 --eta 0.2 --steps 2000 --probe-every 50
  relief train --resume runs/sam
  relief train --model mlp:widths=64-32-32-10 --data digits --probe-every 100 --noise --noise-error 0.05 --kernel-norm --run runs/k
  relief train --model mlp:widths=64-32-32-10 --data digits --optimizer adam --checkpoint-every 100 --save-moments --run runs/adam
  relief plot runs/sgd runs/sam -o training.png

The folder of the run gets run.toml (all settings), metrics.jsonl (a row for every measurement), checkpoints/ (which all other
verbs read as they are) and state.safetensors (to go on from, after Ctrl-C or worse). A run that was broken off and resumed
has the same digits as one that was not.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    start: StartArguments,

    #[command(flatten)]
    recipe: RecipeArguments,

    #[command(flatten)]
    rule: RuleArguments,

    #[command(flatten)]
    probes: ProbeArguments,

    /// Go on with the run in a folder, with its own settings
    #[arg(long, value_name = "RUN", help_heading = "Output",
        conflicts_with_all = ["StartArguments", "RecipeArguments", "RuleArguments", "ProbeArguments", "AskedArguments", "seed"])]
    resume: Option<PathBuf>,

    #[command(flatten)]
    run: RunArguments,
}

/// Network, data, loss, and what is recorded.
#[derive(Debug, Args)]
struct StartArguments {
    /// Architecture (`relief models` lists them) or a .toml model file; else what the checkpoint of --from says
    #[arg(short, long, required_unless_present_any = ["from", "resume"], help_heading = "Model")]
    model: Option<String>,

    /// Start at this checkpoint instead of at random, by --seed
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Model")]
    from: Option<PathBuf>,

    /// Numbers of the network [default: f32]
    #[arg(long, value_enum, help_heading = "Model")]
    dtype: Option<DTypeArgument>,

    /// `digits` (built in), idx, CIFAR, .npz, .safetensors, .txt or a folder; else what the checkpoint of --from says
    #[arg(short, long, required_unless_present_any = ["from", "resume"], help_heading = "Data")]
    data: Option<String>,

    /// Train on the first N examples
    #[arg(long, value_name = "N", help_heading = "Data")]
    limit: Option<usize>,

    /// Inputs become (x - mean) / std: `mean,std`, or per channel `m1,m2,m3/s1,s2,s3`
    #[arg(long, value_name = "MEAN,STD", help_heading = "Data", allow_hyphen_values = true)]
    normalize: Option<String>,

    /// Length of a text's sequences, in tokens
    #[arg(long, value_name = "T", help_heading = "Data")]
    context: Option<usize>,

    /// The loss; by default cross-entropy for labels, mse for real targets, next-token for text
    #[arg(long, value_parser = PossibleValuesParser::new(Loss::ALL.map(Loss::name)), help_heading = "Loss")]
    loss: Option<String>,

    /// Label smoothing of a cross-entropy
    #[arg(long, value_name = "S", default_value_t = 0.0, help_heading = "Loss")]
    label_smoothing: f64,

    /// Folder of the run
    #[arg(long = "run", value_name = "FOLDER", default_value = "runs/train", help_heading = "Output")]
    folder: PathBuf,

    /// Measure loss and accuracy of both splits every N steps [default: every epoch, or 200 times in all where it is a step]
    #[arg(long, value_name = "N", help_heading = "Output")]
    measure_every: Option<usize>,

    /// Save a checkpoint every N steps, besides the first and the last
    #[arg(long, value_name = "N", help_heading = "Output")]
    checkpoint_every: Option<usize>,

    /// With Adam: keep its second moments beside every checkpoint, as `relief track` and --precondition adam: read them
    #[arg(long, help_heading = "Output")]
    save_moments: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    load::prepare(&arguments.run)?;
    interrupt::install();
    let Some(envelope) = carried_out(arguments)? else { return Ok(Outcome::Interrupted) };
    output::present(&arguments.run.print, &envelope, || report::human(&envelope))?;
    Ok(Outcome::Done)
}

/// The training, from its beginning or from where it was stopped; none after Ctrl-C.
pub(crate) fn carried_out(arguments: &Arguments) -> Result<Option<Envelope<Trained>>, Failure> {
    let begun = Instant::now();
    let (problem, folder) = match &arguments.resume {
        Some(path) => resumed(path, load::memory(&arguments.run))?,
        None => begin(arguments)?,
    };
    let path = folder.path().to_path_buf();
    let (mut recorder, mut state) = Recorder::new(&problem, folder)?;
    let interrupted = || {
        eprintln!("interrupted; go on with `relief train --resume {}`", path.display());
        Ok(None)
    };
    let mut ending = Ok(Ending::Interrupted);
    if recorder.told(None, &state) == Control::Continue {
        let training = &problem.settings.training;
        ending = training
            .run(&problem.minibatches, &mut state, &mut |step, state| recorder.told(Some(step), state))
            .map_err(Failure::from);
    }
    let ending = match recorder.failed() {
        Some(failure) => Err(failure),
        None => ending,
    };
    match ending {
        Ok(Ending::Interrupted) => interrupted(),
        Ok(Ending::Finished) => Ok(Some(report::envelope(&problem, &recorder.folder, &state, begun)?)),
        Err(Failure::Numbers(what)) => {
            recorder.diverged(&state, &what)?;
            Err(Failure::Numbers(format!(
                "{what}; the last finite point is {}",
                path.join(checkpoint(state.step)).display()
            )))
        }
        Err(failure) => Err(failure),
    }
}

/// A run of these arguments in a new folder.
fn begin(arguments: &Arguments) -> Result<(Problem, RunFolder), Failure> {
    let (data, settings) = settings(arguments)?;
    let path = &arguments.start.folder;
    let tensors = problem::start(&settings, &data, Path::new(""))?;
    let problem = Problem::new(settings, &data, tensors, load::memory(&arguments.run))?;
    let start = TrainingState::new(problem.minibatches.parameters())?;
    let checked = problem.settings.training.validate(&problem.minibatches, &start);
    checked.map_err(|e| Failure::Usage(e.to_string()))?;
    let folder = RunFolder::create(path)?;
    // What a run without rows left is none of this one.
    let _ = std::fs::remove_file(folder.file(STATE));
    problem.settings.save(path)?;
    Ok((problem, folder))
}

/// The run of a folder, with the data that it was begun with.
fn resumed(path: &Path, memory: usize) -> Result<(Problem, RunFolder), Failure> {
    let settings = Settings::load(path)?;
    let data = problem::split(&settings.data, &settings, Split::Train)?;
    if settings.data.sha256 != data.fingerprint()? {
        return Err(Failure::Input(format!(
            "the data `{}` are not those any more that the run in `{}` was begun with: bring them back, or begin anew",
            settings.data.path,
            path.display()
        )));
    }
    let tensors = problem::start(&settings, &data, &path.join(checkpoint(0)))?;
    let folder = RunFolder::open(path)?;
    Ok((Problem::new(settings, &data, tensors, memory)?, folder))
}

/// All settings of a new run, and its training split.
fn settings(arguments: &Arguments) -> Result<(Dataset, Settings), Failure> {
    let Arguments { start, recipe, rule, probes, run, .. } = arguments;
    let from = start.from.as_deref().map(Checkpoint::load).transpose()?;
    let said = |key: &str| from.as_ref().and_then(|from| from.metadata.get(key)).cloned();
    let path = start.data.clone().or_else(|| said(load::DATA_KEY)).ok_or_else(|| {
        Failure::Usage("the checkpoint of --from does not name its data: give --data".into())
    })?;
    let architecture = match &from {
        Some(from) => load::architecture(start.model.as_ref(), from)?,
        None => Architecture::parse(start.model.as_deref().unwrap_or_default())
            .map_err(|e| Failure::Usage(e.to_string()))?,
    };
    for (option, every) in
        [("--measure-every", start.measure_every), ("--checkpoint-every", start.checkpoint_every)]
    {
        if every == Some(0) {
            return Err(Failure::Usage(format!("{option} is 0: give a number of steps from 1")));
        }
    }
    let dtype = if start.dtype == Some(DTypeArgument::F64) { "f64" } else { "f32" };
    let mut settings = Settings {
        version: env!("CARGO_PKG_VERSION").into(),
        optimizer: recipe.optimizer.name(),
        model: Model {
            architecture: architecture.spelled_out()?.to_string(),
            dtype: dtype.into(),
            device: crate::device::recorded(),
            from: start.from.clone(),
            from_sha256: from.map(|from| from.sha256().to_string()),
        },
        data: settings::Data {
            path,
            sha256: None,
            examples: 0,
            limit: start.limit,
            normalize: start.normalize.clone(),
            context: start.context,
        },
        loss: LossSettings { function: String::new(), label_smoothing: start.label_smoothing },
        record: Record {
            measure_every: 1,
            checkpoint_every: start.checkpoint_every,
            moments: start.save_moments,
            probe: None,
        },
        training: Default::default(),
    };
    let data = problem::split(&settings.data, &settings, Split::Train)?;
    settings.data.examples = data.examples();
    settings.data.sha256 = data.fingerprint()?;
    settings.loss.function =
        start.loss.clone().unwrap_or_else(|| Loss::for_targets(&data.targets).to_string());
    settings.training = recipe.training(rule, data.examples(), run.seed)?;
    if start.save_moments && !matches!(settings.training.optimiser, Optimiser::Adam(_)) {
        return Err(Failure::Usage(
            "--save-moments is about Adam, and this optimizer has no second moments: leave it out".into(),
        ));
    }
    let epoch = settings.training.epochs(data.examples())?.per_epoch();
    settings.record.probe = probes.probing(&settings.training, data.examples())?;
    let usual = if epoch > 1 { epoch } else { (settings.training.steps / 200).max(1) };
    settings.record.measure_every = start.measure_every.unwrap_or(usual);
    Ok((data, settings))
}
