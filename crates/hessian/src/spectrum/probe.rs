//! What one random vector sees of the spectrum.

use serde::{Deserialize, Serialize};

use super::bracket::Rule;
use crate::lanczos::krylov::Ritz;

/// The Gauss quadrature of one random vector's weighted spectral measure.
///
/// The measure has at each eigenvalue the squared component of the vector along its eigenvector. The quadrature has the
/// mass `weights[j]` at the Ritz value `values[j]`, and the same moments up to degree 2 m - 1 for m values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Ritz values, ascending.
    pub values: Vec<f64>,
    /// Squared first components of the projected matrix's eigenvectors; they sum to 1.
    pub weights: Vec<f64>,
    /// |A y - theta y| of each Ritz pair: some eigenvalue lies within this distance.
    pub residuals: Vec<f64>,
    /// Whether the Krylov space is invariant: the quadrature then is the measure itself, up to rounding.
    pub exact: bool,
}

impl Probe {
    /// From the Ritz pairs of a basis that begins with the random vector.
    pub(crate) fn of(ritz: &Ritz, exact: bool) -> Self {
        let squares: Vec<f64> = ritz.columns.iter().map(|c| c[0] * c[0]).collect();
        let total: f64 = squares.iter().sum();
        Self {
            values: ritz.values.clone(),
            weights: squares.iter().map(|w| w / total).collect(),
            residuals: ritz.residuals.clone(),
            exact,
        }
    }

    /// Mass that the quadrature has up to and including `x`.
    pub fn mass_up_to(&self, x: f64) -> f64 {
        let count = self.values.partition_point(|v| *v <= x);
        if count == self.values.len() { 1.0 } else { self.weights[..count].iter().fold(0.0, |a, b| a + b) }
    }

    /// The integral of `f` by the quadrature.
    pub(super) fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.values.iter().zip(&self.weights).map(|(v, w)| w * f(*v)).sum()
    }

    /// Least and largest mass up to and including `x` of any measure with the moments that the steps have determined, so
    /// also of the vector's own: sure, not probable, and the best that follows from the same products.
    ///
    /// These are the Chebyshev-Markov-Stieltjes inequalities with the quadrature that has `x` among its nodes
    /// (Gauss-Radau; Golub & Meurant 2010, section 6.2). The two masses differ by the weight at `x`; the bracket lies
    /// within the masses up to the neighbouring Ritz values, one to each side. Eigenvalues are taken to be known only to
    /// within `rounding`.
    pub fn bracket(&self, x: f64, rounding: f64) -> (f64, f64) {
        if self.exact {
            return (self.mass_up_to(x - rounding), self.mass_up_to(x + rounding));
        }
        let rule = Rule::new(self);
        (rule.bracket(x - rounding).0, rule.bracket(x + rounding).1)
    }

    /// All numbers in one list.
    pub(crate) fn to_list(&self) -> Vec<f64> {
        let exact = [f64::from(u8::from(self.exact))];
        [&exact, self.values.as_slice(), &self.weights, &self.residuals].concat()
    }

    /// The probe from such a list, `None` if it is not one.
    pub(crate) fn from_list(list: &[f64]) -> Option<Self> {
        let (exact, rest) = list.split_first()?;
        let m = rest.len() / 3;
        (m > 0 && rest.len() == 3 * m).then(|| Self {
            values: rest[..m].to_vec(),
            weights: rest[m..2 * m].to_vec(),
            residuals: rest[2 * m..].to_vec(),
            exact: *exact > 0.5,
        })
    }
}
