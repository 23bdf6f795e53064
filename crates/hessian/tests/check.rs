//! The check must pass what is right and name what is wrong.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use common::Fixture;
use relief_autodiff::rule::Elementwise;
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{
    Batch, Evaluation, GraphObjective, Linearization, Objective, Parameters, Report, Result, check,
};

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

/// One objective after the other, in turn: what is left of randomness in a model or its data, as far as a caller can see.
struct Changing {
    turns: Vec<GraphObjective>,
    calls: AtomicUsize,
}

impl Changing {
    fn new(turns: Vec<GraphObjective>) -> Self {
        Self { turns, calls: AtomicUsize::new(0) }
    }

    fn next(&self) -> &GraphObjective {
        &self.turns[self.calls.fetch_add(1, Ordering::Relaxed) % self.turns.len()]
    }
}

impl Objective for Changing {
    fn parameters(&self) -> &Parameters {
        self.turns[0].parameters()
    }
    fn batches(&self) -> usize {
        self.turns[0].batches()
    }
    fn weight(&self, batch: usize) -> f64 {
        self.turns[0].weight(batch)
    }
    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation> {
        self.next().evaluate(at, batch)
    }
    fn linearize(&self, at: &Parameters, batch: usize) -> Result<Box<dyn Linearization>> {
        self.next().linearize(at, batch)
    }
}

#[track_caller]
fn assert_changing(what: &str, turns: Vec<GraphObjective>) {
    assert!(check(&turns[0], 0).unwrap().passed(), "{what}: by itself it is right");
    let report = check(&Changing::new(turns), 0).unwrap();
    assert!(failed(&report).contains(&"the same digits twice"), "{what}: {report:?}");
    let culprit = report.findings[0].culprit.as_ref().unwrap();
    assert!(culprit.contains("dropout, shuffling"), "{what}: {culprit}");
}

/// The examples of a fixture at these places, in these batches, with a factor for every input.
fn drawn(fixture: &Fixture, places: &[u32], batches: usize, factors: &[f64]) -> Vec<Batch> {
    let size = places.len() / batches;
    let one = |places: &[u32]| {
        let places = Tensor::new(places, &Device::Cpu).unwrap();
        let x = fixture.x.index_select(&places, 0).unwrap().to_dtype(DType::F64).unwrap();
        let mask: Vec<f64> = (0..x.elem_count()).map(|i| factors[i * 7 % 11 % factors.len()]).collect();
        let mask = Tensor::from_vec(mask, x.dims(), &Device::Cpu).unwrap();
        let x = (x * mask).unwrap();
        Batch { tensors: vec![x, fixture.y.index_select(&places, 0).unwrap()], examples: size }
    };
    places.chunks(size).map(one).collect()
}

#[test]
fn dropout_is_found() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let places: Vec<u32> = (0..20).collect();
    let masks: [&[f64]; 3] = [&[2.0, 0.0], &[0.0, 2.0], &[2.0, 0.0, 0.0, 2.0]];
    let turns =
        masks.map(|mask| fixture.objective_over(DType::F64, drawn(&fixture, &places, 1, mask), false));
    assert_changing("dropout", turns.into());
}

#[test]
fn shuffled_batches_that_have_their_own_statistics_are_found() {
    let fixture = Fixture::new("fashion-cnn-bn");
    let shuffled = |step: u32| -> Vec<u32> { (0..64).map(|i| i * step % 64).collect() };
    let turns = [1, 5, 29]
        .map(|step| fixture.objective_over(DType::F64, drawn(&fixture, &shuffled(step), 4, &[1.0]), true));
    assert_changing("shuffled batch norm", turns.into());
}

#[test]
fn a_last_batch_that_is_dropped_after_shuffling_is_found() {
    let fixture = Fixture::new("digits-mlp-tanh");
    // Of 22 examples, each time two others are left out.
    let kept = |start: u32| -> Vec<u32> { (start..start + 20).map(|i| i % 22).collect() };
    let turns = [0, 5, 11]
        .map(|start| fixture.objective_over(DType::F64, drawn(&fixture, &kept(start), 2, &[1.0]), false));
    assert_changing("a dropped batch", turns.into());
}

/// A gradient that drifts by no more than an accumulated sum in another order would.
#[test]
fn a_gradient_that_drifts_in_its_last_digits_is_found() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let places: Vec<u32> = (0..20).collect();
    let turns = [1.0, 1.0 + 1e-12]
        .map(|factor| fixture.objective_over(DType::F64, drawn(&fixture, &places, 1, &[factor]), false));
    assert_changing("the last digits", turns.into());
}

#[test]
fn a_parameter_that_the_model_never_asks_for_is_refused() {
    let tensor = |n: usize| Tensor::ones((1, n), DType::F64, &Device::Cpu).unwrap();
    let named = [("lost.weight".to_string(), tensor(3)), ("w".to_string(), tensor(4))];
    let batch = Batch { tensors: vec![tensor(4)], examples: 1 };
    let error =
        GraphObjective::new(Parameters::new(named).unwrap(), BTreeMap::new(), vec![batch], |g, batch| {
            let outputs = batch[0].linear(&g.parameter("w", &[1, 4])?, None)?;
            let loss = outputs.sqr()?.mean_all()?;
            Ok((outputs, loss))
        });
    assert!(error.unwrap_err().to_string().contains("does not use the parameter `lost.weight`"));
}
