//! The objective of a graph: a builder function, parameters and batches.

mod section;

use candle_core::{DType, Tensor};
use relief_autodiff::{Graph, GraphBuilder, Layer, Layers, Linearized, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::dealt::{Away, Copies, moved_all};
use crate::objective::{Evaluation, Linearization, Objective};
use crate::{Error, Parameters, Result};

pub use section::{AffineSubspace, Section, SectionOptions, SectionPoint};

/// The tensors of one batch (inputs, then targets), and how many examples they hold.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Inputs and targets, in the order in which the model's builder function asks for them.
    pub tensors: Vec<Tensor>,
    /// Number of examples: the batch's share in the mean.
    pub examples: usize,
}

impl Batch {
    fn shapes(&self) -> Vec<Vec<usize>> {
        self.tensors.iter().map(|t| t.dims().to_vec()).collect()
    }
}

/// An objective whose derivatives come from the engine: exact, and without candle's own backward pass.
#[derive(Debug, Clone)]
pub struct GraphObjective {
    parameters: Parameters,
    constants: Arc<BTreeMap<String, Tensor>>,
    batches: Vec<Batch>,
    graphs: Vec<Arc<Graph>>,
    shapes: Vec<(Vec<Vec<usize>>, Arc<Graph>)>,
    examples: usize,
    weight_decay: f64,
    /// The point on other devices, where several share the work; batches are dealt to them.
    copies: Arc<Copies>,
}

impl GraphObjective {
    /// Builds the graph once for every shape of batch that occurs.
    ///
    /// `build` gets a builder and the values of a batch and returns (outputs, mean loss); the named tensors it asks for
    /// must be among `parameters` (differentiated) or `constants` (buffers and frozen parameters).
    pub fn new(
        parameters: Parameters,
        constants: BTreeMap<String, Tensor>,
        batches: Vec<Batch>,
        build: impl Fn(&GraphBuilder, &[Value]) -> relief_autodiff::Result<(Value, Value)>,
    ) -> Result<Self> {
        Self {
            parameters,
            constants: Arc::new(constants),
            batches: vec![],
            graphs: vec![],
            shapes: vec![],
            examples: 0,
            weight_decay: 0.0,
            copies: Arc::default(),
        }
        .with_batches(batches, build)
    }

    /// The same objective on other batches, with `build` as for [`new`](Self::new), which is asked only for shapes that have no
    /// graph yet.
    pub fn with_batches(
        &self,
        batches: Vec<Batch>,
        build: impl Fn(&GraphBuilder, &[Value]) -> relief_autodiff::Result<(Value, Value)>,
    ) -> Result<Self> {
        let examples = batches.iter().map(|b| b.examples).sum();
        if examples == 0 {
            return Err(Error::Input("the data set has no examples".into()));
        }
        let parameters = self.parameters.clone();
        let mut known = self.shapes.clone();
        let mut graphs = vec![];
        let mut converted = vec![];
        for batch in batches {
            let shapes = batch.shapes();
            let found = known.iter().find(|(s, _)| *s == shapes).map(|(_, graph)| graph.clone());
            let graph = if let Some(graph) = found {
                graph
            } else {
                let graph = Arc::new(Self::graph(&parameters, &shapes, &build)?);
                known.push((shapes, graph.clone()));
                graph
            };
            graphs.push(graph);
            converted.push(Self::convert(&batch, parameters.dtype())?);
        }
        let (constants, copies) = (self.constants.clone(), self.copies.clone());
        let (batches, shapes, weight_decay) = (converted, known, self.weight_decay);
        Ok(Self { parameters, constants, batches, graphs, shapes, examples, weight_decay, copies })
    }

    /// Adds w/2 |theta|^2 to the objective.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Shapes of batches for which there is a graph.
    pub fn graphs(&self) -> usize {
        self.shapes.len()
    }

    /// The examples of all batches together.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The engine's linearization of one batch, with everything it offers; `order` 3 allows third-order products.
    pub fn linearized(&self, at: &Parameters, batch: usize, order: usize) -> Result<Linearized> {
        Ok(self.graphs[batch].linearize_to(
            order,
            at.tensors(),
            &self.constants,
            &self.batches[batch].tensors,
        )?)
    }

    /// Loss and outputs on a batch where some constants (running statistics) have other values.
    pub fn evaluate_with(&self, at: &Parameters, constants: &Parameters, batch: usize) -> Result<Evaluation> {
        self.evaluate_among(at, &self.constants_with(constants), batch)
    }

    /// The constants, some with other values.
    fn constants_with(&self, others: &Parameters) -> BTreeMap<String, Tensor> {
        let mut all = (*self.constants).clone();
        all.extend(others.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())));
        all
    }

    fn evaluate_among(
        &self,
        at: &Parameters,
        constants: &BTreeMap<String, Tensor>,
        batch: usize,
    ) -> Result<Evaluation> {
        let found = self.graphs[batch].evaluate(at.tensors(), constants, &self.batches[batch].tensors)?;
        Ok(Evaluation { loss: found.loss, outputs: Some(found.outputs) })
    }

    /// The layers of the network: what is read off the graph of the first batch.
    pub fn layers(&self) -> Layers {
        self.graphs[0].layers()
    }

    /// The shape of one example's outputs.
    pub fn output_shape(&self) -> Vec<usize> {
        self.graphs[0].output_shape().get(1..).unwrap_or_default().to_vec()
    }

    /// The tensors of a batch.
    pub fn batch(&self, batch: usize) -> &Batch {
        &self.batches[batch]
    }

    fn graph(
        parameters: &Parameters,
        shapes: &[Vec<usize>],
        build: &impl Fn(&GraphBuilder, &[Value]) -> relief_autodiff::Result<(Value, Value)>,
    ) -> Result<Graph> {
        let builder = GraphBuilder::new();
        let inputs: Vec<Value> = shapes.iter().map(|s| builder.input(s)).collect();
        let (outputs, loss) = build(&builder, &inputs)?;
        let graph = builder.finish(&outputs, &loss, |name| {
            parameters.names().binary_search_by(|n| n.as_str().cmp(name)).is_ok()
        })?;
        let used: Vec<&str> = graph.parameter_names().collect();
        if let Some(unused) = parameters.names().iter().find(|n| !used.contains(&n.as_str())) {
            return Err(Error::Input(format!(
                "the model does not use the parameter `{unused}`: leave it out"
            )));
        }
        Ok(graph)
    }

    fn convert(batch: &Batch, dtype: DType) -> Result<Batch> {
        let tensors = batch
            .tensors
            .iter()
            .map(|t| if t.dtype().is_float() { t.to_dtype(dtype) } else { Ok(t.clone()) })
            .collect::<Result<_, _>>()?;
        Ok(Batch { tensors, examples: batch.examples })
    }
}

impl Objective for GraphObjective {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn batches(&self) -> usize {
        self.batches.len()
    }

    fn weight(&self, batch: usize) -> f64 {
        self.batches[batch].examples as f64 / self.examples as f64
    }

    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation> {
        self.evaluate_among(at, &self.constants, batch)
    }

    fn linearize(&self, at: &Parameters, batch: usize) -> Result<Box<dyn Linearization>> {
        match self.copies.of(at, batch)? {
            None => Ok(Box::new(self.linearized(at, batch, 2)?)),
            Some(there) => {
                let linearized = self.linearized(&there, batch, 2)?;
                Ok(Box::new(Away::new(linearized, there.device(), at.device())))
            }
        }
    }

    fn gradient(&self, at: &Parameters, batch: usize) -> Result<(f64, Vec<Tensor>)> {
        if let Some(there) = self.copies.of(at, batch)? {
            let (tensors, batch) = (there.tensors(), (&self.graphs[batch], &self.batches[batch]));
            let (loss, gradient) = batch.0.gradient(tensors, &self.constants, &batch.1.tensors)?;
            return Ok((loss, moved_all(&gradient, at.device())?));
        }
        Ok(self.graphs[batch].gradient(at.tensors(), &self.constants, &self.batches[batch].tensors)?)
    }

    fn third_products(
        &self,
        at: &Parameters,
        batch: usize,
        pairs: &[(Vec<Tensor>, Vec<Tensor>)],
    ) -> Result<Vec<Vec<Tensor>>> {
        let copy = self.copies.of(at, batch)?;
        let there = copy.as_ref().unwrap_or(at);
        let linearized = self.linearized(there, batch, 3)?;
        let product = |(u, v): &(Vec<Tensor>, Vec<Tensor>)| {
            let [u, v] = [u, v].map(|vector| moved_all(vector, there.device()));
            moved_all(&linearized.third_product(&u?, &v?)?, at.device())
        };
        pairs.iter().map(product).collect()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }
}

impl Linearization for Linearized {
    fn loss(&self) -> f64 {
        self.loss()
    }

    fn gradient(&self) -> Result<Vec<Tensor>> {
        Ok(self.gradient().to_vec())
    }

    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        Ok(self.hessian_products(block)?)
    }

    fn gauss_newton_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        Ok(self.gauss_newton_products(block)?)
    }

    fn outputs(&self) -> Result<Tensor> {
        Ok(self.outputs()?.clone())
    }

    fn output_gradient(&self) -> Result<Tensor> {
        Ok(self.output_gradient()?.clone())
    }

    fn jvp(&self, v: &[Tensor]) -> Result<Tensor> {
        Ok(self.jvp(v)?)
    }

    fn vjp(&self, u: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.vjp(u)?)
    }

    fn layers(&self) -> Result<Layers> {
        Ok(self.graph().layers())
    }

    fn layer_inputs(&self, layer: &Layer, examples: Range<usize>) -> Result<Vec<f64>> {
        Ok(self.layer_inputs(layer, examples)?)
    }

    fn layer_cotangents(&self, layers: &[Layer], u: &Tensor) -> Result<Vec<Vec<f64>>> {
        Ok(self.layer_cotangents(layers, u)?)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}
