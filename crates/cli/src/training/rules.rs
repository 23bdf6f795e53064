//! Optimizers by name: the rule, what turns its gradient into a step, and the options that each one knows.

use clap::{Args, ValueEnum};
use relief_sharpness::{Perturbation, Scale};
use relief_training::{
    Adam, DetSam, Egr, EigenMethod, EigenSam, Every, FrobSam, GraphSam, Gsam, LookSam, MSam, Momentum,
    Optimiser, RandomSam, Rule, Sam, TraceSam, UnnormalisedSam,
};

use super::arguments::{Base, RecipeArguments};
use crate::exit::Failure;

/// How steps are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimizer {
    /// Gradient descent
    Sgd,
    /// Adam (Kingma & Ba 2015)
    Adam,
    /// Adam that shrinks the weights (Loshchilov & Hutter 2019)
    Adamw,
    /// Sharpness-aware minimization (Foret et al. 2021)
    Sam,
    /// Its adaptive form (Kwon et al. 2021)
    Asam,
    /// SAM turned towards the Hessian's top eigenvector (Luo et al. 2024)
    EigenSam,
    /// SAM with the perturbation turned around
    ReverseSam,
    /// The gradient of loss and gradient norm (Zhao et al. 2022)
    Egr,
    /// SAM with a perturbation from earlier gradients (Wang et al. 2024)
    GraphSam,
    /// SAM every few steps (Liu et al. 2022)
    LookSam,
    /// SAM that also closes the gap between perturbed and own loss (Zhuang et al. 2022)
    Gsam,
    /// The gradient of the loss and the Hessian's squared Frobenius norm (Tahmasebi et al. 2024)
    FrobSam,
    /// The same with its determinant
    DetSam,
    /// The same with its trace
    TraceSam,
    /// A random perturbation of SAM's length, for comparison
    Random,
    /// SAM with the perturbation rho g, not divided by |g| (Andriushchenko & Flammarion 2022)
    UnnormalisedSam,
}

/// Options of sharpness-aware optimizers; which of them one knows depends on it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sharpness-aware optimizers")]
pub(crate) struct RuleArguments {
    /// Radius of the perturbation [default: 0.05; asam 0.5, look-sam 0.1, frob-sam 0.005, trace-sam 0.01, det-sam 1]
    #[arg(long, value_name = "RHO")]
    rho: Option<f64>,

    /// sam, asam, reverse-sam: the norm p of the ball, from 1 to `inf` [default: 2]
    #[arg(long, value_name = "P")]
    norm: Option<f64>,

    /// asam: which entries are scaled with their magnitude [default: weights]
    #[arg(long, value_enum)]
    scale: Option<ScaleArgument>,

    /// sam, asam: a perturbation of its own for every M examples of a mini-batch
    #[arg(long, value_name = "M")]
    m: Option<usize>,

    /// Factor of the part along the eigenvector (eigen-sam, 0.2), of the part that is used again (look-sam, 0.7), or of the
    /// orthogonal part (gsam, 0.4)
    #[arg(long, value_name = "A")]
    alpha: Option<f64>,

    /// Steps between two estimates of the eigenvector (eigen-sam, 100), or from one with two gradients to the next
    /// (look-sam, 10)
    #[arg(long, value_name = "N")]
    every: Option<usize>,

    /// eigen-sam: products of an estimate [default: 5]
    #[arg(long, value_name = "N")]
    power_steps: Option<usize>,

    /// eigen-sam: the Hessian is that of N training examples, not of the mini-batch
    #[arg(long, value_name = "N")]
    eigen_examples: Option<usize>,

    /// eigen-sam: shorten the perturbation to the radius
    #[arg(long)]
    renormalise: bool,

    /// gsam: the radius falls with the step size, to R where that is 0
    #[arg(long, value_name = "R")]
    least_rho: Option<f64>,

    /// graph-sam: the share of the earlier gradients that is kept [default: 0.99]
    #[arg(long, value_name = "B")]
    beta: Option<f64>,

    /// graph-sam: the radius is multiplied by G every epoch [default: 0.5]
    #[arg(long, value_name = "G")]
    gamma: Option<f64>,

    /// frob-sam, det-sam, trace-sam: factor of the penalty [default: 0.005, 1, 0.0001]
    #[arg(long, value_name = "L")]
    lambda: Option<f64>,

    /// frob-sam, det-sam, trace-sam: random directions a step [default: 2, 1, 1]
    #[arg(long, value_name = "N")]
    draws: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScaleArgument {
    /// Those of tensors whose name contains `weight`, by |w| + 0.01, as the authors do
    Weights,
    /// All, by |w| + 0.01
    Shifted,
    /// All, by |w|
    Magnitude,
}

impl From<ScaleArgument> for Scale {
    fn from(argument: ScaleArgument) -> Self {
        match argument {
            ScaleArgument::Weights => Self::Weights { eta: 0.01 },
            ScaleArgument::Shifted => Self::Shifted { eta: 0.01 },
            ScaleArgument::Magnitude => Self::Magnitude,
        }
    }
}

impl RuleArguments {
    /// The rule of an optimizer, which takes the options that it knows; one that is left over is refused.
    pub(crate) fn rule(&self, optimizer: Optimizer) -> Result<Rule, Failure> {
        let mut options = self.clone();
        let rule = options.taken(optimizer);
        match options.left() {
            None => Ok(rule),
            Some(option) => Err(unknown(optimizer, option)),
        }
    }

    fn taken(&mut self, optimizer: Optimizer) -> Rule {
        match optimizer {
            Optimizer::Sgd | Optimizer::Adam | Optimizer::Adamw => Rule::Plain,
            Optimizer::Sam => self.sam(Sam::default()),
            Optimizer::Asam => {
                let scale = self.scale.take().unwrap_or(ScaleArgument::Weights).into();
                self.sam(Sam { rho: 0.5, perturbation: Perturbation { scale, ..Perturbation::default() } })
            }
            Optimizer::ReverseSam => {
                let mut sam = Sam::default();
                set(&mut sam.rho, &mut self.rho);
                set(&mut sam.perturbation.norm, &mut self.norm);
                Rule::ReverseSam(sam)
            }
            Optimizer::EigenSam => Rule::EigenSam(self.eigen_sam()),
            Optimizer::Egr => Rule::Egr(Egr { rho: self.rho_or(Egr::default().rho) }),
            Optimizer::Random => Rule::Random(RandomSam { rho: self.rho_or(RandomSam::default().rho) }),
            Optimizer::UnnormalisedSam => {
                Rule::UnnormalisedSam(UnnormalisedSam { rho: self.rho_or(UnnormalisedSam::default().rho) })
            }
            Optimizer::GraphSam => {
                let mut sam = GraphSam::default();
                sam.rho = self.rho_or(sam.rho);
                sam.radius = sam.rho;
                set(&mut sam.beta, &mut self.beta);
                set(&mut sam.gamma, &mut self.gamma);
                Rule::GraphSam(sam)
            }
            Optimizer::LookSam => {
                let mut sam = LookSam::default();
                set(&mut sam.rho, &mut self.rho);
                set(&mut sam.alpha, &mut self.alpha);
                set(&mut sam.every, &mut self.every);
                Rule::LookSam(sam)
            }
            Optimizer::Gsam => {
                let mut sam = Gsam { least_rho: self.least_rho.take(), ..Gsam::default() };
                set(&mut sam.rho, &mut self.rho);
                set(&mut sam.alpha, &mut self.alpha);
                Rule::Gsam(sam)
            }
            Optimizer::FrobSam => {
                let mut sam = FrobSam::default();
                self.penalty(&mut sam.rho, &mut sam.lambda, &mut sam.draws);
                Rule::FrobSam(sam)
            }
            Optimizer::DetSam => {
                let mut sam = DetSam::default();
                self.penalty(&mut sam.rho, &mut sam.lambda, &mut sam.draws);
                Rule::DetSam(sam)
            }
            Optimizer::TraceSam => {
                let mut sam = TraceSam::default();
                self.penalty(&mut sam.rho, &mut sam.lambda, &mut sam.draws);
                Rule::TraceSam(sam)
            }
        }
    }

    fn sam(&mut self, mut sam: Sam) -> Rule {
        set(&mut sam.rho, &mut self.rho);
        set(&mut sam.perturbation.norm, &mut self.norm);
        let Sam { rho, perturbation } = sam;
        self.m.take().map_or(Rule::Sam(sam), |m| Rule::MSam(MSam { rho, perturbation, m }))
    }

    fn eigen_sam(&mut self) -> EigenSam {
        let mut sam = EigenSam { examples: self.eigen_examples.take(), ..EigenSam::default() };
        set(&mut sam.rho, &mut self.rho);
        set(&mut sam.alpha, &mut self.alpha);
        sam.renormalise = std::mem::take(&mut self.renormalise);
        if let Some(steps) = self.every.take() {
            sam.every = Every::Steps(steps);
        }
        if let Some(steps) = self.power_steps.take() {
            sam.method = EigenMethod::Power { steps };
        }
        sam
    }

    fn penalty(&mut self, rho: &mut f64, lambda: &mut f64, draws: &mut usize) {
        set(rho, &mut self.rho);
        set(lambda, &mut self.lambda);
        set(draws, &mut self.draws);
    }

    fn rho_or(&mut self, default: f64) -> f64 {
        self.rho.take().unwrap_or(default)
    }

    /// The first option that nothing took.
    fn left(&self) -> Option<&'static str> {
        let left = [
            ("--rho", self.rho.is_some()),
            ("--norm", self.norm.is_some()),
            ("--scale", self.scale.is_some()),
            ("--m", self.m.is_some()),
            ("--alpha", self.alpha.is_some()),
            ("--every", self.every.is_some()),
            ("--power-steps", self.power_steps.is_some()),
            ("--eigen-examples", self.eigen_examples.is_some()),
            ("--renormalise", self.renormalise),
            ("--least-rho", self.least_rho.is_some()),
            ("--beta", self.beta.is_some()),
            ("--gamma", self.gamma.is_some()),
            ("--lambda", self.lambda.is_some()),
            ("--draws", self.draws.is_some()),
        ];
        left.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

/// Puts an option in the place of a default, where it is given.
fn set<T>(value: &mut T, option: &mut Option<T>) {
    if let Some(given) = option.take() {
        *value = given;
    }
}

impl RecipeArguments {
    /// What turns gradients into steps.
    pub(crate) fn base(&self) -> Result<Base, Failure> {
        let own = match self.optimizer {
            Optimizer::Sgd => Base::Sgd,
            Optimizer::Adam => Base::Adam,
            Optimizer::Adamw => Base::Adamw,
            _ => return Ok(self.base.unwrap_or(Base::Sgd)),
        };
        if self.base.is_some() {
            return Err(unknown(self.optimizer, "--base"));
        }
        Ok(own)
    }

    pub(crate) fn optimiser(&self, base: Base) -> Result<Optimiser, Failure> {
        let Self { momentum, nesterov, beta1, beta2, .. } = *self;
        let refused = |option: &str, by: &str| {
            Err(Failure::Usage(format!("{option} is not an option of {by}: leave it out")))
        };
        if base == Base::Sgd {
            if beta1.or(beta2).is_some() {
                return refused(if beta1.is_some() { "--beta1" } else { "--beta2" }, "SGD");
            }
            return Ok(Optimiser::Sgd(Momentum { momentum: momentum.unwrap_or(0.9), nesterov }));
        }
        if momentum.is_some() || nesterov {
            return refused(if nesterov { "--nesterov" } else { "--momentum" }, "Adam, which has --beta1");
        }
        let usual = Adam::default();
        Ok(Optimiser::Adam(Adam {
            beta1: beta1.unwrap_or(usual.beta1),
            beta2: beta2.unwrap_or(usual.beta2),
            ..usual
        }))
    }
}

impl Optimizer {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }
}

fn unknown(optimizer: Optimizer, option: &str) -> Failure {
    Failure::Usage(format!(
        "{option} is not an option of --optimizer {}: leave it out, or choose an optimizer that has it (see `relief train --help`)",
        optimizer.name()
    ))
}
