//! Softmax and log-softmax, composed so that nothing overflows.

use candle_core::Tensor;

use crate::rule::{Axes, Frozen};
use crate::{Result, Value};

/// The maximum along an axis, kept with length 1. The shift cancels, so its derivative is rightly taken to be zero.
#[derive(Debug)]
struct Maximum {
    axis: usize,
}

impl Frozen for Maximum {
    fn name(&self) -> &'static str {
        "max"
    }
    fn value(&self, arguments: &[&Tensor]) -> Result<Tensor> {
        Ok(arguments[0].contiguous()?.max_keepdim(self.axis)?)
    }
    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

impl Value {
    fn shifted(&self, axis: usize) -> Result<Value> {
        self.dim(axis)?;
        let mut dims = self.dims().to_vec();
        dims[axis] = 1;
        let maximum = self.builder.frozen(Maximum { axis }, &[self], &dims);
        self.sub(&maximum)
    }

    /// `exp(x_i)` / `sum_j` `exp(x_j)` along `axis`.
    pub fn softmax(&self, axis: usize) -> Result<Value> {
        let exp = self.shifted(axis)?.exp()?;
        exp.div(&exp.sum_keepdim(&[axis])?)
    }

    /// Logarithm of the softmax along `axis`.
    pub fn log_softmax(&self, axis: usize) -> Result<Value> {
        let shifted = self.shifted(axis)?;
        shifted.sub(&shifted.exp()?.sum_keepdim(&[axis])?.log()?)
    }
}
