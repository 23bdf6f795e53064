//! What a probe measures, against closed forms, enumeration and explicit matrices.

mod alignment;
mod edges;
mod kernel_norm;
mod noise;
mod phantom;
mod point;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Outcome, SymmetricOperator};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};

fn options(loss: Loss) -> TaskOptions {
    TaskOptions { loss: Some(loss), dtype: DType::F64, ..TaskOptions::default() }
}

/// The first examples of the embedded digits and a perceptron at its start.
fn digits(model: &str, examples: usize, options: &TaskOptions) -> Minibatches {
    let limited = DataOptions { dtype: DType::F64, limit: Some(examples), ..DataOptions::default() };
    let data = Dataset::load("digits", &limited).unwrap();
    let model = Architecture::parse(model).unwrap();
    let tensors = model.random_parameters(data.example_shape(), 3, DType::F64).unwrap();
    Minibatches::new(&model, &tensors, &data, options).unwrap()
}

/// Reproducible numbers between -1 and 1.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + seed * 101 + i * i * 11) % 97) as f64 / 48.0 - 1.0).collect()
}

/// Linear regression of one output on two inputs and a constant: the examples' rows (x, 1), their targets, and the sum with its
/// parameters (weights, constant), in the order in which the sum has them: bias, then weights.
struct Regression {
    rows: Vec<[f64; 3]>,
    targets: Vec<f64>,
    theta: [f64; 3],
    sum: Minibatches,
}

impl Regression {
    fn new(examples: usize, weight_decay: f64) -> Self {
        let inputs = numbers(2 * examples, 5);
        let targets = numbers(examples, 8);
        let theta = [0.3, -0.7, 1.1];
        let x = Tensor::from_vec(inputs.clone(), (examples, 2), &Device::Cpu).unwrap();
        let y = Tensor::from_vec(targets.clone(), examples, &Device::Cpu).unwrap();
        let data = Dataset::from_tensors("regression", x, Targets::Real(y)).unwrap();
        let tensors: BTreeMap<String, Tensor> = [
            ("0.bias", Tensor::new(&theta[..1], &Device::Cpu).unwrap()),
            ("0.weight", Tensor::new(&[[theta[1], theta[2]]], &Device::Cpu).unwrap()),
        ]
        .map(|(name, tensor)| (name.to_string(), tensor))
        .into();
        let model = Architecture::parse("mlp:widths=2-1").unwrap();
        let options = TaskOptions { weight_decay, ..options(Loss::HalfSquaredError) };
        let sum = Minibatches::new(&model, &tensors, &data, &options).unwrap();
        let rows = inputs.chunks_exact(2).map(|x| [1.0, x[0], x[1]]).collect();
        Self { rows, targets, theta, sum }
    }

    /// Gradient and Hessian of the mean of (f - y)^2 / 2 over some examples, by hand.
    fn derivatives(&self, chosen: &[usize]) -> ([f64; 3], [[f64; 3]; 3]) {
        let (mut g, mut h) = ([0.0; 3], [[0.0; 3]; 3]);
        for &i in chosen {
            let row = self.rows[i];
            let residual = (0..3).map(|a| row[a] * self.theta[a]).sum::<f64>() - self.targets[i];
            for a in 0..3 {
                g[a] += row[a] * residual / chosen.len() as f64;
                for b in 0..3 {
                    h[a][b] += row[a] * row[b] / chosen.len() as f64;
                }
            }
        }
        (g, h)
    }
}

fn form(h: &[[f64; 3]; 3], g: &[f64; 3]) -> f64 {
    (0..3).map(|a| (0..3).map(|b| g[a] * h[a][b] * g[b]).sum::<f64>()).sum()
}

fn square(g: &[f64; 3]) -> f64 {
    g.iter().map(|x| x * x).sum()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn product(operator: &dyn SymmetricOperator, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    operator.apply(x, &mut y).unwrap();
    y
}

fn done<T, S>(outcome: Outcome<T, S>) -> T {
    match outcome {
        Outcome::Done(result) => result,
        Outcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * expected.abs().max(1e-300),
        "found {found}, expected {expected}: off by {error:e}"
    );
}
