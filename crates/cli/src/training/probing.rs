//! Probes of the Hessian along a training.

use clap::Args;
use relief_hessian::{Control, FiniteSum, Objective, Observer, Outcome, Parameters, Progress};
use relief_models::data::Dataset;
use relief_models::task::Minibatches;
use relief_sharpness::{AdamSetting, Perturbation, Probe, Probed, Setting};
use relief_training::{Momentum, Optimiser, Rule, Sam, Training, TrainingState, UnnormalisedSam};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
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

    /// So many eigenvalues [default: 5]
    #[arg(short = 'k', long, value_name = "K", requires = "probe_every", help_heading = "Probes")]
    eigenvalues: Option<usize>,

    /// Residual at which an eigenvalue is found, relative to the largest; its own error is about the square [default: 1e-4]
    #[arg(long, value_name = "TOL", requires = "probe_every", help_heading = "Probes")]
    probe_tol: Option<f64>,

    /// The Hessian's trace as well, to this relative error
    #[arg(long, value_name = "SHARE", requires = "probe_every", help_heading = "Probes")]
    probe_trace: Option<f64>,

    /// Third derivatives along perturbation and first eigenvector as well
    #[arg(long, requires = "probe_every", help_heading = "Probes")]
    third_order: bool,
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
    pub(crate) eigenvalues: usize,
    pub(crate) tolerance: f64,
    pub(crate) trace: Option<f64>,
    pub(crate) third_order: bool,
}

impl ProbeArguments {
    /// None where none are asked for.
    pub(crate) fn probing(&self, examples: usize) -> Result<Option<Probing>, Failure> {
        let Some(every) = self.probe_every else { return Ok(None) };
        let probing = Probing {
            every,
            examples: self.probe_examples.unwrap_or(1000.min(examples)),
            eigenvalues: self.eigenvalues.unwrap_or(5),
            tolerance: self.probe_tol.unwrap_or(1e-4),
            trace: self.probe_trace,
            third_order: self.third_order,
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let problem = if every == 0 {
            "--probe-every is 0: give a number of steps from 1".to_string()
        } else if !(1..=examples).contains(&probing.examples) {
            format!("--probe-examples is {}: give a number from 1 to {examples}", probing.examples)
        } else if probing.eigenvalues == 0 {
            "--eigenvalues is 0: give at least 1".into()
        } else if !positive(probing.tolerance) || !probing.trace.is_none_or(positive) {
            "--probe-tol and --probe-trace must be above 0 and finite".into()
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
        let probe = Probe {
            top: probing.eigenvalues,
            tolerance: probing.tolerance,
            unit_roundoff: load::unit_roundoff(sum.parameters()),
            memory,
            seed,
            trace: probing.trace,
            third_order: probing.third_order,
            ..Probe::default()
        };
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
