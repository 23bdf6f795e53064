//! The matrix column by column, once there are products enough for all: nothing is estimated then.

use super::packed::Packed;
use super::run::{BLOCK, Task};
use crate::Result;
use crate::lanczos::vectors;

/// Diagonal and squared norms of the columns so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    pub(crate) n: usize,
    pub(crate) diagonal: Vec<f64>,
    pub(crate) squares: Vec<f64>,
}

impl Columns {
    pub(crate) fn new(n: usize) -> Self {
        Self { n, ..Self::default() }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([], _) = packed.counts()?;
        let [diagonal, squares] = [packed.single("diagonal")?, packed.single("squares")?];
        (diagonal.len() == squares.len() && squares.len() <= n).then_some(Self { n, diagonal, squares })
    }

    /// |A|_F.
    pub(crate) fn norm(&self) -> f64 {
        self.squares.iter().sum::<f64>().sqrt()
    }
}

impl Task for Columns {
    fn plan(&mut self, _: usize) {}

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        let done = self.diagonal.len();
        let unit = |i| {
            let mut unit = vec![0.0; self.n];
            unit[i] = 1.0;
            unit
        };
        Ok((done..self.n.min(done + BLOCK)).map(unit).collect())
    }

    fn absorb(&mut self, _: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        for product in products {
            self.diagonal.push(product[self.diagonal.len()]);
            self.squares.push(vectors::norm(&product).powi(2));
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        Packed::new("columns", &[], 0)
            .with("diagonal", vec![self.diagonal.clone()])
            .with("squares", vec![self.squares.clone()])
    }

    fn exact(&self) -> bool {
        true
    }
}
