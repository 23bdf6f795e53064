//! One operation inside a small differentiable loss, with numbers that depend on its name alone.

use candle_core::{DType, Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_autodiff::{Direction, Graph, GraphBuilder, Linearized, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which numbers a tensor of a batch holds.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    /// Standard normal.
    Normal,
    /// Uniform between 1/2 and 3/2.
    Positive,
    /// Uniform between 0 and 1.
    Unit,
    /// Shuffled multiples of this gap around 0: no two are close, so that no difference crosses a kink.
    Apart(f64),
    /// Integers below the given one.
    Below(u32),
    /// These integers.
    Indices(Vec<u32>),
}

/// What a case's model and loss are built from.
pub(crate) struct Terms<'a> {
    pub(crate) builder: GraphBuilder,
    parameters: &'a [(&'static str, Vec<usize>)],
    inputs: Vec<Value>,
}

impl Terms<'_> {
    /// The parameter of this name.
    pub(crate) fn p(&self, name: &str) -> Result<Value> {
        let shape = self.parameters.iter().find(|(known, _)| *known == name).map(|(_, shape)| shape);
        self.builder.parameter(name, shape.expect("the case declares its parameters"))
    }

    /// A tensor of the batch.
    pub(crate) fn x(&self, position: usize) -> &Value {
        &self.inputs[position]
    }
}

type Model = Box<dyn Fn(&Terms) -> Result<Value>>;
type Loss = Box<dyn Fn(&Terms, &Value) -> Result<Value>>;

/// An operation inside a small differentiable loss.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) parameters: Vec<(&'static str, Vec<usize>)>,
    inputs: Vec<(Numbers, Vec<usize>)>,
    model: Model,
    /// The loss of the outputs; without one, [`weighted`].
    loss: Option<Loss>,
    /// Where parameters lie, and so where everything is computed.
    device: Device,
}

/// A convex function of the outputs with a full Hessian and a third derivative:
/// `sum_i w_i softplus(y_i) + (sum_i (w_i - 1) y_i)^2 / 2`.
fn weighted(outputs: &Value, weights: &Value) -> Result<Value> {
    let separate = outputs.softplus()?.mul(weights)?.sum_all()?;
    let joint = outputs.mul(&weights.affine(1.0, -1.0)?)?.sum_all()?;
    separate.add(&joint.sqr()?.scale(0.5)?)
}

impl Case {
    /// `model` of parameters with these names and shapes, without other tensors.
    pub(crate) fn new(
        name: impl Into<String>,
        parameters: &[(&'static str, &[usize])],
        model: impl Fn(&Terms) -> Result<Value> + 'static,
    ) -> Self {
        let parameters = parameters.iter().map(|(name, shape)| (*name, shape.to_vec())).collect();
        let (name, device) = (name.into(), Device::Cpu);
        Self { name, parameters, inputs: vec![], model: Box::new(model), loss: None, device }
    }

    /// The same case with its parameters on another device.
    pub(crate) fn on(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// Adds a tensor to the batch.
    pub(crate) fn with(mut self, numbers: Numbers, shape: &[usize]) -> Self {
        self.inputs.push((numbers, shape.to_vec()));
        self
    }

    /// Replaces the loss.
    pub(crate) fn loss(mut self, loss: impl Fn(&Terms, &Value) -> Result<Value> + 'static) -> Self {
        self.loss = Some(Box::new(loss));
        self
    }

    /// The graph with derivatives in the parameters that `trainable` accepts.
    pub(crate) fn graph(&self, trainable: impl Fn(&str) -> bool) -> Arc<Graph> {
        let terms = self.terms();
        let outputs = (self.model)(&terms).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        self.finish(&terms, &outputs, trainable)
    }

    /// The loss alone, as a function of one parameter `outputs`.
    pub(crate) fn head(&self, output_shape: &[usize]) -> Arc<Graph> {
        let terms = self.terms();
        let outputs = terms.builder.parameter("outputs", output_shape).expect("a new name");
        self.finish(&terms, &outputs, |_| true)
    }

    /// The scalar product of the outputs with a parameter `mixed`, so that their axes keep no order of their own.
    pub(crate) fn mixed(&self) -> (GraphBuilder, Value) {
        let terms = self.terms();
        let outputs = (self.model)(&terms).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let mixed = terms.builder.parameter("mixed", outputs.dims()).expect("a new name");
        let product = outputs.mul(&mixed).and_then(|product| product.sum_all());
        (terms.builder, product.unwrap_or_else(|e| panic!("{}: {e}", self.name)))
    }

    fn terms(&self) -> Terms<'_> {
        let builder = GraphBuilder::new();
        let inputs = self.inputs.iter().map(|(_, shape)| builder.input(shape)).collect();
        Terms { builder, parameters: &self.parameters, inputs }
    }

    fn finish(&self, terms: &Terms, outputs: &Value, trainable: impl Fn(&str) -> bool) -> Arc<Graph> {
        let loss = match &self.loss {
            Some(loss) => loss(terms, outputs),
            None => weighted(outputs, &terms.builder.input(outputs.dims())),
        };
        let graph = loss.and_then(|loss| terms.builder.finish(outputs, &loss, trainable));
        Arc::new(graph.unwrap_or_else(|e| panic!("{}: {e}", self.name)))
    }

    /// The batch: the case's tensors, then the weights of its loss where it has none of its own.
    pub(crate) fn batch(&self, graph: &Graph) -> Vec<Tensor> {
        let mut rng = self.rng("batch");
        let mut batch = self.drawn(&mut rng);
        if self.loss.is_none() {
            batch.push(Numbers::Positive.draw(&mut rng, graph.output_shape()));
        }
        batch
    }

    /// The case's tensors without the weights of its loss.
    pub(crate) fn inputs(&self) -> Vec<Tensor> {
        self.drawn(&mut self.rng("batch"))
    }

    fn drawn(&self, rng: &mut ChaCha8Rng) -> Vec<Tensor> {
        self.inputs.iter().map(|(numbers, shape)| numbers.draw(rng, shape)).collect()
    }

    /// The named parameter's values.
    pub(crate) fn parameter(&self, name: &str) -> Tensor {
        let (_, shape) = self.parameters.iter().find(|(known, _)| *known == name).expect("declared");
        Numbers::Normal.draw(&mut self.rng(name), shape)
    }

    /// The point at which a graph of this case is differentiated.
    pub(crate) fn point(&self, graph: &Graph) -> Direction {
        graph.parameter_names().map(|name| self.parameter(name)).collect()
    }

    /// A direction whose entry for a parameter depends on `label` and the parameter's name only.
    pub(crate) fn direction(&self, graph: &Graph, label: &str) -> Direction {
        let draw = |(i, name): (usize, &str)| {
            Numbers::Normal.draw(&mut self.rng(&format!("{label} {name}")), graph.parameter_shape(i))
        };
        graph.parameter_names().enumerate().map(draw).collect()
    }

    /// The case at its point, with all parameters trainable and third derivatives.
    pub(crate) fn linearized(&self) -> Linearized {
        let graph = self.graph(|_| true);
        self.at(&graph, &self.point(&graph))
    }

    /// The case at another point.
    pub(crate) fn at(&self, graph: &Arc<Graph>, point: &[Tensor]) -> Linearized {
        graph
            .linearize_to(3, &self.placed(point), &self.frozen(graph), &self.batch(graph))
            .unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// The loss at another point.
    pub(crate) fn value(&self, graph: &Arc<Graph>, point: &[Tensor]) -> f64 {
        graph
            .evaluate(&self.placed(point), &self.frozen(graph), &self.batch(graph))
            .unwrap_or_else(|e| panic!("{}: {e}", self.name))
            .loss
    }

    /// Tensors on the case's device; those of batches and directions come by themselves.
    pub(crate) fn placed(&self, tensors: &[Tensor]) -> Vec<Tensor> {
        tensors.iter().map(|t| t.to_device(&self.device).expect("room on the device")).collect()
    }

    /// The parameters that are not trainable in `graph`.
    pub(crate) fn frozen(&self, graph: &Graph) -> BTreeMap<String, Tensor> {
        let frozen = self.parameters.iter().filter(|(name, _)| !graph.parameter_names().any(|n| n == *name));
        frozen.map(|(name, _)| ((*name).to_owned(), self.parameter(name))).collect()
    }

    /// Numbers that depend on the case's name and a label, so that a new case leaves the others as they are.
    fn rng(&self, label: &str) -> ChaCha8Rng {
        // FNV-1a.
        let text = format!("{} {label}", self.name);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        ChaCha8Rng::seed_from_u64(hash)
    }
}

impl Numbers {
    fn draw(&self, rng: &mut ChaCha8Rng, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let floats = |values: Vec<f64>| Tensor::from_vec(values, shape, &Device::Cpu).expect("shaped");
        let integers = |values: Vec<u32>| Tensor::from_vec(values, shape, &Device::Cpu).expect("shaped");
        match self {
            Self::Normal => floats((0..count).map(|_| rng.sample(StandardNormal)).collect()),
            Self::Positive => floats((0..count).map(|_| rng.random_range(0.5..1.5)).collect()),
            Self::Unit => floats((0..count).map(|_| rng.random_range(0.0..1.0)).collect()),
            Self::Apart(gap) => {
                let mut values: Vec<_> = (0..count).map(|i| (i as f64 - count as f64 / 2.0) * gap).collect();
                values.shuffle(rng);
                floats(values)
            }
            Self::Below(limit) => integers((0..count).map(|_| rng.random_range(0..*limit)).collect()),
            Self::Indices(indices) => integers(indices.clone()),
        }
    }
}

/// The same tensors in single precision.
pub(crate) fn single(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(|t| t.to_dtype(DType::F32).expect("a float tensor")).collect()
}
