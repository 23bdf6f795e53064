//! All that is asked of a point during training, computed together.

mod probed;
mod relay;
mod setting;

use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Eigen, FiniteSum, Lanczos, MissedCopies, Objective, Observer, Outcome,
    Parameters, Result, Sampling, Scaled, SymmetricOperator, Target, Trace, TraceEstimate, Wanted, gradient,
    third_products,
};
use serde::{Deserialize, Serialize};

use crate::alignment::{Alignment, HessianGradient};
use crate::arithmetic::{dot, norm};
use crate::kernel_norm::Sgd;
use crate::noise::Noise;
use crate::phantom::Phantom;

pub use probed::{Edges, Probed, ThirdOrder};
pub use setting::{AdamSetting, Perturb, Setting};

use relay::Relay;

/// What to measure at a point. What several numbers need is computed once: one linearization, one search for eigenvalues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// Eigenvalues of the Hessian, from the largest on.
    pub top: usize,
    /// Residual that they must reach, relative to the largest |Ritz value|; an eigenvalue's own error is about its square.
    pub tolerance: f64,
    /// Matrix-vector products at most, for each search and for the trace.
    pub max_products: usize,
    /// Unit roundoff of the products: 2^-53 for f64, 2^-24 for f32. Bounds allow for it.
    pub unit_roundoff: f64,
    /// Bytes of linearized batches to keep between products.
    pub memory: usize,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Estimate the Hessian's trace until twice the standard error is this share of it.
    pub trace: Option<f64>,
    /// Draw mini-batches, and see what their noise does.
    pub noise: Option<Noise>,
    /// Compute third derivatives.
    pub third_order: bool,
    /// Compare the examples' weights at the point and at the perturbed one.
    pub phantom: bool,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            top: 5,
            tolerance: 1e-4,
            max_products: 1000,
            unit_roundoff: f64::EPSILON / 2.0,
            memory: DEFAULT_MEMORY,
            seed: 0,
            trace: None,
            noise: None,
            third_order: false,
            phantom: false,
        }
    }
}

/// A result, or nothing where the observer interrupted.
macro_rules! done {
    ($outcome:expr) => {
        match $outcome {
            Outcome::Done(result) => result,
            Outcome::Interrupted(_) => return Ok(Outcome::Interrupted(())),
        }
    };
}

impl Probe {
    /// Measures a point.
    ///
    /// `objective` is the loss over all examples of `sum`; `start` holds the [`vectors`](Probed::vectors) of an earlier probe
    /// nearby, which save products. The observer is told of every product, and may stop the probe, which then leaves
    /// nothing.
    pub fn run(
        &self,
        sum: &dyn FiniteSum,
        objective: &dyn Objective,
        at: &Parameters,
        setting: &Setting<'_>,
        start: Option<&[Vec<f64>]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<Probed, ()>> {
        setting.validate(at.len())?;
        let top = self.top.min(at.len());
        let (start, adam_start) = split(start.unwrap_or_default(), top);
        let mut relay = Relay::new(observer);
        let curvature = Curvature::new(objective, at, self.memory)?;
        let hessian = curvature.hessian();
        let slope = curvature.gradient();
        let eigen = done!(self.solver(top).run(&hessian, start, &mut relay)?);
        relay.begin_anew(eigen.products);

        let mut products = eigen.products;
        let mut vectors = eigen.vectors.clone();
        let mut preconditioned = None;
        if let Some(adam) = &setting.adam {
            let operator = Scaled::preconditioned(&hessian, adam.preconditioner)?;
            let found = done!(self.solver(1).run(&operator, adam_start, &mut relay)?);
            relay.begin_anew(found.products);
            products += found.products;
            preconditioned = found.largest.first().cloned();
            vectors.extend(found.vectors);
        }
        let trace = match self.trace {
            None => None,
            Some(error) => Some(done!(self.trace(error, &hessian, &mut relay)?)),
        };
        products += trace.as_ref().map_or(0, |trace| trace.products);

        let perturbation = setting.perturbation(slope, at)?;
        let mut gradients = 0;
        let mut ascended = None;
        if let Some(epsilon) = &perturbation {
            ascended = Some(gradient(objective, &at.displaced(epsilon, 1.0)?)?.1);
            gradients += 1;
        }
        let mut product = vec![0.0; at.len()];
        hessian.apply(slope, &mut product)?;
        products += 1;
        let third = if self.third_order {
            let (third, pairs) = third_order(objective, at, (slope, perturbation.as_deref()), &eigen)?;
            gradients += usize::from(pairs > 0);
            products += pairs;
            third
        } else {
            ThirdOrder::default()
        };
        let phantom = match &perturbation {
            Some(epsilon) if self.phantom => {
                gradients += 2;
                Phantom::new(objective, at, epsilon)?
            }
            _ => None,
        };
        let (mut noise, mut kernel_norm) = (None, None);
        if let Some(settings) = &self.noise {
            let found = done!(settings.run(sum, &curvature, setting.batch, self.seed, &mut relay)?);
            let batch = found.batch;
            noise = Some(found);
            // Adam's steps are none of SGD's.
            let eta = setting.eta.filter(|_| setting.adam.is_none());
            if let (Some(kernel), Some(eta)) = (&settings.kernel_norm, eta) {
                let Setting { momentum, nesterov, .. } = *setting;
                let sgd = Sgd { eta, momentum, nesterov, batch, examples: sum.examples() };
                let accuracy = (self.tolerance, self.unit_roundoff, self.seed);
                let found = done!(kernel.run(&curvature, sgd, accuracy, &mut relay)?);
                products += found.products;
                kernel_norm = Some(found);
            }
        }
        let edges = Edges::new(setting, curvature.gradient_norm());
        let align = |u: &Option<Vec<f64>>| u.as_ref().and_then(|u| Alignment::new(u, &eigen));
        Ok(Outcome::Done(Probed {
            loss: curvature.loss(),
            gradient_norm: curvature.gradient_norm(),
            preconditioned,
            trace,
            edges,
            gradient: Alignment::new(slope, &eigen),
            perturbation: align(&perturbation),
            perturbed_gradient: align(&ascended),
            hessian_gradient: HessianGradient::new(slope, &product),
            third,
            noise,
            kernel_norm,
            phantom,
            products,
            gradients: gradients + curvature.gradients(),
            status: eigen.status,
            eigenvalues: eigen.largest,
            vectors,
        }))
    }

    fn solver(&self, k: usize) -> Lanczos {
        Lanczos {
            wanted: Wanted::Largest { k },
            tolerance: self.tolerance,
            unit_roundoff: self.unit_roundoff,
            max_products: self.max_products,
            seed: self.seed,
            check: MissedCopies::Auto,
            ..Lanczos::default()
        }
    }

    fn trace(
        &self,
        relative_error: f64,
        operator: &dyn SymmetricOperator,
        observer: &mut Relay<'_>,
    ) -> Result<Outcome<TraceEstimate, ()>> {
        let sampling = Sampling {
            target: Target::RelativeError(relative_error),
            max_products: self.max_products,
            memory: self.memory,
            unit_roundoff: self.unit_roundoff,
            seed: self.seed,
            ..Sampling::default()
        };
        Ok(match (Trace { sampling, ..Trace::default() }).run(operator, observer)? {
            Outcome::Done(estimate) => Outcome::Done(estimate),
            Outcome::Interrupted(_) => Outcome::Interrupted(()),
        })
    }
}

/// Vectors to start a search from.
type Start<'a> = Option<&'a [Vec<f64>]>;

/// The start of the Hessian's search, and of the preconditioned one's.
fn split(start: &[Vec<f64>], top: usize) -> (Start<'_>, Start<'_>) {
    let (hessian, adam) = start.split_at(top.min(start.len()));
    let some = |vectors: &[Vec<f64>]| !vectors.is_empty();
    (Some(hessian).filter(|v| some(v)), Some(adam).filter(|v| some(v)))
}

/// Third derivatives at a point, and of how many pairs of directions they were.
fn third_order(
    objective: &dyn Objective,
    at: &Parameters,
    (slope, perturbation): (&[f64], Option<&[f64]>),
    eigen: &Eigen,
) -> Result<(ThirdOrder, usize)> {
    let steepest = norm(slope);
    let along = |x: &[f64]| (steepest > 0.0).then(|| dot(x, slope) / steepest);
    let first = eigen.vectors.first().map(Vec::as_slice);
    let pairs: Vec<(&[f64], &[f64])> = [perturbation, first].into_iter().flatten().map(|u| (u, u)).collect();
    if pairs.is_empty() {
        return Ok((ThirdOrder::default(), 0));
    }
    let found = third_products(objective, at, &pairs)?;
    let mut third = ThirdOrder::default();
    let mut rest = found.iter();
    if let Some(term) = perturbation.and_then(|_| rest.next()) {
        third.perturbation = Some(0.5 * norm(term));
        third.perturbation_along_gradient = along(term).map(|x| 0.5 * x);
    }
    if let Some(term) = first.and_then(|_| rest.next()) {
        third.largest_along_gradient = along(term);
    }
    Ok((third, pairs.len()))
}
