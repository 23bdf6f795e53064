//! The range of a matrix as far as random probes show it, and the matrix's products with a basis of it.

use faer::Mat;

use super::basis::Basis;
use super::packed::Packed;
use super::probes::{Entries, Probes};
use super::run::{BLOCK, Task};
use crate::Result;
use crate::lanczos::vectors;

/// Q R = A W with k probes as the columns of W, and Z = A Q: two vectors kept for two products.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) entries: Entries,
    /// Probes in all.
    pub(crate) planned: usize,
    pub(crate) basis: Basis,
    /// The columns of Z.
    pub(crate) images: Vec<Vec<f64>>,
}

impl Sketch {
    pub(crate) fn new(n: usize, seed: u64, entries: Entries) -> Self {
        Self { n, seed, entries, planned: 0, basis: Basis::default(), images: vec![] }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([planned, signs], seed) = packed.counts()?;
        let (basis, images) = (packed.basis(n)?, packed.list("images", n)?);
        let fits = basis.factor.len() <= planned && images.len() <= basis.rank();
        let entries = if signs == 1 { Entries::Sign } else { Entries::Normal };
        fits.then_some(Self { n, seed, entries, planned, basis, images })
    }

    /// Probes multiplied so far.
    pub(crate) fn probes(&self) -> usize {
        self.basis.factor.len()
    }

    /// Whether the basis spans the matrix's range: a random product fell into the span of those before it. Signs are too
    /// few different vectors to conclude that from.
    pub(crate) fn exhausted(&self) -> bool {
        self.entries == Entries::Normal && self.basis.rank() < self.probes()
    }

    /// Whether products that were planned are missing.
    pub(crate) fn pending(&self) -> bool {
        self.probing() || self.images.len() < self.basis.rank()
    }

    fn probing(&self) -> bool {
        self.probes() < self.planned && !self.exhausted()
    }

    /// All probes drawn again, piece by piece.
    pub(crate) fn draw(&self) -> Probes {
        Probes::new(self.entries, self.seed, 0, self.probes(), self.n)
    }

    /// Q'AQ.
    pub(crate) fn projected(&self) -> Mat<f64> {
        let r = self.basis.rank();
        let columns: Vec<Vec<f64>> =
            self.images.iter().map(|z| vectors::coefficients(&self.basis.vectors, z)).collect();
        Mat::from_fn(r, r, |i, j| 0.5 * (columns[j][i] + columns[i][j]))
    }

    /// |AQ|_F.
    pub(crate) fn norm(&self) -> f64 {
        self.images.iter().map(|z| vectors::norm(z).powi(2)).sum::<f64>().sqrt()
    }
}

impl Task for Sketch {
    fn plan(&mut self, products: usize) {
        self.planned = products / 2;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        let (done, multiplied) = (self.probes(), self.images.len());
        if self.probing() {
            let count = BLOCK.min(self.planned - done);
            return Ok(Probes::new(self.entries, self.seed, done as u64, count, self.n).whole());
        }
        Ok(self.basis.vectors[multiplied..].iter().take(BLOCK).cloned().collect())
    }

    fn absorb(&mut self, _: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        if self.probing() {
            for y in products {
                self.basis.push(y);
                if self.exhausted() {
                    break;
                }
            }
        } else {
            self.images.extend(products);
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        let signs = usize::from(self.entries == Entries::Sign);
        Packed::new("sketch", &[self.planned, signs], self.seed)
            .with_basis(&self.basis)
            .with("images", self.images.clone())
    }

    fn exact(&self) -> bool {
        self.exhausted()
    }
}
