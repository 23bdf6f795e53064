//! An orthonormal basis, and the operator projected onto it.

mod recombining;
mod ritz;
mod stored;
#[cfg(test)]
mod tests;

use candle_core::Device;
use relief_autodiff::vectors::tensors;

use super::vector::Vector;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

pub(crate) use ritz::Ritz;

/// Orthonormal vectors: those that have been multiplied, then those that wait for it. Together they span all products, so
/// that nothing is lost when the multiplied ones are recombined (band Lanczos with restarts; Ruhe 1979, Wu & Simon 2000).
#[derive(Debug, Clone, Default)]
pub(crate) struct Krylov {
    /// The multiplied ones; of those that wait, first the given ones, then the directions in which products leave the rest.
    pub(crate) vectors: Vec<Vector>,
    /// `v_i'A v_j` of multiplied vectors, row by row; those above the diagonal are not used.
    pub(crate) projected: Vec<Vec<f64>>,
    /// `w_i'A v_j` of every vector `w_i` that waits and every multiplied `v_j`, row by row.
    pub(crate) coupling: Vec<Vec<f64>>,
    /// How many of those that wait were given, and are to be multiplied as they are.
    pub(crate) given: usize,
    /// Where the vectors lie; `None` for the host.
    device: Option<Device>,
}

/// Share of a vector that must be left after it was orthogonalised, for rounding to be no larger beside what is left.
const ENOUGH: f64 = 0.5;

impl Krylov {
    /// Number of vectors that have been multiplied.
    pub(crate) fn len(&self) -> usize {
        self.projected.len()
    }

    /// The projected matrix's first entries on the diagonal.
    pub(crate) fn diagonal(&self, count: usize) -> Vec<f64> {
        (0..count).map(|i| self.projected[i][i]).collect()
    }

    /// Moves the vectors, of `n` entries, to where the operator multiplies them without copies, if so many fit into half of
    /// the memory that is free there; to the host otherwise. Those that are there stay. It changes no digit.
    pub(crate) fn settle(&mut self, operator: &dyn SymmetricOperator, n: usize, count: usize) -> Result<()> {
        let device = operator.device();
        let there = |here: &Device| device.as_ref().is_some_and(|device| device.same_device(here));
        if !self.device.as_ref().is_some_and(there) {
            let fits = |free| count.saturating_mul(n).saturating_mul(size_of::<f64>()) <= free / 2;
            self.device = device.filter(|device| tensors::free_memory(device).is_none_or(fits));
        }
        for v in std::mem::take(&mut self.vectors) {
            self.vectors.push(v.placed(self.device.as_ref())?);
        }
        Ok(())
    }

    /// Begins anew, with vectors in the same place.
    pub(crate) fn clear(&mut self) {
        *self = Self { device: self.device.take(), ..Self::default() };
    }

    /// A vector where the others are.
    pub(crate) fn place(&self, v: Vec<f64>) -> Result<Vector> {
        Vector::Host(v).placed(self.device.as_ref())
    }

    /// Adds a vector orthogonal to all others, to be multiplied as it is. Nothing that was multiplied couples to it.
    pub(crate) fn give(&mut self, v: Vector) {
        let (m, given) = (self.len(), self.given);
        self.vectors.insert(m + given, v);
        self.coupling.insert(given, vec![0.0; m]);
        self.given += 1;
    }

    /// Multiplies the first vector that waits, and orthogonalises the product against all. What is left waits as the last.
    /// Returns whether the product lies among the multiplied vectors up to rounding: nothing leads on from there.
    pub(crate) fn extend(&mut self, operator: &dyn SymmetricOperator) -> Result<bool> {
        let m = self.len();
        let v =
            self.vectors.get(m).ok_or_else(|| Error::Other("the basis has no vector to multiply".into()))?;
        let mut product = v.multiplied(operator)?;
        let size = product.norm()?;
        if let Some((bad, x)) = product.not_finite(size)? {
            return Err(Error::NonFinite(format!(
                "entry {bad} of a matrix-vector product is {x}: the numbers overflow at this point; try f64"
            )));
        }
        let (mut row, beta) = self.orthogonalise(&mut product)?;
        let outside = row.split_off(m + 1);
        self.coupling.remove(0);
        self.coupling.iter_mut().zip(outside).for_each(|(coupling, h)| coupling.push(h));
        self.projected.iter_mut().zip(&row).for_each(|(other, h)| other.push(*h));
        self.projected.push(row);
        self.given = self.given.saturating_sub(1);
        let rounding = self.rounding(size);
        if beta > rounding {
            product.scale(1.0 / beta)?;
            self.vectors.push(product);
            let mut coupling = vec![0.0; m + 1];
            coupling[m] = beta;
            self.coupling.push(coupling);
        }
        Ok(self.outside(m) <= rounding)
    }

    /// Takes from the product with the first vector that waits what it has along all others, and returns that, and the norm
    /// of what is left.
    ///
    /// By symmetry most is known before: the inner products with the multiplied vectors. Without that and what it has along
    /// its own vector, little but rounding is left to take, and then once is enough (Paige 1970; Simon 1984); else a
    /// second time is (Giraud et al. 2005).
    fn orthogonalise(&self, product: &mut Vector) -> Result<(Vec<f64>, f64)> {
        let m = self.len();
        let mut row = self.coupling[0].clone();
        product.subtract(&self.vectors[..m], &row)?;
        row.extend(product.coefficients(&self.vectors[m..=m])?);
        product.subtract(&self.vectors[m..=m], &row[m..])?;
        row.resize(self.vectors.len(), 0.0);
        let mut left = product.norm()?;
        for _ in 0..2 {
            let before = left;
            let along = product.coefficients(&self.vectors)?;
            product.subtract(&self.vectors, &along)?;
            row.iter_mut().zip(along).for_each(|(r, a)| *r += a);
            left = product.norm()?;
            if left > ENOUGH * before {
                break;
            }
        }
        Ok((row, left))
    }

    /// Norms up to here are rounding of a product of this `size`. Relative, not absolute: the operator may be of any scale.
    fn rounding(&self, size: f64) -> f64 {
        8.0 * f64::EPSILON * (self.len() as f64).sqrt() * size.max(self.size())
    }

    /// Norm of what the product with vector `i` has outside the multiplied vectors.
    pub(crate) fn outside(&self, i: usize) -> f64 {
        self.coupling.iter().fold(0.0, |sum: f64, row| sum.hypot(row[i]))
    }

    /// Norm of what the last product has outside the multiplied and the given vectors.
    pub(crate) fn outside_given(&self) -> f64 {
        let last = self.len() - 1;
        self.coupling[self.given..].iter().fold(0.0, |sum: f64, row| sum.hypot(row[last]))
    }

    /// Norm of what the product with vector `i` has outside the first `kept` vectors, of which it is one.
    pub(crate) fn residual(&self, i: usize, kept: usize) -> f64 {
        self.projected[kept..].iter().fold(self.outside(i), |sum, row| sum.hypot(row[i]))
    }

    /// The largest entry of the projected matrix.
    fn size(&self) -> f64 {
        self.projected.iter().flatten().fold(0.0, |size: f64, x| size.max(x.abs()))
    }
}
