//! Probes of the Hessian along a training.

use clap::Args;
use relief_hessian::{Control, FiniteSum, Objective, Observer, Outcome, Parameters, Progress};
use relief_models::data::Dataset;
use relief_models::task::Minibatches;
use relief_sharpness::{AdamSetting, Perturbation, Probe, Probed, Setting};
use relief_training::{Momentum, Optimiser, Rule, Sam, Training, TrainingState, UnnormalisedSam};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::probes::{Asked, AskedArguments};
use crate::run_folder::Row;
use crate::{interrupt, load};

/// What is asked of the Hessian, and when.
#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    /// Largest eigenvalues of the Hessian, their edges of stability and the alignment with their eigenvectors every N steps
    #[arg(long, value_name = "N", help_heading = "Probes")]
    probe_every: Option<usize>,

    /// The Hessian is that of the first N training examples [default: 1000, or all if they are fewer]
    #[arg(long, value_name = "N", requires = "probe_every", help_heading = "Probes")]
    probe_examples: Option<usize>,

    #[command(flatten)]
    asked: AskedArguments,
}

/// The probes of a run, as its `run.toml` has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probing {
    /// Steps from one to the next.
    pub(crate) every: usize,
    /// The Hessian is that of so many first training examples, without weight decay; batch norm has their statistics, which
    /// are differentiated through.
    pub(crate) examples: usize,
    pub(crate) asked: Asked,
}

impl ProbeArguments {
    /// None where none are asked for.
    pub(crate) fn probing(&self, training: &Training, examples: usize) -> Result<Option<Probing>, Failure> {
        let Some(every) = self.probe_every else {
            return if self.asked.is_given() {
                Err(Failure::Usage("probes are asked for, but not when: give --probe-every".into()))
            } else {
                Ok(None)
            };
        };
        let asked = self.asked.asked()?;
        let probing = Probing { every, examples: self.probe_examples.unwrap_or(1000.min(examples)), asked };
        let batch = training.batch.filter(|batch| *batch > probing.examples);
        let problem = if every == 0 {
            "--probe-every is 0: give a number of steps from 1".to_string()
        } else if !(1..=examples).contains(&probing.examples) {
            format!("--probe-examples is {}: give a number from 1 to {examples}", probing.examples)
        } else if let Some(batch) = batch.filter(|_| probing.asked.noise.is_some()) {
            format!(
                "--noise draws mini-batches of {batch} from {} examples: give more --probe-examples",
                probing.examples
            )
        } else if probing.asked.kernel_norm() && matches!(training.optimiser, Optimiser::Adam(_)) {
            "--kernel-norm is about the steps of SGD, and these are Adam's: leave it out".into()
        } else if probing.asked.phantom && training.rule == Rule::Plain {
            "--phantom compares the gradient with that at a perturbed point, and plain steps perturb none: leave it out"
                .into()
        } else {
            return Ok(Some(probing));
        };
        Err(Failure::Usage(problem))
    }
}

/// The loss whose Hessian is probed.
pub(crate) struct Prober {
    probe: Probe,
    sum: Minibatches,
    whole: Box<dyn Objective>,
}

impl Prober {
    /// `over` puts the network together with a part of the training split.
    pub(crate) fn new(
        probing: &Probing,
        data: &Dataset,
        seed: u64,
        memory: usize,
        over: impl Fn(&Dataset) -> Result<Minibatches, Failure>,
    ) -> Result<Self, Failure> {
        let (inputs, targets) = data.batch(0..probing.examples)?;
        let mut few = data.clone();
        (few.inputs, few.targets) = (inputs, targets);
        let sum = over(&few)?;
        let probe = probing.asked.probe(load::unit_roundoff(sum.parameters()), memory, seed);
        let whole = sum.whole()?;
        Ok(Self { probe, sum, whole })
    }

    /// Probes the point of a state with the step size of the next step; `vectors` are those that the last probe found, and
    /// become those of this one. None after Ctrl-C.
    pub(crate) fn row(
        &self,
        training: &Training,
        (state, at, eta): (&TrainingState, &Parameters, f64),
        vectors: &mut Vec<Vec<f64>>,
    ) -> Result<Option<Row>, Failure> {
        let perturb =
            |gradient: &[f64], at: &Parameters| training.rule.perturbation(gradient, at, &state.memory);
        let mut setting = Setting { perturb: Some(&perturb), batch: training.batch, ..Setting::default() };
        (setting.rho, setting.unnormalised) = radius(&training.rule);
        let preconditioner;
        match &training.optimiser {
            Optimiser::Sgd(Momentum { momentum, nesterov }) => {
                (setting.momentum, setting.nesterov) = (*momentum, *nesterov);
                setting.eta = Some(eta);
            }
            // Before its first step Adam has no preconditioner, and so no edge.
            Optimiser::Adam(adam) => {
                if let [_, square] = &state.means[..] {
                    preconditioner = adam.preconditioner(state.step, square);
                    setting.adam = Some(AdamSetting { beta1: adam.beta1, preconditioner: &preconditioner });
                    setting.eta = Some(eta);
                }
            }
        }
        let start = Some(&vectors[..]).filter(|vectors| !vectors.is_empty());
        let Outcome::Done(found) =
            self.probe.run(&self.sum, &*self.whole, at, &setting, start, &mut CtrlC)?
        else {
            return Ok(None);
        };
        let row = found.metrics().into_iter().map(|(tag, value)| (recorded(&tag), value.into())).collect();
        let Probed { vectors: next, .. } = found;
        *vectors = next;
        Ok(Some(row))
    }
}

/// The probe's tags beside those of the training.
fn recorded(tag: &str) -> String {
    match tag.split_once('/') {
        Some(("loss", "train")) => "loss/probe".into(),
        Some(("work", name)) => format!("work/probe_{name}"),
        _ => tag.to_string(),
    }
}

/// The radius of a rule whose edge is known, and whether its perturbation is not normalised.
fn radius(rule: &Rule) -> (Option<f64>, bool) {
    match rule {
        Rule::Sam(Sam { rho, perturbation }) if *perturbation == Perturbation::default() => {
            (Some(*rho), false)
        }
        Rule::UnnormalisedSam(UnnormalisedSam { rho }) => (Some(*rho), true),
        _ => (None, false),
    }
}

/// Stops where the user asks for it.
struct CtrlC;

impl Observer for CtrlC {
    fn product(&mut self, _: &Progress) -> Control {
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    }
}
