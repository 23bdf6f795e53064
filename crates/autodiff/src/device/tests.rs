//! The generic cases on the emulated device, against the CPU kernels.

use candle_core::{DType, Device, Tensor};
use std::collections::BTreeSet;

use super::emulated::{on_the_device, with_cudnn};
use super::source;
use crate::rule::Elementwise;
use crate::{ConvolutionOptions, PoolOptions, Value};

#[path = "../../tests/common/mod.rs"]
mod common;

use common::case::{Case, Numbers, single};
use common::cases::{cases, conv_transpose2d, conv2d, large_cases};
use common::checks;
use common::vectors::{distance, entries, flat};

/// Loss, outputs, gradient, and products with the Hessian, the Gauss-Newton matrix and the third derivative.
fn numbers(case: &Case, dtype: DType) -> Vec<(&'static str, Vec<f64>)> {
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    let point = if dtype == DType::F32 { single(&point) } else { point };
    let linearized = case.at(&graph, &point);
    let (u, v) = (case.direction(&graph, "u"), case.direction(&graph, "v"));
    let l = &linearized;
    let flat = |product: crate::Result<Vec<Tensor>>| flat(&product.expect("a product"));
    vec![
        ("the loss", vec![linearized.loss()]),
        ("the loss alone", vec![case.value(&graph, &point)]),
        ("the outputs", entries(linearized.outputs().expect("outputs"))),
        ("the gradient", flat(Ok(linearized.gradient().to_vec()))),
        ("J v", entries(&l.jvp(&v).expect("a product"))),
        ("H v", flat(l.hessian_product(&v))),
        ("G v", flat(l.gauss_newton_product(&v))),
        ("the third derivative", flat(l.third_product(&u, &v))),
    ]
}

/// Shapes of convolutions and of windows that the generic cases do not have.
fn shapes() -> Vec<Case> {
    let mut cases = vec![];
    for groups in [1, 3] {
        for (stride, padding) in [([1, 1], [0, 0]), ([2, 1], [1, 2]), ([3, 2], [2, 0])] {
            for (kernel, dilation) in [([1, 1], [1, 1]), ([3, 3], [1, 1]), ([2, 3], [2, 1]), ([4, 1], [1, 3])]
            {
                let options = ConvolutionOptions { stride, padding, dilation, groups };
                let w = [2 * groups, 2, kernel[0], kernel[1]];
                let name = format!("{kernel:?} {options:?}");
                cases.push(conv2d(&format!("conv2d {name}"), [2, 2 * groups, 7, 9], w, options));
                let outer = [stride[0] - 1, stride[1] - 1];
                let room = 2 * padding[0] < kernel[0] + 4 && 2 * padding[1] < kernel[1] + 5;
                let name = format!("conv_transpose2d {name}");
                cases.extend(room.then(|| {
                    conv_transpose2d(
                        &name,
                        [2, 2 * groups, 4, 5],
                        [2 * groups, 3, kernel[0], kernel[1]],
                        options,
                        outer,
                    )
                }));
            }
        }
    }
    for (kernel, stride, padding) in [
        ([1, 1], [2, 2], [0, 0]),
        ([2, 3], [3, 1], [1, 1]),
        ([3, 2], [1, 4], [1, 0]),
        ([4, 4], [3, 3], [2, 2]),
    ] {
        for count_include_pad in [true, false] {
            let options = PoolOptions { kernel, stride, padding, count_include_pad };
            let name = format!("{options:?}");
            let x = [2, 3, 8, 7];
            cases.push(Case::new(format!("avg_pool2d {name}"), &[("x", &x)], move |t| {
                t.p("x")?.avg_pool2d(options)
            }));
            let max = Case::new(format!("max_pool2d {name}"), &[("x", &x)], move |t| {
                t.p("x")?.scale(0.05)?.add(t.x(0))?.max_pool2d(options)
            });
            cases.push(max.with(Numbers::Apart(1e-2), &x));
        }
    }
    cases
}

/// Functions that share no pass over memory with another operation.
fn alone() -> Vec<Case> {
    type Function = fn(&Value) -> crate::Result<Value>;
    let functions: [(&str, Function); 6] = [
        ("relu", |x| x.relu()),
        ("relu6", |x| x.relu6()),
        ("abs", |x| x.abs()),
        ("hard_sigmoid", |x| x.hard_sigmoid()),
        ("leaky_relu", |x| x.leaky_relu(0.1)),
        ("clamp", |x| x.clamp(-0.3, 0.4)),
    ];
    let case = |(name, function): (&str, Function)| {
        Case::new(format!("{name} alone"), &[("x", &[2, 3]), ("w", &[3, 2])], move |t| {
            function(&t.p("x")?)?.matmul(&t.p("w")?)
        })
    };
    functions.map(case).into()
}

/// What differs between the CPU kernels and the emulated device, and the kernels that ran.
fn differences(cases: &[Case], dtype: DType, tolerance: f64) -> (Vec<String>, BTreeSet<String>) {
    let (mut failures, mut all) = (vec![], BTreeSet::new());
    for case in cases {
        let expected = numbers(case, dtype);
        let (found, launched) = on_the_device(|| numbers(case, dtype));
        all.extend(launched);
        for ((what, found), (_, expected)) in found.iter().zip(&expected) {
            let error = distance(found, expected);
            // A third derivative may vanish to rounding, and the rounding differs.
            let vanishes = found.iter().chain(expected).all(|x| x.abs() < 1e-12);
            // The CPU rounds the argument of the normal distribution's tail.
            let tolerance = if case.name == "gelu_erf" { tolerance.max(1e-12) } else { tolerance };
            if error > tolerance && !vanishes {
                failures.push(format!("{}: {what} in {dtype:?} differs by {error:.1e}", case.name));
            }
        }
    }
    (failures, all)
}

#[test]
fn every_operation_has_the_numbers_of_the_cpu() {
    let mut cases = cases();
    cases.extend(shapes());
    cases.extend(alone());
    let (mut failures, mut launched) = differences(&cases, DType::F64, 1e-13);
    let (single, also) = differences(&cases, DType::F32, 2e-5);
    failures.extend(single);
    launched.extend(also);
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
    let missed: Vec<_> = kernels().into_iter().filter(|name| !launched.contains(name)).collect();
    assert!(missed.is_empty(), "no case launched {missed:?}");
}

#[test]
fn convolutions_by_cudnn_have_the_numbers_of_the_cpu() {
    let mut all: Vec<_> = cases().into_iter().filter(|case| case.name.contains("conv")).collect();
    all.extend(shapes());
    with_cudnn(|| {
        let (mut failures, launched) = differences(&all, DType::F64, 1e-13);
        failures.extend(differences(&all, DType::F32, 2e-5).0);
        assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
        // Some shapes it refuses.
        assert!(
            launched.contains("cuDNN") && launched.contains("unfold_f64") && launched.contains("fold_f64")
        );
    });
}

#[test]
fn large_sizes_have_the_numbers_of_the_cpu() {
    let (failures, _) = differences(&large_cases(), DType::F64, 1e-12);
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn products_are_symmetric_and_split_at_the_outputs() {
    for case in cases().iter().chain(&shapes()) {
        on_the_device(|| {
            checks::hessian_is_symmetric(case);
            checks::gauss_newton_product_splits_at_the_outputs(case);
        });
    }
}

/// The names of all kernels of operations in the source, for both kinds of number.
fn kernels() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in source::MODULES.iter().filter(|(module, _)| *module != "vectors") {
        for line in text.lines() {
            let named = |macro_name: &str| line.strip_prefix(macro_name)?.split([')', ',']).next();
            if let Some(name) = named("KERNEL(") {
                names.insert(name.to_owned());
            }
            if let Some(name) = named("FUNCTION(") {
                names.extend([format!("map_{name}"), format!("jet_{name}")]);
            }
        }
    }
    names.iter().flat_map(|name| [format!("{name}_f32"), format!("{name}_f64")]).collect()
}

/// A rule as others may write it, without kernels.
#[derive(Debug)]
struct Cube;

impl Elementwise for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }

    fn derivative(&self, order: usize, x: f64) -> f64 {
        [x * x * x, 3.0 * x * x, 6.0 * x, 6.0][order]
    }
}

#[test]
fn functions_without_kernels_travel_to_the_host() {
    let case = |name: &'static str, own: bool| {
        Case::new(name, &[("x", &[2, 3])], move |t| {
            let x = t.p("x")?;
            if own { Ok(t.builder.elementwise(Cube, &x)) } else { x.powf(3.0) }
        })
    };
    let (found, launched) = on_the_device(|| numbers(&case("cubes", true), DType::F64));
    for ((what, found), (_, expected)) in found.iter().zip(numbers(&case("cubes", false), DType::F64)) {
        assert!(distance(found, &expected) < 1e-14, "{what}");
    }
    assert!(!launched.is_empty() && launched.iter().all(|name| !name.contains("cube")));
}

#[test]
fn tensors_that_kernels_cannot_count_are_refused() {
    let x = Tensor::zeros(1, DType::F64, &Device::Cpu).and_then(|x| x.broadcast_as(1 << 33)).expect("a view");
    let refusal = on_the_device(|| super::plus(&x, &x)).0;
    assert!(refusal.expect_err("too many").to_string().contains("smaller batches"));
}
