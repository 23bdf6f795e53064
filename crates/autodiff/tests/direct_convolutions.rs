//! Convolutions against the definition's sum, entry by entry; and evaluations, in which a convolution hands over its outputs
//! piece by piece, against the operations one after the other.

mod common;

use candle_core::{DType, Device, Tensor};
use common::vectors::entries;
use relief_autodiff::{ConvolutionOptions, Graph, GraphBuilder, Result, Value};
use std::collections::BTreeMap;

/// Image [n, c, h, w], output channels, kernel, stride, padding, dilation: no size is a multiple of registers or blocks, but
/// in the first.
type Shape = ([usize; 4], usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2]);
const SHAPES: [Shape; 10] = [
    ([2, 16, 12, 12], 32, [3, 3], [2, 2], [1, 1], [1, 1]),
    ([3, 3, 17, 19], 16, [3, 3], [1, 1], [1, 1], [1, 1]),
    ([2, 5, 9, 14], 23, [3, 3], [2, 2], [1, 1], [1, 1]),
    ([1, 1, 7, 5], 1, [7, 5], [1, 1], [0, 0], [1, 1]),
    ([2, 7, 11, 6], 9, [5, 3], [3, 1], [2, 3], [1, 1]),
    ([1, 3, 10, 13], 4, [3, 5], [1, 2], [4, 6], [3, 1]),
    ([2, 4, 8, 9], 6, [1, 1], [2, 2], [0, 0], [1, 1]),
    ([1, 6, 9, 9], 5, [3, 3], [1, 1], [2, 2], [2, 2]),
    ([1, 2, 90, 70], 33, [2, 3], [1, 1], [1, 0], [1, 1]),
    ([1, 3, 4, 3], 3, [2, 2], [5, 5], [3, 3], [1, 1]),
];

fn options(shape: &Shape) -> ConvolutionOptions {
    ConvolutionOptions { stride: shape.3, padding: shape.4, dilation: shape.5, ..Default::default() }
}

/// A low-discrepancy sequence in -1..1: no two entries are alike, and no generator is needed.
fn spread(dims: &[usize], seed: usize) -> Vec<f64> {
    let size = dims.iter().product::<usize>();
    (1..=size).map(|i| 2.0 * (0.618_033_988_749_895 * (i + seed * 7919) as f64).fract() - 1.0).collect()
}

fn tensor(entries: &[f64], dims: &[usize], dtype: DType) -> Tensor {
    let tensor = Tensor::from_slice(entries, dims, &Device::Cpu);
    tensor.and_then(|t| t.to_dtype(dtype)).expect("a tensor")
}

/// The definition.
fn explicit(shape: &Shape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let ([n, c, height, width], to, kernel, stride, padding, dilation) = *shape;
    let size =
        |i: usize, side: usize| (side + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
    let mut out = vec![];
    for image in 0..n {
        for o in 0..to {
            for row in 0..size(0, height) {
                for column in 0..size(1, width) {
                    let mut sum = 0.0;
                    for from in 0..c {
                        for ky in 0..kernel[0] {
                            for kx in 0..kernel[1] {
                                let y = (row * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
                                let z = (column * stride[1] + kx * dilation[1]).wrapping_sub(padding[1]);
                                if y < height && z < width {
                                    let weight = w[((o * c + from) * kernel[0] + ky) * kernel[1] + kx];
                                    sum += x[((image * c + from) * height + y) * width + z] * weight;
                                }
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
    }
    out
}

fn graph(build: impl Fn(&GraphBuilder) -> Result<Value>) -> Graph {
    let g = GraphBuilder::new();
    let y = build(&g).expect("a value");
    let loss = y.sqr().and_then(|y| y.mean_all()).expect("a loss");
    g.finish(&y, &loss, |_| true).expect("a graph")
}

#[test]
fn outputs_are_the_definitions_sums() {
    for shape in SHAPES {
        let ([n, c, h, w], to, kernel, ..) = shape;
        let (xs, ws) = ([n, c, h, w], [to, c, kernel[0], kernel[1]]);
        let graph = graph(|g| g.parameter("x", &xs)?.conv2d(&g.parameter("w", &ws)?, None, options(&shape)));
        let (x, w) = (spread(&xs, 1), spread(&ws, 2));
        let wanted = explicit(&shape, &x, &w);
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 3e-6)] {
            // Parameters are sorted by name: w, x.
            let point = [tensor(&w, &ws, dtype), tensor(&x, &xs, dtype)];
            let found = graph.evaluate(&point, &BTreeMap::new(), &[]).expect("an evaluation");
            let norm = wanted.iter().map(|a| a * a).sum::<f64>().sqrt();
            let gap =
                entries(&found.outputs).iter().zip(&wanted).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            assert!(gap.sqrt() < tolerance * norm, "{shape:?} in {dtype:?}: {:e}", gap.sqrt() / norm);
        }
    }
}

#[test]
fn pieces_give_the_digits_of_whole_operations() {
    // By tiles in one share and in several, directly, and from unfolded rows.
    let wide = [([3, 9, 13, 10], 17, 1), ([2, 33, 16, 17], 70, 1), ([5, 64, 8, 8], 64, 1)];
    let others = [([3, 3, 17, 19], 16, 2), ([2, 6, 9, 9], 5, 3)];
    for (x, to, kind) in wide.into_iter().chain(others) {
        let w = [to, x[1], 3, 3];
        let stride = [if kind == 2 { 2 } else { 1 }; 2];
        let dilation = [if kind == 3 { 2 } else { 1 }; 2];
        let options = ConvolutionOptions { stride, dilation, padding: [1, 1], ..Default::default() };
        let graph = graph(|g| {
            let y = g.parameter("x", &x)?.conv2d(&g.parameter("w", &w)?, None, options)?;
            let small = |name: &str| g.parameter(name, &[to])?.reshape(&[1, to, 1, 1]);
            let y = y.mul(&small("scale")?)?.add(&small("shift")?)?;
            y.add(&g.parameter("residual", y.dims())?)?.relu()
        });
        let graph = std::sync::Arc::new(graph);
        for dtype in [DType::F32, DType::F64] {
            let point: Vec<Tensor> = (0..graph.parameter_names().count())
                .map(|i| tensor(&spread(graph.parameter_shape(i), i), graph.parameter_shape(i), dtype))
                .collect();
            let pieces = graph.evaluate(&point, &BTreeMap::new(), &[]).expect("an evaluation");
            let whole = graph.linearize(&point, &BTreeMap::new(), &[]).expect("a linearization");
            let bits = |t: &Tensor| entries(t).into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert!(
                bits(&pieces.outputs) == bits(whole.outputs().expect("outputs")),
                "{x:?} to {to}: outputs"
            );
            assert!(pieces.loss.to_bits() == whole.loss().to_bits(), "{x:?} to {to}: the loss");
        }
    }
}
