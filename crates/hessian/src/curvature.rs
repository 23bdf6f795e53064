//! Curvature at a point over the whole data set, as symmetric operators.

use candle_core::Tensor;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::objective::{Linearization, Objective, add_weight_decay, side_by_side, together};
use crate::operator::SymmetricOperator;
use crate::{Error, Parameters, Result};

/// Bytes of linearizations that are kept between products unless said otherwise: 4 GiB.
pub const DEFAULT_MEMORY: usize = 4 << 30;

/// An objective at a point: loss, gradient, and the linearized batches as far as memory allows.
///
/// Batches are worked on in parallel (rayon's current pool; on a device one by one), and their results are added in the batches' order, so that
/// digits do not depend on the number of threads. A batch whose linearization does not fit into the budget is
/// linearized again for every product.
pub struct Curvature<'a> {
    objective: &'a dyn Objective,
    at: Parameters,
    kept: Vec<Option<Box<dyn Linearization>>>,
    loss: f64,
    gradient: Vec<f64>,
    gradients: AtomicUsize,
    bytes: usize,
}

/// A matrix of second derivatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// H, of the loss.
    Hessian,
    /// G = J' (second derivatives of the loss in the outputs) J (Schraudolph 2002).
    GaussNewton,
    /// H - G, what the Gauss-Newton matrix leaves out.
    Residual,
}

impl<'a> Curvature<'a> {
    /// Linearizes every batch once, keeping linearizations up to `memory` bytes.
    pub fn new(objective: &'a dyn Objective, at: &Parameters, memory: usize) -> Result<Self> {
        let mut this = Self {
            objective,
            at: at.clone(),
            kept: vec![],
            loss: 0.0,
            gradient: vec![0.0; at.len()],
            gradients: AtomicUsize::new(1),
            bytes: 0,
        };
        let all: Vec<usize> = (0..objective.batches()).collect();
        for group in all.chunks(together(at)) {
            for (&batch, linearization) in
                group.iter().zip(side_by_side(group, |b| objective.linearize(at, b)))
            {
                let linearization = linearization?;
                let weight = objective.weight(batch);
                this.loss += weight * linearization.loss();
                at.accumulate(weight, &linearization.gradient()?, &mut this.gradient)?;
                let bytes = linearization.bytes();
                let keep = this.bytes + bytes <= memory;
                this.bytes += if keep { bytes } else { 0 };
                this.kept.push(keep.then_some(linearization));
            }
        }
        add_weight_decay(objective, at, &mut this.loss, &mut this.gradient)?;
        if !this.loss.is_finite() || this.gradient.iter().any(|g| !g.is_finite()) {
            return Err(Error::NonFiniteLoss { loss: this.loss });
        }
        Ok(this)
    }

    /// The loss, with its weight decay term.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The gradient as a flat vector.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// Its Euclidean norm.
    pub fn gradient_norm(&self) -> f64 {
        self.gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
    }

    /// What was linearized.
    pub fn objective(&self) -> &'a dyn Objective {
        self.objective
    }

    /// The point.
    pub fn parameters(&self) -> &Parameters {
        &self.at
    }

    /// Passes over the data set that computed a gradient so far (one, and one per product where nothing could be kept).
    pub fn gradients(&self) -> usize {
        self.gradients.load(Ordering::Relaxed)
    }

    /// Batches whose linearization is kept, of how many.
    pub fn kept_batches(&self) -> (usize, usize) {
        (self.kept.iter().flatten().count(), self.kept.len())
    }

    /// Bytes of the kept linearizations.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The Hessian of the objective.
    pub fn hessian(&self) -> CurvatureOperator<'_, 'a> {
        self.operator(Matrix::Hessian)
    }

    /// The generalised Gauss-Newton matrix (with weight decay, if the objective has any).
    pub fn gauss_newton(&self) -> CurvatureOperator<'_, 'a> {
        self.operator(Matrix::GaussNewton)
    }

    /// Any of the matrices.
    pub fn operator(&self, matrix: Matrix) -> CurvatureOperator<'_, 'a> {
        CurvatureOperator { curvature: self, matrix }
    }

    /// Adds the products of a block to `sums`, which start at zero.
    fn products(&self, matrix: Matrix, block: &[&[f64]], sums: &mut [&mut [f64]]) -> Result<()> {
        let directions = block.iter().map(|x| self.at.unflatten(x)).collect::<Result<Vec<_>>>()?;
        let all: Vec<usize> = (0..self.kept.len()).collect();
        for group in all.chunks(together(&self.at)) {
            let parts = side_by_side(group, |b| self.batch_products(matrix, b, &directions));
            for (&batch, parts) in group.iter().zip(parts) {
                let weight = self.objective.weight(batch);
                for (sum, part) in sums.iter_mut().zip(parts?) {
                    self.at.accumulate(weight, &part, sum)?;
                }
            }
        }
        if self.kept.iter().any(Option::is_none) {
            self.gradients.fetch_add(1, Ordering::Relaxed);
        }
        // Weight decay is part of H and of G, and cancels in their difference.
        let decay = if matrix == Matrix::Residual { 0.0 } else { self.objective.weight_decay() };
        if decay != 0.0 {
            for (sum, x) in sums.iter_mut().zip(block) {
                sum.iter_mut().zip(*x).for_each(|(s, x)| *s += decay * x);
            }
        }
        Ok(())
    }

    /// What `work` makes of every batch, in their order; each comes with its linearization. Some are worked on side by side.
    pub(crate) fn for_each_batch<R: Send>(
        &self,
        work: impl Fn(usize, &dyn Linearization) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let all: Vec<usize> = (0..self.kept.len()).collect();
        let mut results = Vec::with_capacity(all.len());
        for group in all.chunks(together(&self.at)) {
            for part in side_by_side(group, |batch| self.with_linearization(batch, |l| work(batch, l))) {
                results.push(part?);
            }
        }
        if self.kept.iter().any(Option::is_none) {
            self.gradients.fetch_add(1, Ordering::Relaxed);
        }
        Ok(results)
    }

    pub(crate) fn with_linearization<R>(
        &self,
        batch: usize,
        work: impl FnOnce(&dyn Linearization) -> Result<R>,
    ) -> Result<R> {
        match &self.kept[batch] {
            Some(kept) => work(kept.as_ref()),
            None => work(self.objective.linearize(&self.at, batch)?.as_ref()),
        }
    }

    /// Counts passes over the data set that computed no product.
    pub(crate) fn count_gradients(&self, passes: usize) {
        self.gradients.fetch_add(passes, Ordering::Relaxed);
    }

    /// A batch's share in the mean.
    pub(crate) fn weight(&self, batch: usize) -> f64 {
        self.objective.weight(batch)
    }

    fn batch_products(
        &self,
        matrix: Matrix,
        batch: usize,
        directions: &[Vec<Tensor>],
    ) -> Result<Vec<Vec<Tensor>>> {
        self.with_linearization(batch, |linearization| match matrix {
            Matrix::Hessian => linearization.hessian_products(directions),
            Matrix::GaussNewton => linearization.gauss_newton_products(directions),
            Matrix::Residual => {
                let whole = linearization.hessian_products(directions)?;
                let part = linearization.gauss_newton_products(directions)?;
                whole.iter().zip(&part).map(|(h, g)| difference(h, g)).collect()
            }
        })
    }
}

fn difference(a: &[Tensor], b: &[Tensor]) -> Result<Vec<Tensor>> {
    Ok(a.iter().zip(b).map(|(a, b)| a - b).collect::<candle_core::Result<_>>()?)
}

/// A matrix of second derivatives of an objective at a point.
#[derive(Clone, Copy)]
pub struct CurvatureOperator<'c, 'a> {
    curvature: &'c Curvature<'a>,
    matrix: Matrix,
}

impl SymmetricOperator for CurvatureOperator<'_, '_> {
    fn dim(&self) -> usize {
        self.curvature.at.len()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        y.fill(0.0);
        // Inside rayon's pool from the start, so that the steps between batches need not wake it up.
        rayon::scope(|_| self.curvature.products(self.matrix, &[x], &mut [y]))
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let block: Vec<&[f64]> = xs.iter().map(Vec::as_slice).collect();
        let mut out = vec![vec![0.0; self.dim()]; xs.len()];
        let mut sums: Vec<&mut [f64]> = out.iter_mut().map(Vec::as_mut_slice).collect();
        rayon::scope(|_| self.curvature.products(self.matrix, &block, &mut sums))?;
        Ok(out)
    }
}
