//! Means of outer products of gradients: Fisher matrices and the covariance of gradients.

use candle_core::{DType, Tensor};

use crate::operator::SymmetricOperator;
use crate::{Curvature, Error, Result};

/// The mean over examples i of `(1/K) sum_k J_i' c_ik c_ik' J_i`, `J_i` the Jacobian of an example's outputs and `c_ik` some vectors
/// like them. With c the gradient of the example's own loss in its outputs this is the *empirical Fisher matrix*, the mean of
/// `g_i g_i'`; with c the same gradient for targets drawn from the model's own distribution, it is an unbiased estimate of the
/// *Fisher matrix* (Kunstner, Hennig & Balles 2019, eq. 3 and 5). Weight decay has no part in it.
///
/// A product costs a forward and a backward pass over tangents, as one with the Gauss-Newton matrix. An example of a text is the
/// whole sequence.
pub struct OuterProducts<'c, 'a> {
    curvature: &'c Curvature<'a>,
    /// For every batch the K tensors c, shaped like its outputs.
    slopes: Vec<Vec<Tensor>>,
}

impl<'c, 'a> OuterProducts<'c, 'a> {
    /// The empirical Fisher matrix: the second moment of the gradients of examples.
    pub fn empirical_fisher(curvature: &'c Curvature<'a>) -> Result<Self> {
        // The batch's mean loss has 1/n of an example's gradient.
        let slopes = curvature.for_each_batch(|_, linearization| {
            let mean = linearization.output_gradient()?;
            let examples = mean.dims().first().copied().unwrap_or(1);
            Ok(vec![(mean * examples as f64)?])
        })?;
        Ok(Self { curvature, slopes })
    }

    /// Any mean of outer products: `slopes` gives for a batch's number and outputs the K tensors c, shaped like the outputs.
    pub fn new(
        curvature: &'c Curvature<'a>,
        slopes: impl Fn(usize, &Tensor) -> Result<Vec<Tensor>> + Sync,
    ) -> Result<Self> {
        let slopes = curvature.for_each_batch(|batch, linearization| {
            let outputs = linearization.outputs()?;
            let slopes = slopes(batch, &outputs)?;
            match slopes.iter().find(|c| c.dims() != outputs.dims()) {
                Some(c) => Err(Error::Input(format!(
                    "a slope has shape {:?}, but the outputs have {:?}: give one number for each output",
                    c.dims(),
                    outputs.dims()
                ))),
                None if slopes.is_empty() => {
                    Err(Error::Input("there are no slopes: give at least one".into()))
                }
                None => Ok(slopes.iter().map(|c| c.to_dtype(outputs.dtype())).collect::<Result<_, _>>()?),
            }
        })?;
        Ok(Self { curvature, slopes })
    }
}

impl SymmetricOperator for OuterProducts<'_, '_> {
    fn dim(&self) -> usize {
        self.curvature.parameters().len()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let at = self.curvature.parameters();
        let v = at.unflatten(x)?;
        let parts = rayon::scope(|_| {
            self.curvature.for_each_batch(|batch, linearization| {
                let tangent = linearization.jvp(&v)?;
                let mut sum = tangent.zeros_like()?;
                for slope in &self.slopes[batch] {
                    sum = (sum + slope.broadcast_mul(&per_example(&(slope * &tangent)?)?)?)?;
                }
                linearization.vjp(&sum)
            })
        })?;
        for (batch, part) in parts.iter().enumerate() {
            let slopes = &self.slopes[batch];
            let examples = slopes[0].dims().first().copied().unwrap_or(1);
            let share = self.curvature.weight(batch) / (examples * slopes.len()) as f64;
            if batch == 0 {
                at.assign(share, part, y)?;
            } else {
                at.accumulate(share, part, y)?;
            }
        }
        Ok(())
    }
}

/// The sum over all axes but the first, with those axes kept at length 1.
fn per_example(x: &Tensor) -> Result<Tensor> {
    let dims = x.dims().to_vec();
    let examples = dims.first().copied().unwrap_or(1);
    let sums = x.reshape((examples, ()))?.to_dtype(DType::F64)?.sum(1)?.to_dtype(x.dtype())?;
    let mut shape = vec![examples];
    shape.resize(dims.len().max(1), 1);
    Ok(sums.reshape(shape)?)
}

/// A + factor v v'.
#[derive(Debug, Clone)]
pub struct RankOne<A> {
    /// A.
    pub operator: A,
    /// The factor.
    pub factor: f64,
    /// v.
    pub vector: Vec<f64>,
}

impl<A: SymmetricOperator> SymmetricOperator for RankOne<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.operator.apply(x, y)?;
        let along: f64 = self.vector.iter().zip(x).map(|(v, x)| v * x).sum();
        y.iter_mut().zip(&self.vector).for_each(|(y, v)| *y += self.factor * along * v);
        Ok(())
    }
}
