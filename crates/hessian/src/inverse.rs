//! The inverse of a damped positive matrix, by conjugate gradients.

use serde::{Deserialize, Serialize};

use crate::lanczos::vectors::{dot, norm};
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// Settings of solving (A + damping I) x = b by conjugate gradients (Hestenes & Stiefel 1952).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConjugateGradients {
    /// Added to every eigenvalue. A + damping I must be positive.
    pub damping: f64,
    /// Residual |b - (A + damping I) x| to reach, relative to |b|.
    pub tolerance: f64,
    /// Products at most.
    pub max_products: usize,
}

impl Default for ConjugateGradients {
    fn default() -> Self {
        Self { damping: 1e-3, tolerance: 1e-8, max_products: 1000 }
    }
}

/// A solution and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Solution {
    /// x.
    pub x: Vec<f64>,
    /// |b - (A + damping I) x| / |b|, computed with a product of its own.
    pub residual: f64,
    /// Bound of |x - exact| / |x|: the residual over the damping, where A has no negative eigenvalues; without damping, none.
    pub error_bound: Option<f64>,
    /// Products used.
    pub products: usize,
    /// Whether the residual met the tolerance.
    pub converged: bool,
}

impl ConjugateGradients {
    /// Solves for one right-hand side. `preconditioner` gives the diagonal of a matrix like A + damping I, all positive.
    ///
    /// Fails where a direction of negative curvature shows that A + damping I is not positive.
    pub fn solve(
        &self,
        operator: &dyn SymmetricOperator,
        b: &[f64],
        preconditioner: Option<&[f64]>,
    ) -> Result<Solution> {
        self.validate(operator.dim(), b, preconditioner)?;
        self.iterate(operator, b, &|r| {
            Ok(preconditioner.map_or_else(|| r.to_vec(), |p| r.iter().zip(p).map(|(r, p)| r / p).collect()))
        })
    }

    /// The same with a preconditioner of which products are known: `inverse` is positive and like (A + damping I)^-1, such as
    /// the inverse of Kronecker-factored blocks ([`AssembledBlocks::inverse`](crate::AssembledBlocks::inverse)).
    pub fn solve_preconditioned(
        &self,
        operator: &dyn SymmetricOperator,
        b: &[f64],
        inverse: &dyn SymmetricOperator,
    ) -> Result<Solution> {
        let n = operator.dim();
        self.validate(n, b, None)?;
        if inverse.dim() != n {
            return Err(Error::Input(format!(
                "the matrix has {n} rows, but the preconditioner has {}",
                inverse.dim()
            )));
        }
        self.iterate(operator, b, &|r| {
            let mut z = vec![0.0; n];
            inverse.apply(r, &mut z)?;
            let along = dot(r, &z);
            if along > 0.0 || norm(r) == 0.0 {
                return Ok(z);
            }
            Err(Error::Input(format!(
                "the preconditioner is not positive ({along:.3e} along one residual): give it more damping"
            )))
        })
    }

    /// Conjugate gradients from zero with the preconditioner's inverse as a function.
    fn iterate(
        &self,
        operator: &dyn SymmetricOperator,
        b: &[f64],
        precondition: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<Solution> {
        let n = operator.dim();
        let multiply = |x: &[f64]| -> Result<Vec<f64>> {
            let mut y = vec![0.0; n];
            operator.apply(x, &mut y)?;
            y.iter_mut().zip(x).for_each(|(y, x)| *y += self.damping * x);
            Ok(y)
        };
        let size = norm(b);
        if size == 0.0 {
            return Ok(Solution {
                x: vec![0.0; n],
                residual: 0.0,
                error_bound: Some(0.0),
                products: 0,
                converged: true,
            });
        }
        let (mut x, mut r) = (vec![0.0; n], b.to_vec());
        let mut z = precondition(&r)?;
        let mut p = z.clone();
        let mut slope = dot(&r, &z);
        let mut products = 0;
        // One product is for the residual at the end.
        while norm(&r) > 0.5 * self.tolerance * size && products + 1 < self.max_products {
            let ap = multiply(&p)?;
            products += 1;
            let curvature = dot(&p, &ap);
            if !curvature.is_finite() {
                return Err(Error::NonFinite(format!("product {products} is not finite")));
            }
            if curvature <= 0.0 {
                return Err(Error::Input(format!(
                    "the matrix with damping {} is not positive ({:.3e} along one direction): take more damping, or the \
                     Gauss-Newton matrix",
                    self.damping,
                    curvature / dot(&p, &p)
                )));
            }
            let step = slope / curvature;
            x.iter_mut().zip(&p).for_each(|(x, p)| *x += step * p);
            r.iter_mut().zip(&ap).for_each(|(r, a)| *r -= step * a);
            z = precondition(&r)?;
            let next = dot(&r, &z);
            p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + next / slope * *p);
            slope = next;
        }
        let left: Vec<f64> = multiply(&x)?.iter().zip(b).map(|(a, b)| b - a).collect();
        let residual = norm(&left) / size;
        let error_bound =
            (self.damping > 0.0).then(|| norm(&left) / self.damping / norm(&x).max(f64::MIN_POSITIVE));
        let converged = residual <= self.tolerance;
        Ok(Solution { x, residual, error_bound, products: products + 1, converged })
    }

    fn validate(&self, n: usize, b: &[f64], preconditioner: Option<&[f64]>) -> Result<()> {
        let problem = if b.len() != n || preconditioner.is_some_and(|p| p.len() != n) {
            format!("the matrix has {n} rows, but the right-hand side has {} entries", b.len())
        } else if !(self.damping >= 0.0 && self.damping.is_finite()) {
            format!("the damping is {}, but must be 0 or more and finite", self.damping)
        } else if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            format!("the tolerance is {}, but must lie between 0 and 1", self.tolerance)
        } else if self.max_products < 2 {
            format!("{} products are allowed, but at least 2 are needed", self.max_products)
        } else if preconditioner.is_some_and(|p| p.iter().any(|p| !(*p > 0.0 && p.is_finite()))) {
            "the preconditioner must have positive, finite entries".into()
        } else {
            return Ok(());
        };
        Err(Error::Input(problem))
    }
}
