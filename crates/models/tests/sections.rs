//! Losses on affine subspaces, where what is affine is computed once, against the usual evaluation.

#[allow(dead_code, reason = "the logits themselves are another test's")]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};
use common::{Case, cases, relative_error};
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{AffineSubspace, Batch, GraphObjective, Objective, Parameters, Section, SectionOptions};
use relief_models::architecture::{Architecture, BatchNormMode, Net, Role};
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Measure, StatisticsPass, Task, TaskOptions};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

fn everything() -> SectionOptions {
    SectionOptions { points: 1000, memory: 1 << 30, varying: BTreeSet::new(), always: true }
}

/// Numbers between -1/2 and 1/2 times the root mean square of each tensor, 0 for tensors that `moves` refuses.
fn direction(at: &Parameters, seed: f64, moves: impl Fn(&str, &[usize]) -> bool) -> Vec<f64> {
    let x = at.to_vec().unwrap();
    let shapes: BTreeMap<&str, &[usize]> = at.iter().map(|(name, t)| (name, t.dims())).collect();
    let mut out = vec![0.0; x.len()];
    for (_, range) in at.ranges().into_iter().filter(|(name, _)| moves(name, shapes[name])) {
        let part = &x[range.clone()];
        let size = (part.iter().map(|x| x * x).sum::<f64>() / part.len() as f64).sqrt();
        for i in range {
            out[i] = 0.5 * size * (1.3 * i as f64 + seed).sin();
        }
    }
    out
}

fn displaced(at: &Parameters, directions: &[Vec<f64>], place: &[f64]) -> Parameters {
    let mut x = at.to_vec().unwrap();
    for (c, d) in place.iter().zip(directions) {
        x.iter_mut().zip(d).for_each(|(x, d)| *x += c * d);
    }
    at.at(&x).unwrap()
}

/// The mean square of the logits of a case's batch, twice, with running statistics as constants.
fn objective(spec: &str, case: &Case, mode: BatchNormMode) -> (GraphObjective, Option<Parameters>) {
    let mut model = Architecture::parse(spec).unwrap();
    if spec.starts_with("mlp") {
        model = model.infer(&case.shapes()).unwrap();
    } else if spec.starts_with("cnn") && case.input.dims()[1] == 1 {
        model = Architecture::parse(&format!("{spec},classes=4")).unwrap();
    }
    let example = &case.input.dims()[1..];
    let roles: BTreeMap<String, Role> =
        model.wanted(example).unwrap().into_iter().map(|(name, _, role)| (name, role)).collect();
    let of = |role: Role| {
        let named = case.tensors.iter().filter(|(name, _)| roles.get(*name) == Some(&role));
        named.map(|(name, t)| (name.clone(), t.clone())).collect::<BTreeMap<_, _>>()
    };
    let batch = Batch { tensors: vec![case.input.clone()], examples: case.input.dims()[0] };
    let build = |graph: &GraphBuilder, inputs: &[Value]| {
        let outputs = model.build(&Net::new(graph, mode), &inputs[0]).unwrap();
        let loss = outputs.sqr()?.sum_all()?;
        Ok((outputs, loss))
    };
    let parameters = Parameters::new(of(Role::Parameter)).unwrap();
    let statistics: Vec<_> = of(Role::Buffer).into_iter().filter(|(_, t)| t.dtype().is_float()).collect();
    let statistics = (!statistics.is_empty()).then(|| Parameters::new(statistics).unwrap());
    let constants = case.tensors.clone();
    (GraphObjective::new(parameters, constants, vec![batch.clone(), batch], build).unwrap(), statistics)
}

/// Whether a tensor of a name and shape moves.
type Moves<'a> = dyn Fn(&str, &[usize]) -> bool + 'a;

#[test]
fn every_architecture_agrees_with_its_usual_evaluation() {
    let mut tried = 0;
    for (spec, case) in cases().into_iter().filter(|(name, _)| Architecture::parse(name).is_ok()) {
        let modes = [BatchNormMode::Eval, BatchNormMode::Batch];
        for mode in &modes[..if case.train.is_some() { 2 } else { 1 }] {
            let (objective, statistics) = objective(&spec, &case, *mode);
            let at = objective.parameters();
            let last = at.names().last().unwrap().clone();
            let moves: [&Moves<'_>; 3] = [&|_, _| true, &|_, shape| shape.len() > 1, &|name, _| name == last];
            for (nth, moves) in moves.into_iter().enumerate() {
                let directions = [direction(at, 0.3, moves), direction(at, 1.1, moves)];
                let space = AffineSubspace { origin: at, directions: &directions };
                let others = statistics.as_ref().filter(|_| nth == 0 && *mode == BatchNormMode::Eval);
                let others = others.map(|s| s.displaced(&direction(s, 0.7, |_, _| true), 0.2).unwrap());
                let varying = others.iter().flat_map(|o| o.names().to_vec()).collect();
                let options = SectionOptions { varying, ..everything() };
                let section = objective.section(space, &options).unwrap().unwrap();
                for place in [[0.0, 0.0], [0.8, -0.5]] {
                    let there = displaced(at, &directions, &place);
                    let point = section.at(&place).unwrap();
                    let found = section.evaluate(&point, others.as_ref(), 1).unwrap();
                    let usual = match &others {
                        Some(others) => objective.evaluate_with(&there, others, 1).unwrap(),
                        None => objective.evaluate(&there, 1).unwrap(),
                    };
                    let apart = relative_error(&found.outputs.unwrap(), &usual.outputs.unwrap());
                    let loss = (found.loss / usual.loss - 1.0).abs();
                    assert!(apart < 1e-11 && loss < 1e-11, "{spec} {mode:?} {nth}: {apart:e} {loss:e}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried >= 6 * 32, "{tried}");
}

/// A checkpoint of the fixtures with its data.
struct Given {
    model: Architecture,
    tensors: BTreeMap<String, Tensor>,
    data: Dataset,
}

impl Given {
    fn new(name: &str, data: &str, model: &str, limit: usize) -> Self {
        let load = DataOptions { dtype: DType::F64, limit: Some(limit), ..DataOptions::default() };
        let data = Dataset::load(&format!("{FIXTURES}/pytorch/{data}.safetensors"), &load).unwrap();
        let checkpoint = Checkpoint::load(format!("{FIXTURES}/pytorch/{name}.safetensors").as_ref()).unwrap();
        let model = Architecture::parse(model).unwrap().infer(&checkpoint.shapes()).unwrap();
        let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
        Self { model, tensors, data }
    }

    fn perceptron() -> Self {
        Self::new("digits-mlp-relu", "digits-1000", "mlp:activation=relu", 500)
    }

    fn clothes() -> Self {
        Self::new("fashion-cnn-bn", "fashion-64", &format!("{FIXTURES}/fashion-cnn-bn.toml"), 64)
    }

    fn task(&self, options: &TaskOptions) -> Task {
        Task::new(&self.model, &self.tensors, &self.data, options).unwrap()
    }
}

fn double() -> TaskOptions {
    TaskOptions { dtype: DType::F64, ..TaskOptions::default() }
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
}

#[test]
fn a_point_has_the_usual_measures() {
    let given = Given::perceptron();
    // The last of the batches has another shape.
    let options = TaskOptions { batch_size: Some(120), weight_decay: 0.02, ..double() };
    let task = given.task(&options);
    let at = task.objective.parameters();
    let directions = [direction(at, 0.1, |_, _| true), direction(at, 2.0, |_, shape| shape.len() > 1)];
    let space = AffineSubspace { origin: at, directions: &directions };
    let section = task.section(space, &everything()).unwrap().unwrap();
    for place in [[0.0, 0.0], [1.0, -0.5], [-4.0, 3.0]] {
        let there = displaced(at, &directions, &place);
        for (cap, in_detail) in [(None, false), (None, true), (Some(0.5), false)] {
            let how = Measure { cap, in_detail, statistics: None };
            let found = task.measure_on(&section, &place, &how).unwrap();
            let usual = task.measure_as(&there, &how).unwrap();
            close(found.loss, usual.loss);
            assert_eq!(found.accuracy, usual.accuracy);
            assert_eq!(found.classes.len(), usual.classes.len());
            found.classes.iter().zip(&usual.classes).for_each(|(f, u)| close(f.loss, u.loss));
        }
    }
    let centre = task.measure_on(&section, &[0.0, 0.0], &Measure::default()).unwrap();
    let plain = given.task(&TaskOptions { weight_decay: 0.0, ..options });
    let decay = 0.01 * at.to_vec().unwrap().iter().map(|x| x * x).sum::<f64>();
    close(centre.loss, plain.measure(at).unwrap().loss + decay);
    assert!(section.at(&[1.0]).is_err());
}

#[test]
fn statistics_that_vary_are_those_of_the_point() {
    let given = Given::clothes();
    let task = given.task(&double());
    let pass = StatisticsPass::new(&given.model, &given.tensors, &given.data, &double()).unwrap().unwrap();
    let at = task.objective.parameters();
    let directions = [direction(at, 0.4, |_, _| true)];
    let space = AffineSubspace { origin: at, directions: &directions };
    let varying = task.statistics().unwrap().names().iter().cloned().collect();
    let section = task.section(space, &SectionOptions { varying, ..everything() }).unwrap().unwrap();
    let of_pass = pass.section(space, &everything()).unwrap().unwrap();
    for place in [0.0, 0.3, -1.0] {
        let there = displaced(at, &directions, &[place]);
        let (found, usual) = (pass.on(&of_pass, &[place]).unwrap(), pass.at(&there).unwrap());
        assert_eq!(found.names(), usual.names());
        for ((name, found), (_, usual)) in found.iter().zip(usual.iter()) {
            assert!(relative_error(found, usual) < 1e-12, "{name}");
        }
        let how = |statistics| Measure { statistics: Some(statistics), ..Measure::default() };
        let on = task.measure_on(&section, &[place], &how(&found)).unwrap();
        close(on.loss, task.measure_as(&there, &how(&usual)).unwrap().loss);
    }
}

/// In single precision both ways are off by about as much, also far away, because kept values are as large as the weights.
#[test]
fn single_precision_is_off_by_about_as_much_as_usual() {
    let given = Given::perceptron();
    let (exact, task) = (given.task(&double()), given.task(&TaskOptions::default()));
    let at = task.objective.parameters();
    let directions = [direction(at, 0.1, |_, _| true), direction(at, 2.0, |_, shape| shape.len() > 1)];
    let space = AffineSubspace { origin: at, directions: &directions };
    let section = task.section(space, &everything()).unwrap().unwrap();
    for reach in [0.1, 1.0, 10.0, 100.0] {
        let (mut found, mut usual) = (0.0, 0.0);
        for nth in 0..12 {
            let angle = f64::from(nth) * std::f64::consts::TAU / 12.0 + 0.1;
            let place = [reach * angle.cos(), reach * angle.sin()];
            let truth = displaced(exact.objective.parameters(), &directions, &place);
            let truth = exact.measure(&truth).unwrap().loss;
            let error = |loss: f64| (loss / truth - 1.0).powi(2);
            found += error(task.measure_on(&section, &place, &Measure::default()).unwrap().loss);
            usual += error(task.measure(&displaced(at, &directions, &place)).unwrap().loss);
        }
        let [found, usual] = [found, usual].map(|sum: f64| (sum / 12.0).sqrt());
        assert!(found < 2.0 * usual + 1e-8 && found < 1e-6, "at {reach}: {found:e}, usually {usual:e}");
    }
}

#[test]
fn what_does_not_pay_or_fit_is_left_alone() {
    let given = Given::perceptron();
    let task = given.task(&double());
    let at = task.objective.parameters();
    let directions = [direction(at, 0.1, |_, _| true)];
    let space = AffineSubspace { origin: at, directions: &directions };
    let section = |options: SectionOptions| -> Option<Section> { task.section(space, &options).unwrap() };
    let usual = SectionOptions { always: false, ..everything() };
    let bytes = section(usual.clone()).expect("the first layer has most of the weights").bytes();
    assert!(section(SectionOptions { memory: bytes - 1, ..usual.clone() }).is_none());
    assert!(section(SectionOptions { memory: bytes, ..usual.clone() }).is_some());
    assert!(section(SectionOptions { points: 2, ..usual }).is_none());
    let wrong = [vec![0.0; 3]];
    let wrong = AffineSubspace { origin: at, directions: &wrong };
    assert!(task.section(wrong, &everything()).unwrap_err().to_string().contains("3 entries"));
}
