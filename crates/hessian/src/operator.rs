//! A real symmetric matrix known through its products.

use candle_core::{Device, Tensor};

use crate::{Error, Result};

/// A real symmetric matrix of which only products with vectors are known.
pub trait SymmetricOperator {
    /// Number of rows n.
    fn dim(&self) -> usize;

    /// y <- A x, both of length n.
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()>;

    /// A x for every x of a block; one by one unless there is a faster way.
    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        xs.iter()
            .map(|x| {
                let mut y = vec![0.0; self.dim()];
                self.apply(x, &mut y)?;
                Ok(y)
            })
            .collect()
    }

    /// Where vectors should lie, because [`apply_on_device`](Self::apply_on_device) reads and writes them there without
    /// copies; `None` for the host. A solver's digits do not depend on it.
    fn device(&self) -> Option<Device> {
        None
    }

    /// A x for n doubles on any device, as such a tensor; through the host unless there is a shorter way.
    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = vec![0.0; self.dim()];
        self.apply(&x.to_vec1::<f64>()?, &mut y)?;
        Ok(Tensor::from_vec(y, self.dim(), x.device())?)
    }
}

impl<A: SymmetricOperator + ?Sized> SymmetricOperator for &A {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        (**self).apply(x, y)
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        (**self).apply_block(xs)
    }

    fn device(&self) -> Option<Device> {
        (**self).device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        (**self).apply_on_device(x)
    }
}

impl<T: SymmetricOperator + ?Sized> SymmetricOperator for Box<T> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        (**self).apply(x, y)
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        (**self).apply_block(xs)
    }

    fn device(&self) -> Option<Device> {
        (**self).device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        (**self).apply_on_device(x)
    }
}

/// A symmetric matrix held entry by entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    n: usize,
    entries: Vec<f64>,
}

impl Dense {
    /// An n by n matrix from its rows; they must be finite and symmetric to within rounding.
    pub fn new(n: usize, entries: Vec<f64>) -> Result<Self> {
        if entries.len() != n * n || n == 0 {
            return Err(Error::Input(format!("{} entries do not make a matrix of {n} rows", entries.len())));
        }
        let size = entries.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        if entries.iter().any(|x| !x.is_finite()) {
            return Err(Error::NonFinite("the matrix has an entry that is not finite".into()));
        }
        for i in 0..n {
            for j in 0..i {
                let (a, b) = (entries[i * n + j], entries[j * n + i]);
                if (a - b).abs() > 1e-12 * size {
                    return Err(Error::Input(format!(
                        "the matrix is not symmetric: entries ({i}, {j}) are {a} and {b}"
                    )));
                }
            }
        }
        Ok(Self { n, entries })
    }
}

impl SymmetricOperator for Dense {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        for (row, y) in self.entries.chunks_exact(self.n).zip(y) {
            *y = row.iter().zip(x).map(|(a, x)| a * x).sum();
        }
        Ok(())
    }
}
