//! Vectors on the host for an operator that takes them elsewhere.

use crate::Result;
use crate::operator::SymmetricOperator;

/// A, with vectors on the host even where its products read and write them on a device: for a device with little memory.
///
/// ```
/// use relief_hessian::{Dense, OnHost, SymmetricOperator};
/// let a = OnHost(Dense::new(1, vec![2.0])?);
/// assert!(a.device().is_none());
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OnHost<A>(
    /// A.
    pub A,
);

impl<A: SymmetricOperator> SymmetricOperator for OnHost<A> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.0.apply(x, y)
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        self.0.apply_block(xs)
    }
}
