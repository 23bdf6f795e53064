//! Sums whose derivatives are written down, and a small network on the digits.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Control, Evaluation, FiniteSum, Linearization, Objective, Parameters, Result};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Minibatches, TaskOptions};
use relief_training::{Training, TrainingState};

type Value = dyn Fn(&[f64], u32) -> f64 + Send + Sync;
type Gradient = dyn Fn(&[f64], u32) -> Vec<f64> + Send + Sync;
type Product = dyn Fn(&[f64], u32, &[f64]) -> Vec<f64> + Send + Sync;

/// A function of the point for every example, with gradient and Hessian product.
#[derive(Clone)]
pub(crate) struct Analytic {
    pub(crate) parameters: Parameters,
    pub(crate) examples: usize,
    pub(crate) value: Arc<Value>,
    pub(crate) gradient: Arc<Gradient>,
    pub(crate) product: Arc<Product>,
}

/// Tensors `a`, `b`, ... of one axis each.
pub(crate) fn point(tensors: &[&[f64]]) -> Parameters {
    let named = tensors.iter().zip('a'..).map(|(entries, name)| {
        (name.to_string(), Tensor::from_slice(entries, entries.len(), &Device::Cpu).unwrap())
    });
    Parameters::new(named).unwrap()
}

impl Analytic {
    /// The mean over examples i of half the squared distance to i/10 in every coordinate, times its curvature.
    pub(crate) fn quadratic(curvatures: &[f64], examples: usize, start: &[f64]) -> Self {
        let (a, b, c) = (curvatures.to_vec(), curvatures.to_vec(), curvatures.to_vec());
        let centre = |i: u32| f64::from(i) / 10.0;
        Self {
            parameters: point(&[start]),
            examples,
            value: Arc::new(move |w, i| {
                a.iter().zip(w).map(|(a, w)| 0.5 * a * (w - centre(i)).powi(2)).sum()
            }),
            gradient: Arc::new(move |w, i| b.iter().zip(w).map(|(a, w)| a * (w - centre(i))).collect()),
            product: Arc::new(move |_, _, v| c.iter().zip(v).map(|(a, v)| a * v).collect()),
        }
    }
}

struct Chosen {
    sum: Analytic,
    examples: Vec<u32>,
}

struct Linearized {
    sum: Analytic,
    examples: Vec<u32>,
    at: Parameters,
}

fn mean(examples: &[u32], one: impl Fn(u32) -> Vec<f64>) -> Vec<f64> {
    let mut sum = one(examples[0]);
    for &i in &examples[1..] {
        sum.iter_mut().zip(one(i)).for_each(|(s, x)| *s += x);
    }
    sum.iter().map(|s| s / examples.len() as f64).collect()
}

impl FiniteSum for Analytic {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn examples(&self) -> usize {
        self.examples
    }

    fn over(&self, examples: &[u32]) -> Result<Box<dyn Objective>> {
        Ok(Box::new(Chosen { sum: self.clone(), examples: examples.to_vec() }))
    }
}

impl Objective for Chosen {
    fn parameters(&self) -> &Parameters {
        &self.sum.parameters
    }

    fn batches(&self) -> usize {
        1
    }

    fn weight(&self, _: usize) -> f64 {
        1.0
    }

    fn evaluate(&self, at: &Parameters, _: usize) -> Result<Evaluation> {
        let at = at.to_vec()?;
        let loss = mean(&self.examples, |i| vec![(self.sum.value)(&at, i)])[0];
        Ok(Evaluation { loss, outputs: None })
    }

    fn linearize(&self, at: &Parameters, _: usize) -> Result<Box<dyn Linearization>> {
        Ok(Box::new(Linearized { sum: self.sum.clone(), examples: self.examples.clone(), at: at.clone() }))
    }
}

impl Linearization for Linearized {
    fn loss(&self) -> f64 {
        let at = self.at.to_vec().unwrap();
        mean(&self.examples, |i| vec![(self.sum.value)(&at, i)])[0]
    }

    fn gradient(&self) -> Result<Vec<Tensor>> {
        let at = self.at.to_vec()?;
        self.at.unflatten(&mean(&self.examples, |i| (self.sum.gradient)(&at, i)))
    }

    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        let at = self.at.to_vec()?;
        let one = |tensors: &Vec<Tensor>| {
            let mut v = vec![0.0; at.len()];
            self.at.flatten(tensors, &mut v)?;
            self.at.unflatten(&mean(&self.examples, |i| (self.sum.product)(&at, i, &v)))
        };
        block.iter().map(one).collect()
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// A perceptron 64-6-10 on the digits, in f64.
pub(crate) fn digits(activation: &str) -> Minibatches {
    let data = Dataset::load("digits", &DataOptions { dtype: DType::F64, ..Default::default() }).unwrap();
    let model = Architecture::parse(&format!("mlp:widths=64-6-10,activation={activation}")).unwrap();
    let start = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    let options = TaskOptions { dtype: DType::F64, ..Default::default() };
    Minibatches::new(&model, &start, &data, &options).unwrap()
}

/// All steps.
pub(crate) fn trained(training: &Training, sum: &dyn FiniteSum) -> TrainingState {
    let mut state = TrainingState::new(sum.parameters()).unwrap();
    training.run(sum, &mut state, &mut |_, _| Control::Continue).unwrap();
    state
}

/// What a rule follows at the start: what a step of gradient descent with eta 1 takes off the point.
pub(crate) fn followed(training: &Training, sum: &dyn FiniteSum) -> Vec<f64> {
    let one = Training { eta: 1.0, steps: 1, ..training.clone() };
    let end = trained(&one, sum).point;
    sum.parameters().to_vec().unwrap().iter().zip(&end).map(|(a, b)| a - b).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[track_caller]
pub(crate) fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (nth, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "entry {nth} is {a}, but {b} was expected: {found:?} against {expected:?}"
        );
    }
}
