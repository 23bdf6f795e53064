//! The tangent kernel: how the outputs of all examples move together.

use candle_core::{DType, Device, Tensor};

use crate::operator::SymmetricOperator;
use crate::{Curvature, Result};

/// J J' / N over all outputs of all N examples (Jacot, Gabriel & Hongler 2018): a matrix with a row for every output of every
/// example, whose nonzero eigenvalues are those of J' J / N, the Gauss-Newton matrix of half the squared error.
///
/// Rows are in the order of the batches' examples, an example's outputs together. A product costs a backward and a forward
/// pass over tangents.
pub struct TangentKernel<'c, 'a> {
    curvature: &'c Curvature<'a>,
    /// Shapes of the batches' outputs.
    shapes: Vec<Vec<usize>>,
    /// Rows of the matrix.
    rows: usize,
    /// N.
    examples: usize,
}

impl<'c, 'a> TangentKernel<'c, 'a> {
    /// The kernel at the curvature's point. The objective must tell outputs from loss.
    pub fn new(curvature: &'c Curvature<'a>) -> Result<Self> {
        let shapes = curvature.for_each_batch(|_, l| Ok(l.outputs()?.dims().to_vec()))?;
        let rows = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        let examples = shapes.iter().map(|shape| shape.first().copied().unwrap_or(1)).sum();
        Ok(Self { curvature, shapes, rows, examples })
    }

    /// N.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Where each batch's outputs lie among the rows.
    fn starts(&self) -> Vec<usize> {
        let lengths = self.shapes.iter().map(|shape| shape.iter().product::<usize>());
        lengths.scan(0, |next, length| Some(std::mem::replace(next, *next + length))).collect()
    }
}

impl SymmetricOperator for TangentKernel<'_, '_> {
    fn dim(&self) -> usize {
        self.rows
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let at = self.curvature.parameters();
        let starts = self.starts();
        rayon::scope(|_| {
            let pulled = self.curvature.for_each_batch(|batch, linearization| {
                let shape = &self.shapes[batch];
                let part = &x[starts[batch]..starts[batch] + shape.iter().product::<usize>()];
                let cotangent = Tensor::from_slice(part, shape.as_slice(), &Device::Cpu)?;
                linearization.vjp(&cotangent.to_dtype(at.dtype())?)
            })?;
            let mut sum = vec![0.0; at.len()];
            for part in &pulled {
                at.accumulate(1.0 / self.examples as f64, part, &mut sum)?;
            }
            let direction = at.unflatten(&sum)?;
            let pushed = self.curvature.for_each_batch(|_, linearization| {
                Ok(linearization.jvp(&direction)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
            })?;
            y.iter_mut().zip(pushed.into_iter().flatten()).for_each(|(y, p)| *y = p);
            Ok(())
        })
    }
}
