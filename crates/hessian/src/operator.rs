//! x
use crate::Result;
/// A real symmetric matrix known through its products.
pub trait SymmetricOperator {
    /// n
    fn dim(&self) -> usize;
    /// y <- A x
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()>;
    /// block
    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        xs.iter()
            .map(|x| {
                let mut y = vec![0.0; self.dim()];
                self.apply(x, &mut y)?;
                Ok(y)
            })
            .collect()
    }
}
