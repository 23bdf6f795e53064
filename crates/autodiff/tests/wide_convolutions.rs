//! Wide 3x3 convolutions are computed by tiles in a transformed domain. Channel by channel they are too narrow for that, so
//! the sum over channels is an independent way to the same numbers.

mod common;

use candle_core::{DType, Device, Tensor};
use common::vectors::{entries, flat};
use relief_autodiff::{ConvolutionOptions, Graph, GraphBuilder, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sizes that reach tiles over the edge, runs of channels that fill no register, several blocks of tiles, and one block whose
/// output channels are shared out.
const SHAPES: [([usize; 4], usize, [usize; 2]); 8] = [
    ([4, 8, 8, 8], 8, [1, 1]),
    ([3, 9, 11, 14], 13, [1, 1]),
    ([5, 16, 10, 9], 8, [0, 0]),
    ([5, 8, 9, 10], 20, [2, 2]),
    ([2, 11, 16, 13], 8, [0, 2]),
    ([1, 24, 40, 36], 17, [1, 1]),
    ([24, 40, 12, 12], 33, [1, 1]),
    ([4, 33, 12, 10], 70, [1, 1]),
];

fn graph(x: [usize; 4], w: [usize; 4], padding: [usize; 2], by_channel: bool) -> Result<Arc<Graph>> {
    let g = GraphBuilder::new();
    let (image, weight) = (g.parameter("x", &x)?, g.parameter("w", &w)?);
    let options = ConvolutionOptions { padding, ..Default::default() };
    let y = if by_channel {
        let parts = (0..x[1])
            .map(|c| image.narrow(1, c, 1)?.conv2d(&weight.narrow(1, c, 1)?, None, options))
            .collect::<Result<Vec<Value>>>()?;
        parts.iter().skip(1).try_fold(parts[0].clone(), |sum, part| sum.add(part))?
    } else {
        image.conv2d(&weight, None, options)?
    };
    // Curved, so that products need every term of the convolution's.
    g.finish(&y, &y.scale(0.3)?.tanh()?.mean_all()?, |_| true).map(Arc::new)
}

/// Outputs, gradient, Hessian and Gauss-Newton products of a convolution of random numbers.
fn numbers(shape: ([usize; 4], usize, [usize; 2]), by_channel: bool, dtype: DType) -> Vec<Vec<f64>> {
    let (x, channels, padding) = shape;
    let w = [channels, x[1], 3, 3];
    let graph = graph(x, w, padding, by_channel).expect("a graph");
    let random = |dims: &[usize], seed: usize| {
        let size = dims.iter().product::<usize>();
        // A low-discrepancy sequence: no two entries are alike, and no generator is needed.
        let entries =
            (1..=size).map(|i| 2.0 * (0.618_033_988_749_895 * (i + seed * 7919) as f64).fract() - 1.0);
        let tensor = Tensor::from_iter(entries, &Device::Cpu).and_then(|t| t.reshape(dims));
        tensor.and_then(|t| t.to_dtype(dtype)).expect("a tensor")
    };
    let point = [random(&w, 1), random(&x, 2)];
    let v = [random(&w, 3), random(&x, 4)];
    let linearized = graph.linearize(&point, &BTreeMap::new(), &[]).expect("a linearization");
    vec![
        entries(linearized.outputs().expect("outputs")),
        flat(linearized.gradient()),
        flat(&linearized.hessian_product(&v).expect("a product")),
        flat(&linearized.gauss_newton_product(&v).expect("a product")),
    ]
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn they_agree_with_the_sum_over_channels() {
    for shape in SHAPES {
        let truth = numbers(shape, true, DType::F64);
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 5e-6)] {
            for (found, wanted) in numbers(shape, false, dtype).iter().zip(&truth) {
                let distance = distance(found, wanted);
                assert!(distance < tolerance, "{shape:?} in {dtype:?}: {distance:e}");
            }
        }
    }
}

#[test]
fn their_maps_are_each_others_adjoints() {
    // (H v)'u = (H u)'v holds to rounding only if the three maps are.
    for shape in SHAPES {
        let (x, channels, padding) = shape;
        let graph = graph(x, [channels, x[1], 3, 3], padding, false).expect("a graph");
        let tensor = |dims: &[usize], period: usize| {
            let entries =
                (0..dims.iter().product::<usize>()).map(|i| ((i * i + period) % 17) as f64 / 8.0 - 1.0);
            Tensor::from_iter(entries, &Device::Cpu).and_then(|t| t.reshape(dims)).expect("a tensor")
        };
        let at = |period| [tensor(&[channels, x[1], 3, 3], period), tensor(&x, period + 1)];
        let linearized = graph.linearize(&at(1), &BTreeMap::new(), &[]).expect("a linearization");
        let product = |v: &[Tensor]| flat(&linearized.hessian_product(v).expect("a product"));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (u, v) = (at(5), at(11));
        let (left, right) = (dot(&product(&v), &flat(&u)), dot(&product(&u), &flat(&v)));
        let size = dot(&product(&v), &product(&v)).sqrt() * dot(&flat(&u), &flat(&u)).sqrt();
        assert!((left - right).abs() < 1e-13 * size, "{shape:?}: {left} and {right}");
    }
}
