//! Square roots of what stands between the Jacobians of a Gauss-Newton matrix.

use candle_core::Tensor;

use crate::objective::Linearization;
use crate::{Error, Result};

/// The column of a number, for all examples of a batch.
type Column<'f> = Box<dyn Fn(usize, &dyn Linearization, usize) -> Result<Tensor> + Sync + 'f>;

/// Vectors `c_ik` like an example's outputs, k = 1..K, such that the sum over k of `c_ik c_ik'` is the matrix between an example's
/// Jacobians: the second derivatives of its loss (for the Gauss-Newton matrix, which is the Fisher matrix of the usual losses), an
/// estimate of them from drawn targets, or the gradient's outer product (for the empirical Fisher matrix).
///
/// Every column costs a backward pass.
pub struct OutputRoots<'f> {
    columns: usize,
    column: Column<'f>,
}

impl<'f> OutputRoots<'f> {
    /// K and a function that gives, for the number of a batch, the batch and k from 0, the tensor of all `c_ik`, shaped like
    /// the outputs. It is asked twice for some, and must then give the same.
    pub fn new(
        columns: usize,
        column: impl Fn(usize, &dyn Linearization, usize) -> Result<Tensor> + Sync + 'f,
    ) -> Self {
        Self { columns, column: Box::new(column) }
    }

    /// One column, the gradient of the example's own loss.
    pub fn empirical() -> Self {
        Self::new(1, |_, linearization, _| {
            let mean = linearization.output_gradient()?;
            let examples = mean.dims().first().copied().unwrap_or(1);
            // The batch's mean loss has 1/n of an example's gradient.
            Ok((mean * examples as f64)?)
        })
    }

    /// K.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Column k, shaped like the outputs of the batch of that number.
    pub fn column(&self, batch: usize, linearization: &dyn Linearization, k: usize) -> Result<Tensor> {
        let (column, outputs) = ((self.column)(batch, linearization, k)?, linearization.outputs()?);
        if column.dims() == outputs.dims() {
            return Ok(column);
        }
        Err(Error::Input(format!(
            "a column has shape {:?}, but the outputs have {:?}: give one number for each output",
            column.dims(),
            outputs.dims()
        )))
    }
}
