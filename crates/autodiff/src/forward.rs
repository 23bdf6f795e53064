//! The forward pass.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::fusion::Turn;
use crate::graph::{Graph, Id, Kind, Node};
use crate::linearize::Kept;
use crate::pointwise::{jet, map};
use crate::rule::Elementwise;
use crate::{Error, Result};

/// Loss and outputs without derivatives.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The loss.
    pub loss: f64,
    /// The model's outputs.
    pub outputs: Tensor,
}

/// The forward pass in progress.
pub(crate) struct Forward<'a> {
    values: Vec<Option<Tensor>>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) dtype: DType,
    device: Device,
    parameters: BTreeMap<&'a str, &'a Tensor>,
    constants: &'a BTreeMap<String, Tensor>,
    inputs: &'a [Tensor],
}

impl<'a> Forward<'a> {
    pub(crate) fn start(
        graph: &'a Graph,
        parameters: &'a [Tensor],
        constants: &'a BTreeMap<String, Tensor>,
        inputs: &'a [Tensor],
    ) -> Result<Self> {
        let first = parameters.first().ok_or_else(|| {
            Error::Unavailable("no parameter is trainable: there is nothing to differentiate".into())
        })?;
        Self::begin(graph, (first.dtype(), first.device()), parameters, constants, inputs)
    }

    /// As [`start`](Self::start), in these numbers on this device, where there may be no parameter.
    pub(crate) fn begin(
        graph: &'a Graph,
        (dtype, device): (DType, &Device),
        parameters: &'a [Tensor],
        constants: &'a BTreeMap<String, Tensor>,
        inputs: &'a [Tensor],
    ) -> Result<Self> {
        if parameters.len() != graph.parameters.len() || inputs.len() != graph.inputs {
            return Err(Error::Unavailable(format!(
                "the graph has {} parameters and {} inputs, but {} and {} tensors were given",
                graph.parameters.len(),
                graph.inputs,
                parameters.len(),
                inputs.len()
            )));
        }
        Ok(Self {
            values: vec![None; graph.nodes.len()],
            kept: vec![Kept::default(); graph.nodes.len()],
            dtype,
            device: device.clone(),
            parameters: graph.parameter_names().zip(parameters).collect(),
            constants,
            inputs,
        })
    }

    pub(crate) fn argument(&self, id: Id) -> Result<&Tensor> {
        self.values[id].as_ref().ok_or_else(|| Error::Unavailable(format!("node {id} has lost its value")))
    }

    /// Evaluates what has its turn, for its value alone.
    pub(crate) fn take(&mut self, graph: &Graph, turn: &Turn) -> Result<()> {
        let value = match &turn.chain {
            Some(chain) => chain.evaluate(|id| self.argument(id))?,
            None => self.value(graph, turn.id, 0)?,
        };
        self.values[turn.id] = Some(value);
        turn.finished.iter().for_each(|&a| self.values[a] = None);
        Ok(())
    }

    /// Takes a node's value as it is given.
    pub(crate) fn give(&mut self, id: Id, value: Tensor) {
        self.values[id] = Some(value);
    }

    /// Evaluates one node, and keeps its value.
    pub(crate) fn compute(&mut self, graph: &Graph, id: Id) -> Result<()> {
        self.values[id] = Some(self.value(graph, id, 0)?);
        Ok(())
    }

    /// Evaluates one node, and keeps what derivatives up to `order` need of it.
    pub(crate) fn step(&mut self, graph: &Graph, id: Id, order: usize) -> Result<()> {
        let value = self.value(graph, id, order)?;
        self.values[id] = Some(value);
        let mut finished = graph.nodes[id].kind.arguments();
        finished.push(id);
        for a in finished {
            if graph.nodes[a].last_reader == id && a != graph.loss && a != graph.outputs {
                // An argument that is given twice is taken once.
                let value = self.values[a].take();
                if order > 0 && graph.nodes[a].keeps_value && value.is_some() {
                    self.kept[a].value = value;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, graph: &Graph, id: Id, order: usize) -> Result<Tensor> {
        let node = &graph.nodes[id];
        let value = match &node.kind {
            Kind::Named(name) => self.named(name, node)?,
            Kind::Input(position) => self.input(*position, node)?,
            Kind::Constant(tensor) => self.convert(tensor)?,
            Kind::Linear(rule, arguments) => {
                let values = arguments.iter().map(|&a| self.argument(a)).collect::<Result<Vec<_>>>()?;
                let fixed = rule.fix(&values)?;
                let values: Vec<_> = values.into_iter().map(Some).collect();
                let value = rule.apply(&values, fixed.as_ref())?;
                if node.active {
                    self.kept[id].fixed = fixed;
                }
                value
            }
            Kind::Bilinear(rule, a, b) => rule.apply(&[(self.argument(*a)?, self.argument(*b)?)])?,
            Kind::Elementwise(rule, x) => {
                let x = self.argument(*x)?.clone();
                self.elementwise(id, rule.as_ref(), node.active, &x, order)?
            }
            Kind::RowWise(rule, arguments) => {
                let values = arguments.iter().map(|&a| self.argument(a)).collect::<Result<Vec<_>>>()?;
                let (value, rows) = rule.value(&values)?;
                if node.active && order > 0 {
                    self.kept[id].rows = rows;
                }
                value
            }
            Kind::Frozen(rule, arguments) => {
                let values = arguments.iter().map(|&a| self.argument(a)).collect::<Result<Vec<_>>>()?;
                rule.value(&values)?
            }
        };
        debug_assert_eq!(value.dims(), node.shape, "{:?}", node.kind);
        Ok(value)
    }

    /// f(x), keeping the derivatives of it that products need.
    fn elementwise(
        &mut self,
        id: Id,
        rule: &dyn Elementwise,
        active: bool,
        x: &Tensor,
        order: usize,
    ) -> Result<Tensor> {
        if !active || order == 0 {
            return map(rule, 0, x);
        }
        let (value, slope, bend) = jet(rule, x, order > 1 && rule.is_curved())?;
        let kept = &mut self.kept[id];
        kept.point = (order > 2 && bend.is_some()).then(|| x.clone());
        (kept.slope, kept.bend) = (Some(slope), bend);
        Ok(value)
    }

    /// Loss and outputs, once every node is evaluated.
    pub(crate) fn evaluated(&mut self, graph: &Graph) -> Result<Evaluated> {
        let outputs = self.argument(graph.outputs)?.clone();
        let loss = self.argument(graph.loss)?.clone();
        self.kept[graph.outputs].value = Some(outputs.clone());
        self.kept[graph.loss].value = Some(loss.clone());
        let loss = loss.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?[0];
        Ok(Evaluated { loss, outputs })
    }

    fn named(&self, name: &str, node: &Node) -> Result<Tensor> {
        let tensor = match self.parameters.get(name) {
            Some(tensor) => (*tensor).clone(),
            None => match self.constants.get(name) {
                Some(tensor) => self.convert(tensor)?,
                None => return Err(Error::Missing { name: name.into(), shape: node.shape.clone() }),
            },
        };
        Self::fits(name, &tensor, node)?;
        Ok(tensor)
    }

    fn input(&self, position: usize, node: &Node) -> Result<Tensor> {
        let tensor = &self.inputs[position];
        Self::fits(&format!("input {position}"), tensor, node)?;
        self.convert(tensor)
    }

    fn convert(&self, tensor: &Tensor) -> Result<Tensor> {
        let tensor = if tensor.dtype().is_float() { tensor.to_dtype(self.dtype)? } else { tensor.clone() };
        Ok(tensor.to_device(&self.device)?.contiguous()?)
    }

    fn fits(name: &str, tensor: &Tensor, node: &Node) -> Result<()> {
        if tensor.dims() == node.shape {
            return Ok(());
        }
        Err(Error::Mismatch {
            name: name.into(),
            found: tensor.dims().to_vec(),
            expected: node.shape.clone(),
        })
    }
}
