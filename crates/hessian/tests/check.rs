//! The check must pass what is right and name what is wrong.

mod common;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use common::Fixture;
use relief_autodiff::rule::Elementwise;
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{Batch, GraphObjective, Parameters, Report, check};

/// sin, with one of its derivatives spoilt.
#[derive(Debug)]
struct Sine {
    wrong: Option<usize>,
}

impl Elementwise for Sine {
    fn name(&self) -> &'static str {
        "sine"
    }
    fn derivative(&self, order: usize, x: f64) -> f64 {
        let right = match order {
            0 => x.sin(),
            1 => x.cos(),
            2 => -x.sin(),
            _ => -x.cos(),
        };
        if self.wrong == Some(order) { 1.01 * right } else { right }
    }
}

fn report(wrong: Option<usize>, unused: bool) -> Report {
    let tensor = |dims: &[usize], scale: f64| {
        let n: usize = dims.iter().product();
        let entries: Vec<f64> = (0..n).map(|i| scale * ((i * 7 % 11) as f64 - 5.0)).collect();
        Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
    };
    let mut named = vec![("a".to_string(), tensor(&[6, 4], 0.1)), ("b".to_string(), tensor(&[3, 6], 0.2))];
    if unused {
        named.push(("dead".to_string(), tensor(&[5], 0.3)));
    }
    let build = |g: &GraphBuilder, batch: &[Value]| {
        let hidden = batch[0].linear(&g.parameter("a", &[6, 4])?, None)?;
        let mut out = g.elementwise(Sine { wrong }, &hidden).linear(&g.parameter("b", &[3, 6])?, None)?;
        if unused {
            out = out.add(&g.parameter("dead", &[5])?.scale(0.0)?.sum_all()?)?;
        }
        let loss = out.sqr()?.mean_all()?;
        Ok((out, loss))
    };
    let batch = Batch { tensors: vec![tensor(&[8, 4], 0.15)], examples: 8 };
    let objective =
        GraphObjective::new(Parameters::new(named).unwrap(), BTreeMap::new(), vec![batch], build).unwrap();
    check(&objective, 1).unwrap()
}

fn failed(report: &Report) -> Vec<&str> {
    report.findings.iter().filter(|f| !f.passed).map(|f| f.name).collect()
}

#[test]
fn right_rules_pass() {
    let report = report(None, false);
    assert!(report.passed(), "{report:?}");
    assert!(!report.kinks);
}

#[test]
fn a_wrong_first_derivative_is_found() {
    assert!(failed(&report(Some(1), false)).contains(&"gradient against differences of the loss"));
}

#[test]
fn a_wrong_second_derivative_is_found_and_told_from_the_first() {
    let report = report(Some(2), false);
    assert_eq!(failed(&report), ["Hessian product against differences of the gradient"]);
    let culprit = report.findings.iter().find_map(|f| f.culprit.as_ref()).unwrap();
    assert!(culprit.contains("second derivative"), "{culprit}");
}

#[test]
fn a_parameter_without_effect_is_named() {
    let report = report(None, true);
    let finding = report.findings.iter().find(|f| !f.passed).unwrap();
    assert!(finding.culprit.as_ref().unwrap().contains("dead"));
}

#[test]
fn networks_with_kinks_pass_and_say_so() {
    let fixture = Fixture::new("digits-mlp-relu");
    assert!(check(&fixture.objective(DType::F64, 500, false), 0).unwrap().passed());
    let fixture = Fixture::new("fashion-cnn-bn");
    for statistics in [false, true] {
        assert!(check(&fixture.objective(DType::F64, 64, statistics), 0).unwrap().passed());
    }
}
