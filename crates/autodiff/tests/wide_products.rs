//! Products of matrices of some size are packed in ways that depend on their shapes and on the kind of number. Sums of outer
//! products, one inner index at a time, are an independent way to the same numbers.

mod common;

use candle_core::{DType, Device, Tensor};
use common::vectors::{distance, entries, flat};
use relief_autodiff::{Graph, GraphBuilder, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows, columns and inner length: below and above the depth of a panel, with edges in every direction, large enough to be
/// shared between threads, and with few rows that meet many columns.
const SHAPES: [[usize; 3]; 7] = [
    [96, 70, 131],
    [49, 33, 300],
    [33, 129, 257],
    [200, 101, 520],
    [530, 65, 128],
    [70, 530, 123],
    [41, 603, 300],
];

/// x w' if `turned`, or x w.
fn graph([m, n, k]: [usize; 3], turned: bool) -> Result<Arc<Graph>> {
    let g = GraphBuilder::new();
    let x = g.parameter("x", &[m, k])?;
    let y = if turned {
        x.linear(&g.parameter("w", &[n, k])?, None)?
    } else {
        x.matmul(&g.parameter("w", &[k, n])?)?
    };
    // Curved, so that products need every term of the matrix product's.
    g.finish(&y, &y.scale(0.3)?.tanh()?.mean_all()?, |_| true).map(Arc::new)
}

fn random(dims: &[usize], seed: usize, dtype: DType) -> Tensor {
    let size = dims.iter().product::<usize>();
    // A low-discrepancy sequence: no two entries are alike, and no generator is needed.
    let entries = (1..=size).map(|i| 2.0 * (0.618_033_988_749_895 * (i + seed * 7919) as f64).fract() - 1.0);
    let tensor = Tensor::from_iter(entries, &Device::Cpu).and_then(|t| t.reshape(dims));
    tensor.and_then(|t| t.to_dtype(dtype)).expect("a tensor")
}

/// Outputs, gradient, Hessian and Gauss-Newton products.
fn numbers(shape: [usize; 3], turned: bool, dtype: DType) -> Vec<Vec<f64>> {
    let [m, n, k] = shape;
    let graph = graph(shape, turned).expect("a graph");
    let w = if turned { [n, k] } else { [k, n] };
    let point = [random(&w, 1, dtype), random(&[m, k], 2, dtype)];
    let v = [random(&w, 3, dtype), random(&[m, k], 4, dtype)];
    let linearized = graph.linearize(&point, &BTreeMap::new(), &[]).expect("a linearization");
    vec![
        entries(linearized.outputs().expect("outputs")),
        flat(linearized.gradient()),
        flat(&linearized.hessian_product(&v).expect("a product")),
        flat(&linearized.gauss_newton_product(&v).expect("a product")),
    ]
}

#[test]
fn outputs_are_sums_of_outer_products() {
    for shape in SHAPES {
        let [m, n, k] = shape;
        let (x, w) = (entries(&random(&[m, k], 2, DType::F64)), entries(&random(&[n, k], 1, DType::F64)));
        let mut truth = vec![0.0; m * n];
        for i in 0..k {
            for (row, sums) in truth.chunks_exact_mut(n).enumerate() {
                sums.iter_mut()
                    .enumerate()
                    .for_each(|(column, sum)| *sum += x[row * k + i] * w[column * k + i]);
            }
        }
        for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 2e-6)] {
            let distance = distance(&numbers(shape, true, dtype)[0], &truth);
            assert!(distance < tolerance, "{shape:?} in {dtype:?}: {distance:e}");
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    for (shape, turned) in SHAPES.into_iter().flat_map(|shape| [(shape, false), (shape, true)]) {
        let truth = numbers(shape, turned, DType::F64);
        for (found, wanted) in numbers(shape, turned, DType::F32).iter().zip(&truth) {
            let distance = distance(found, wanted);
            assert!(distance < 5e-6, "{shape:?}, {turned}: {distance:e}");
        }
    }
}

#[test]
fn digits_do_not_depend_on_the_number_of_threads() {
    for dtype in [DType::F32, DType::F64] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| [[200, 101, 520], [41, 603, 300]].map(|shape| numbers(shape, true, dtype)))
        };
        let one = on(1);
        assert!(one == on(2) && one == on(3));
    }
}
