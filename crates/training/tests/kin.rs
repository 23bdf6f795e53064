//! SAM's cheaper and further kin: against their formulas, and against integrals over a plane.

mod common;

use std::sync::Arc;

use common::{Analytic, assert_near, digits, dot, followed, norm, point, trained};
use relief_hessian::{Control, FiniteSum};
use relief_training::{
    DetSam, FrobSam, GraphSam, Gsam, LookSam, Momentum, Optimiser, Rule, Schedule, Shape, TraceSam, Training,
    TrainingState,
};

const CURVATURES: [f64; 4] = [3.0, 1.0, 0.5, 2.0];
const START: [f64; 4] = [1.0, -2.0, 0.5, 0.3];

fn slope(w: &[f64]) -> Vec<f64> {
    CURVATURES.iter().zip(w).map(|(a, w)| a * w).collect()
}

fn moved(w: &[f64], factor: f64, direction: &[f64]) -> Vec<f64> {
    w.iter().zip(direction).map(|(w, d)| w + factor * d).collect()
}

#[test]
fn look_sam_uses_the_orthogonal_part_again() {
    let sum = Analytic::quadratic(&CURVATURES, 1, &START);
    let (rho, alpha, eta) = (0.2, 0.7, 0.1);
    let rule = Rule::LookSam(LookSam { rho, alpha, every: 3 });
    let mut w = START.to_vec();
    let mut part = vec![];
    for step in 0..7 {
        let g = slope(&w);
        let follow = if step % 3 == 0 {
            let ahead = slope(&moved(&w, rho / norm(&g), &g));
            part = moved(&ahead, -dot(&ahead, &g) / dot(&g, &g), &g);
            assert!(dot(&part, &g).abs() < 1e-12);
            ahead
        } else {
            moved(&g, alpha * norm(&g) / norm(&part), &part)
        };
        w = moved(&w, -eta, &follow);
    }
    let state = trained(&Training { rule, eta, steps: 7, ..Training::default() }, &sum);
    assert_near(&state.point, &w, 1e-13);
    assert_eq!(state.work.gradients, 7 + 3);
}

#[test]
fn gsam_takes_off_what_widens_the_gap() {
    let sum = Analytic::quadratic(&CURVATURES, 1, &START);
    let follow = |rule| followed(&Training { rule: Rule::Gsam(rule), ..Training::default() }, &sum);
    let g = slope(&START);
    let ahead = slope(&moved(&START, 0.3 / norm(&g), &g));
    assert_near(&follow(Gsam { rho: 0.3, alpha: 0.0, least_rho: None }), &ahead, 1e-14);
    let rest = moved(&g, -dot(&g, &ahead) / dot(&ahead, &ahead), &ahead);
    let found = follow(Gsam { rho: 0.3, alpha: 0.4, least_rho: None });
    assert_near(&found, &moved(&ahead, -0.4, &rest), 1e-14);
    // The perturbed loss falls as fast as with SAM, to first order.
    assert!((dot(&found, &ahead) - dot(&ahead, &ahead)).abs() < 1e-12);
    // The radius follows the step size.
    let schedule = Schedule { warmup: 1, shape: Shape::Constant };
    let rule = Rule::Gsam(Gsam { rho: 0.3, alpha: 0.0, least_rho: Some(0.1) });
    let halved = followed(&Training { rule, schedule, ..Training::default() }, &sum);
    let expected = slope(&moved(&START, 0.2 / norm(&g), &g));
    assert_near(&halved, &expected.iter().map(|x| 0.5 * x).collect::<Vec<_>>(), 1e-14);
}

#[test]
fn graph_sam_moves_its_perturbation_tensor_by_tensor() {
    // Two tensors, two steps an epoch.
    let mut sum = Analytic::quadratic(&CURVATURES, 2, &START);
    sum.parameters = point(&[&START[..1], &START[1..]]);
    let rule = GraphSam { rho: 0.2, radius: 0.15, adaptive: true, beta: 0.9, gamma: 0.5, epochs: 1 };
    let training =
        Training { rule: Rule::GraphSam(rule), eta: 0.1, steps: 5, batch: Some(1), ..Training::default() };
    let epochs = training.epochs(2).unwrap();
    let (mut w, mut omega) = (START.to_vec(), vec![]);
    let parts = [0..1, 1..4];
    for step in 0..5 {
        let i = epochs.at(step)[0];
        let g = |w: &[f64]| (sum.gradient)(w, i);
        if step % 2 == 0 {
            omega = g(&w);
        }
        let decay = 0.5f64.powi(step as i32 / 2);
        let tilted: Vec<f64> = omega.iter().zip(&w).map(|(o, w)| o * w.abs()).collect();
        let mut epsilon: Vec<f64> =
            tilted.iter().zip(&w).map(|(t, w)| decay * 0.2 * t * w.abs() / norm(&tilted)).collect();
        for part in &parts {
            let length = norm(&epsilon[part.clone()]);
            let cut = (decay * 0.15 / length).min(1.0);
            epsilon[part.clone()].iter_mut().for_each(|e| *e *= cut);
        }
        let ahead = g(&moved(&w, 1.0, &epsilon));
        for part in &parts {
            let length = norm(&ahead[part.clone()]);
            for k in part.clone() {
                omega[k] = 0.9 * omega[k] + 0.1 * ahead[k] / length;
            }
        }
        w = moved(&w, -0.1, &ahead);
    }
    let state = trained(&training, &sum);
    assert_near(&state.point, &w, 1e-13);
    // One gradient a step and one more an epoch.
    assert_eq!(state.work.gradients, 5 + 3);
}

/// f = w0^2 exp(w1)/2 + w1^2/2.
fn curved(start: &[f64; 2]) -> Analytic {
    Analytic {
        parameters: point(&[start]),
        examples: 1,
        value: Arc::new(|w, _| value(w)),
        gradient: Arc::new(|w, _| {
            let e = w[1].exp();
            vec![w[0] * e, 0.5 * w[0] * w[0] * e + w[1]]
        }),
        product: Arc::new(|w, _, v| {
            let e = w[1].exp();
            let mixed = w[0] * e;
            vec![e * v[0] + mixed * v[1], mixed * v[0] + (0.5 * w[0] * w[0] * e + 1.0) * v[1]]
        }),
    }
}

fn value(w: &[f64]) -> f64 {
    0.5 * w[0] * w[0] * w[1].exp() + 0.5 * w[1] * w[1]
}

/// Mean of `f(v)` over a square grid of midpoints in [-half, half]^2 with these weights.
fn plane(half: f64, weight: impl Fn(f64) -> f64, f: impl Fn([f64; 2]) -> f64) -> f64 {
    const POINTS: usize = 121;
    let node = |i: usize| half * ((2 * i + 1) as f64 / POINTS as f64 - 1.0);
    let (mut sum, mut total) = (0.0, 0.0);
    for i in 0..POINTS {
        for j in 0..POINTS {
            let v = [node(i), node(j)];
            let share = weight(v[0]) * weight(v[1]);
            sum += share * f(v);
            total += share;
        }
    }
    sum / total
}

fn normal(half: f64, f: impl Fn([f64; 2]) -> f64) -> f64 {
    plane(half, |x| (-0.5 * x * x).exp(), f)
}

/// The gradient of a function of the point, by central differences.
fn slopes(f: impl Fn(&[f64]) -> f64, at: &[f64; 2]) -> Vec<f64> {
    let h = 1e-4;
    (0..2)
        .map(|k| {
            let mut ends = [at.to_vec(), at.to_vec()];
            ends[0][k] += h;
            ends[1][k] -= h;
            (f(&ends[0]) - f(&ends[1])) / (2.0 * h)
        })
        .collect()
}

/// Mean over seeds of what a rule follows, against what is expected within 4.5 standard errors, which must be below `error`.
#[track_caller]
fn assert_in_the_mean(rule: &Rule, at: &[f64; 2], expected: &[f64], seeds: u64, error: f64) {
    let sum = curved(at);
    let found: Vec<Vec<f64>> = (0..seeds)
        .map(|seed| followed(&Training { rule: rule.clone(), seed, ..Training::default() }, &sum))
        .collect();
    for k in 0..2 {
        let n = seeds as f64;
        let mean = found.iter().map(|x| x[k]).sum::<f64>() / n;
        let spread = found.iter().map(|x| (x[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let standard = (spread / n).sqrt();
        let gap = (mean - expected[k]).abs();
        assert!(gap < 4.5 * standard && standard < error, "entry {k}: {mean} +- {standard}, {expected:?}");
    }
}

const AT: [f64; 2] = [0.8, -0.3];

#[test]
fn frob_sam_follows_the_variance_with_as_few_as_two_draws() {
    let (rho, lambda) = (0.6, 0.5);
    let penalised = |w: &[f64]| {
        let there = |v: [f64; 2]| value(&[w[0] + rho * v[0], w[1] + rho * v[1]]);
        let mean = normal(7.0, there);
        let variance = normal(7.0, |v| (there(v) - mean).powi(2));
        value(w) + lambda / (2.0 * rho * rho) * variance
    };
    let expected = slopes(penalised, &AT);
    assert_in_the_mean(&Rule::FrobSam(FrobSam { rho, lambda, draws: 2 }), &AT, &expected, 8000, 0.05);
    assert_in_the_mean(&Rule::FrobSam(FrobSam { rho, lambda, draws: 50 }), &AT, &expected, 300, 0.05);
    // The variance is rho^2 |g|^2 + rho^4/2 |H|_F^2 for a small radius.
    let (small, e) = (0.05, AT[1].exp());
    let there = |v: [f64; 2]| value(&[AT[0] + small * v[0], AT[1] + small * v[1]]);
    let mean = normal(7.0, there);
    let variance = normal(7.0, |v| (there(v) - mean).powi(2));
    let g = [AT[0] * e, 0.5 * AT[0] * AT[0] * e + AT[1]];
    let frobenius = e * e + 2.0 * (AT[0] * e).powi(2) + (0.5 * AT[0] * AT[0] * e + 1.0).powi(2);
    let expected = small.powi(2) * dot(&g, &g) + 0.5 * small.powi(4) * frobenius;
    assert!((variance / expected - 1.0).abs() < 0.01, "{variance} against {expected}");
}

#[test]
fn trace_sam_follows_the_trace_of_the_hessian() {
    let lambda = 0.5;
    // tr H = exp(w1) (1 + w0^2/2) + 1; the penalty is lambda/2 tr H up to terms in rho^2.
    let (rho, e) = (0.1, AT[1].exp());
    let g = [AT[0] * e, 0.5 * AT[0] * AT[0] * e + AT[1]];
    let trace = [e * AT[0], e * (1.0 + 0.5 * AT[0] * AT[0])];
    let expected: Vec<f64> = (0..2).map(|k| g[k] + 0.5 * lambda * trace[k]).collect();
    let rule = Rule::TraceSam(TraceSam { rho, lambda, draws: 100 });
    assert_in_the_mean(&rule, &AT, &expected, 1000, 0.04);
    // And exactly at any radius.
    let rho = 0.8;
    let penalised = |w: &[f64]| {
        let mean = normal(7.0, |v| value(&[w[0] + rho * v[0], w[1] + rho * v[1]]));
        value(w) + lambda / (rho * rho) * (mean - value(w))
    };
    let rule = Rule::TraceSam(TraceSam { rho, lambda, draws: 1 });
    assert_in_the_mean(&rule, &AT, &slopes(penalised, &AT), 8000, 0.04);
}

#[test]
fn det_sam_follows_its_integral_which_is_a_determinant_in_a_wide_cube() {
    let (rho, lambda, half_edge) = (0.5, 0.4, 2.0);
    let penalty = |w: &[f64]| {
        let rise = |v: [f64; 2]| (value(&[w[0] + rho * v[0], w[1] + rho * v[1]]) - value(w)) / (rho * rho);
        plane(half_edge, |_| 1.0, |v| (-0.5 * rise(v)).exp()).powi(-2)
    };
    let expected = slopes(|w| value(w) + lambda * penalty(w), &AT);
    let rule = Rule::DetSam(DetSam { rho, lambda, draws: 3000, half_edge });
    assert_in_the_mean(&rule, &AT, &expected, 40, 0.02);
    // At w = 0 the Hessian is the identity, and (4 pi)^2/(2 a)^4 times the penalty its determinant, up to terms in rho^2.
    let (rho, a) = (0.02, 8.0f64);
    let rise = |v: [f64; 2]| value(&[rho * v[0], rho * v[1]]) / (rho * rho);
    let mean = plane(a, |_| 1.0, |v| (-0.5 * rise(v)).exp());
    let determinant = (4.0 * std::f64::consts::PI).powi(2) / (2.0 * a).powi(4) / (mean * mean);
    assert!((determinant - 1.0).abs() < 2e-3, "{determinant}");
}

#[test]
fn every_rule_lowers_the_loss_of_a_small_network() {
    let sum = digits("tanh");
    for name in Rule::NAMES {
        let rule = Rule::named(name).unwrap();
        let optimiser = Optimiser::Sgd(Momentum { momentum: 0.9, nesterov: false });
        let training = Training { rule, optimiser, batch: Some(64), steps: 200, ..Training::default() };
        let mut losses = vec![];
        let mut state = TrainingState::new(sum.parameters()).unwrap();
        training
            .run(&sum, &mut state, &mut |step, _| {
                losses.push(step.loss);
                Control::Continue
            })
            .unwrap();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[180..]) < 0.8 * mean(&losses[..5]), "{name}: {:?}", &losses[180..]);
    }
}
