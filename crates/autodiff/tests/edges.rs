//! Where operations end: numbers that are not finite, kinks, and arguments that do not fit.

mod common;

use candle_core::{Device, Tensor};
use common::cases::cases;
use common::vectors::{entries, flat};
use relief_autodiff::{ConvolutionOptions, Error, Graph, GraphBuilder, PoolOptions, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

fn vector(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).expect("a vector")
}

/// The sum of `f` of one parameter `x`.
fn graph(shape: &[usize], f: impl Fn(&Value) -> Result<Value>) -> Result<Arc<Graph>> {
    let g = GraphBuilder::new();
    let y = f(&g.parameter("x", shape)?)?;
    g.finish(&y, &y.sum_all()?, |_| true).map(Arc::new)
}

/// Outputs and gradient of the sum of `f` at `x`.
fn at(x: &Tensor, f: impl Fn(&Value) -> Result<Value>) -> Result<(Vec<f64>, Vec<f64>)> {
    let linearized = graph(x.dims(), f)?.linearize(std::slice::from_ref(x), &BTreeMap::new(), &[])?;
    Ok((entries(linearized.outputs()?), flat(linearized.gradient())))
}

#[test]
fn a_parameter_that_is_not_a_number_never_gets_lost() {
    for case in cases() {
        let graph = case.graph(|_| true);
        for i in 0..case.parameters.len() {
            let mut point = case.point(&graph);
            point[i] = (&point[i] * f64::NAN).expect("a tensor");
            let name = graph.parameter_names().nth(i).expect("a name");
            assert!(case.value(&graph, &point).is_nan(), "{}: a NaN in `{name}` got lost", case.name);
        }
    }
}

#[test]
fn max_pool2d_passes_on_what_is_not_a_number_from_anywhere() -> Result<()> {
    for place in 0..4 {
        let mut x = vec![1.0; 4];
        x[place] = f64::NAN;
        let (y, _) = at(&vector(&x).reshape((1, 1, 2, 2))?, |x| x.max_pool2d(PoolOptions::square(2)))?;
        assert!(y[0].is_nan(), "entry {place}");
    }
    Ok(())
}

#[test]
fn ties_in_max_pool2d_go_to_the_first() -> Result<()> {
    let x = vector(&[0.0, 2.0, 2.0, 2.0]).reshape((1, 1, 2, 2))?;
    assert_eq!(at(&x, |x| x.max_pool2d(PoolOptions::square(2)))?, (vec![2.0], vec![0.0, 1.0, 0.0, 0.0]));
    Ok(())
}

#[test]
fn kinks_have_pytorchs_values_and_slopes() -> Result<()> {
    let far = f64::INFINITY;
    let x = vector(&[-far, -1.0, -0.0, 0.0, 2.0, far]);
    assert_eq!(
        at(&x, Value::relu)?,
        (vec![0.0, 0.0, 0.0, 0.0, 2.0, far], vec![0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    );
    let x = vector(&[-far, 0.0, 3.0, 6.0, far]);
    assert_eq!(at(&x, Value::relu6)?, (vec![0.0, 0.0, 3.0, 6.0, 6.0], vec![0.0, 0.0, 1.0, 0.0, 0.0]));
    let x = vector(&[-3.0, 0.0, 3.0]);
    assert_eq!(at(&x, Value::hard_sigmoid)?, (vec![0.0, 0.5, 1.0], vec![0.0, 1.0 / 6.0, 0.0]));
    assert_eq!(at(&vector(&[-far, 0.0, 1.5]), Value::abs)?, (vec![far, 0.0, 1.5], vec![-1.0, 0.0, 1.0]));
    Ok(())
}

#[test]
fn large_arguments_do_not_overflow() -> Result<()> {
    let x = vector(&[-800.0, 800.0]);
    assert_eq!(at(&x, Value::softplus)?, (vec![0.0, 800.0], vec![0.0, 1.0]));
    assert_eq!(at(&x, Value::log_sigmoid)?, (vec![-800.0, 0.0], vec![1.0, 0.0]));
    assert_eq!(at(&x, Value::sigmoid)?, (vec![0.0, 1.0], vec![0.0, 0.0]));
    assert_eq!(at(&x, Value::mish)?, (vec![0.0, 800.0], vec![0.0, 1.0]));
    assert_eq!(at(&x, Value::gelu)?, (vec![0.0, 800.0], vec![0.0, 1.0]));
    assert_eq!(at(&x, |x| x.log_softmax(0))?.0, vec![-1600.0, 0.0]);
    Ok(())
}

/// Fails unless building the operation is refused in words.
#[track_caller]
fn refuses(shape: &[usize], f: impl Fn(&Value) -> Result<Value>) {
    match graph(shape, f) {
        Err(Error::Shape { .. }) => {}
        other => panic!("shape {shape:?} should have been refused: {other:?}"),
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let other = |x: &Value, shape: &[usize]| x.builder().input(shape);
    let plain = ConvolutionOptions::default();
    refuses(&[2, 3], |x| x.matmul(&other(x, &[2, 3])));
    refuses(&[2, 3], |x| x.add(&other(x, &[2])));
    refuses(&[2, 3], |x| x.linear(&other(x, &[4, 2]), None));
    refuses(&[2, 3], |x| x.reshape(&[5]));
    refuses(&[2, 3], |x| x.permute(&[0, 0]));
    refuses(&[2, 3], |x| x.narrow(1, 2, 2));
    refuses(&[2, 3], |x| x.sum(&[2]));
    refuses(&[2, 3], |x| x.broadcast_as(&[3]));
    refuses(&[2, 3], |x| Value::cat(&[x, &other(x, &[3, 2])], 0));
    refuses(&[2, 3], |x| x.conv2d(&other(x, &[2, 3, 1, 1]), None, plain));
    refuses(&[1, 3, 4, 4], |x| x.conv2d(&other(x, &[2, 2, 1, 1]), None, plain));
    refuses(&[1, 3, 4, 4], |x| x.conv2d(&other(x, &[2, 3, 5, 1]), None, plain));
    let still = ConvolutionOptions { stride: [0, 1], ..plain };
    refuses(&[1, 3, 4, 4], |x| x.conv2d(&other(x, &[2, 3, 1, 1]), None, still));
    refuses(&[1, 3, 4, 4], |x| x.conv_transpose2d(&other(x, &[2, 3, 1, 1]), None, plain, [0, 0]));
    refuses(&[1, 3, 4, 4], |x| x.conv_transpose2d(&other(x, &[3, 2, 0, 1]), None, plain, [0, 0]));
    refuses(&[1, 3, 4, 4], |x| x.conv_transpose2d(&other(x, &[3, 2, 2, 2]), None, plain, [1, 0]));
    // PyTorch goes up to a larger dilation here.
    let wide = ConvolutionOptions { dilation: [3, 1], ..plain };
    refuses(&[1, 3, 4, 4], |x| x.conv_transpose2d(&other(x, &[3, 2, 2, 2]), None, wide, [2, 0]));
    refuses(&[1, 3, 4, 4], |x| x.max_pool2d(PoolOptions::square(5)));
    refuses(&[1, 3, 4, 4], |x| x.max_pool2d(PoolOptions { stride: [0, 1], ..PoolOptions::square(2) }));
    refuses(&[3, 4, 4], |x| x.adaptive_avg_pool2d([2, 2]));
    refuses(&[2, 3], |x| x.layer_norm(3, None, None, 1e-5));
    refuses(&[2, 3, 2], |x| x.group_norm(2, None, None, 1e-5));
    refuses(&[2], |x| x.batch_norm_train(None, None, 1e-5));
    refuses(&[1, 3], |x| x.var_keepdim(&[0], 1));
    refuses(&[2, 3], |x| x.softmax(2));
    refuses(&[2, 3], |x| x.cross_entropy(&other(x, &[3]), 0.0));
    refuses(&[2, 1], |x| x.mse(&other(x, &[2])));
    refuses(&[], |x| x.rms_norm(None, 1e-5));
    refuses(&[2, 3], |x| x.mean(&[1, 1]));
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() -> Result<()> {
    let g = GraphBuilder::new();
    let (x, labels) = (g.input(&[2, 3]), g.input(&[2]));
    let logits = x.linear(&g.parameter("weight", &[4, 3])?, Some(&g.parameter("bias", &[4])?))?.tanh()?;
    let graph = Arc::new(g.finish(&logits, &logits.cross_entropy(&labels, 0.0)?, |name| name == "weight")?);
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F64, &Device::Cpu);
    let labels = |values: [u32; 2]| Tensor::new(&values, &Device::Cpu);
    let bias = BTreeMap::from([("bias".to_owned(), zeros(&[4])?)]);
    let point = [zeros(&[4, 3])?];
    let refused = |point: &[Tensor], constants: &BTreeMap<String, Tensor>, batch: &[Tensor]| {
        graph.linearize(point, constants, batch).expect_err("a refusal").to_string()
    };

    let missing = refused(&point, &BTreeMap::new(), &[zeros(&[2, 3])?, labels([0, 1])?]);
    assert!(missing.contains("`bias`") && missing.contains("[4]"), "{missing}");
    let misshapen = refused(&[zeros(&[3, 4])?], &bias, &[zeros(&[2, 3])?, labels([0, 1])?]);
    assert!(misshapen.contains("`weight`") && misshapen.contains("[3, 4]"), "{misshapen}");
    let short = refused(&point, &bias, &[zeros(&[2, 3])?]);
    assert!(short.contains("2 inputs"), "{short}");
    let unknown = refused(&point, &bias, &[zeros(&[2, 3])?, labels([0, 4])?]);
    assert!(unknown.contains('4'), "{unknown}");
    let fractional = refused(&point, &bias, &[zeros(&[2, 3])?, zeros(&[2])?]);
    assert!(fractional.contains("integers"), "{fractional}");

    let linearized = graph.linearize(&point, &bias, &[zeros(&[2, 3])?, labels([0, 1])?])?;
    let v = [zeros(&[4, 3])?];
    assert!(matches!(linearized.hessian_product(&[zeros(&[3, 4])?]), Err(Error::Mismatch { .. })));
    assert!(matches!(linearized.hessian_product(&[]), Err(Error::Unavailable(_))));
    assert!(matches!(linearized.vjp(&zeros(&[4, 2])?), Err(Error::Mismatch { .. })));
    assert!(
        matches!(linearized.third_product(&v, &v), Err(Error::Unavailable(_))),
        "order 3 was not asked for"
    );
    Ok(())
}

#[test]
fn gauss_newton_products_need_a_loss_of_the_outputs_alone() -> Result<()> {
    let g = GraphBuilder::new();
    let w = g.parameter("w", &[3])?;
    let outputs = w.tanh()?;
    // A penalty on the weights bypasses the outputs.
    let loss = outputs.sqr()?.sum_all()?.add(&w.sqr()?.sum_all()?)?;
    let graph = Arc::new(g.finish(&outputs, &loss, |_| true)?);
    let linearized = graph.linearize(&[vector(&[0.1, 0.2, 0.3])], &BTreeMap::new(), &[])?;
    let v = [vector(&[1.0, 0.0, 0.0])];
    assert!(matches!(linearized.gauss_newton_product(&v), Err(Error::Unavailable(_))));
    assert!(linearized.hessian_product(&v).is_ok());
    Ok(())
}

#[test]
fn a_parameter_that_the_loss_does_not_use_has_zero_derivatives() -> Result<()> {
    let g = GraphBuilder::new();
    let (used, unused) = (g.parameter("used", &[3])?, g.parameter("unused", &[2])?);
    let aside = unused.sqr()?;
    let outputs = used.sqr()?.tanh()?;
    let graph = g.finish(&outputs, &outputs.sum_all()?, |_| true)?;
    assert_eq!(aside.dims(), [2]);
    let point = [vector(&[0.5, -0.5]), vector(&[0.1, 0.2, 0.3])];
    let linearized = Arc::new(graph).linearize_to(3, &point, &BTreeMap::new(), &[])?;
    let products = [
        linearized.gradient().to_vec(),
        linearized.hessian_product(&point)?,
        linearized.third_product(&point, &point)?,
        linearized.vjp(linearized.outputs()?)?,
    ];
    for product in products {
        assert_eq!(entries(&product[0]), [0.0, 0.0]);
        assert!(entries(&product[1]).iter().all(|x| x.abs() > 1e-6));
    }
    Ok(())
}
