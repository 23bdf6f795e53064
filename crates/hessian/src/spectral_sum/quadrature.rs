//! Quadratic forms w'f(A)w by Lanczos, between bounds (Golub & Meurant 1994).

use faer::{Mat, Side};

use super::{SpectralSum, Summand};
use crate::lanczos::{ROUNDING_UNITS, vectors};
use crate::sampling::Target;
use crate::sampling::basis::Basis;
use crate::sampling::packed::Packed;
use crate::sampling::probes::{Entries, Probes};
use crate::sampling::run::{Conclusion, Task};
use crate::sampling::statistics::Scalar;
use crate::{Error, Result};

/// Share of the error asked for, or of one probe's standard deviation, that a quadrature may be uncertain by.
const SHARE: f64 = 0.05;

/// Negative Ritz values beyond that many units of roundoff, relative to the largest, are no rounding.
const NEGATIVE_UNITS: f64 = 64.0;

/// One probe after another: a Krylov space each, whose basis is the only thing kept of it in the end but for a [`Form`].
#[derive(Debug, Clone)]
pub(crate) struct Quadrature {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) summand: Summand,
    pub(crate) damping: f64,
    /// Relative error that a quadrature may have; 0 where that depends on the spread of the probes.
    pub(crate) tolerance: f64,
    pub(crate) unit_roundoff: f64,
    /// Vectors of a Krylov space at most.
    pub(crate) capacity: usize,
    pub(crate) planned: usize,
    pub(crate) products: usize,
    /// The probe at work and its Krylov space: R's columns but the first are the projected matrix.
    pub(crate) basis: Basis,
    /// The probe at work, as far as its steps tell.
    pub(crate) current: Option<Form>,
    pub(crate) finished: Vec<Form>,
}

/// n w'f(A)w / |w|^2 for a probe w.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Form {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// The variance that such forms have over all probes, as this one shows it.
    pub(crate) variance: f64,
}

/// A sum and what its quadratures leave open.
pub(super) struct Sum {
    pub(super) scalar: Scalar,
    pub(super) quadrature_error: f64,
}

impl Conclusion for Sum {
    fn value(&self) -> f64 {
        self.scalar.value
    }

    fn error(&self) -> f64 {
        self.scalar.error
    }
}

impl Quadrature {
    pub(super) fn new(settings: &SpectralSum, n: usize) -> Self {
        let sampling = &settings.sampling;
        Self {
            n,
            seed: sampling.seed,
            summand: settings.summand,
            damping: settings.damping,
            tolerance: match sampling.target {
                Target::RelativeError(error) => SHARE * error / sampling.deviations,
                Target::Products(_) => 0.0,
            },
            unit_roundoff: sampling.unit_roundoff,
            capacity: sampling.memory / (size_of::<f64>() * n.max(1)),
            planned: 0,
            products: 0,
            basis: Basis::default(),
            current: None,
            finished: vec![],
        }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([logarithm, capacity, planned, products], seed) = packed.counts()?;
        let [damping, tolerance, unit_roundoff] = packed.numbers()?;
        let form = |v: &Vec<f64>| Form { lower: v[0], upper: v[1], variance: v[2] };
        let basis = packed.basis(n)?;
        (products <= planned).then_some(Self {
            n,
            seed,
            summand: if logarithm == 1 { Summand::Logarithm } else { Summand::EffectiveDimension },
            damping,
            tolerance,
            unit_roundoff,
            capacity,
            planned,
            products,
            basis,
            current: packed.list("current", 3)?.iter().map(form).next(),
            finished: packed.list("finished", 3)?.iter().map(form).collect(),
        })
    }

    /// The next probe, as a unit vector.
    fn probe(&self) -> Vec<f64> {
        let number = self.finished.len() as u64;
        let mut probe = Probes::new(Entries::Normal, self.seed, number, 1, self.n).whole().remove(0);
        let length = vectors::norm(&probe);
        vectors::scale(&mut probe, 1.0 / length);
        probe
    }

    /// The form after the last step, or an error if there is a negative eigenvalue.
    ///
    /// f has derivatives of alternating sign, so that the Gauss rule is an upper bound, and the Gauss-Radau rule with a node
    /// at 0, the least that an eigenvalue can be, a lower one.
    fn form(&self) -> Result<Form> {
        let columns = &self.basis.factor[1..];
        let m = columns.len();
        let entry = |i: usize, j: usize| columns[i.max(j)].get(i.min(j)).copied().unwrap_or(0.0);
        let projected = Mat::from_fn(m, m, entry);
        let beta = columns[m - 1].get(m).copied().unwrap_or(0.0);
        let gauss = Rule::new(&projected)?;
        let largest = gauss.nodes.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let rounding = NEGATIVE_UNITS * self.unit_roundoff * largest;
        let least = gauss.nodes[0];
        if least < -rounding {
            return Err(Error::Input(format!(
                "a sum over damped eigenvalues needs a positive semidefinite matrix, and this one has an eigenvalue of \
                 {least:.3e} or less: use the Gauss-Newton matrix"
            )));
        }
        let [mean, variance] = self.moments(&gauss);
        // The last entry that gives the extended matrix the eigenvalue 0.
        let corner: f64 =
            beta * beta * gauss.nodes.iter().zip(&gauss.last).map(|(x, u)| u * u / x).sum::<f64>();
        let lower = if beta == 0.0 || least <= rounding || !corner.is_finite() {
            mean
        } else {
            let extended = Mat::from_fn(m + 1, m + 1, |i, j| match (i.min(j), i.max(j)) {
                (low, high) if high < m => projected[(low, high)],
                (low, _) if low == m => corner,
                (low, _) if low == m - 1 => beta,
                _ => 0.0,
            });
            self.moments(&Rule::new(&extended)?)[0].min(mean)
        };
        let n = self.n as f64;
        Ok(Form { lower: n * lower, upper: n * mean, variance: 2.0 * n * n / (n + 2.0) * variance })
    }

    /// Mean and variance of the summand.
    fn moments(&self, rule: &Rule) -> [f64; 2] {
        let damping = self.damping;
        let f = |x: f64| match self.summand {
            Summand::Logarithm => (x.max(0.0) + damping).ln(),
            Summand::EffectiveDimension => x.max(0.0) / (x.max(0.0) + damping),
        };
        let values: Vec<(f64, f64)> =
            rule.nodes.iter().zip(&rule.first).map(|(x, u)| (f(*x), u * u)).collect();
        let mean: f64 = values.iter().map(|(f, weight)| weight * f).sum();
        [mean, values.iter().map(|(f, weight)| weight * (f - mean).powi(2)).sum()]
    }

    /// Whether more steps for the probe at work would not help.
    fn settled(&self, form: &Form) -> bool {
        let open = 0.5 * (form.upper - form.lower);
        let value = 0.5 * (form.upper + form.lower);
        let rounding = ROUNDING_UNITS * self.unit_roundoff;
        let spread = SHARE * (form.variance / (self.finished.len() + 1) as f64).sqrt();
        open <= self.tolerance.max(rounding) * value.abs() || (self.tolerance == 0.0 && open <= spread)
    }

    pub(super) fn conclude(&self) -> Sum {
        let unfinished = self.current.filter(|_| self.finished.is_empty());
        let forms: Vec<Form> = self.finished.iter().copied().chain(unfinished).collect();
        let count = forms.len() as f64;
        let mean = |of: fn(&Form) -> f64| forms.iter().map(of).sum::<f64>() / count;
        let (upper, lower) = (mean(|f| f.upper), mean(|f| f.lower));
        let quadrature_error = 0.5 * (upper - lower);
        let error = (mean(|f| f.variance) / count).sqrt().hypot(quadrature_error);
        let samples = forms.iter().map(|f| 0.5 * (f.upper + f.lower)).collect();
        let scalar = Scalar { value: 0.5 * (upper + lower), error, samples };
        Sum { scalar: scalar.with_rounding(0.0, self.unit_roundoff), quadrature_error }
    }
}

impl Task for Quadrature {
    fn plan(&mut self, products: usize) {
        self.planned = products;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        if self.products == self.planned {
            return Ok(vec![]);
        }
        Ok(vec![self.basis.vectors.last().cloned().unwrap_or_else(|| self.probe())])
    }

    fn absorb(&mut self, inputs: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        if self.basis.rank() == 0 {
            self.basis.push(inputs[0].clone());
        }
        self.products += 1;
        let mut grows = true;
        for product in products {
            grows = self.basis.push(product);
        }
        let form = self.form()?;
        self.current = Some(form);
        let full = self.basis.rank() >= self.capacity;
        if !grows || full || self.settled(&form) {
            self.finished.push(form);
            self.basis = Basis::default();
            self.current = None;
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        let form = |f: &Form| vec![f.lower, f.upper, f.variance];
        let logarithm = usize::from(self.summand == Summand::Logarithm);
        Packed::new("quadrature", &[logarithm, self.capacity, self.planned, self.products], self.seed)
            .with_numbers(&[self.damping, self.tolerance, self.unit_roundoff])
            .with_basis(&self.basis)
            .with("current", self.current.iter().map(form).collect())
            .with("finished", self.finished.iter().map(form).collect())
    }
}

/// A quadrature rule: the eigenvalues of a projected matrix, ascending, with the first and last entries of its eigenvectors.
struct Rule {
    nodes: Vec<f64>,
    first: Vec<f64>,
    last: Vec<f64>,
}

impl Rule {
    fn new(projected: &Mat<f64>) -> Result<Self> {
        let m = projected.nrows();
        let eigen = projected
            .self_adjoint_eigen(Side::Lower)
            .map_err(|e| Error::Other(format!("the projected matrix could not be diagonalised: {e:?}")))?;
        let u = eigen.U();
        Ok(Self {
            nodes: (0..m).map(|i| eigen.S()[i]).collect(),
            first: (0..m).map(|i| u[(0, i)]).collect(),
            last: (0..m).map(|i| u[(m - 1, i)]).collect(),
        })
    }
}
