//! Passes over memory that entry-by-entry operations share where nothing is differentiated.
//!
//! A value that only one such operation reads, and that has its result's shape, need never lie in memory: scale, shift,
//! addition and ReLU after a convolution are one pass instead of four, and where that alone reads the convolution, it goes
//! over each piece of it while it is in the cache.

use std::any::Any;
use std::sync::Arc;

use candle_core::{Tensor, WithDType};

use crate::graph::{Id, Kind, Node};
use crate::host::{Host, for_real, tensor};
use crate::kernels::Real;
use crate::kernels::chain::{Given, Operand, Program, Step};
use crate::kernels::channels::View;
use crate::operations::convolution::Convolution;
use crate::order::Order;
use crate::rule::{Bilinear, Entrywise};
use crate::{Result, device};

/// One node's turn in an evaluation without derivatives.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) id: Id,
    /// The operations that the node is evaluated together with, if there are any.
    pub(crate) chain: Option<Chain>,
    /// Nodes whose values nobody reads afterwards.
    pub(crate) finished: Vec<Id>,
}

/// Operations of one pass; the last one's result is the node's value.
#[derive(Debug)]
pub(crate) struct Chain {
    steps: Vec<Step>,
    /// A convolution that is computed on the way, piece by piece.
    convolution: Option<(Arc<dyn Bilinear>, [Id; 2])>,
    /// Nodes whose values are read, but for what the convolution reads.
    leaves: Vec<Id>,
    shape: Vec<usize>,
}

/// The turns of an evaluation; the values at `kept` stay.
pub(crate) fn turns(nodes: &[Node], kept: [Id; 2]) -> Vec<Turn> {
    let mut absorbed = vec![false; nodes.len()];
    let mut turns = vec![];
    for id in (0..nodes.len()).rev().filter(|&id| !matches!(nodes[id].kind, Kind::Named(_))) {
        if absorbed[id] {
            continue;
        }
        let mut tree = Tree { nodes, kept, absorbed: &mut absorbed, chain: Chain::empty(&nodes[id].shape) };
        if is_entrywise(&nodes[id].kind) {
            tree.grow(id);
        }
        let shared = tree.chain.steps.len() > 1 || tree.chain.convolution.is_some();
        let chain = shared.then_some(tree.chain);
        turns.push(Turn { id, chain, finished: vec![] });
    }
    turns.reverse();
    let named = (0..nodes.len()).filter(|&id| matches!(nodes[id].kind, Kind::Named(_)));
    let mut turns: Vec<Turn> =
        named.map(|id| Turn { id, chain: None, finished: vec![] }).chain(turns).collect();
    // The last one to read a value lets go of it.
    let mut seen = vec![false; nodes.len()];
    kept.iter().for_each(|&id| seen[id] = true);
    for turn in turns.iter_mut().rev() {
        let read = turn.chain.as_ref().map_or_else(|| nodes[turn.id].kind.arguments(), Chain::reads);
        turn.finished = read.into_iter().filter(|&a| !std::mem::replace(&mut seen[a], true)).collect();
    }
    turns
}

/// Whether a node's operation acts entry by entry, and does nothing else.
fn is_entrywise(kind: &Kind) -> bool {
    match kind {
        Kind::Linear(rule, _) => rule.entrywise().is_some(),
        Kind::Bilinear(rule, ..) => rule.entrywise().is_some(),
        Kind::Elementwise(..) => true,
        Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::RowWise(..) | Kind::Frozen(..) => false,
    }
}

/// An entry-by-entry operation as a step of a chain.
fn step(kind: &Kind, operands: &[Operand]) -> Option<Step> {
    let known = match kind {
        Kind::Elementwise(rule, _) => return Some(Step::Map(operands[0], rule.clone())),
        Kind::Linear(rule, _) => rule.entrywise()?,
        Kind::Bilinear(rule, ..) => rule.entrywise()?,
        Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::RowWise(..) | Kind::Frozen(..) => {
            return None;
        }
    };
    Some(match known {
        Entrywise::Sum => Step::Sum([operands[0], operands[1]]),
        Entrywise::Difference => Step::Difference([operands[0], operands[1]]),
        Entrywise::Product => Step::Product([operands[0], operands[1]]),
        Entrywise::Scale(factor) => Step::Scale(operands[0], factor),
    })
}

/// A chain in the making.
struct Tree<'a> {
    nodes: &'a [Node],
    kept: [Id; 2],
    absorbed: &'a mut [bool],
    chain: Chain,
}

impl Tree<'_> {
    /// Appends the operation of a node after those of its arguments that belong to the chain, and says where its result is.
    fn grow(&mut self, id: Id) -> Operand {
        let kind = &self.nodes[id].kind;
        let arguments = kind.arguments();
        let operands: Vec<Operand> = arguments.iter().map(|&a| self.operand(id, a)).collect();
        self.chain.steps.extend(step(kind, &operands));
        Operand::Step(self.chain.steps.len() - 1)
    }

    fn operand(&mut self, reader: Id, id: Id) -> Operand {
        let node = &self.nodes[id];
        let alone = node.first_reader == reader
            && node.last_reader == reader
            && self.nodes[reader].kind.arguments().iter().filter(|&&a| a == id).count() == 1;
        if alone && !self.kept.contains(&id) && node.shape == self.chain.shape {
            if is_entrywise(&node.kind) {
                self.absorbed[id] = true;
                return self.grow(id);
            }
            if let Kind::Bilinear(rule, x, weight) = &node.kind
                && self.chain.convolution.is_none()
                && forward_convolution(rule).is_some()
            {
                self.absorbed[id] = true;
                self.chain.convolution = Some((rule.clone(), [*x, *weight]));
                return Operand::Piece;
            }
        }
        let known = self.chain.leaves.iter().position(|&leaf| leaf == id);
        Operand::Given(known.unwrap_or_else(|| {
            self.chain.leaves.push(id);
            self.chain.leaves.len() - 1
        }))
    }
}

/// The rule of a convolution that hands over its outputs piece by piece.
fn forward_convolution(rule: &Arc<dyn Bilinear>) -> Option<&Convolution> {
    let rule: &dyn Any = rule.as_ref();
    rule.downcast_ref::<Convolution>().filter(|convolution| !convolution.transposed)
}

impl Chain {
    fn empty(shape: &[usize]) -> Self {
        Self { steps: vec![], convolution: None, leaves: vec![], shape: shape.to_vec() }
    }

    /// Nodes whose values are read.
    fn reads(&self) -> Vec<Id> {
        let convolved = self.convolution.iter().flat_map(|(_, arguments)| arguments);
        self.leaves.iter().chain(convolved).copied().collect()
    }

    /// The result, given the nodes' values.
    pub(crate) fn evaluate<'a>(&self, value: impl Fn(Id) -> Result<&'a Tensor>) -> Result<Tensor> {
        let leaves = self.leaves.iter().map(|&id| value(id)).collect::<Result<Vec<_>>>()?;
        let whole = leaves.iter().find(|leaf| leaf.dims() == self.shape);
        let lies = match (&self.convolution, whole) {
            (Some(_), _) => Order::channels_last(),
            (None, Some(leaf)) => Order::of(leaf),
            (None, None) => Order::logical(self.shape.len()),
        };
        let dims = lies.dims(&self.shape);
        let first = value(self.reads()[0])?;
        let packed = leaves.iter().map(|leaf| self.pack(&lies, leaf)).collect::<Result<Vec<_>>>()?;
        if device::holds(first) {
            // There the outputs of a convolution lie in memory, as the last leaf.
            let mut packed = packed;
            if let Some((rule, [x, weight])) = &self.convolution {
                let outputs = rule.apply(&[(value(*x)?, value(*weight)?)])?;
                packed.push((lies.pack(&outputs)?, None));
            }
            return lies.unpack(&device::chain(&self.steps, &packed, &dims)?);
        }
        for_real!("a chain of operations", first, T => {
            let hosts = packed.iter().map(|(x, _)| Host::open("a chain of operations", x)).collect::<Result<Vec<_>>>()?;
            let given = packed.iter().zip(&hosts).map(|((_, view), host)| given::<T>(*view, host)).collect::<Result<Vec<_>>>()?;
            let program = Program::new(&self.steps, &given);
            if let Some((rule, [x, weight])) = &self.convolution
                && let Some(convolution) = forward_convolution(rule)
            {
                return convolution.value_then(value(*x)?, value(*weight)?, &program);
            }
            lies.unpack(&tensor(program.run(dims.iter().product()), &dims)?)
        })
    }

    /// A leaf in the order in which the chain runs, and how it is repeated, where it is.
    fn pack(&self, lies: &Order, leaf: &Tensor) -> Result<(Tensor, Option<View>)> {
        if leaf.dims() == self.shape {
            return Ok((lies.pack(leaf)?, None));
        }
        let mut padded = vec![1; self.shape.len() - leaf.rank()];
        padded.extend(leaf.dims());
        match View::new(&lies.dims(&padded), &lies.dims(&self.shape)) {
            Some(view) => Ok((lies.pack(&leaf.reshape(padded)?)?, Some(view))),
            None => Ok((lies.pack(&leaf.broadcast_as(self.shape.as_slice())?)?, None)),
        }
    }
}

fn given<'a, T: Real + WithDType>(view: Option<View>, host: &'a Host<'_>) -> Result<Given<'a, T>> {
    let entries = host.slice::<T>()?;
    Ok(view.map_or(Given::Whole(entries), |view| Given::Repeated(view, entries)))
}
