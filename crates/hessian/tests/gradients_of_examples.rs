//! Fisher matrices, the covariance of gradients and the tangent kernel, against what they are made of: the gradients and
//! Jacobians of single examples.

mod common;

use candle_core::{DType, Device, Tensor};
use common::Fixture;
use relief_hessian::{
    Batch, Curvature, DEFAULT_MEMORY, GraphObjective, Linearization, Objective, OuterProducts, Parameters,
    RankOne, Result, SymmetricOperator, TangentKernel,
};

/// The first 23 examples in batches of `size`, the last of which is ragged.
fn objective(fixture: &Fixture, size: usize) -> GraphObjective {
    let count = 23;
    let batches = (0..count).step_by(size).map(|start| {
        let examples = size.min(count - start);
        let part = |t: &Tensor| t.narrow(0, start, examples).unwrap();
        Batch { tensors: vec![part(&fixture.x), part(&fixture.y)], examples }
    });
    fixture.objective_over(DType::F64, batches.collect(), false)
}

/// The gradient of every example by itself.
fn gradients(fixture: &Fixture) -> Vec<Vec<f64>> {
    let single = objective(fixture, 1);
    let at = single.parameters();
    let flat = |i: usize| {
        let mut g = vec![0.0; at.len()];
        at.flatten(&single.gradient(at, i).unwrap().1, &mut g).unwrap();
        g
    };
    (0..single.batches()).map(flat).collect()
}

fn direction(n: usize, phase: f64) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.7 + phase).sin()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(operator: &dyn SymmetricOperator, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    operator.apply(x, &mut y).unwrap();
    y
}

fn assert_close(a: &[f64], b: &[f64]) {
    let size = dot(b, b).sqrt();
    let error = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(error <= 1e-12 * size, "off by {error} of {size}");
}

#[test]
fn the_empirical_fisher_matrix_is_the_mean_of_outer_products() {
    for name in ["digits-mlp-tanh", "fashion-cnn-bn"] {
        let fixture = Fixture::new(name);
        let all = gradients(&fixture);
        let objective = objective(&fixture, 5);
        for memory in [DEFAULT_MEMORY, 0] {
            let curvature = Curvature::new(&objective, objective.parameters(), memory).unwrap();
            let fisher = OuterProducts::empirical_fisher(&curvature).unwrap();
            let x = direction(fisher.dim(), 0.3);
            let mut expected = vec![0.0; x.len()];
            for g in &all {
                let share = dot(g, &x) / all.len() as f64;
                expected.iter_mut().zip(g).for_each(|(e, g)| *e += share * g);
            }
            assert_close(&product(&fisher, &x), &expected);
            // Without the mean gradient's part it is the covariance: nothing is left in the mean of g - mean.
            let mean = curvature.gradient().to_vec();
            let covariance = RankOne { operator: &fisher, factor: -1.0, vector: mean.clone() };
            let along = dot(&mean, &x);
            expected.iter_mut().zip(&mean).for_each(|(e, g)| *e -= along * g);
            assert_close(&product(&covariance, &x), &expected);
        }
    }
}

#[test]
fn over_all_labels_the_fisher_matrix_is_gauss_newton_s() {
    let fixture = Fixture::new("digits-mlp-relu");
    let objective = objective(&fixture, 9);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    // Each label y weighted with its probability: sqrt(C p_y) (p - e_y) for all C labels.
    let slopes = |_: usize, outputs: &Tensor| -> Result<Vec<Tensor>> {
        let rows = outputs.to_vec2::<f64>()?;
        let classes = rows[0].len();
        let slope = |label: usize| {
            let entries = rows.iter().flat_map(|row| {
                let sum: f64 = row.iter().map(|z| z.exp()).sum();
                let p: Vec<f64> = row.iter().map(|z| z.exp() / sum).collect();
                let weight = (classes as f64 * p[label]).sqrt();
                let entry =
                    move |(class, p): (usize, f64)| weight * (p - f64::from(u8::from(class == label)));
                p.into_iter().enumerate().map(entry).collect::<Vec<_>>()
            });
            Ok(Tensor::from_vec(entries.collect::<Vec<f64>>(), outputs.dims(), &Device::Cpu)?)
        };
        (0..classes).map(slope).collect()
    };
    let fisher = OuterProducts::new(&curvature, slopes).unwrap();
    let x = direction(fisher.dim(), 1.1);
    assert_close(&product(&fisher, &x), &product(&curvature.gauss_newton(), &x));
    assert!(
        OuterProducts::new(&curvature, |_, _| Ok(vec![])).err().unwrap().to_string().contains("at least one")
    );
    let flat = |_: usize, outputs: &Tensor| Ok(vec![outputs.flatten_all()?]);
    assert!(OuterProducts::new(&curvature, flat).err().unwrap().to_string().contains("shape"));
}

#[test]
fn the_tangent_kernel_is_the_jacobian_times_its_transpose() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let objective = objective(&fixture, 8);
    let at = objective.parameters();
    let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
    let kernel = TangentKernel::new(&curvature).unwrap();
    assert_eq!((kernel.dim(), kernel.examples()), (230, 23));
    let units = |i: usize| {
        let mut unit = vec![0.0; 230];
        unit[i] = 1.0;
        unit
    };
    // Row i of the Jacobian, from the one batch that the row belongs to.
    let row = |i: usize| -> Vec<f64> {
        let batch = i / 80;
        let linearized = objective.linearized(at, batch, 2).unwrap();
        let outputs = linearized.outputs().unwrap().elem_count();
        let mut u = vec![0.0; outputs];
        u[i - 80 * batch] = 1.0;
        let u = Tensor::from_vec(u, (outputs / 10, 10), &Device::Cpu).unwrap();
        let mut flat = vec![0.0; at.len()];
        at.flatten(&Linearization::vjp(&linearized, &u).unwrap(), &mut flat).unwrap();
        flat
    };
    let rows: Vec<Vec<f64>> = (0..230).map(row).collect();
    for i in [0, 79, 80, 229] {
        let expected: Vec<f64> = rows.iter().map(|r| dot(r, &rows[i]) / 23.0).collect();
        assert_close(&product(&kernel, &units(i)), &expected);
    }
}

#[test]
fn an_objective_without_outputs_says_so() {
    struct Opaque(Parameters);
    struct Point;
    impl Linearization for Point {
        fn loss(&self) -> f64 {
            0.0
        }
        fn gradient(&self) -> Result<Vec<Tensor>> {
            Ok(vec![Tensor::zeros(2, DType::F64, &Device::Cpu)?])
        }
        fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
            Ok(block.to_vec())
        }
        fn bytes(&self) -> usize {
            0
        }
    }
    impl Objective for Opaque {
        fn parameters(&self) -> &Parameters {
            &self.0
        }
        fn batches(&self) -> usize {
            1
        }
        fn weight(&self, _: usize) -> f64 {
            1.0
        }
        fn evaluate(&self, _: &Parameters, _: usize) -> Result<relief_hessian::Evaluation> {
            Ok(relief_hessian::Evaluation { loss: 0.0, outputs: None })
        }
        fn linearize(&self, _: &Parameters, _: usize) -> Result<Box<dyn Linearization>> {
            Ok(Box::new(Point))
        }
    }
    let tensor = Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap();
    let opaque = Opaque(Parameters::new([("w".to_string(), tensor)]).unwrap());
    let curvature = Curvature::new(&opaque, opaque.parameters(), DEFAULT_MEMORY).unwrap();
    for problem in [OuterProducts::empirical_fisher(&curvature).err(), TangentKernel::new(&curvature).err()] {
        assert!(problem.unwrap().to_string().contains("does not tell outputs from loss"));
    }
}
