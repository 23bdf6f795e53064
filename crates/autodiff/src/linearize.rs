//! The point of linearization: one forward and one backward pass, keeping what products need.

use candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::forward::{Evaluated, Forward};
use crate::graph::{Graph, Id, Kind};
use crate::pointwise::{add, sum_of_products};
use crate::{Error, Result};

/// A graph at one point, for one batch: loss, outputs and gradient, ready for any number of products.
#[derive(Debug)]
pub struct Linearized {
    pub(crate) graph: Arc<Graph>,
    pub(crate) kept: Vec<Kept>,
    /// Converts seeds to the run's numbers.
    pub(crate) dtype: DType,
    loss: f64,
    gradient: Vec<Tensor>,
}

/// What a product needs of one node.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    /// The value, where a bilinear node needs it.
    pub(crate) value: Option<Tensor>,
    /// dL/d(value), where second-order terms need it.
    pub(crate) cotangent: Option<Tensor>,
    /// Indices chosen by a linear node.
    pub(crate) fixed: Option<Tensor>,
    /// f'(x) of an elementwise node.
    pub(crate) slope: Option<Tensor>,
    /// f''(x) of a curved elementwise node until the backward pass, then f''(x) dL/dy.
    pub(crate) bend: Option<Tensor>,
    /// x of a curved elementwise node, for third derivatives.
    pub(crate) point: Option<Tensor>,
    /// What a function of rows left behind for its derivatives.
    pub(crate) rows: Vec<Tensor>,
}

impl Graph {
    /// Value of the loss alone, at the price of a forward pass and little memory.
    ///
    /// Arguments as for [`linearize`](Self::linearize).
    pub fn evaluate(
        &self,
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<Evaluated> {
        let mut forward = Forward::start(self, parameters, constants, inputs)?;
        for turn in &self.turns {
            forward.take(self, turn)?;
        }
        forward.evaluated(self)
    }

    /// Evaluates the loss and its gradient, and keeps what products need.
    ///
    /// `parameters` are the trainable tensors in the graph's order (see [`Graph::parameter_names`]), all of one float
    /// type, which is the type of the whole computation; `constants` are the other named tensors; `inputs` the batch.
    pub fn linearize(
        self: &Arc<Self>,
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<Linearized> {
        self.linearize_to(2, parameters, constants, inputs)
    }

    /// As [`linearize`](Self::linearize), keeping what derivatives up to `order` (2 or 3) need: third-order products
    /// need the arguments of curved functions too.
    pub fn linearize_to(
        self: &Arc<Self>,
        order: usize,
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<Linearized> {
        let mut linearized = self.forward_pass(order, parameters, constants, inputs)?;
        linearized.gradient = linearized.backward(true)?;
        Ok(linearized)
    }

    /// Loss and gradient alone, keeping nothing: faster and smaller than [`linearize`](Self::linearize).
    pub fn gradient(
        self: &Arc<Self>,
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<(f64, Vec<Tensor>)> {
        let mut linearized = self.forward_pass(1, parameters, constants, inputs)?;
        Ok((linearized.loss, linearized.backward(false)?))
    }

    fn forward_pass(
        self: &Arc<Self>,
        order: usize,
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<Linearized> {
        let mut forward = Forward::start(self, parameters, constants, inputs)?;
        for id in 0..self.nodes.len() {
            forward.step(self, id, order)?;
        }
        let loss = forward.evaluated(self)?.loss;
        Ok(Linearized {
            graph: self.clone(),
            dtype: forward.dtype,
            kept: forward.kept,
            loss,
            gradient: vec![],
        })
    }
}

impl Linearized {
    /// The loss on this batch.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The gradient, one tensor per trainable parameter, in the graph's order.
    pub fn gradient(&self) -> &[Tensor] {
        &self.gradient
    }

    /// The model's outputs.
    pub fn outputs(&self) -> Result<&Tensor> {
        self.kept[self.graph.outputs]
            .value
            .as_ref()
            .ok_or_else(|| Error::Unavailable("the outputs were not kept".into()))
    }

    /// The gradient of the loss in the outputs, shaped like them.
    pub fn output_gradient(&self) -> Result<&Tensor> {
        self.kept[self.graph.outputs]
            .cotangent
            .as_ref()
            .ok_or_else(|| Error::Unavailable("the loss does not depend on the outputs".into()))
    }

    /// The graph this is a linearization of.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Bytes held for products, without the parameters themselves.
    pub fn bytes(&self) -> usize {
        let bytes = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        let size = |t: &Option<Tensor>| t.as_ref().map_or(0, bytes);
        self.kept
            .iter()
            .zip(&self.graph.nodes)
            .filter(|(_, node)| !matches!(node.kind, Kind::Named(_)))
            .map(|(k, _)| {
                let single = [&k.value, &k.cotangent, &k.fixed, &k.slope, &k.bend, &k.point].map(size);
                // A function of rows may keep its own value, which is counted already.
                let own = |t: &&Tensor| k.value.as_ref().is_none_or(|value| value.id() != t.id());
                single.iter().sum::<usize>() + k.rows.iter().filter(own).map(bytes).sum::<usize>()
            })
            .sum()
    }

    /// The value of a node that products need.
    pub(crate) fn value(&self, id: Id) -> Result<&Tensor> {
        self.kept[id]
            .value
            .as_ref()
            .ok_or_else(|| Error::Unavailable(format!("the value of node {id} was not kept")))
    }

    /// The reverse pass: the gradient, and, if `second_order`, the cotangents that second-order terms need; otherwise
    /// everything is let go of as soon as it has been used.
    fn backward(&mut self, second_order: bool) -> Result<Vec<Tensor>> {
        let graph = self.graph.clone();
        let mut cotangents: Vec<Option<Tensor>> = vec![None; graph.nodes.len()];
        if graph.nodes[graph.loss].active {
            cotangents[graph.loss] = Some(self.value(graph.loss)?.ones_like()?);
        }
        for (id, node) in graph.nodes.iter().enumerate().rev() {
            if matches!(node.kind, Kind::Named(_)) || !node.active {
                continue;
            }
            let Some(g) = cotangents[id].take() else {
                self.kept[id].bend = None;
                continue;
            };
            let active = |a: Id| graph.nodes[a].active;
            match &node.kind {
                Kind::Linear(rule, arguments) => {
                    for (k, &a) in arguments.iter().enumerate().filter(|(_, a)| active(**a)) {
                        let (fixed, sum) = (self.kept[id].fixed.as_ref(), cotangents[a].as_ref());
                        cotangents[a] = Some(rule.add_adjoint(k, &g, fixed, sum)?);
                    }
                }
                Kind::Bilinear(rule, a, b) => {
                    if active(*a) {
                        add(&mut cotangents[*a], rule.adjoint_left(&[(&g, self.value(*b)?)])?)?;
                    }
                    if active(*b) {
                        add(&mut cotangents[*b], rule.adjoint_right(&[(&g, self.value(*a)?)])?)?;
                    }
                }
                Kind::Elementwise(_, x) => {
                    let kept = &mut self.kept[id];
                    if let Some(slope) = &kept.slope {
                        add(&mut cotangents[*x], sum_of_products(&[(slope, &g)])?)?;
                    }
                    if let Some(bend) = kept.bend.take() {
                        kept.bend = Some(sum_of_products(&[(&bend, &g)])?);
                    }
                }
                Kind::RowWise(rule, arguments) => {
                    add(&mut cotangents[arguments[0]], rule.cotangent(&self.kept[id].rows, &[&[&g]])?)?;
                }
                Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => {}
            }
            if !second_order {
                let used = node.kind.arguments().into_iter().filter(|&a| graph.nodes[a].first_reader == id);
                used.for_each(|a| self.kept[a].value = None);
                self.kept[id].slope = None;
                self.kept[id].rows = vec![];
            } else if node.keeps_cotangent || id == graph.outputs {
                self.kept[id].cotangent = Some(g);
            }
        }
        let zeros = |shape: &[usize]| {
            Tensor::zeros(shape, self.dtype, self.value(graph.loss)?.device()).map_err(Error::from)
        };
        graph
            .parameters
            .iter()
            .map(|(_, id)| match cotangents[*id].take() {
                Some(g) => Ok(g.contiguous()?),
                None => zeros(&graph.nodes[*id].shape),
            })
            .collect()
    }
}
