//! A network and its loss as a list of operations in the order in which they are evaluated.

use candle_core::Tensor;
use std::sync::Arc;

use crate::fusion::{self, Turn};
use crate::rule::{Bilinear, Elementwise, Frozen, Linear, RowWise};
use crate::{Error, Result};

/// Index of a node in its graph; arguments always have smaller indices than the node that uses them.
pub(crate) type Id = usize;

/// How a node gets its value.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A named tensor: a parameter or a buffer.
    Named(String),
    /// One of the tensors of a batch (inputs, targets), by position.
    Input(usize),
    /// A small tensor that belongs to the architecture (kept in f64, converted to the run's numbers).
    Constant(Tensor),
    Linear(Arc<dyn Linear>, Vec<Id>),
    Bilinear(Arc<dyn Bilinear>, Id, Id),
    Elementwise(Arc<dyn Elementwise>, Id),
    /// Of rows of the first argument, in which alone it is differentiated.
    RowWise(Arc<dyn RowWise>, Vec<Id>),
    Frozen(Arc<dyn Frozen>, Vec<Id>),
}

impl Kind {
    pub(crate) fn arguments(&self) -> Vec<Id> {
        match self {
            Self::Named(_) | Self::Input(_) | Self::Constant(_) => vec![],
            Self::Linear(_, arguments) | Self::RowWise(_, arguments) | Self::Frozen(_, arguments) => {
                arguments.clone()
            }
            Self::Bilinear(_, a, b) => vec![*a, *b],
            Self::Elementwise(_, x) => vec![*x],
        }
    }

    /// The same operation on other nodes.
    pub(crate) fn with_arguments(&self, of: impl Fn(Id) -> Id) -> Self {
        let all = |arguments: &[Id]| arguments.iter().map(|&a| of(a)).collect();
        match self {
            Self::Named(_) | Self::Input(_) | Self::Constant(_) => self.clone(),
            Self::Linear(rule, arguments) => Self::Linear(rule.clone(), all(arguments)),
            Self::RowWise(rule, arguments) => Self::RowWise(rule.clone(), all(arguments)),
            Self::Frozen(rule, arguments) => Self::Frozen(rule.clone(), all(arguments)),
            Self::Bilinear(rule, a, b) => Self::Bilinear(rule.clone(), of(*a), of(*b)),
            Self::Elementwise(rule, x) => Self::Elementwise(rule.clone(), of(*x)),
        }
    }
}

/// A node with what the engine needs to know about its surroundings.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// Depends on a trainable parameter: has tangents and a cotangent.
    pub(crate) active: bool,
    /// The value enters a product: it is an argument of a bilinear node whose other argument is active.
    pub(crate) keeps_value: bool,
    /// The tangent enters the second pass: as above with both arguments active, or the argument of a curved function or of one of rows.
    pub(crate) keeps_tangent: bool,
    /// The cotangent enters second-order terms: a bilinear node with two active arguments, a curved function,
    /// or one of rows.
    pub(crate) keeps_cotangent: bool,
    /// The first and the last node that read this one (itself where none does).
    pub(crate) first_reader: Id,
    pub(crate) last_reader: Id,
}

/// A differentiable loss for one shape of batch, built by [`GraphBuilder`](crate::GraphBuilder).
#[derive(Debug)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Trainable parameters, sorted by name, with their nodes.
    pub(crate) parameters: Vec<(String, Id)>,
    /// Number of tensors in a batch.
    pub(crate) inputs: usize,
    pub(crate) outputs: Id,
    pub(crate) loss: Id,
    /// How the graph is evaluated where nothing is differentiated.
    pub(crate) turns: Vec<Turn>,
}

impl Graph {
    /// Names of the trainable parameters, in the order of gradients and products (sorted).
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }

    /// Shape of the trainable parameter at `index`.
    pub fn parameter_shape(&self, index: usize) -> &[usize] {
        &self.nodes[self.parameters[index].1].shape
    }

    /// Shape of the model's outputs.
    pub fn output_shape(&self) -> &[usize] {
        &self.nodes[self.outputs].shape
    }

    /// Entries of all intermediate values together: what memory and time grow with.
    pub fn intermediate_entries(&self) -> usize {
        let given = |kind: &Kind| matches!(kind, Kind::Named(_) | Kind::Input(_) | Kind::Constant(_));
        self.nodes.iter().filter(|n| !given(&n.kind)).map(|n| n.shape.iter().product::<usize>()).sum()
    }

    /// Puts the pieces together and works out what each product will need.
    pub(crate) fn new(
        kinds: Vec<(Kind, Vec<usize>)>,
        inputs: usize,
        outputs: Id,
        loss: Id,
        trainable: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        if kinds[loss].1.iter().product::<usize>() != 1 {
            return Err(Error::Unavailable(format!(
                "the loss must be one number, not shape {:?}",
                kinds[loss].1
            )));
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(kinds.len());
        let mut parameters = vec![];
        for (id, (kind, shape)) in kinds.into_iter().enumerate() {
            let active = match &kind {
                Kind::Named(name) if trainable(name) => {
                    parameters.push((name.clone(), id));
                    true
                }
                Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => false,
                other => other.arguments().iter().any(|&a| nodes[a].active),
            };
            for a in kind.arguments() {
                if nodes[a].first_reader == a {
                    nodes[a].first_reader = id;
                }
                nodes[a].last_reader = id;
            }
            let mut keeps_cotangent = false;
            match &kind {
                Kind::Bilinear(_, a, b) => {
                    let both = nodes[*a].active && nodes[*b].active;
                    nodes[*a].keeps_value |= nodes[*b].active;
                    nodes[*b].keeps_value |= nodes[*a].active;
                    nodes[*a].keeps_tangent |= both;
                    nodes[*b].keeps_tangent |= both;
                    keeps_cotangent = both;
                }
                Kind::Elementwise(rule, x) if active && rule.is_curved() => {
                    nodes[*x].keeps_tangent = true;
                    keeps_cotangent = true;
                }
                Kind::RowWise(_, arguments) if active => {
                    nodes[arguments[0]].keeps_tangent = true;
                    keeps_cotangent = true;
                }
                _ => {}
            }
            nodes.push(Node {
                kind,
                shape,
                active,
                keeps_value: id == outputs || id == loss,
                keeps_tangent: false,
                keeps_cotangent,
                first_reader: id,
                last_reader: id,
            });
        }
        nodes[outputs].keeps_value = true;
        nodes[loss].keeps_value = true;
        parameters.sort();
        let turns = fusion::turns(&nodes, [outputs, loss]);
        Ok(Self { nodes, parameters, inputs, outputs, loss, turns })
    }

    /// Whether the loss sees the parameters through the outputs only, as a Gauss-Newton matrix presupposes.
    pub(crate) fn outputs_separate(&self) -> bool {
        self.nodes[self.outputs].active
            && (self.outputs + 1..self.nodes.len()).filter(|&id| self.nodes[id].active).all(|id| {
                let kind = &self.nodes[id].kind;
                !matches!(kind, Kind::Named(_))
                    && kind.arguments().iter().all(|&a| a >= self.outputs || !self.nodes[a].active)
            })
    }
}
