//! The block-diagonal part of an operator, and groups of parameters to cut it by.

use std::ops::Range;

use crate::operator::SymmetricOperator;
use crate::{Error, Parameters, Result, matching};

/// Vectors that are multiplied together, so that many blocks need no more memory than a few.
const TOGETHER: usize = 8;

/// The part of A inside some blocks on its diagonal: `sum_b P_b A P_b`, `P_b` the projection onto a block's rows.
///
/// A product costs as many products with A as there are blocks; where A has a faster way for several vectors at once
/// ([`SymmetricOperator::apply_block`]), it is used.
///
/// ```
/// use relief_hessian::{BlockDiagonal, Dense, SymmetricOperator};
/// let a = Dense::new(3, vec![2.0, 1.0, 5.0, 1.0, 3.0, 7.0, 5.0, 7.0, 4.0])?;
/// let part = BlockDiagonal::new(&a, vec![vec![0..2], vec![2..3]])?;
/// let mut y = [0.0; 3];
/// part.apply(&[1.0, 1.0, 1.0], &mut y)?;
/// assert_eq!(y, [3.0, 4.0, 4.0]);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlockDiagonal<A> {
    operator: A,
    blocks: Vec<Vec<Range<usize>>>,
}

impl<A: SymmetricOperator> BlockDiagonal<A> {
    /// Each block is some ranges of rows; every row must be in exactly one block. Where some rows shall be in none, take the
    /// block-diagonal part of a [`Restricted`](crate::Restricted) operator.
    pub fn new(operator: A, blocks: Vec<Vec<Range<usize>>>) -> Result<Self> {
        let n = operator.dim();
        let mut all: Vec<&Range<usize>> = blocks.iter().flatten().collect();
        all.sort_by_key(|range| (range.start, range.end));
        let mut covered = 0;
        for range in all {
            if range.start != covered || range.end <= range.start {
                break;
            }
            covered = range.end;
        }
        let counted: usize = blocks.iter().flatten().map(ExactSizeIterator::len).sum();
        if covered == n && counted == n && blocks.iter().all(|block| !block.is_empty()) {
            return Ok(Self { operator, blocks });
        }
        Err(Error::Input(format!("the blocks {blocks:?} do not have each of the {n} rows once")))
    }

    /// How many products with A one product costs.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }
}

impl<A: SymmetricOperator> SymmetricOperator for BlockDiagonal<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let product = self.apply_block(std::slice::from_ref(&x.to_vec()))?;
        y.copy_from_slice(&product[0]);
        Ok(())
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let mut out = vec![vec![0.0; self.dim()]; xs.len()];
        let all: Vec<(usize, &Vec<Range<usize>>)> =
            (0..xs.len()).flat_map(|i| self.blocks.iter().map(move |block| (i, block))).collect();
        for some in all.chunks(TOGETHER) {
            let inside = |&(i, block): &(usize, &Vec<Range<usize>>)| {
                let mut padded = vec![0.0; self.dim()];
                for range in block {
                    padded[range.clone()].copy_from_slice(&xs[i][range.clone()]);
                }
                padded
            };
            let padded: Vec<Vec<f64>> = some.iter().map(inside).collect();
            for ((i, block), product) in some.iter().zip(self.operator.apply_block(&padded)?) {
                for range in *block {
                    out[*i][range.clone()].copy_from_slice(&product[range.clone()]);
                }
            }
        }
        Ok(out)
    }
}

/// Parameters that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterGroup {
    /// What they have in common: a layer's name, a tensor's, or a pattern.
    pub name: String,
    /// Their names, in the parameters' order.
    pub parameters: Vec<String>,
}

impl ParameterGroup {
    /// A group for each layer: what stands before the last dot of a name, such as a weight's and its bias's.
    pub fn layers(parameters: &Parameters) -> Vec<Self> {
        let mut groups: Vec<Self> = vec![];
        for name in parameters.names() {
            let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer);
            match groups.iter_mut().find(|group| group.name == layer) {
                Some(group) => group.parameters.push(name.clone()),
                None => groups.push(Self { name: layer.to_string(), parameters: vec![name.clone()] }),
            }
        }
        groups
    }

    /// A group for each tensor.
    pub fn tensors(parameters: &Parameters) -> Vec<Self> {
        let alone = |name: &String| Self { name: name.clone(), parameters: vec![name.clone()] };
        parameters.names().iter().map(alone).collect()
    }

    /// A group for each glob pattern, such as `layer1.*`. A pattern that matches nothing is refused, and so are two that
    /// match the same parameter. What no pattern matches is in no group.
    pub fn matching(parameters: &Parameters, patterns: &[String]) -> Result<Vec<Self>> {
        let mut groups: Vec<Self> = vec![];
        for pattern in patterns {
            let names = || parameters.names().iter().map(String::as_str);
            let matched = matching(names(), std::slice::from_ref(pattern))?;
            for other in &groups {
                if let Some(both) = matched.iter().find(|name| other.parameters.contains(name)) {
                    return Err(Error::Input(format!(
                        "the blocks `{}` and `{pattern}` overlap: `{both}` is in both, but may be in one only",
                        other.name
                    )));
                }
            }
            groups.push(Self { name: pattern.clone(), parameters: matched });
        }
        Ok(groups)
    }

    /// Where the group's entries lie in the flat vector.
    pub fn ranges(&self, parameters: &Parameters) -> Vec<Range<usize>> {
        let inside = |(name, range): (&str, Range<usize>)| {
            self.parameters.iter().any(|own| own == name).then_some(range)
        };
        parameters.ranges().into_iter().filter_map(inside).collect()
    }

    /// How many entries that are.
    pub fn entries(&self, parameters: &Parameters) -> usize {
        self.ranges(parameters).iter().map(ExactSizeIterator::len).sum()
    }
}
