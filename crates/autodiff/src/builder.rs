//! Building a graph: values with candle's method names instead of tensors.

use candle_core::{Device, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::graph::{Graph, Id, Kind};
use crate::permutations::{self, PermutationGroup};
use crate::rule::{Bilinear, Elementwise, Frozen, Linear, RowWise};
use crate::{Error, Result};

#[derive(Default)]
struct Nodes {
    kinds: Vec<(Kind, Vec<usize>)>,
    named: BTreeMap<String, Id>,
    inputs: usize,
}

/// Records the operations of a model on one shape of batch. Clones share the same graph.
///
/// ```
/// use relief_autodiff::GraphBuilder;
/// let g = GraphBuilder::new();
/// let (x, y) = (g.input(&[8, 3]), g.input(&[8]));
/// let (w, b) = (g.parameter("weight", &[5, 3])?, g.parameter("bias", &[5])?);
/// let logits = x.linear(&w, Some(&b))?;
/// let loss = logits.cross_entropy(&y, 0.0)?;
/// let graph = g.finish(&logits, &loss, |_| true)?;
/// assert_eq!(graph.parameter_names().collect::<Vec<_>>(), ["bias", "weight"]);
/// # Ok::<(), relief_autodiff::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct GraphBuilder {
    nodes: Rc<RefCell<Nodes>>,
}

/// The result of an operation in a graph under construction: a shape and a place, not yet numbers.
#[derive(Clone)]
pub struct Value {
    pub(crate) builder: GraphBuilder,
    pub(crate) id: Id,
    shape: Rc<[usize]>,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {:?})", self.id, self.shape)
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next tensor of a batch: inputs first, then targets, in the order in which they will be given.
    pub fn input(&self, shape: &[usize]) -> Value {
        let position = {
            let mut nodes = self.nodes.borrow_mut();
            nodes.inputs += 1;
            nodes.inputs - 1
        };
        self.push(Kind::Input(position), shape)
    }

    /// A named tensor of the checkpoint: a parameter, or a buffer such as a running mean.
    ///
    /// Asking twice for one name gives the same value, so tied weights are one parameter. Which names are trainable is
    /// decided in [`finish`](Self::finish).
    pub fn parameter(&self, name: &str, shape: &[usize]) -> Result<Value> {
        let known = self.nodes.borrow().named.get(name).copied();
        if let Some(id) = known {
            let found = self.nodes.borrow().kinds[id].1.clone();
            if found != shape {
                return Err(Error::Mismatch { name: name.into(), found: shape.to_vec(), expected: found });
            }
            return Ok(self.value(id));
        }
        let value = self.push(Kind::Named(name.into()), shape);
        self.nodes.borrow_mut().named.insert(name.into(), value.id);
        Ok(value)
    }

    /// A tensor that belongs to the architecture, such as an attention mask.
    pub fn constant(&self, tensor: &Tensor) -> Result<Value> {
        let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
        let shape = tensor.dims().to_vec();
        Ok(self.push(Kind::Constant(tensor), &shape))
    }

    /// A number.
    pub fn scalar(&self, x: f64) -> Result<Value> {
        self.constant(&Tensor::new(x, &Device::Cpu)?)
    }

    /// Adds a linear operation; `shape` is its result's.
    pub fn linear(&self, rule: impl Linear + 'static, arguments: &[&Value], shape: &[usize]) -> Value {
        self.push(Kind::Linear(Arc::new(rule), arguments.iter().map(|a| a.id).collect()), shape)
    }

    /// Adds a bilinear operation; `shape` is its result's.
    pub fn bilinear(&self, rule: impl Bilinear + 'static, a: &Value, b: &Value, shape: &[usize]) -> Value {
        self.push(Kind::Bilinear(Arc::new(rule), a.id, b.id), shape)
    }

    /// Adds a function that is applied to every entry.
    pub fn elementwise(&self, rule: impl Elementwise + 'static, x: &Value) -> Value {
        self.push(Kind::Elementwise(Arc::new(rule), x.id), &x.shape)
    }

    /// Adds a function of rows of the first argument, in which alone it is differentiated; `shape` is its result's.
    pub fn row_wise(&self, rule: impl RowWise + 'static, arguments: &[&Value], shape: &[usize]) -> Value {
        self.push(Kind::RowWise(Arc::new(rule), arguments.iter().map(|a| a.id).collect()), shape)
    }

    /// Adds a function through which nothing is differentiated; `shape` is its result's.
    pub fn frozen(&self, rule: impl Frozen + 'static, arguments: &[&Value], shape: &[usize]) -> Value {
        self.push(Kind::Frozen(Arc::new(rule), arguments.iter().map(|a| a.id).collect()), shape)
    }

    /// The named tensors asked for so far, with their shapes, sorted by name.
    pub fn named(&self) -> Vec<(String, Vec<usize>)> {
        let nodes = self.nodes.borrow();
        nodes.named.iter().map(|(name, &id)| (name.clone(), nodes.kinds[id].1.clone())).collect()
    }

    /// The finished graph of `loss` (one number), with `outputs` as the point where a Gauss-Newton matrix splits model
    /// and loss, and derivatives in the named tensors that `trainable` accepts.
    pub fn finish(&self, outputs: &Value, loss: &Value, trainable: impl Fn(&str) -> bool) -> Result<Graph> {
        let nodes = self.nodes.borrow();
        Graph::new(nodes.kinds.clone(), nodes.inputs, outputs.id, loss.id, &trainable)
    }

    /// The permutations of hidden units that leave `outputs` unchanged, as far as the operations tell.
    ///
    /// Sound, not always complete: what is not understood keeps its order. Biases and running statistics are permuted with
    /// their units, whether trainable or not.
    pub fn permutation_groups(&self, outputs: &Value) -> Vec<PermutationGroup> {
        permutations::groups(&self.nodes.borrow().kinds, outputs.id)
    }

    fn push(&self, kind: Kind, shape: &[usize]) -> Value {
        let id = {
            let mut nodes = self.nodes.borrow_mut();
            nodes.kinds.push((kind, shape.to_vec()));
            nodes.kinds.len() - 1
        };
        Value { builder: self.clone(), id, shape: shape.into() }
    }

    fn value(&self, id: Id) -> Value {
        let shape = self.nodes.borrow().kinds[id].1.as_slice().into();
        Value { builder: self.clone(), id, shape }
    }
}

impl Value {
    /// The lengths of the axes.
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Length of one axis.
    pub fn dim(&self, axis: usize) -> Result<usize> {
        self.shape.get(axis).copied().ok_or_else(|| {
            crate::error::shape("dim", format!("axis {axis} of a tensor with {} axes", self.rank()))
        })
    }

    /// Number of entries.
    pub fn elem_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether nothing can be differentiated in this value: a constant, or a tensor of the batch.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.builder.nodes.borrow().kinds[self.id].0, Kind::Input(_) | Kind::Constant(_))
    }

    /// The builder this value belongs to.
    pub fn builder(&self) -> &GraphBuilder {
        &self.builder
    }
}
