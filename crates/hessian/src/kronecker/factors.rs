//! The two factors of KFAC.

use relief_autodiff::Layer;

use super::layout::Layout;
use super::moments::{add_product, by_columns, by_rows, pieces};
use super::{KroneckerBlock, OutputRoots};
use crate::objective::Linearization;
use crate::{Curvature, Error, Result};

/// Entries of unfolded inputs that are held at once: 64 MiB.
const HELD: usize = 1 << 23;

/// The factors of a layer's block A ⊗ B, for its weight and bias together.
#[derive(Debug, Clone, PartialEq)]
pub struct KroneckerFactors {
    /// Name of the weight.
    pub weight: String,
    /// Name of the bias, where it has one.
    pub bias: Option<String>,
    /// Positions at which an example meets the weight: 1, tokens of a sequence, or output pixels of a convolution.
    pub positions: usize,
    /// A, the mean over examples and positions of a a', with a the layer's input (of a convolution a patch with its entries in the
    /// order of the weight's) and, where there is a bias, a last entry 1. Square, row by row.
    pub inputs: Vec<f64>,
    /// B, the mean over examples of the sum over positions and columns of g g', with g the gradient in the layer's output.
    /// Square, row by row.
    pub gradients: Vec<f64>,
    pub(super) layout: Layout,
}

impl KroneckerFactors {
    /// The factors of the layers with these weights (all, if none is named), in the order in which they are computed.
    ///
    /// Takes one backward pass over the data for every column of `roots`, and holds both factors of all layers.
    pub fn collect(
        curvature: &Curvature<'_>,
        weights: &[String],
        roots: &OutputRoots<'_>,
    ) -> Result<Vec<Self>> {
        rayon::scope(|_| {
            let mut found: Vec<Self> = vec![];
            for batch in 0..curvature.objective().batches() {
                curvature.with_linearization(batch, |linearization| {
                    let layers = layers(linearization, weights)?;
                    if found.is_empty() {
                        let at = curvature.parameters();
                        found = layers
                            .iter()
                            .map(|l| Self::zero(l, Layout::new(l, at)?))
                            .collect::<Result<_>>()?;
                    }
                    check_same(found.iter().map(|f| (f.weight.as_str(), f.positions)), &layers)?;
                    let share = curvature.weight(batch);
                    for (factors, layer) in found.iter_mut().zip(&layers) {
                        factors.add_inputs(linearization, layer, share)?;
                    }
                    for k in 0..roots.columns() {
                        let slopes = roots.column(batch, linearization, k)?;
                        let cotangents = linearization.layer_cotangents(&layers, &slopes)?;
                        for ((factors, layer), rows) in found.iter_mut().zip(&layers).zip(&cotangents) {
                            let rows = by_rows(rows, layer.outputs);
                            add_product(&mut factors.gradients, share / layer.examples as f64, rows, rows);
                        }
                    }
                    Ok(())
                })?;
            }
            curvature.count_gradients(roots.columns());
            for factors in &found {
                if factors.inputs.iter().chain(&factors.gradients).any(|x| !x.is_finite()) {
                    return Err(Error::NonFinite(format!(
                        "the inputs of `{}` or its gradients are not finite",
                        factors.weight
                    )));
                }
            }
            Ok(found)
        })
    }

    /// Columns of the weight as a matrix, that of the bias among them: rows of A.
    pub fn columns(&self) -> usize {
        self.layout.columns
    }

    /// Rows of B.
    pub fn outputs(&self) -> usize {
        self.layout.outputs
    }

    /// The block A ⊗ B, with its eigenvalues and eigenvectors.
    pub fn block(&self) -> Result<KroneckerBlock> {
        KroneckerBlock::new(self)
    }

    fn zero(layer: &Layer, layout: Layout) -> Result<Self> {
        if layer.positions == 0 || layer.examples == 0 {
            return Err(Error::Input(format!("`{}` meets no inputs", layer.weight)));
        }
        Ok(Self {
            weight: layer.weight.clone(),
            bias: layer.bias.clone(),
            positions: layer.positions,
            inputs: vec![0.0; layout.columns * layout.columns],
            gradients: vec![0.0; layout.outputs * layout.outputs],
            layout,
        })
    }

    fn add_inputs(&mut self, linearization: &dyn Linearization, layer: &Layer, share: f64) -> Result<()> {
        let columns = self.layout.columns;
        let factor = share / (layer.examples * layer.positions) as f64;
        for examples in pieces(layer.examples, HELD / (layer.positions * columns)) {
            let rows = linearization.layer_inputs(layer, examples)?;
            let rows = by_rows(&rows, columns);
            add_product(&mut self.inputs, factor, rows, rows);
        }
        Ok(())
    }

    pub(super) fn input_matrix(&self) -> faer::MatRef<'_, f64> {
        by_columns(&self.inputs, self.layout.columns)
    }

    pub(super) fn gradient_matrix(&self) -> faer::MatRef<'_, f64> {
        by_columns(&self.gradients, self.layout.outputs)
    }
}

/// The layers of a batch with these weights, or all; an error that says why a parameter is in none.
pub(super) fn layers(linearization: &dyn Linearization, weights: &[String]) -> Result<Vec<Layer>> {
    let all = linearization.layers()?;
    if weights.is_empty() && all.found.is_empty() {
        return Err(Error::Input("no parameter is the weight of a linear layer or a convolution".into()));
    }
    if let Some(missing) = weights.iter().find(|w| all.found.iter().all(|layer| layer.weight != **w)) {
        let reason = all.others.iter().find(|(name, _)| name == missing).map(|(_, reason)| reason.as_str());
        return Err(Error::Input(format!(
            "`{missing}` has no Kronecker factors: it {}",
            reason.unwrap_or("is not the weight of a layer")
        )));
    }
    let wanted = |layer: &Layer| weights.is_empty() || weights.contains(&layer.weight);
    Ok(all.found.into_iter().filter(wanted).collect())
}

/// All batches must have the same layers at as many positions.
pub(super) fn check_same<'n>(
    known: impl Iterator<Item = (&'n str, usize)>,
    layers: &'n [Layer],
) -> Result<()> {
    let found = layers.iter().map(|layer| (layer.weight.as_str(), layer.positions));
    if known.eq(found) {
        return Ok(());
    }
    Err(Error::Input("batches differ in their layers or in the lengths of their examples".into()))
}
