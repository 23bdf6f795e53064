//! EKFAC: second moments of the examples' gradients along the eigenvectors of KFAC.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;
use relief_autodiff::Layer;

use super::factors::{check_same, layers};
use super::moments::{by_columns, by_rows, rotated};
use super::{KroneckerBlock, OutputRoots};
use crate::objective::Linearization;
use crate::{Curvature, Error, Result};

/// Parts that the examples of a batch are cut into; their sums are added in order.
const PARTS: usize = 16;

/// Inputs of a layer on a batch, a row for every position of every example.
enum Inputs {
    /// In the eigenbasis, column by column.
    Rotated(Vec<f64>),
    /// Too many rows to hold: unfolded for some examples at a time, and their gradients rotated instead.
    Unfolded,
}

impl KroneckerBlock {
    /// EKFAC's blocks: the same eigenvectors with the second moments of the gradients along them as eigenvalues, that is the
    /// diagonal of the true block in this basis if `roots` are of the true block (George et al. 2018, section 3).
    ///
    /// Takes one backward pass over the data for every column of `roots`, and gradients of single examples: for a layer of i
    /// columns and o outputs at p positions, p i o multiplications and the rotation for each example and column.
    pub fn corrected(
        blocks: &[Self],
        curvature: &Curvature<'_>,
        roots: &OutputRoots<'_>,
    ) -> Result<Vec<Self>> {
        if blocks.is_empty() {
            return Ok(vec![]);
        }
        let weights: Vec<String> = blocks.iter().map(|block| block.weight.clone()).collect();
        let zero = |block: &Self| Mat::zeros(block.layout.outputs, block.layout.columns);
        let mut sums: Vec<Mat<f64>> = blocks.iter().map(zero).collect();
        rayon::scope(|_| {
            for batch in 0..curvature.objective().batches() {
                curvature.with_linearization(batch, |linearization| {
                    let layers = layers(linearization, &weights)?;
                    check_same(blocks.iter().map(|b| (b.weight.as_str(), b.positions)), &layers)?;
                    let share = curvature.weight(batch);
                    let inputs = blocks
                        .iter()
                        .zip(&layers)
                        .map(|(block, layer)| block.inputs(linearization, layer, roots.columns()))
                        .collect::<Result<Vec<_>>>()?;
                    for k in 0..roots.columns() {
                        let slopes = roots.column(batch, linearization, k)?;
                        let cotangents = linearization.layer_cotangents(&layers, &slopes)?;
                        for (l, rows) in cotangents.iter().enumerate() {
                            let parts = blocks[l].squares(linearization, &layers[l], &inputs[l], rows)?;
                            let factor = share / layers[l].examples as f64;
                            parts.iter().for_each(|part| sums[l] += faer::Scale(factor) * part);
                        }
                    }
                    Ok(())
                })?;
            }
            curvature.count_gradients(roots.columns());
            Ok::<_, Error>(())
        })?;
        Ok(blocks.iter().zip(sums).map(|(block, values)| block.with_values(values)).collect())
    }

    /// What is cheaper: the inputs rotated once for all columns, or each gradient for each.
    fn inputs(&self, linearization: &dyn Linearization, layer: &Layer, columns: usize) -> Result<Inputs> {
        if layer.positions > layer.outputs * columns {
            return Ok(Inputs::Unfolded);
        }
        let rows = linearization.layer_inputs(layer, 0..layer.examples)?;
        Ok(Inputs::Rotated(rotated(by_rows(&rows, self.layout.columns), (*self.input_basis).as_ref())))
    }

    /// Sums over examples of the squares of their gradients in the eigenbasis, for each part of them.
    fn squares(
        &self,
        linearization: &dyn Linearization,
        layer: &Layer,
        inputs: &Inputs,
        cotangents: &[f64],
    ) -> Result<Vec<Mat<f64>>> {
        let (positions, outputs, columns) = (layer.positions, self.layout.outputs, self.layout.columns);
        let rows = layer.examples * positions;
        let slopes = rotated(by_rows(cotangents, outputs), (*self.gradient_basis).as_ref());
        let slopes = by_columns(&slopes, rows);
        let each = layer.examples.div_ceil(PARTS);
        let parts: Vec<usize> = (0..layer.examples.div_ceil(each)).collect();
        parts
            .into_par_iter()
            .map(|part| {
                let examples = part * each..layer.examples.min((part + 1) * each);
                let mut sum = Mat::zeros(outputs, columns);
                if let (Inputs::Rotated(inputs), 1) = (inputs, positions) {
                    // The square of an entry of an outer product is the product of two squares.
                    let squares = |m: MatRef<'_, f64>| {
                        let part = m.subrows(examples.start, examples.len());
                        Mat::from_fn(part.nrows(), part.ncols(), |i, j| part[(i, j)] * part[(i, j)])
                    };
                    let (g, a) = (squares(slopes), squares(by_columns(inputs, rows)));
                    matmul(sum.as_mut(), Accum::Add, g.transpose(), a.as_ref(), 1.0, Par::Seq);
                    return Ok(sum);
                }
                let (mut gradient, mut turned) = (Mat::zeros(outputs, columns), Mat::zeros(outputs, columns));
                for example in examples {
                    let g = slopes.subrows(example * positions, positions);
                    let replace = |out: &mut Mat<f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>| {
                        matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
                    };
                    match inputs {
                        Inputs::Rotated(inputs) => {
                            let a = by_columns(inputs, rows).subrows(example * positions, positions);
                            replace(&mut turned, g.transpose(), a);
                        }
                        Inputs::Unfolded => {
                            let a = linearization.layer_inputs(layer, example..example + 1)?;
                            replace(&mut gradient, g.transpose(), by_rows(&a, columns));
                            replace(&mut turned, gradient.as_ref(), (*self.input_basis).as_ref());
                        }
                    }
                    for j in 0..columns {
                        for i in 0..outputs {
                            sum[(i, j)] += turned[(i, j)] * turned[(i, j)];
                        }
                    }
                }
                Ok(sum)
            })
            .collect()
    }
}
