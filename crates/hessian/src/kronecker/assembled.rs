//! Blocks of layers along the diagonal of a matrix over all parameters.

use std::ops::Range;

use super::KroneckerBlock;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// A matrix over all parameters that has blocks for some layers, a multiple of the identity for the other parameters, and
/// zeros elsewhere.
#[derive(Debug, Clone)]
pub struct AssembledBlocks {
    n: usize,
    blocks: Vec<(Vec<Range<usize>>, KroneckerBlock)>,
    /// Entries of the parameters without a block.
    rest: f64,
}

impl AssembledBlocks {
    /// Blocks of layers among `n` parameters, each at its place.
    pub fn new(n: usize, blocks: Vec<KroneckerBlock>, rest: f64) -> Result<Self> {
        let mut taken: Vec<Range<usize>> = blocks.iter().flat_map(KroneckerBlock::ranges).collect();
        taken.sort_by_key(|range| range.start);
        if taken.last().is_some_and(|last| last.end > n) || taken.windows(2).any(|w| w[0].end > w[1].start) {
            return Err(Error::Input(format!("the blocks do not lie side by side in {n} parameters")));
        }
        if !rest.is_finite() {
            return Err(Error::Input(format!("the other parameters' entry is {rest}, but must be finite")));
        }
        Ok(Self { n, blocks: blocks.into_iter().map(|block| (block.ranges(), block)).collect(), rest })
    }

    /// (D + damping I)^-1 for the matrix D that has these blocks and zeros elsewhere: a preconditioner for
    /// [`ConjugateGradients`](crate::ConjugateGradients) with the same damping.
    pub fn inverse(n: usize, blocks: &[KroneckerBlock], damping: f64) -> Result<Self> {
        if !(damping > 0.0 && damping.is_finite()) {
            return Err(Error::Input(format!("the damping is {damping}, but must be positive and finite")));
        }
        let inverses = blocks.iter().map(|block| block.inverse(damping)).collect::<Result<_>>()?;
        Self::new(n, inverses, 1.0 / damping)
    }
}

impl SymmetricOperator for AssembledBlocks {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.rest * x);
        for (ranges, block) in &self.blocks {
            let part: Vec<f64> = ranges.iter().flat_map(|range| &x[range.clone()]).copied().collect();
            let mut product = vec![0.0; part.len()];
            block.apply(&part, &mut product)?;
            let mut rest = product.as_slice();
            for range in ranges {
                let (head, tail) = rest.split_at(range.len());
                y[range.clone()].copy_from_slice(head);
                rest = tail;
            }
        }
        Ok(())
    }
}
