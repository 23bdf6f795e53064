//! Measures of sharpness against closed forms, explicit matrices and the identities they obey.

mod invariance;
mod mini_batches;
mod perturbations;
mod pytorch;
mod quadratic;
mod refusals;

use candle_core::{Device, Tensor};
use relief_hessian::{Evaluation, Linearization, Objective, Parameters, Result};
use relief_sharpness::measures::{Measure, Uncertainty};

/// c + b'w + w'Aw / 2 on a flat vector.
struct Quadratic {
    at: Parameters,
    matrix: Vec<Vec<f64>>,
    slope: Vec<f64>,
    constant: f64,
}

impl Quadratic {
    fn new(matrix: Vec<Vec<f64>>, slope: &[f64], constant: f64, at: &[f64]) -> Self {
        let tensor = Tensor::new(at, &Device::Cpu).unwrap();
        let at = Parameters::new([("weight".to_string(), tensor)]).unwrap();
        Self { at, matrix, slope: slope.to_vec(), constant }
    }

    fn diagonal(diagonal: &[f64], slope: &[f64], constant: f64, at: &[f64]) -> Self {
        let n = diagonal.len();
        let row = |i: usize| (0..n).map(|j| if i == j { diagonal[i] } else { 0.0 }).collect();
        Self::new((0..n).map(row).collect(), slope, constant, at)
    }

    fn product(&self, x: &[f64]) -> Vec<f64> {
        self.matrix.iter().map(|row| dot(row, x)).collect()
    }

    fn gradient_at(&self, x: &[f64]) -> Vec<f64> {
        self.product(x).iter().zip(&self.slope).map(|(a, b)| a + b).collect()
    }

    fn loss_at(&self, x: &[f64]) -> f64 {
        self.constant + dot(&self.slope, x) + 0.5 * dot(&self.product(x), x)
    }
}

struct Linearized {
    matrix: Vec<Vec<f64>>,
    loss: f64,
    gradient: Vec<f64>,
}

impl Objective for Quadratic {
    fn parameters(&self) -> &Parameters {
        &self.at
    }

    fn batches(&self) -> usize {
        1
    }

    fn weight(&self, _: usize) -> f64 {
        1.0
    }

    fn evaluate(&self, at: &Parameters, _: usize) -> Result<Evaluation> {
        Ok(Evaluation { loss: self.loss_at(&at.to_vec()?), outputs: None })
    }

    fn linearize(&self, at: &Parameters, _: usize) -> Result<Box<dyn Linearization>> {
        let x = at.to_vec()?;
        let (loss, gradient) = (self.loss_at(&x), self.gradient_at(&x));
        Ok(Box::new(Linearized { matrix: self.matrix.clone(), loss, gradient }))
    }
}

impl Linearization for Linearized {
    fn loss(&self) -> f64 {
        self.loss
    }

    fn gradient(&self) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::new(self.gradient.as_slice(), &Device::Cpu)?])
    }

    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        block
            .iter()
            .map(|x| {
                let x = x[0].to_vec1::<f64>()?;
                let y: Vec<f64> = self.matrix.iter().map(|row| dot(row, &x)).collect();
                Ok(vec![Tensor::new(y, &Device::Cpu)?])
            })
            .collect()
    }

    fn bytes(&self) -> usize {
        0
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64) {
    let error = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    assert!(error <= relative, "found {found}, expected {expected}: relative error {error:e}");
}

/// The size of a measure's error.
fn error_of(measure: &Measure) -> f64 {
    match measure.uncertainty {
        Uncertainty::Bound { size } | Uncertainty::StandardError { size } => size,
        Uncertainty::Exact => 1e-12 * measure.value.abs(),
        Uncertainty::LowerBound => f64::INFINITY,
    }
}
