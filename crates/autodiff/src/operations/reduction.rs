//! Sums and means over axes, and statistics composed of them.

use candle_core::Tensor;

use super::broadcast::Broadcast;
use crate::error::shape;
use crate::rule::{Axes, Linear};
use crate::{Result, Value};

/// Sum over axes, kept with length 1: the adjoint of a repetition.
#[derive(Debug)]
struct Sum(Broadcast);

impl Linear for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        let x = arguments[0].ok_or_else(|| shape("sum", "nothing to sum"))?;
        self.0.reduce(x)
    }
    fn adjoint(&self, _: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.0.expand(g)
    }
    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

impl Value {
    /// Sum over `axes`, which stay with length 1.
    pub fn sum_keepdim(&self, axes: &[usize]) -> Result<Value> {
        let mut dims = self.dims().to_vec();
        for (i, &axis) in axes.iter().enumerate() {
            self.dim(axis)?;
            if axes[..i].contains(&axis) {
                return Err(shape("sum", format!("axis {axis} is named twice")));
            }
            dims[axis] = 1;
        }
        if dims == self.dims() {
            return Ok(self.clone());
        }
        Ok(self.builder.linear(Sum(Broadcast::new(&dims, self.dims())), &[self], &dims))
    }

    /// Sum over `axes`, which disappear.
    pub fn sum(&self, axes: &[usize]) -> Result<Value> {
        self.sum_keepdim(axes)?.without(axes)
    }

    /// Mean over `axes`, which stay with length 1.
    pub fn mean_keepdim(&self, axes: &[usize]) -> Result<Value> {
        let count: usize = axes.iter().map(|&a| self.dims().get(a).copied().unwrap_or(1)).product();
        self.sum_keepdim(axes)?.scale(1.0 / count as f64)
    }

    /// Mean over `axes`, which disappear.
    pub fn mean(&self, axes: &[usize]) -> Result<Value> {
        self.mean_keepdim(axes)?.without(axes)
    }

    /// Sum of all entries.
    pub fn sum_all(&self) -> Result<Value> {
        self.sum(&(0..self.rank()).collect::<Vec<_>>())
    }

    /// Mean of all entries.
    pub fn mean_all(&self) -> Result<Value> {
        self.mean(&(0..self.rank()).collect::<Vec<_>>())
    }

    /// Variance over `axes` with divisor n - `correction` (1: unbiased, 0: biased); the axes stay with length 1.
    pub fn var_keepdim(&self, axes: &[usize], correction: usize) -> Result<Value> {
        let count: usize = axes.iter().map(|&a| self.dims().get(a).copied().unwrap_or(1)).product();
        if count <= correction {
            return Err(shape("var", format!("{count} entries are too few for a variance")));
        }
        let centred = self.sub(&self.mean_keepdim(axes)?)?;
        centred.sqr()?.sum_keepdim(axes)?.scale(1.0 / (count - correction) as f64)
    }

    fn without(&self, axes: &[usize]) -> Result<Value> {
        let dims: Vec<usize> =
            self.dims().iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d).collect();
        self.reshape(&dims)
    }
}
