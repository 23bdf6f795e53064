//! Eigen-SAM (Luo et al. 2024): a perturbation that is turned towards the Hessian's top eigenvector.

use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Error, Lanczos, MissedCopies, Outcome, Result, Silent, SymmetricOperator,
};
use serde::{Deserialize, Serialize};

use super::site::{Purpose, finite};
use super::vectors::{add, dot, norm, scaled};
use super::{Memory, Site, Update, not_finite};

/// The gradient at theta + rho (g + alpha sign(g'v) u), with g the gradient divided by its norm, v an estimate of the top
/// eigenvector and u the part of v orthogonal to g. For alpha up to 2 this is never less aligned with v than g is. It equals
/// SAM until v is estimated for the first time. Two gradients a step, and the products of the estimates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EigenSam {
    /// The radius.
    pub rho: f64,
    /// Factor of the part along the eigenvector.
    pub alpha: f64,
    /// Shorten the perturbation to norm rho. The authors' code does not: its norm is rho sqrt(1 + alpha^2 |u|^2).
    pub renormalise: bool,
    /// When the eigenvector is estimated anew.
    pub every: Every,
    /// How.
    pub method: EigenMethod,
    /// Of the mean loss over how many examples, drawn once; of the step's mini-batch if absent, as in the authors' code.
    pub examples: Option<usize>,
}

/// When an eigenvector is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// At every multiple of so many steps, counted over the whole training from 0.
    Steps(usize),
    /// At multiples counted within each epoch, but not at its beginning: the authors' code.
    StepsOfEpoch(usize),
}

/// How an eigenvector is estimated, from the last estimate on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EigenMethod {
    /// So many steps of the power method, as in the authors' code: towards the eigenvalue of largest magnitude.
    Power {
        /// Products.
        steps: usize,
    },
    /// Lanczos: the largest eigenvalue.
    Lanczos {
        /// The residual to reach, relative to the largest |Ritz value|.
        tolerance: f64,
        /// Products at most; the best vector so far is taken then.
        max_products: usize,
    },
}

impl Default for EigenSam {
    fn default() -> Self {
        Self {
            rho: 0.05,
            alpha: 0.2,
            renormalise: false,
            every: Every::Steps(100),
            method: EigenMethod::default(),
            examples: None,
        }
    }
}

impl Default for EigenMethod {
    fn default() -> Self {
        Self::Power { steps: 5 }
    }
}

impl Every {
    fn holds(self, site: &Site<'_>) -> bool {
        match self {
            Self::Steps(count) => site.step.is_multiple_of(count),
            Self::StepsOfEpoch(count) => {
                let (_, step) = site.epoch();
                step > 0 && step.is_multiple_of(count)
            }
        }
    }
}

/// An eigenvector, and with the mini-batch's own also its loss and gradient.
type Estimate = (Vec<f64>, Option<(f64, Vec<f64>)>);

impl EigenSam {
    /// Where the estimate, of norm 1, is found in a [`Memory`].
    pub const EIGENVECTOR: &str = "eigenvector";

    pub(super) fn problem(&self, per_epoch: usize, examples: usize) -> Option<String> {
        match (self.every, self.method, self.examples) {
            (Every::Steps(0) | Every::StepsOfEpoch(0), ..) => {
                Some("the eigenvector is to be estimated every 0 steps: give at least 1".into())
            }
            (Every::StepsOfEpoch(count), ..) if count >= per_epoch => Some(format!(
                "the eigenvector would never be estimated: every {count} steps of an epoch are wanted, which has \
                 {per_epoch}; count over the whole training, or give less"
            )),
            (_, EigenMethod::Power { steps: 0 }, _) => {
                Some("0 steps of the power method are wanted: give at least 1".into())
            }
            (.., Some(count)) if count == 0 || count > examples => Some(format!(
                "the eigenvector is wanted of {count} examples, but there are {examples}: give 1 to {examples}"
            )),
            _ => not_finite("alpha", self.alpha),
        }
    }

    pub(super) fn perturbation(&self, gradient: &[f64], eigenvector: Option<&[f64]>) -> Vec<f64> {
        let length = norm(gradient);
        if length == 0.0 {
            return vec![0.0; gradient.len()];
        }
        let mut epsilon = scaled(1.0 / length, gradient);
        if let Some(v) = eigenvector {
            let along = dot(&epsilon, v);
            let sign = if along == 0.0 { 0.0 } else { along.signum() };
            // g + alpha sign(g'v) (v - (g'v) g), in one go.
            let turn = self.alpha * sign;
            epsilon.iter_mut().zip(v).for_each(|(g, v)| *g += turn * (v - along * *g));
            if self.renormalise {
                let length = norm(&epsilon);
                epsilon.iter_mut().for_each(|e| *e /= length);
            }
        }
        epsilon.iter_mut().for_each(|e| *e *= self.rho);
        epsilon
    }

    pub(super) fn update(&self, site: &Site<'_>, memory: &Memory) -> Result<Update> {
        let known = memory.get(Self::EIGENVECTOR);
        if !self.every.holds(site) {
            let (loss, slope) = site.gradient()?;
            return site.ascended(loss, &slope, &self.perturbation(&slope, known));
        }
        let (eigenvector, seen) = self.estimate(site, known)?;
        let (loss, slope) = seen.map_or_else(|| site.gradient(), Ok)?;
        let mut update = site.ascended(loss, &slope, &self.perturbation(&slope, Some(&eigenvector)))?;
        update.remember = vec![(Self::EIGENVECTOR, eigenvector)];
        Ok(update)
    }

    fn estimate(&self, site: &Site<'_>, known: Option<&[f64]>) -> Result<Estimate> {
        let start = known.map_or_else(|| site.normal(Purpose::Eigenvector), <[f64]>::to_vec);
        if let Some(count) = self.examples {
            let sample = site.sample(count)?;
            let curvature = Curvature::new(&*sample, site.at, DEFAULT_MEMORY)?;
            let (vector, products) = self.method.run(&curvature, start)?;
            site.count(count, &curvature, products);
            return Ok((vector, None));
        }
        let curvature = site.curvature()?;
        let (vector, products) = self.method.run(&curvature, start)?;
        site.count(site.examples.len(), &curvature, products);
        Ok((vector, Some((curvature.loss(), curvature.gradient().to_vec()))))
    }
}

impl EigenMethod {
    /// A unit vector, and the products that it took.
    fn run(self, curvature: &Curvature<'_>, start: Vec<f64>) -> Result<(Vec<f64>, usize)> {
        match self {
            Self::Power { steps } => Ok((power(&curvature.hessian(), start, steps)?, steps)),
            Self::Lanczos { tolerance, max_products } => {
                let double = curvature.parameters().dtype().size_in_bytes() == size_of::<f64>();
                let epsilon = if double { f64::EPSILON } else { f64::from(f32::EPSILON) };
                let solver = Lanczos {
                    tolerance,
                    max_products,
                    unit_roundoff: epsilon / 2.0,
                    check: MissedCopies::Never,
                    ..Lanczos::default()
                };
                match solver.run(&curvature.hessian(), Some(&[start]), &mut Silent)? {
                    Outcome::Done(mut eigen) => Ok((eigen.vectors.swap_remove(0), eigen.products)),
                    Outcome::Interrupted(_) => unreachable!("a silent observer does not interrupt"),
                }
            }
        }
    }
}

/// v <- H v/|H v|, so many times; the last v whose product is not 0.
fn power(hessian: &dyn SymmetricOperator, start: Vec<f64>, steps: usize) -> Result<Vec<f64>> {
    let length = norm(&start);
    let mut vector = scaled(1.0 / length, &start);
    let mut product = vec![0.0; vector.len()];
    for _ in 0..steps {
        hessian.apply(&vector, &mut product)?;
        if !finite(&product) {
            return Err(Error::NonFinite("a product with the Hessian is not finite".into()));
        }
        let length = norm(&product);
        if length > 0.0 {
            vector.fill(0.0);
            add(&mut vector, 1.0 / length, &product);
        }
    }
    Ok(vector)
}
