//! Spectral density of a symmetric operator: stochastic Lanczos quadrature with full orthogonalisation.
//!
//! A random unit vector v sees the spectrum through its weighted cumulative measure Psi(x) = sum of (v . u)^2 over the
//! eigenvectors u of eigenvalues up to x, whose expectation is the share Phi(x) of eigenvalues up to x. m steps of Lanczos from v give the
//! Gauss quadrature of Psi with m nodes (Golub & Welsch 1969; Ubaru, Chen & Saad 2017), the mean over some probes
//! estimates Phi (Chen, Trogdon & Ubaru 2021, arXiv 2105.06595). Two errors are kept apart and bounded: what m steps leave
//! open ([`Probe::bracket`]), and what the random vectors leave open ([`Spectrum::cumulative`]).

mod bracket;
mod concentration;
mod curves;
mod outliers;
mod probe;
mod progress;
mod result;
mod state;

use serde::{Deserialize, Serialize};

use crate::lanczos::{Control, vectors};
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

pub use curves::{CumulativeCurve, DensityCurve, LogDensityCurve};
pub use outliers::{Outliers, Tail};
pub use probe::Probe;
pub use progress::{SpectrumObserver, SpectrumProgress};
pub use result::{Cumulative, Moment, Spectrum};
pub use state::SpectrumState;

/// Settings of the estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpectralDensity {
    /// Wasserstein distance to the true spectral distribution to aim for, as a share of the spectrum's spread; it sets the
    /// probes and steps that are not given, as [`plan`](Self::plan) says.
    pub accuracy: f64,
    /// Probability with which the bounds hold.
    pub confidence: f64,
    /// Random vectors; by default what the accuracy asks for, at most 10.
    pub probes: Option<usize>,
    /// Lanczos steps, that is products, a probe; by default what the accuracy asks for, as far as the basis fits four
    /// gigabytes, but at least 20. Never more than the matrix has rows.
    pub steps: Option<usize>,
    /// Seed of the random vectors. Probe number p has a stream of its own: its digits do not depend on the others.
    pub seed: u64,
    /// Unit roundoff of the products: 2^-53 for f64, 2^-24 for f32. Bounds allow for it.
    pub unit_roundoff: f64,
}

impl Default for SpectralDensity {
    fn default() -> Self {
        Self {
            accuracy: 0.02,
            confidence: 0.95,
            probes: None,
            steps: None,
            seed: 0,
            unit_roundoff: f64::EPSILON / 2.0,
        }
    }
}

/// What a run will do, and what it is known to achieve beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// Random vectors.
    pub probes: usize,
    /// Steps a probe.
    pub steps: usize,
    /// Wasserstein distance to the true spectral distribution that is not exceeded with the settings' confidence, as a
    /// share of the spectrum's spread (largest minus smallest eigenvalue).
    pub distance: f64,
}

impl Plan {
    /// Products at most; a probe that finds an invariant subspace needs fewer.
    pub fn products(&self) -> usize {
        self.probes * self.steps
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum SpectrumOutcome {
    /// The spectrum as all probes see it.
    Done(Spectrum),
    /// The observer interrupted; [`SpectralDensity::resume`] goes on from here to the same digits.
    Interrupted(SpectrumState),
}

/// Probes at most, where their number is not given.
const MAX_PROBES: usize = 10;
/// Numbers that the basis holds at most, where the steps are not given: four gigabytes.
const BASIS_ENTRIES: usize = 1 << 29;
/// Steps at least, where they are not given.
const MIN_STEPS: usize = 20;
/// Streams of the generator below this one belong to other random vectors of the same seed.
const FIRST_STREAM: u64 = 1 << 32;

impl SpectralDensity {
    /// Probes and steps for a matrix of `n` rows, and the distance that they guarantee.
    ///
    /// Half of the accuracy t is for the steps, half for the probes: m = pi / (2 t) steps and
    /// 4 ln(2 / (1 - confidence)) / ((n + 2) t^2) probes, rounded up. Both hold for every matrix and size, in exact
    /// arithmetic; nothing is asymptotic. They are the theorem of Chen, Trogdon & Ubaru (2021) with better constants: it
    /// has 12 / t + 1/2 steps and 4 ln(2 n / (1 - confidence)) / ((n + 2) t^2) probes.
    ///
    /// - Steps: the quadrature is exact for polynomials of degree 2 m - 1, and a function of slope 1 on [-1, 1] is within
    ///   pi / (4 m) of one (Favard's constant in Jackson's inequality; Achieser & Krein 1937), so that the Wasserstein
    ///   distance is at most twice that, for an interval of length 2.
    /// - Probes: Psi(x) - Phi(x) is a centred Beta variable, sub-Gaussian with variance 1 / (2 (n + 2)) (Marchal & Arbel
    ///   2017). The distance is at most the mean of |Psi - Phi| over the spread, and by convexity the exponential moments
    ///   of a mean are no larger than the mean of the moments: no union over the n eigenvalues is needed.
    pub fn plan(&self, n: usize) -> Result<Plan> {
        self.validate(n)?;
        let half = self.accuracy / 2.0;
        let wanted = (std::f64::consts::FRAC_PI_4 / half).ceil() as usize;
        let steps = self.steps.unwrap_or(wanted.min((BASIS_ENTRIES / n).max(MIN_STEPS))).min(n);
        let wanted = (concentration::share_of_one_probe(n, self.confidence) / half).powi(2).ceil() as usize;
        let probes = self.probes.unwrap_or(wanted.clamp(1, MAX_PROBES));
        Ok(Plan { probes, steps, distance: concentration::distance(n, probes, steps, self.confidence) })
    }

    /// Runs all probes.
    pub fn run(
        &self,
        operator: &dyn SymmetricOperator,
        observer: &mut dyn SpectrumObserver,
    ) -> Result<SpectrumOutcome> {
        self.validate(operator.dim())?;
        self.resume(operator, SpectrumState::new(self, operator.dim()), observer)
    }

    /// Goes on from the state of an interrupted run with the same settings and operator.
    pub fn resume(
        &self,
        operator: &dyn SymmetricOperator,
        mut state: SpectrumState,
        observer: &mut dyn SpectrumObserver,
    ) -> Result<SpectrumOutcome> {
        let n = operator.dim();
        let plan = self.plan(n)?;
        state.belongs_to(self, n)?;
        state.krylov.settle(operator, n, plan.steps + 2)?;
        while state.probes.len() < plan.probes {
            if observer.product(&self.step(operator, &mut state, plan)?) == Control::Interrupt {
                return Ok(SpectrumOutcome::Interrupted(state));
            }
        }
        let mut spectrum = Spectrum::new(n, state.probes, self.confidence, self.unit_roundoff)?;
        spectrum.products = state.products;
        Ok(SpectrumOutcome::Done(spectrum))
    }

    /// One product of the probe that is under way.
    fn step(
        &self,
        operator: &dyn SymmetricOperator,
        state: &mut SpectrumState,
        plan: Plan,
    ) -> Result<SpectrumProgress> {
        let n = operator.dim();
        let probe = state.probes.len();
        let krylov = &mut state.krylov;
        if krylov.vectors.is_empty() {
            let mut start = vectors::random(n, self.seed, FIRST_STREAM + probe as u64);
            let length = vectors::norm(&start);
            vectors::scale(&mut start, 1.0 / length);
            krylov.give(krylov.place(start)?);
        }
        let exhausted = krylov.extend(operator)?;
        state.products += 1;
        let steps = krylov.len();
        let exact = exhausted || steps == n;
        let finished = exact || steps == plan.steps;
        if finished {
            let ritz = krylov.ritz(0)?;
            state.probes.push(Probe::of(&ritz, exact));
            krylov.clear();
        }
        Ok(SpectrumProgress {
            products: state.products,
            max_products: plan.products(),
            probe,
            probes: plan.probes,
            step: steps,
            steps: plan.steps,
            finished,
        })
    }

    fn validate(&self, n: usize) -> Result<()> {
        let inside = |x: f64| x > 0.0 && x < 1.0;
        let problem = if n == 0 {
            "the matrix has no rows, and so no spectrum".to_string()
        } else if !inside(self.accuracy) {
            format!("the accuracy is {}, but must lie between 0 and 1", self.accuracy)
        } else if !inside(self.confidence) {
            format!("the confidence is {}, but must lie between 0 and 1, as 0.95 does", self.confidence)
        } else if self.probes == Some(0) || self.steps == Some(0) {
            "at least one probe of one step is needed".to_string()
        } else if !(self.unit_roundoff >= 0.0 && self.unit_roundoff < 1.0) {
            format!("the unit roundoff is {}, but must lie between 0 and 1", self.unit_roundoff)
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }
}
