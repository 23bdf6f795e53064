//! Curvature at a point over the whole data set, as symmetric operators.

mod on_device;
mod over_devices;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::objective::{Linearization, Objective, add_part, add_weight_decay, side_by_side, together};
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
            gradient: vec![],
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
                add_part(at, weight, &linearization.gradient()?, &mut this.gradient)?;
                let bytes = linearization.bytes();
                let keep = this.bytes + bytes <= memory;
                this.bytes += if keep { bytes } else { 0 };
                this.kept.push(keep.then_some(linearization));
            }
        }
        this.gradient.resize(at.len(), 0.0);
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

    /// The products of a block.
    ///
    /// Where all is kept, the vectors go one by one, so that one finds the memory of the one before in the caches; on a lone
    /// batch a thread takes a vector each. Otherwise every batch is linearized once for all of them.
    fn block_products(&self, matrix: Matrix, block: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let one_by_one = self.kept.iter().all(Option::is_some);
        let together = if one_by_one && self.kept.len() == 1 { together(&self.at) } else { 1 };
        let mut sums = vec![vec![]; block.len()];
        if one_by_one {
            for (block, sums) in block.chunks(together).zip(sums.chunks_mut(together)) {
                block.par_iter().zip(sums).try_for_each(|(x, sum)| {
                    self.products(matrix, &[x], |_, _, weight, part| add_part(&self.at, weight, part, sum))
                })?;
            }
        } else {
            let block: Vec<&[f64]> = block.iter().map(Vec::as_slice).collect();
            self.products(matrix, &block, |nth, _, weight, part| {
                add_part(&self.at, weight, part, &mut sums[nth])
            })?;
        }
        for (sum, x) in sums.iter_mut().zip(block) {
            sum.resize(self.at.len(), 0.0);
            self.add_decay(matrix, x, sum);
        }
        Ok(sums)
    }

    /// Hands every batch's products with a block to `add`, in the batches' order: the vector's number, the batch's, its
    /// weight, and what it adds.
    fn products(
        &self,
        matrix: Matrix,
        block: &[&[f64]],
        mut add: impl FnMut(usize, usize, f64, &[Tensor]) -> Result<()>,
    ) -> Result<()> {
        let directions = block.iter().map(|x| self.at.unflatten(x)).collect::<Result<Vec<_>>>()?;
        let all: Vec<usize> = (0..self.kept.len()).collect();
        for group in all.chunks(together(&self.at)) {
            let parts = side_by_side(group, |b| self.batch_products(matrix, b, &directions));
            for (&batch, parts) in group.iter().zip(parts) {
                let weight = self.objective.weight(batch);
                for (nth, part) in parts?.iter().enumerate() {
                    add(nth, batch, weight, part)?;
                }
            }
        }
        self.count_product();
        Ok(())
    }

    /// Adds what weight decay does.
    fn add_decay(&self, matrix: Matrix, x: &[f64], y: &mut [f64]) {
        let decay = self.decay(matrix);
        if decay != 0.0 {
            y.par_iter_mut().zip(x).for_each(|(y, x)| *y += decay * x);
        }
    }

    /// Counts the gradients that one product has computed along the way.
    fn count_product(&self) {
        if self.kept.iter().any(Option::is_none) {
            self.gradients.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What weight decay adds to the diagonal: it is part of H and of G, and cancels in their difference.
    fn decay(&self, matrix: Matrix) -> f64 {
        if matrix == Matrix::Residual { 0.0 } else { self.objective.weight_decay() }
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
        self.count_product();
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
        self.with_linearization(batch, |linearization| multiplied(matrix, linearization, directions))
    }
}

/// The products of a batch's matrix with a block.
fn multiplied(
    matrix: Matrix,
    linearization: &dyn Linearization,
    directions: &[Vec<Tensor>],
) -> Result<Vec<Vec<Tensor>>> {
    match matrix {
        Matrix::Hessian => linearization.hessian_products(directions),
        Matrix::GaussNewton => linearization.gauss_newton_products(directions),
        Matrix::Residual => {
            let whole = linearization.hessian_products(directions)?;
            let part = linearization.gauss_newton_products(directions)?;
            whole.iter().zip(&part).map(|(h, g)| difference(h, g)).collect()
        }
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
        if let Some(device) = self.device() {
            let product = self.apply_on_device(&Tensor::new(x, &device)?)?;
            y.copy_from_slice(&product.to_vec1::<f64>()?);
            return Ok(());
        }
        let curvature = self.curvature;
        if curvature.kept.is_empty() {
            y.fill(0.0);
        }
        // Inside rayon's pool from the start, so that the steps between batches need not wake it up.
        rayon::scope(|_| {
            curvature.products(self.matrix, &[x], |_, batch, weight, part| {
                if batch == 0 {
                    curvature.at.assign(weight, part, y)
                } else {
                    curvature.at.accumulate(weight, part, y)
                }
            })?;
            curvature.add_decay(self.matrix, x, y);
            Ok(())
        })
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        if let Some(device) = self.device() {
            let on_device = |x: &Vec<f64>| Tensor::new(x.as_slice(), &device);
            let block = xs.iter().map(on_device).collect::<candle_core::Result<Vec<_>>>()?;
            let products = self.curvature.products_on_device(self.matrix, &block)?;
            return products.iter().map(|y| Ok(y.to_vec1()?)).collect();
        }
        rayon::scope(|_| self.curvature.block_products(self.matrix, xs))
    }

    fn device(&self) -> Option<Device> {
        let device = self.curvature.at.device();
        (!device.is_cpu()).then(|| device.clone())
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        let products = self.curvature.products_on_device(self.matrix, std::slice::from_ref(x))?;
        products.into_iter().next().ok_or_else(|| Error::Other("a product has no result".into()))
    }
}
