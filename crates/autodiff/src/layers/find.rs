//! Finding the layers of a graph.

use std::any::Any;

use super::{Layer, Layers};
use crate::graph::{Graph, Id, Kind};
use crate::operations::convolution::Convolution;
use crate::operations::layout::Reshape;
use crate::operations::matmul::MatMul;
use crate::rule::Entrywise;

/// Why a parameter is in no layer: a clause that continues its name.
type Reason = String;

pub(super) fn layers(graph: &Graph) -> Layers {
    let finder = Finder::new(graph);
    let mut all = Layers::default();
    for (name, id) in &graph.parameters {
        match finder.layer(name, *id) {
            Ok(layer) => all.found.push(layer),
            Err(reason) => all.others.push((name.clone(), reason)),
        }
    }
    all.found.sort_by_key(|layer| layer.node);
    all.others.retain(|(name, _)| all.found.iter().all(|layer| layer.bias.as_ref() != Some(name)));
    all
}

struct Finder<'g> {
    graph: &'g Graph,
    /// Nodes that read each node; one that reads it twice comes twice.
    readers: Vec<Vec<Id>>,
}

impl<'g> Finder<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut readers = vec![vec![]; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            node.kind.arguments().into_iter().for_each(|a| readers[a].push(id));
        }
        Self { graph, readers }
    }

    fn layer(&self, weight: &str, named: Id) -> Result<Layer, Reason> {
        let read = self.last_of_reshapes(named);
        let node = match self.readers[read][..] {
            [node] => node,
            [] => return Err("acts on nothing".into()),
            _ => {
                let times = self.readers[read].len();
                return Err(format!("is used {times} times, and a layer's weight is used once"));
            }
        };
        let (rule, argument) = match &self.graph.nodes[node].kind {
            Kind::Bilinear(rule, argument, right) if *right == read => (rule.as_ref() as &dyn Any, *argument),
            Kind::Bilinear(rule, ..) => {
                return Err(format!(
                    "stands on the left of `{}`, and a layer's weight on the right",
                    rule.name()
                ));
            }
            other => {
                return Err(format!("is read by {}, not by a matrix product or convolution", name(other)));
            }
        };
        let shape = |id: Id| self.graph.nodes[id].shape.as_slice();
        let (inputs, outputs, turned, patches) = if let Some(product) = rule.downcast_ref::<MatMul>() {
            match (shape(argument), shape(read)) {
                ([_, _], &[rows, columns]) if product.turned => (columns, rows, false, None),
                ([_, _], &[rows, columns]) => (rows, columns, true, None),
                _ => return Err("is one of several matrices that are multiplied side by side".into()),
            }
        } else if let Some(convolution) = rule.downcast_ref::<Convolution>() {
            let geometry = convolution.geometry;
            if convolution.transposed || geometry.groups != 1 {
                return Err(
                    "is of a transposed or grouped convolution, whose blocks are of another form".into()
                );
            }
            let taps = geometry.in_channels * geometry.kernel[0] * geometry.kernel[1];
            (taps, geometry.out_channels, false, Some(geometry))
        } else {
            return Err("is multiplied entry by entry, not in a matrix product or convolution".into());
        };
        let examples = shape(self.graph.outputs).first().copied().unwrap_or(1);
        if !self.begins_with_examples(argument, examples) {
            return Err("multiplies inputs whose first axis is not the examples'".into());
        }
        let rows = shape(node).iter().product::<usize>() / outputs;
        let channel_axis = if patches.is_some() { 1 } else { shape(node).len() - 1 };
        let bias = self.bias(node, channel_axis, outputs);
        let positions = rows / examples;
        let weight = weight.to_string();
        Ok(Layer { weight, bias, inputs, outputs, positions, examples, turned, node, argument, patches })
    }

    /// Follows a node through reshapes that are its only readers.
    fn last_of_reshapes(&self, mut id: Id) -> Id {
        while let [reader] = self.readers[id][..]
            && self.is_reshape(reader)
        {
            id = reader;
        }
        id
    }

    fn is_reshape(&self, id: Id) -> bool {
        matches!(&self.graph.nodes[id].kind, Kind::Linear(rule, _) if (rule.as_ref() as &dyn Any).is::<Reshape>())
    }

    /// Whether a node is, but for reshapes, one whose first axis has an entry for every example.
    fn begins_with_examples(&self, mut id: Id, examples: usize) -> bool {
        loop {
            let node = &self.graph.nodes[id];
            if node.shape.first() == Some(&examples) {
                return true;
            }
            if !self.is_reshape(id) {
                return false;
            }
            id = node.kind.arguments()[0];
        }
    }

    /// The trainable vector that is added to the product along the axis of its outputs, and used nowhere else.
    fn bias(&self, product: Id, channel_axis: usize, outputs: usize) -> Option<String> {
        let last = self.last_of_reshapes(product);
        let &[sum] = self.readers[last].as_slice() else { return None };
        let Kind::Linear(rule, arguments) = &self.graph.nodes[sum].kind else { return None };
        if rule.entrywise() != Some(Entrywise::Sum) {
            return None;
        }
        let &[a, b] = arguments.as_slice() else { return None };
        let other = if a == last { b } else { a };
        let shape = |id: Id| self.graph.nodes[id].shape.as_slice();
        // The axis of the outputs is where it was: the last of a matrix's, or the second of images'.
        let axis = if channel_axis == 1 && shape(product).len() == 4 { 1 } else { shape(last).len() - 1 };
        let rank = shape(sum).len();
        let along = (shape(other).len() + axis).checked_sub(rank)?;
        let broadcast =
            shape(other).iter().enumerate().all(|(i, &n)| n == if i == along { outputs } else { 1 });
        if shape(sum) != shape(last) || shape(last).get(axis) != Some(&outputs) || !broadcast {
            return None;
        }
        let mut id = other;
        while self.is_reshape(id) && self.readers[id].len() == 1 {
            id = self.graph.nodes[id].kind.arguments()[0];
        }
        let node = &self.graph.nodes[id];
        match &node.kind {
            Kind::Named(name) if node.active && self.readers[id].len() == 1 => Some(name.clone()),
            _ => None,
        }
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Linear(rule, _) => format!("`{}`", rule.name()),
        Kind::Bilinear(rule, ..) => format!("`{}`", rule.name()),
        Kind::Elementwise(rule, _) => format!("`{}`", rule.name()),
        Kind::RowWise(rule, _) => format!("`{}`", rule.name()),
        Kind::Frozen(rule, _) => format!("`{}`", rule.name()),
        Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) => "nothing".into(),
    }
}
