//! Layers: weights that meet their inputs in one matrix product or convolution, and what flows through them.
//!
//! A layer's outputs are the rows of Y = X W', with a row of X for every position of every example: one for a plain linear
//! layer, one for every token of a sequence, and one, the unfolded patch, for every output pixel of a convolution. With the
//! gradients G in Y, an example's gradient in W is G'X over its rows.

mod find;
mod patches;

use std::collections::BTreeSet;
use std::ops::Range;

use candle_core::{DType, Tensor};

use crate::graph::{Graph, Id, Kind};
use crate::kernels::convolution::Geometry;
use crate::linearize::Linearized;
use crate::pointwise::{add, sum_of_products};
use crate::{Error, Result};

/// A weight that is read once, by a matrix product or a convolution, and the bias that is added to the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Name of the weight.
    pub weight: String,
    /// Name of the bias, where a trainable one is added right after the product and nowhere else.
    pub bias: Option<String>,
    /// Columns of X without that of the bias: features, or channels times kernel entries.
    pub inputs: usize,
    /// Columns of Y: features or channels.
    pub outputs: usize,
    /// Rows of X for each example.
    pub positions: usize,
    /// Examples of the batch.
    pub examples: usize,
    /// Whether the weight is stored as [inputs, outputs], not [outputs, inputs] as PyTorch's are.
    pub turned: bool,
    /// The product.
    node: Id,
    /// What the weight is multiplied with.
    argument: Id,
    /// Of a convolution.
    patches: Option<Geometry>,
}

/// The layers of a graph, and the other parameters.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// In the order in which they are computed.
    pub found: Vec<Layer>,
    /// Trainable parameters that are in none, each with a reason that continues its name.
    pub others: Vec<(String, String)>,
}

impl Layer {
    /// Columns of X with the homogeneous coordinate 1, which the bias is the weight of.
    pub fn columns(&self) -> usize {
        self.inputs + usize::from(self.bias.is_some())
    }
}

impl Graph {
    /// The layers, and the parameters that are in none.
    pub fn layers(&self) -> Layers {
        find::layers(self)
    }
}

impl Linearized {
    /// The rows of X that belong to some examples, one after the other in f64: examples, positions, columns. With a last
    /// column of ones where the layer has a bias; patches have (channel, kernel row, kernel column) as weights do.
    pub fn layer_inputs(&self, layer: &Layer, examples: Range<usize>) -> Result<Vec<f64>> {
        if examples.end > layer.examples || examples.start > examples.end {
            return Err(Error::Unavailable(format!(
                "examples {examples:?} were asked for, but the batch has {}",
                layer.examples
            )));
        }
        let x = self.value(layer.argument)?;
        // Rows of a matrix, or images: as many of them for every example.
        let each = x.dim(0)? / layer.examples;
        let part = x.narrow(0, examples.start * each, examples.len() * each)?;
        let part = part.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        Ok(match &layer.patches {
            Some(geometry) => patches::unfold(geometry, &part, layer.bias.is_some()),
            None if layer.bias.is_none() => part,
            None => {
                part.chunks_exact(layer.inputs).flat_map(|row| row.iter().copied().chain([1.0])).collect()
            }
        })
    }

    /// For each layer, the cotangents at the rows of Y for a cotangent `u` of the outputs, in f64: examples, positions,
    /// outputs. One backward pass for all layers, without the gradients in the parameters.
    pub fn layer_cotangents(&self, layers: &[Layer], u: &Tensor) -> Result<Vec<Vec<f64>>> {
        let outputs = self.outputs()?;
        if u.dims() != outputs.dims() {
            return Err(Error::Mismatch {
                name: "u".into(),
                found: u.dims().to_vec(),
                expected: outputs.dims().to_vec(),
            });
        }
        let wanted: BTreeSet<Id> = layers.iter().map(|layer| layer.node).collect();
        let mut found = self.pull_to(&wanted, u.to_dtype(self.dtype)?.contiguous()?)?;
        layers
            .iter()
            .map(|layer| {
                let rows = layer.examples * layer.positions;
                let Some(g) = found.get_mut(layer.node).and_then(Option::take) else {
                    return Ok(vec![0.0; rows * layer.outputs]);
                };
                let g = if layer.patches.is_some() { g.permute((0, 2, 3, 1))? } else { g };
                Ok(g.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
            })
            .collect()
    }

    /// Cotangents of the wanted nodes, by node.
    fn pull_to(&self, wanted: &BTreeSet<Id>, u: Tensor) -> Result<Vec<Option<Tensor>>> {
        let graph = &self.graph;
        // Nodes through which a wanted one acts on what follows.
        let mut above = vec![false; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            above[id] = wanted.contains(&id) || node.kind.arguments().iter().any(|&a| above[a]);
        }
        let mut cotangents: Vec<Option<Tensor>> = vec![None; graph.nodes.len()];
        cotangents[graph.outputs] = Some(u);
        for id in (0..=graph.outputs).rev() {
            let node = &graph.nodes[id];
            let goes_on = node.active && node.kind.arguments().iter().any(|&a| above[a]);
            let g = if wanted.contains(&id) { cotangents[id].clone() } else { cotangents[id].take() };
            let (Some(g), true) = (g, goes_on) else { continue };
            match &node.kind {
                Kind::Linear(rule, arguments) => {
                    for (k, &a) in arguments.iter().enumerate().filter(|(_, a)| above[**a]) {
                        add(&mut cotangents[a], rule.adjoint(k, &g, self.kept[id].fixed.as_ref())?)?;
                    }
                }
                Kind::Bilinear(rule, a, b) => {
                    if above[*a] {
                        add(&mut cotangents[*a], rule.adjoint_left(&[(&g, self.value(*b)?)])?)?;
                    }
                    if above[*b] {
                        add(&mut cotangents[*b], rule.adjoint_right(&[(&g, self.value(*a)?)])?)?;
                    }
                }
                Kind::Elementwise(_, x) => {
                    if let Some(slope) = &self.kept[id].slope {
                        add(&mut cotangents[*x], sum_of_products(&[(slope, &g)])?)?;
                    }
                }
                Kind::RowWise(rule, arguments) => {
                    let part = rule.cotangent(&self.kept[id].rows, &[&[&g]])?;
                    add(&mut cotangents[arguments[0]], part)?;
                }
                Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => {}
            }
        }
        Ok(cotangents)
    }
}
