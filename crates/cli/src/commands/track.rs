//! `relief track`: eigenvalues, edges of stability and alignments of every checkpoint of a training.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use relief_hessian::Objective;
use relief_models::checkpoint::Checkpoint;
use serde::Serialize;

use crate::arguments::{Format, RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::probes::{Asked, AskedArguments};
use crate::tracking::adam::AdamStateArguments;
use crate::tracking::{Files, Tracked, Tracker, report};
use crate::{interrupt, load, output};

/// Follow a training through its checkpoints: largest eigenvalues against their edges of stability, alignments, noise
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief track 'notebooks-data/pair/way/*.safetensors' --eta 0.1
  relief track 'ckpts/step-*.safetensors' --eta 0.1 --rho 0.05 --run runs/sam --csv sam.csv
  relief track 'ckpts/*.safetensors' --eta 0.1 --batch 32 --noise --kernel-norm --trace 0.05 --run runs/sgd
  relief track 'runs/adam/checkpoints/*.safetensors'
  relief track 'ckpts/epoch*.pth' --model resnet18 --data cifar/ --eta 1e-3 --adam-state 'ckpts/optimizer-epoch*.pt'
  relief track 'ckpts/*.safetensors' --eta 0.1 --follow --idle 600 --run runs/live

Checkpoints of a `relief train` run with Adam: its second moments are found in the run's folder.
A row's step is the last number in the file's name, or the checkpoint's metadata `step`. With --run, rows go to
metrics.jsonl, which `relief plot` draws; the same command goes on where it stopped.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// More checkpoints, as a shell makes of a pattern without quotes
    #[arg(value_name = "CHECKPOINT")]
    more: Vec<PathBuf>,

    #[command(flatten)]
    training: TrainingArguments,

    #[command(flatten)]
    probe: AskedArguments,

    /// Record a row a checkpoint in this folder, and go on with those it has
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    run: Option<PathBuf>,

    /// Write the rows as a table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    csv: Option<PathBuf>,

    /// Wait for more files that match, until Ctrl-C
    #[arg(long, help_heading = "Output")]
    follow: bool,

    /// With --follow: stop when nothing new came for so long
    #[arg(long, value_name = "SECONDS", requires = "follow", help_heading = "Output")]
    idle: Option<f64>,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    no_check: bool,

    #[command(flatten)]
    common: RunArguments,
}

/// What training was doing.
#[derive(Debug, Clone, PartialEq, Args, Serialize)]
pub(crate) struct TrainingArguments {
    /// Step size, for the edges of stability
    #[arg(long, value_name = "ETA", help_heading = "Training")]
    pub(crate) eta: Option<f64>,

    /// Radius of sharpness-aware minimization, for its edge and its perturbation
    #[arg(long, value_name = "RHO", help_heading = "Training")]
    pub(crate) rho: Option<f64>,

    /// Factor of the momentum
    #[arg(long, value_name = "MU", default_value_t = 0.0, help_heading = "Training")]
    pub(crate) momentum: f64,

    /// The momentum is Nesterov's
    #[arg(long, requires = "momentum", help_heading = "Training")]
    pub(crate) nesterov: bool,

    /// Examples of a mini-batch, for --noise
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub(crate) batch: Option<usize>,

    #[command(flatten)]
    pub(crate) adam: AdamStateArguments,
}

/// Between two looks for new files.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.common)?;
    let asked = arguments.validate()?;
    if let Some(path) = &arguments.csv {
        output::check_writable(path)?;
    }
    interrupt::install();
    let begun = Instant::now();
    let pattern = arguments.task.checkpoint.display().to_string();
    let mut files = Files::new(pattern, arguments.more.clone(), arguments.follow)?;
    let (mut last, mut broken) = (Instant::now(), None);
    let mut tracker: Option<Tracker> = None;
    let interrupted = loop {
        for path in files.new_ones()? {
            match arguments.attempt(&asked, &mut tracker, &path, &files) {
                Ok(Tracked::Done(line)) => {
                    files.took(&path);
                    (last, broken) = (Instant::now(), None);
                    if let Some(line) = line.filter(|_| arguments.live()) {
                        output::print(&line);
                    }
                }
                Ok(Tracked::Interrupted) => break,
                // A file that is being written is looked at again.
                Err(Failure::Input(why)) if arguments.follow && Checkpoint::load(&path).is_err() => {
                    broken = Some(why);
                }
                Err(failure) => return Err(failure),
            }
        }
        if interrupt::requested() {
            break true;
        }
        let idle = arguments.idle.is_some_and(|idle| last.elapsed().as_secs_f64() >= idle);
        if !arguments.follow || idle {
            break false;
        }
        std::thread::sleep(PAUSE);
    };
    if let Some(why) = broken {
        return Err(Failure::Input(why));
    }
    let Some(tracker) = tracker else {
        return if interrupted {
            Ok(exit::Outcome::Interrupted)
        } else {
            Err(Failure::Input(format!("no file matches `{}`", arguments.task.checkpoint.display())))
        };
    };
    let seconds = begun.elapsed().as_secs_f64();
    arguments.finish(tracker, interrupted, seconds)
}

impl Arguments {
    fn live(&self) -> bool {
        self.follow && self.common.print.format == Format::Human
    }

    /// Probes a checkpoint; the first one says what all have in common.
    fn attempt(
        &self,
        asked: &Asked,
        tracker: &mut Option<Tracker>,
        path: &Path,
        files: &Files,
    ) -> Result<Tracked, Failure> {
        let tracker = match tracker {
            Some(tracker) => tracker,
            none => none.insert(self.begin(asked, path)?),
        };
        tracker.expects(files.known()?);
        tracker.take(path)
    }

    /// What is asked of every checkpoint; refuses what makes no sense.
    fn validate(&self) -> Result<Asked, Failure> {
        let asked = self.probe.asked()?;
        let TrainingArguments { eta, rho, momentum, batch, .. } = self.training;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let problem = if let Some(eta) = eta.filter(|eta| !positive(*eta)) {
            format!("--eta is {eta}: give a step size above 0")
        } else if let Some(rho) = rho.filter(|rho| !positive(*rho)) {
            format!("--rho is {rho}: give a radius above 0")
        } else if !(0.0..1.0).contains(&momentum) {
            format!("--momentum is {momentum}: give a number from 0 to below 1")
        } else if batch == Some(0) {
            "--batch is 0: give at least 1".into()
        } else if batch.is_none() && asked.noise.is_some() {
            "--noise draws mini-batches of --batch examples: give --batch".into()
        } else if eta.is_none() && asked.kernel_norm() {
            "--kernel-norm depends on the step size: give --eta".into()
        } else if rho.is_none() && asked.phantom {
            "--phantom compares with the point perturbed by --rho: give --rho".into()
        } else if !self.idle.is_none_or(|idle| idle.is_finite() && idle >= 0.0) {
            "--idle must be 0 or more seconds".into()
        } else {
            self.training.adam.check()?;
            return Ok(asked);
        };
        Err(Failure::Usage(problem))
    }

    /// Loads the first checkpoint and what all have in common.
    fn begin(&self, asked: &Asked, first: &Path) -> Result<Tracker, Failure> {
        let task = TaskArguments { checkpoint: first.to_path_buf(), ..self.task.clone() };
        let loaded = load::load(&task, None, self.common.seed)?;
        if !self.no_check {
            loaded.check_rules(self.common.seed)?;
        }
        let unit_roundoff = load::unit_roundoff(loaded.task.objective.parameters());
        let probe = asked.probe(unit_roundoff, load::memory(&self.common), self.common.seed);
        Tracker::new(loaded, &task, probe, self.training.clone(), self.run.as_deref())
    }

    fn finish(&self, tracker: Tracker, interrupted: bool, seconds: f64) -> Result<exit::Outcome, Failure> {
        let (loaded, result, [products, gradients]) = tracker.finish();
        if let Some(path) = &self.csv {
            output::write(path, report::csv(&result.rows).as_bytes())?;
        }
        let converged = result.not_converged.is_empty();
        let work = Work { products, gradients, evaluations: 0, seconds };
        let point = Point::with_loss(loaded.loss);
        let envelope = Envelope::new("relief/track/1", self.common.seed, &loaded, point, (result, work));
        output::present(&self.common.print, &envelope, || report::human(&envelope))?;
        Ok(match (interrupted, converged) {
            (true, _) => exit::Outcome::Interrupted,
            (false, true) => exit::Outcome::Done,
            (false, false) => exit::Outcome::NotConverged,
        })
    }
}
