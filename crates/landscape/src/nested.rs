//! Grids within grids: few points first, more where they are needed to know the surface between them.

use relief_hessian::{Error, Result};

use crate::Bicubic;

/// Nodes that the coarsest level has along an axis at least: as many as the differences take that errors are estimated
/// from.
pub(crate) const FEWEST: usize = 9;

/// One of the grids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Spacing in nodes of the full grid.
    pub stride: usize,
    /// Nodes along each axis.
    pub counts: [usize; 2],
    /// The points of the full grid that this level has and no coarser one, in their order.
    pub new: Vec<usize>,
}

/// The levels of a rectangular grid, each with half the spacing of the one before; the last is the grid itself.
///
/// Points are numbered as those of a [`Slice`](crate::Slice): the first axis fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nested {
    counts: [usize; 2],
    levels: Vec<Level>,
}

impl Nested {
    /// Of the two axes of a slice, whose coordinates must be evenly spaced.
    ///
    /// The strides are powers of two that divide both numbers of nodes less one and leave nine nodes along either axis.
    /// 65 nodes have strides 8, 4, 2 and 1; 51 have 2 and 1; 50 have only 1.
    pub fn new(axes: &[Vec<f64>]) -> Result<Self> {
        let [first, second] = axes else {
            return Err(Error::Input(format!("nested grids have two axes, not {}", axes.len())));
        };
        for (axis, nodes) in axes.iter().enumerate() {
            if !evenly_spaced(nodes) {
                return Err(Error::Input(format!(
                    "the coordinates along axis {} are not evenly spaced, which nested grids need",
                    axis + 1
                )));
            }
        }
        let counts = [first.len(), second.len()];
        let fits =
            |stride: usize| counts.iter().all(|n| (n - 1) % stride == 0 && (n - 1) / stride + 1 >= FEWEST);
        let mut strides = vec![1];
        while fits(2 * strides[strides.len() - 1]) {
            strides.push(2 * strides[strides.len() - 1]);
        }
        let coarsest = strides[strides.len() - 1];
        let levels = strides.iter().rev().map(|&stride| {
            let on = |point: usize, stride: usize| {
                (point % counts[0]).is_multiple_of(stride) && (point / counts[0]).is_multiple_of(stride)
            };
            let new = (0..counts[0] * counts[1])
                .filter(|&i| on(i, stride) && (stride == coarsest || !on(i, 2 * stride)))
                .collect();
            Level { stride, counts: counts.map(|n| (n - 1) / stride + 1), new }
        });
        Ok(Self { counts, levels: levels.collect() })
    }

    /// The levels, the coarsest first.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Nodes of the full grid along each axis.
    pub fn counts(&self) -> [usize; 2] {
        self.counts
    }

    /// All nodes of the full grid: values that are there to the bit, others (NaN) from the bicubic interpolant through
    /// the nodes of a level, whose own values are all known. What that level found to be not finite stays so, and cells
    /// beside it stay NaN.
    pub fn fill(&self, values: &[f64], level: usize) -> Result<Vec<f64>> {
        let surface = self.interpolant(values, level)?;
        let node = |(point, value): (usize, &f64)| {
            if value.is_nan() { self.predicted(&surface, level, point) } else { *value }
        };
        Ok(values.iter().enumerate().map(node).collect())
    }

    /// What the interpolant of a level says of a point of the full grid.
    pub(crate) fn predicted(&self, surface: &Bicubic, level: usize, point: usize) -> f64 {
        let stride = self.levels[level].stride as f64;
        surface.at([point % self.counts[0], point / self.counts[0]].map(|k| k as f64 / stride))
    }

    /// Through the nodes of a level.
    pub(crate) fn interpolant(&self, values: &[f64], level: usize) -> Result<Bicubic> {
        Bicubic::new(self.level(values, level)?.counts, &self.of_level(values, level))
    }

    /// The level, if there is one and the values are as many as the grid's points.
    pub(crate) fn level(&self, values: &[f64], level: usize) -> Result<&Level> {
        let points = self.counts[0] * self.counts[1];
        if values.len() != points {
            return Err(Error::Input(format!(
                "the grid has {points} points, but {} values were given: give NaN for what is not measured",
                values.len()
            )));
        }
        self.levels.get(level).ok_or_else(|| {
            Error::Input(format!(
                "there is no level {level}: the grid has levels 0 to {}",
                self.levels.len() - 1
            ))
        })
    }

    /// The values at the nodes of a level.
    pub(crate) fn of_level(&self, values: &[f64], level: usize) -> Vec<f64> {
        let Level { stride, counts, .. } = self.levels[level];
        let node = |i: usize, j: usize| values[(j * self.counts[0] + i) * stride];
        (0..counts[1]).flat_map(|j| (0..counts[0]).map(move |i| node(i, j))).collect()
    }
}

/// Whether coordinates are finite and as far apart as each other, to rounding.
fn evenly_spaced(nodes: &[f64]) -> bool {
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { return false };
    let steps = (nodes.len() - 1) as f64;
    let off = |(k, x): (usize, &f64)| (x - (first + (last - first) * k as f64 / steps)).abs();
    let allowed = 1e-9 * ((last - first) / steps).abs();
    nodes.len() == 1 && first.is_finite()
        || allowed > 0.0 && nodes.iter().enumerate().all(|node| off(node) <= allowed)
}
