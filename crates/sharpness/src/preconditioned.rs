//! The Hessian as Adam sees it.

use relief_hessian::{Error, Result, SymmetricOperator};

/// P^-1/2 A P^-1/2 with a positive diagonal P: it has the eigenvalues of P^-1 A, and is symmetric.
pub struct Preconditioned<A> {
    operator: A,
    /// P^-1/2.
    factors: Vec<f64>,
}

impl<A: SymmetricOperator> Preconditioned<A> {
    /// The diagonal must have as many entries as A has rows, all positive and finite.
    pub fn new(operator: A, diagonal: &[f64]) -> Result<Self> {
        let n = operator.dim();
        if diagonal.len() != n {
            return Err(Error::Input(format!(
                "the preconditioner has {} entries, but there are {n} parameters: give one for each",
                diagonal.len()
            )));
        }
        if let Some(bad) = diagonal.iter().find(|p| !(p.is_finite() && **p > 0.0)) {
            return Err(Error::Input(format!(
                "an entry of the preconditioner is {bad}, but all must be positive and finite"
            )));
        }
        Ok(Self { operator, factors: diagonal.iter().map(|p| 1.0 / p.sqrt()).collect() })
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Preconditioned<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let scaled: Vec<f64> = x.iter().zip(&self.factors).map(|(x, f)| x * f).collect();
        self.operator.apply(&scaled, y)?;
        y.iter_mut().zip(&self.factors).for_each(|(y, f)| *y *= f);
        Ok(())
    }
}
