//! The spectrum as its probes see it.

use serde::{Deserialize, Serialize};

use super::Probe;
use super::concentration::compatible;
use crate::lanczos::ROUNDING_UNITS;
use crate::{Error, Result};

/// An estimate of a matrix's spectral distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// Rows of the matrix, as many as eigenvalues.
    pub n: usize,
    /// What every random vector saw.
    pub probes: Vec<Probe>,
    /// Probability with which bounds hold.
    pub confidence: f64,
    /// Unit roundoff of the products.
    pub unit_roundoff: f64,
    /// Products used.
    pub products: usize,
}

/// The share of eigenvalues up to some place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cumulative {
    /// The estimate: the mean over the probes of the weight of Ritz values up to here. A staircase: where the bracket that
    /// follows is wide, a step more or less of Lanczos may move it across.
    pub value: f64,
    /// What the random vectors really see up to here is at least this on average, for certain.
    pub quadrature_lower: f64,
    /// And at most this.
    pub quadrature_upper: f64,
    /// The share of eigenvalues is at least this, with the confidence of the [`Spectrum`], at all places at once.
    pub lower: f64,
    /// And at most this.
    pub upper: f64,
}

/// A mean over all eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Its unbiased estimate.
    pub value: f64,
    /// Standard error of the estimate, from the random vectors; `None` where too few steps were made to know it.
    pub standard_error: Option<f64>,
}

impl Spectrum {
    /// From probes of a matrix with `n` rows whose vectors were independent and uniform on the unit sphere.
    pub fn new(n: usize, probes: Vec<Probe>, confidence: f64, unit_roundoff: f64) -> Result<Self> {
        if probes.is_empty() {
            return Err(Error::Input("there is no probe: at least one is needed".into()));
        }
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(Error::Input(format!(
                "the confidence is {confidence}, but must lie between 0 and 1, as 0.95 does"
            )));
        }
        for probe in &probes {
            let m = probe.values.len();
            let fits = (1..=n).contains(&m) && probe.weights.len() == m && probe.residuals.len() == m;
            let numbers = probe.values.iter().chain(&probe.weights).chain(&probe.residuals);
            if !fits || !probe.values.is_sorted() || numbers.into_iter().any(|x| !x.is_finite()) {
                return Err(Error::Input(format!(
                    "a probe of a matrix of {n} rows has {m} Ritz values, {} weights and {} residuals: expected as many \
                     of each, at most {n}, all finite, and the values in ascending order",
                    probe.weights.len(),
                    probe.residuals.len()
                )));
            }
        }
        let products = probes.iter().map(|p| p.values.len()).sum();
        Ok(Self { n, probes, confidence, unit_roundoff, products })
    }

    /// The smallest Ritz value: the smallest eigenvalue is no larger (up to [`rounding`](Self::rounding)), and may be much
    /// smaller.
    pub fn smallest(&self) -> f64 {
        self.probes.iter().map(|p| p.values[0]).fold(f64::INFINITY, f64::min)
    }

    /// The largest Ritz value: the largest eigenvalue is no smaller (up to [`rounding`](Self::rounding)), and may be much
    /// larger.
    pub fn largest(&self) -> f64 {
        self.probes.iter().map(|p| p.values[p.values.len() - 1]).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Distance to which eigenvalues are taken to be known, relative to the largest |Ritz value|: 16 units of roundoff for
    /// the products, and as many of f64 for the arithmetic here as there were steps. An allowance, not a worst case.
    pub fn rounding(&self) -> f64 {
        let steps = self.probes.iter().map(|p| p.values.len()).max().unwrap_or(0);
        let relative = ROUNDING_UNITS * self.unit_roundoff + f64::EPSILON * (steps as f64 + 16.0);
        relative * self.smallest().abs().max(self.largest().abs())
    }

    /// The share of eigenvalues up to and including `x`.
    ///
    /// The bounds join three facts. The mean mass that the random vectors have up to x lies within the probes'
    /// [brackets](Probe::bracket), for certain. The share of eigenvalues differs from that mean by no more than relative
    /// entropy allows: with probability [`confidence`](Self::confidence), for all x at once. And at least as many
    /// eigenvalues lie up to x, or beyond it, as any one probe has Ritz values there (Cauchy interlacing), for certain.
    pub fn cumulative(&self, x: f64) -> Cumulative {
        let rounding = self.rounding();
        let brackets: Vec<_> = self.probes.iter().map(|p| p.bracket(x, rounding)).collect();
        let quadrature_lower = self.mean(brackets.iter().map(|b| b.0));
        let quadrature_upper = self.mean(brackets.iter().map(|b| b.1));
        let (lower, upper) =
            compatible((quadrature_lower, quadrature_upper), self.n, self.probes.len(), self.confidence);
        // Ritz values up to here, and beyond, of the probe that has the most; `shift` is for the rounding.
        let most = |count: &dyn Fn(&Probe) -> usize| {
            self.probes.iter().map(count).max().unwrap_or(0) as f64 / self.n as f64
        };
        let up_to = |shift: f64| most(&|p| p.values.partition_point(|v| *v <= x + shift));
        let beyond = |shift: f64| most(&|p| p.values.len() - p.values.partition_point(|v| *v <= x + shift));
        // What is certain wins over what is only probable.
        Cumulative {
            value: self.mean(self.probes.iter().map(|p| p.mass_up_to(x))),
            quadrature_lower,
            quadrature_upper,
            lower: lower.min(1.0 - beyond(-rounding)).max(up_to(-rounding)),
            upper: upper.max(up_to(rounding)).min(1.0 - beyond(rounding)),
        }
    }

    /// The share of negative eigenvalues. Zero eigenvalues cannot be told from small ones of either sign, so where there
    /// may be many the bounds are wide.
    pub fn negative(&self) -> Cumulative {
        self.cumulative(0.0f64.next_down())
    }

    /// The mean eigenvalue tr(A) / n.
    pub fn mean_eigenvalue(&self) -> Moment {
        self.moment(1)
    }

    /// The mean squared eigenvalue tr(A^2) / n, that is, the squared Frobenius norm over n.
    pub fn mean_square(&self) -> Moment {
        self.moment(2)
    }

    /// The mean of lambda^degree. A vector's estimate has the variance 2 V / (n + 2), where V is that of lambda^degree over
    /// the eigenvalues, and the variance under its own measure has the expectation V n / (n + 2): together they give the
    /// standard error even from a single vector. A vector that happens to be nearly orthogonal to the eigenvectors that
    /// matter would put V too low; but it has found their eigenvalues, and V is at least what the Ritz values contribute
    /// as eigenvalues.
    fn moment(&self, degree: i32) -> Moment {
        // The square of the polynomial must be integrated exactly too.
        let known = self.probes.iter().all(|p| p.exact || p.values.len() > degree as usize);
        let (n, probes) = (self.n as f64, self.probes.len() as f64);
        let value = self.mean(self.probes.iter().map(|p| p.integral(|x| x.powi(degree))));
        let seen = self.mean(self.probes.iter().map(|p| {
            let mean = p.integral(|x| x.powi(degree));
            p.integral(|x| (x.powi(degree) - mean).powi(2))
        }));
        let counted = |p: &Probe| p.values.iter().map(|x| (x.powi(degree) - value).powi(2)).sum::<f64>() / n;
        let variance = self.probes.iter().map(counted).fold(seen, f64::max);
        Moment { value, standard_error: known.then(|| (2.0 * variance / (n * probes)).sqrt()) }
    }

    pub(super) fn mean(&self, values: impl Iterator<Item = f64>) -> f64 {
        values.sum::<f64>() / self.probes.len() as f64
    }
}
