//! Where the entries of a layer's weight and bias lie among the parameters.

use std::ops::Range;

use faer::Mat;
use relief_autodiff::Layer;

use crate::{Error, Parameters, Result};

/// How a layer's part of a flat vector is a matrix of outputs by inputs, whose last column is the bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) outputs: usize,
    /// Columns, that of the bias among them.
    pub(super) columns: usize,
    weight: Range<usize>,
    bias: Option<Range<usize>>,
    turned: bool,
}

impl Layout {
    pub(super) fn new(layer: &Layer, at: &Parameters) -> Result<Self> {
        let ranges = at.ranges();
        let of = |name: &str| {
            let found = ranges.iter().find(|(known, _)| *known == name).map(|(_, range)| range.clone());
            found.ok_or_else(|| Error::Input(format!("`{name}` is not among the parameters")))
        };
        Ok(Self {
            outputs: layer.outputs,
            columns: layer.columns(),
            weight: of(&layer.weight)?,
            bias: layer.bias.as_deref().map(of).transpose()?,
            turned: layer.turned,
        })
    }

    /// Rows of the block.
    pub(super) fn len(&self) -> usize {
        self.outputs * self.columns
    }

    /// Where weight and bias lie in the flat vector, ascending.
    pub(super) fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = self.bias.iter().chain([&self.weight]).cloned().collect();
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    /// Place of an entry of the matrix in the block's own vector, which has the ranges one after the other.
    fn place(&self, output: usize, column: usize) -> usize {
        let (weight, bias) = (self.weight.len(), self.bias.as_ref());
        let bias_first = bias.is_some_and(|bias| bias.start < self.weight.start);
        let inputs = self.columns - usize::from(bias.is_some());
        if column == inputs {
            return output + if bias_first { 0 } else { weight };
        }
        let inside = if self.turned { column * self.outputs + output } else { output * inputs + column };
        inside + if bias_first { self.outputs } else { 0 }
    }

    pub(super) fn matrix(&self, x: &[f64]) -> Mat<f64> {
        Mat::from_fn(self.outputs, self.columns, |i, j| x[self.place(i, j)])
    }

    pub(super) fn vector(&self, matrix: &Mat<f64>, y: &mut [f64]) {
        for j in 0..self.columns {
            for i in 0..self.outputs {
                y[self.place(i, j)] = matrix[(i, j)];
            }
        }
    }
}
