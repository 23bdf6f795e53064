//! Functions of rows against the same functions composed of other operations, and where they end.

mod common;

use candle_core::{Device, Tensor};
use common::case::{Case, Numbers};
use common::vectors::{distance, entries, flat};
use relief_autodiff::{GraphBuilder, Linearized, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Below, at and above the lengths at which kernels add up several entries at once.
const WIDTHS: [usize; 6] = [1, 2, 8, 16, 21, 67];

/// Gradient and products, by name.
fn derivatives(case: &Case) -> Vec<(&'static str, Vec<f64>)> {
    let linearized = case.linearized();
    let (u, v) = (case.direction(linearized.graph(), "u"), case.direction(linearized.graph(), "v"));
    let flat = |product: Result<Vec<Tensor>>| flat(&product.expect("a product"));
    vec![
        ("the loss", vec![linearized.loss()]),
        ("the outputs", entries(linearized.outputs().expect("outputs"))),
        ("the gradient", flat(Ok(linearized.gradient().to_vec()))),
        ("J v", entries(&linearized.jvp(&v).expect("a product"))),
        ("H v", flat(linearized.hessian_product(&v))),
        ("G v", flat(linearized.gauss_newton_product(&v))),
        ("the third derivative", flat(linearized.third_product(&u, &v))),
    ]
}

/// Holds a function of rows against its composition, in every derivative.
#[track_caller]
fn agree(of_rows: &Case, composed: &Case) {
    for ((what, found), (_, expected)) in derivatives(of_rows).iter().zip(derivatives(composed)) {
        let error = distance(found, &expected);
        let vanishes = found.iter().chain(&expected).all(|x| x.abs() < 1e-13);
        assert!(error <= 1e-11 || vanishes, "{}: {what} is off by {error:.1e}", of_rows.name);
    }
}

/// `rows` of x [3, width] against `composed`.
fn agree_at_all_widths(name: &str, rows: fn(&Value) -> Result<Value>, composed: fn(&Value) -> Result<Value>) {
    for width in WIDTHS {
        // One name, so that both have the same numbers.
        let case = |f: fn(&Value) -> Result<Value>| {
            Case::new(format!("{name} of {width}"), &[("x", &[3, width])], move |t| f(&t.p("x")?))
        };
        agree(&case(rows), &case(composed));
    }
}

#[test]
fn softmax_is_the_exponential_over_its_sum() {
    agree_at_all_widths("softmax", |x| x.softmax(1), |x| x.log_softmax(1)?.exp());
}

#[test]
fn layer_norm_is_what_its_definition_says() {
    agree_at_all_widths(
        "layer_norm",
        |x| x.layer_norm(1, None, None, 0.1),
        |x| {
            let centred = x.sub(&x.mean_keepdim(&[1])?)?;
            centred.div(&centred.sqr()?.mean_keepdim(&[1])?.affine(1.0, 0.1)?.sqrt()?)
        },
    );
}

#[test]
fn rms_norm_is_what_its_definition_says() {
    agree_at_all_widths(
        "rms_norm",
        |x| x.rms_norm(None, 0.1),
        |x| x.div(&x.sqr()?.mean_keepdim(&[1])?.affine(1.0, 0.1)?.sqrt()?),
    );
}

#[test]
fn cross_entropy_is_the_mean_of_log_probabilities() {
    for width in WIDTHS {
        for smoothing in [0.0, 0.3] {
            let case = || {
                let name = format!("cross_entropy of {width}, smoothing {smoothing}");
                Case::new(name, &[("x", &[3, width])], |t| t.p("x")?.scale(1.5))
                    .with(Numbers::Below(width as u32), &[3])
            };
            let composed = move |y: &Value, labels: &Value| {
                let logs = y.log_softmax(1)?;
                let at_label = logs.gather(labels)?.mean_all()?.scale(smoothing - 1.0)?;
                at_label.add(&logs.mean_all()?.scale(-smoothing)?)
            };
            agree(
                &case().loss(move |t, y| y.cross_entropy(t.x(0), smoothing)),
                &case().loss(move |t, y| composed(y, t.x(0))),
            );
        }
    }
}

/// `loss` of one parameter x [rows, width] at `x`, with labels that are all 0.
fn at(x: &[&[f64]], loss: impl Fn(&Value, &Value) -> Result<Value>) -> Result<Linearized> {
    let shape = [x.len(), x[0].len()];
    let g = GraphBuilder::new();
    let labels = g.input(&shape[..1]);
    let outputs = g.parameter("x", &shape)?;
    let graph = Arc::new(g.finish(&outputs, &loss(&outputs, &labels)?, |_| true)?);
    let point = Tensor::from_vec(x.concat(), &shape, &Device::Cpu)?;
    let labels = Tensor::zeros(shape[0], candle_core::DType::U32, &Device::Cpu)?;
    graph.linearize_to(3, &[point], &BTreeMap::new(), &[labels])
}

fn vector(values: &[f64], like: &Tensor) -> Result<Vec<Tensor>> {
    Ok(vec![Tensor::from_vec(values.to_vec(), like.dims(), &Device::Cpu)?])
}

#[test]
fn masked_classes_are_as_good_as_absent() -> Result<()> {
    let masked = at(&[&[0.3, f64::NEG_INFINITY, -1.2]], |x, labels| x.cross_entropy(labels, 0.0))?;
    let absent = at(&[&[0.3, -1.2]], |x, labels| x.cross_entropy(labels, 0.0))?;
    assert!((masked.loss() - absent.loss()).abs() < 1e-15);
    let (v, w) =
        (vector(&[0.7, 5.0, 0.1], &masked.gradient()[0])?, vector(&[0.7, 0.1], &absent.gradient()[0])?);
    let pairs = [
        (flat(masked.gradient()), flat(absent.gradient())),
        (flat(&masked.hessian_product(&v)?), flat(&absent.hessian_product(&w)?)),
        (flat(&masked.third_product(&v, &v)?), flat(&absent.third_product(&w, &w)?)),
    ];
    for (found, expected) in pairs {
        assert!(distance(&[found[0], found[2]], &expected) < 1e-14, "{found:?} but {expected:?}");
        assert!(found[1].abs() == 0.0, "{found:?}");
    }
    Ok(())
}

#[test]
fn logits_of_any_size_neither_overflow_nor_lose_the_loss() -> Result<()> {
    // exp(1e4) is far beyond f64. The loss is log(1 + e^-1) in both.
    for shift in [1e4, -1e4] {
        let far = at(&[&[shift + 1.0, shift]], |x, labels| x.cross_entropy(labels, 0.0))?;
        assert!((far.loss() - (-1.0_f64).exp().ln_1p()).abs() < 1e-12, "{}", far.loss());
        let v = vector(&[1.0, 0.0], &far.gradient()[0])?;
        let (p, q) = (1.0 / (1.0 + (-1.0_f64).exp()), 1.0 / (1.0 + 1.0_f64.exp()));
        assert!(distance(&flat(far.gradient()), &[p - 1.0, q]) < 1e-14);
        assert!(distance(&flat(&far.hessian_product(&v)?), &[p * q, -p * q]) < 1e-14);
    }
    Ok(())
}

#[test]
fn a_row_without_a_finite_entry_is_not_a_number_and_its_neighbours_are_unharmed() -> Result<()> {
    let far = f64::NEG_INFINITY;
    let rows: [&[f64]; 2] = [&[far, far, far], &[0.5, far, 0.5]];
    let first = at(&rows, |x, _| x.softmax(1)?.narrow(0, 0, 1)?.sum_all())?;
    assert!(first.loss().is_nan());
    let second = at(&rows, |x, _| x.softmax(1)?.narrow(0, 1, 1)?.narrow(1, 0, 1)?.sum_all())?;
    assert!((second.loss() - 0.5).abs() < 1e-15);
    assert!(distance(&flat(second.gradient())[3..], &[0.25, 0.0, -0.25]) < 1e-15);
    Ok(())
}

#[test]
fn rows_that_are_constant_have_the_slope_of_their_epsilon() -> Result<()> {
    let weighted = |y: &Value| y.narrow(1, 0, 1)?.sum_all();
    let flat_row = at(&[&[2.0, 2.0, 2.0]], |x, _| weighted(&x.layer_norm(1, None, None, 1e-4)?))?;
    assert!(flat_row.loss().abs() == 0.0);
    assert!(distance(&flat(flat_row.gradient()), &[200.0 / 3.0, -100.0 / 3.0, -100.0 / 3.0]) < 1e-13);
    Ok(())
}
