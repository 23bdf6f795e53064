//! Any state goes on to the same digits; what diverges keeps its last finite state; schedules, batches and label noise.

mod common;

use std::f64::consts::PI;

use common::{Analytic, digits, trained};
use relief_hessian::{Control, FiniteSum};
use relief_sharpness::Perturbation;
use relief_training::{
    Adam, EigenMethod, EigenSam, Ending, Every, Optimiser, Rule, Sam, Schedule, Shape, Training,
    TrainingState,
};

/// Every rule, set so that all of its memory matters within a few steps.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Rule::NAMES.iter().map(|name| Rule::named(name).unwrap()).collect();
    let flat = Perturbation { norm: f64::INFINITY, ..Perturbation::default() };
    rules.push(Rule::Sam(Sam { rho: 1e-3, perturbation: flat }));
    let lanczos = EigenMethod::Lanczos { tolerance: 1e-2, max_products: 20 };
    for method in [EigenMethod::default(), lanczos] {
        let every = Every::Steps(3);
        rules.push(Rule::EigenSam(EigenSam { method, every, examples: Some(50), ..EigenSam::default() }));
        rules.push(Rule::EigenSam(EigenSam { method, every, ..EigenSam::default() }));
    }
    rules
}

fn training(rule: Rule) -> Training {
    // Four steps an epoch.
    Training { rule, batch: Some(400), steps: 12, label_noise: 0.1, ..Training::default() }
}

#[test]
fn every_rule_goes_on_from_a_file_to_the_same_digits_at_any_step() {
    let sum = digits("relu");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.safetensors");
    for rule in rules() {
        for optimiser in [Optimiser::default(), Optimiser::Adam(Adam::default())] {
            let training = Training { optimiser, eta: 0.02, ..training(rule.clone()) };
            let straight = trained(&training, &sum);
            let mut state = TrainingState::new(sum.parameters()).unwrap();
            for step in 1..=12 {
                let ending = training.run(&sum, &mut state, &mut |_, _| Control::Interrupt).unwrap();
                assert_eq!(ending == Ending::Finished, step == 12);
                state.save(&file, "digits").unwrap();
                let loaded = TrainingState::load(&file, "digits").unwrap();
                assert_eq!(loaded, state, "{rule:?} at step {step}");
                state = loaded;
            }
            assert_eq!(state, straight, "{rule:?}");
        }
    }
    assert!(TrainingState::load(&file, "other").is_err());
}

#[test]
fn settings_come_back_from_json_and_digits_do_not_depend_on_threads() {
    let sum = digits("tanh");
    for rule in rules() {
        let training = training(rule);
        let text = serde_json::to_string(&training).unwrap();
        assert_eq!(serde_json::from_str::<Training>(&text).unwrap(), training);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| trained(&training, &sum))
        };
        assert_eq!(on(1), on(3), "{:?}", training.rule);
    }
}

#[test]
fn a_training_that_diverges_names_the_step_and_keeps_the_last_finite_state() {
    let sum = Analytic::quadratic(&[10.0, 1.0], 1, &[1.0, 1.0]);
    for rule in rules() {
        for optimiser in [Optimiser::default(), Optimiser::Adam(Adam { beta2: 0.1, ..Adam::default() })] {
            let rule = match rule.clone() {
                Rule::EigenSam(sam) => Rule::EigenSam(EigenSam { examples: None, ..sam }),
                other => other,
            };
            let training = Training { rule, optimiser, eta: 1e160, steps: 100, ..Training::default() };
            let mut state = TrainingState::new(sum.parameters()).unwrap();
            let mut last = state.clone();
            let ended = training.run(&sum, &mut state, &mut |_, state| {
                last = state.clone();
                Control::Continue
            });
            let message = ended.unwrap_err().to_string();
            assert!(message.contains(&format!("diverged at step {} of 100", last.step)), "{message}");
            assert_eq!(state, last);
            assert!(state.point.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn adam_diverges_by_its_step_size_alone() {
    let sum = Analytic::quadratic(&[10.0, 1.0], 1, &[1.0, 1.0]);
    let optimiser = Optimiser::Adam(Adam::default());
    let training = Training { optimiser, eta: 1e308, steps: 100, ..Training::default() };
    let mut state = TrainingState::new(sum.parameters()).unwrap();
    assert!(training.run(&sum, &mut state, &mut |_, _| Control::Continue).is_err());
    assert!(state.point.iter().all(|x| x.is_finite()));
}

#[test]
fn a_gradient_of_zero_leaves_the_point_alone() {
    let sum = Analytic::quadratic(&[10.0, 1.0], 1, &[0.0, 0.0]);
    for name in
        Rule::NAMES.iter().filter(|name| !["random", "frob-sam", "det-sam", "trace-sam"].contains(name))
    {
        let state = trained(&Training { rule: Rule::named(name).unwrap(), ..Training::default() }, &sum);
        assert_eq!(state.point, [0.0, 0.0], "{name}");
    }
}

#[test]
fn batches_and_label_noise_come_from_the_seed() {
    let sum = digits("tanh");
    let run = |label_noise, seed| {
        let settings = Training { label_noise, seed, batch: Some(100), steps: 20, ..Training::default() };
        trained(&settings, &sum).point
    };
    assert_eq!(run(0.3, 5), run(0.3, 5));
    assert_ne!(run(0.3, 5), run(0.0, 5));
    assert_ne!(run(0.3, 5), run(0.3, 6));
    assert_ne!(run(0.0, 5), run(0.0, 6));
    // The same examples in the first step, whatever the noise.
    let epochs = Training { batch: Some(100), seed: 5, ..Training::default() }.epochs(1437).unwrap();
    let mut seen: Vec<u32> = (0..epochs.per_epoch()).flat_map(|step| epochs.at(step)).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..1437).collect::<Vec<u32>>());
}

#[test]
fn schedules_are_their_formulas() {
    let cosine = Schedule { warmup: 0, shape: Shape::Cosine };
    for step in 0..100 {
        let expected = 0.5 * (1.0 + (PI * step as f64 / 100.0).cos());
        assert!((cosine.factor(step, 100) - expected).abs() < 1e-15);
    }
    let warm = Schedule { warmup: 4, shape: Shape::Cosine };
    let factors: Vec<f64> = (0..6).map(|step| warm.factor(step, 104)).collect();
    assert_eq!(&factors[..5], &[0.2, 0.4, 0.6, 0.8, 1.0]);
    assert!((factors[5] - 0.5 * (1.0 + (PI / 100.0).cos())).abs() < 1e-15);
    let steps = Schedule { warmup: 1, shape: Shape::Steps { at: vec![3, 5], factor: 0.1 } };
    let factors: Vec<f64> = (0..7).map(|step| steps.factor(step, 7)).collect();
    for (found, expected) in factors.iter().zip([0.5, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]) {
        assert!((found - expected).abs() < 1e-15);
    }
}

#[test]
fn adams_first_step_is_the_sign_of_the_gradient() {
    let (adam, gradient) = (Adam::default(), [3.0, -4e-3, 0.0, 2e-8]);
    let (mut point, mut mean, mut square) = (vec![0.0; 4], vec![0.0; 4], vec![0.0; 4]);
    adam.step(0.5, 0, &mut point, &mut mean, &mut square, &gradient);
    for (moved, first) in point.iter().zip(adam.first_step(&gradient)) {
        assert!((moved - 0.5 * first).abs() < 1e-12, "{moved} is not half of {first}");
    }
}
