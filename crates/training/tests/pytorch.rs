//! Optimisers, schedules, clipping and SAM against PyTorch's trajectories (`fixtures/make_trajectories.py`).

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::Control;
use relief_models::architecture::Architecture;
use relief_models::data::{Dataset, Targets};
use relief_models::task::{Minibatches, TaskOptions};
use relief_sharpness::{Perturbation, Scale};
use relief_training::{Adam, Momentum, Optimiser, Rule, Sam, Schedule, Shape, Training, TrainingState};
use serde_json::Value;

const STEPS: usize = 8;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn sgd(momentum: f64, nesterov: bool) -> Training {
    Training {
        optimiser: Optimiser::Sgd(Momentum { momentum, nesterov }),
        eta: 0.5,
        steps: STEPS,
        ..Training::default()
    }
}

fn adam(adam: Adam) -> Training {
    Training { optimiser: Optimiser::Adam(adam), eta: 0.05, ..sgd(0.0, false) }
}

fn settings(name: &str) -> Training {
    let plain = sgd(0.0, false);
    let scheduled = |warmup, shape| Training { schedule: Schedule { warmup, shape }, ..sgd(0.0, false) };
    let sam = Rule::Sam(Sam { rho: 0.1, ..Sam::default() });
    match name {
        "sgd" => plain,
        "momentum" => sgd(0.9, false),
        "nesterov" => sgd(0.9, true),
        "weight-decay" => Training { weight_decay: 0.01, ..sgd(0.9, false) },
        "adam" => adam(Adam::default()),
        "adam-weight-decay" => {
            Training { weight_decay: 0.01, ..adam(Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }) }
        }
        "adamw" => Training { weight_decay: 0.1, decoupled: true, ..adam(Adam::default()) },
        "clip" => Training { clip: Some(0.1), ..plain },
        "cosine" => scheduled(0, Shape::Cosine),
        "steps" => scheduled(0, Shape::Steps { at: vec![3, 6], factor: 0.1 }),
        "warm-cosine" => scheduled(3, Shape::Cosine),
        "sam" => Training { rule: sam, ..plain },
        "sam-momentum" => Training { rule: sam, weight_decay: 0.01, ..sgd(0.9, false) },
        "sam-adam" => Training { rule: sam, ..adam(Adam::default()) },
        "asam" => {
            let perturbation = Perturbation { norm: 2.0, scale: Scale::Magnitude };
            Training { rule: Rule::Sam(Sam { rho: 0.5, perturbation }), ..plain }
        }
        other => panic!("no settings for {other}"),
    }
}

#[test]
fn trajectories_are_those_of_pytorch() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/trajectories.json")).unwrap();
    let tensor =
        |value: &Value, shape: &[usize]| Tensor::from_vec(numbers(value), shape, &Device::Cpu).unwrap();
    let labels: Vec<u32> = numbers(&fixture["labels"]).iter().map(|label| *label as u32).collect();
    let labels = Targets::Classes(Tensor::new(labels, &Device::Cpu).unwrap());
    let data = Dataset::from_tensors("made up", tensor(&fixture["inputs"], &[12, 3]), labels).unwrap();
    let model = Architecture::parse("mlp:widths=3-4-2,activation=tanh").unwrap();
    let shapes =
        [("0.weight", vec![4, 3]), ("0.bias", vec![4]), ("2.weight", vec![2, 4]), ("2.bias", vec![2])];
    let start: BTreeMap<String, Tensor> = shapes
        .iter()
        .map(|(name, shape)| (name.to_string(), tensor(&fixture["start"][name], shape)))
        .collect();
    let options = TaskOptions { dtype: DType::F64, ..Default::default() };
    let sum = Minibatches::new(&model, &start, &data, &options).unwrap();
    let runs = fixture["runs"].as_object().unwrap();
    assert_eq!(runs.len(), 15);
    for (name, run) in runs {
        // PyTorch divides by the norm plus 1e-6 where it clips.
        let tolerance = if name == "clip" { 1e-4 } else { 1e-12 };
        let (losses, points) = (numbers(&run["losses"]), run["points"].as_array().unwrap());
        let mut state = TrainingState::new(relief_hessian::FiniteSum::parameters(&sum)).unwrap();
        let training = settings(name);
        training
            .run(&sum, &mut state, &mut |step, state| {
                assert!((step.loss - losses[step.step]).abs() < tolerance, "{name}: {step:?}");
                for (a, b) in state.point.iter().zip(numbers(&points[step.step])) {
                    assert!((a - b).abs() < tolerance, "{name}, step {}: {a} against {b}", step.step);
                }
                Control::Continue
            })
            .unwrap();
        assert_eq!(state.step, STEPS);
    }
}
