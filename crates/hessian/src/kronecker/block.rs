//! A matrix whose eigenvectors are Kronecker products.

use std::ops::Range;
use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};

use super::KroneckerFactors;
use super::layout::Layout;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// A symmetric matrix over a layer's weight and bias with the eigenvectors `u_i ⊗ v_j`, u those of KFAC's factor of gradients and v
/// those of its factor of inputs: KFAC's block, EKFAC's, or an inverse of one of them.
///
/// As an operator its rows are those of the layer's tensors in the order of [`Parameters`](crate::Parameters), like those of a
/// Gauss-Newton matrix [`Restricted`](crate::Restricted) to [`ranges`](Self::ranges).
#[derive(Debug, Clone)]
pub struct KroneckerBlock {
    pub(super) weight: String,
    pub(super) positions: usize,
    pub(super) layout: Layout,
    /// v, in columns, ascending in their eigenvalues.
    pub(super) input_basis: Arc<Mat<f64>>,
    /// u.
    pub(super) gradient_basis: Arc<Mat<f64>>,
    /// Of `u_i ⊗ v_j`, in row i and column j.
    pub(super) values: Mat<f64>,
}

impl KroneckerBlock {
    pub(super) fn new(factors: &KroneckerFactors) -> Result<Self> {
        let eigen = |matrix: faer::MatRef<'_, f64>, what: &str| {
            let found = matrix.self_adjoint_eigen(Side::Lower).map_err(|e| {
                Error::Other(format!("the {what} of `{}` have no eigenvalues: {e:?}", factors.weight))
            })?;
            // Second moments have none below zero but by rounding.
            let values: Vec<f64> = found.S().column_vector().iter().map(|v| v.max(0.0)).collect();
            Ok::<_, Error>((values, found.U().to_owned()))
        };
        let (inputs, input_basis) = eigen(factors.input_matrix(), "inputs")?;
        let (gradients, gradient_basis) = eigen(factors.gradient_matrix(), "gradients")?;
        Ok(Self {
            weight: factors.weight.clone(),
            positions: factors.positions,
            layout: factors.layout.clone(),
            input_basis: Arc::new(input_basis),
            gradient_basis: Arc::new(gradient_basis),
            values: Mat::from_fn(gradients.len(), inputs.len(), |i, j| gradients[i] * inputs[j]),
        })
    }

    /// Name of the layer's weight.
    pub fn weight(&self) -> &str {
        &self.weight
    }

    /// Where the layer's tensors lie in the flat vector of all parameters, ascending.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        self.layout.ranges()
    }

    /// All eigenvalues, descending.
    pub fn eigenvalues(&self) -> Vec<f64> {
        self.order().into_iter().map(|(i, j)| self.values[(i, j)]).collect()
    }

    /// The eigenvalue of a rank from 0, and its unit eigenvector.
    pub fn eigenpair(&self, rank: usize) -> Result<(f64, Vec<f64>)> {
        let Some(&(i, j)) = self.order().get(rank) else {
            return Err(Error::Input(format!(
                "the block of `{}` has {} eigenvalues, so none of rank {rank} from 0",
                self.weight,
                self.layout.len()
            )));
        };
        let outer = Mat::from_fn(self.layout.outputs, self.layout.columns, |row, column| {
            self.gradient_basis[(row, i)] * self.input_basis[(column, j)]
        });
        let mut vector = vec![0.0; self.layout.len()];
        self.layout.vector(&outer, &mut vector);
        Ok((self.values[(i, j)], vector))
    }

    /// The sum of the eigenvalues.
    pub fn trace(&self) -> f64 {
        self.all().sum()
    }

    /// The root of the sum of their squares.
    pub fn frobenius_norm(&self) -> f64 {
        self.all().map(|v| v * v).sum::<f64>().sqrt()
    }

    /// The sum of log(eigenvalue + damping); minus infinity where one is zero without damping.
    pub fn log_determinant(&self, damping: f64) -> Result<f64> {
        check_damping(damping)?;
        Ok(self.all().map(|v| (v + damping).ln()).sum())
    }

    /// (block + damping I)^-1, exact.
    ///
    /// Errors: a damping of 0 where the block is singular (to rounding).
    pub fn inverse(&self, damping: f64) -> Result<Self> {
        check_damping(damping)?;
        let most = self.all().fold(0.0, f64::max) + damping;
        let least = self.all().fold(f64::INFINITY, f64::min) + damping;
        // The ratio of the smallest eigenvalue to the largest that rounding leaves anything of.
        if least <= f64::EPSILON * most || !most.is_finite() {
            return Err(Error::Input(format!(
                "the block of `{}` is singular (eigenvalues from {least:.1e} to {most:.1e} with damping {damping}): give more \
                 damping",
                self.weight
            )));
        }
        Ok(self.with_values(Mat::from_fn(self.values.nrows(), self.values.ncols(), |i, j| {
            1.0 / (self.values[(i, j)] + damping)
        })))
    }

    pub(super) fn with_values(&self, values: Mat<f64>) -> Self {
        Self { values, ..self.clone() }
    }

    /// All eigenvalues in a fixed order.
    fn all(&self) -> impl Iterator<Item = f64> {
        let columns = (0..self.values.ncols()).map(|j| (0..self.values.nrows()).map(move |i| (i, j)));
        columns.flatten().map(|(i, j)| self.values[(i, j)])
    }

    /// Places of the eigenvalues, descending.
    fn order(&self) -> Vec<(usize, usize)> {
        let rows = self.values.nrows();
        let mut places: Vec<(usize, usize)> =
            (0..rows * self.values.ncols()).map(|k| (k % rows, k / rows)).collect();
        places.sort_by(|&a, &b| self.values[b].total_cmp(&self.values[a]));
        places
    }
}

fn check_damping(damping: f64) -> Result<()> {
    if damping >= 0.0 && damping.is_finite() {
        return Ok(());
    }
    Err(Error::Input(format!("the damping is {damping}, but must be 0 or more and finite")))
}

impl SymmetricOperator for KroneckerBlock {
    fn dim(&self) -> usize {
        self.layout.len()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let (u, v) = (&*self.gradient_basis, &*self.input_basis);
        let (rows, columns) = (self.layout.outputs, self.layout.columns);
        let x = self.layout.matrix(x);
        let mut half = Mat::zeros(rows, columns);
        let mut whole = Mat::zeros(rows, columns);
        let multiply = |out: &mut Mat<f64>, a: faer::MatRef<'_, f64>, b: faer::MatRef<'_, f64>| {
            matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
        };
        multiply(&mut half, u.transpose(), x.as_ref());
        multiply(&mut whole, half.as_ref(), v.as_ref());
        for j in 0..columns {
            for i in 0..rows {
                whole[(i, j)] *= self.values[(i, j)];
            }
        }
        multiply(&mut half, u.as_ref(), whole.as_ref());
        multiply(&mut whole, half.as_ref(), v.transpose());
        self.layout.vector(&whole, y);
        Ok(())
    }
}
