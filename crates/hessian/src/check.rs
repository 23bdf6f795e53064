//! A model held against its own definition: is the gradient the slope of the loss, is H v the slope of the gradient?

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use crate::curvature::Curvature;
use crate::objective::{Objective, loss};
use crate::operator::SymmetricOperator;
use crate::{Parameters, Result};

/// What was measured, and whether it is what exact derivatives would give.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was held against what.
    pub name: &'static str,
    /// The measured relative error.
    pub error: f64,
    /// The largest error that rounding explains.
    pub allowed: f64,
    /// Whether `error <= allowed`.
    pub passed: bool,
    /// What is likely to be wrong where it is not, in one sentence.
    pub culprit: Option<String>,
}

/// The findings of [`check`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// One entry per test.
    pub findings: Vec<Finding>,
    /// Whether a piecewise linear function (`ReLU`, max-pool) bent the loss within the smallest steps: differences then say
    /// less, and the derivative is the one almost everywhere.
    pub kinks: bool,
}

impl Report {
    /// Whether every test passed.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|f| f.passed)
    }
}

/// Steps of the differences, relative to |theta|: from where truncation rules to where rounding does.
const STEPS: [f64; 6] = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8];

/// Holds gradient against loss differences, H v against gradient differences, u'Hv against v'Hu, and two evaluations
/// against each other, along random directions.
///
/// The objective should be in f64 and small (some tens of examples): the point is the rules, not the data. Costs about
/// 12 losses, 14 gradients and 3 products.
pub fn check(objective: &dyn Objective, seed: u64) -> Result<Report> {
    let at = objective.parameters();
    let here = Curvature::new(objective, at, crate::DEFAULT_MEMORY)?;
    let again = Curvature::new(objective, at, 0)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (u, v) = (direction(at.len(), &mut random), direction(at.len(), &mut random));
    let (mut hu, mut hv, mut hv_again) = (vec![0.0; at.len()], vec![0.0; at.len()], vec![0.0; at.len()]);
    here.hessian().apply(&u, &mut hu)?;
    here.hessian().apply(&v, &mut hv)?;
    again.hessian().apply(&v, &mut hv_again)?;

    let size = norm(&at.to_vec()?).max(1e-3);
    let slope = dot(here.gradient(), &v);
    let mut slope_errors = vec![];
    let mut product_errors = vec![];
    for step in STEPS.map(|s| s * size) {
        let (ahead, behind) = (at.displaced(&v, step)?, at.displaced(&v, -step)?);
        let difference = (loss(objective, &ahead)? - loss(objective, &behind)?) / (2.0 * step);
        slope_errors.push(relative((difference - slope).abs(), slope.abs().max(difference.abs())));
        product_errors.push(product_error(objective, &ahead, &behind, step, &hv)?);
    }
    let gradient_error = smallest(&slope_errors);
    let product_error = smallest(&product_errors);
    // Smooth functions agree best at middling steps; a kink inside the step shows as a jump in gradient differences.
    let kinks = product_errors[2] > 1e3 * product_error.max(1e-9);
    let asymmetry = relative((dot(&u, &hv) - dot(&v, &hu)).abs(), norm(&hu).max(norm(&hv)));
    let repeat = f64::from(u8::from(hv != hv_again || here.gradient() != again.gradient()));
    let findings = vec![
        finding("the same digits twice", repeat, 0.0, || {
            "something random or order-dependent is left in the model (dropout, shuffling)".into()
        }),
        finding("every parameter has a gradient", dead_share(at, here.gradient(), &hv), 0.0, || {
            format!("the loss does not depend on {}", dead(at, here.gradient(), &hv).join(", "))
        }),
        finding("gradient against differences of the loss", gradient_error, 1e-5, || {
            "an operation's first derivative is wrong".into()
        }),
        finding("Hessian product against differences of the gradient", product_error, 1e-4, || {
            if gradient_error > 1e-5 {
                "the gradient is wrong already".into()
            } else {
                "an operation's second derivative is wrong".into()
            }
        }),
        finding("u'Hv against v'Hu", asymmetry, 1e-9, || {
            "an operation's adjoint is not its transpose".into()
        }),
    ];
    Ok(Report { findings, kinks })
}

fn finding(name: &'static str, error: f64, allowed: f64, culprit: impl FnOnce() -> String) -> Finding {
    let passed = error <= allowed;
    Finding { name, error, allowed, passed, culprit: (!passed).then(culprit) }
}

fn product_error(
    objective: &dyn Objective,
    ahead: &Parameters,
    behind: &Parameters,
    step: f64,
    hv: &[f64],
) -> Result<f64> {
    let (ahead, behind) = (Curvature::new(objective, ahead, 0)?, Curvature::new(objective, behind, 0)?);
    let difference: Vec<f64> =
        ahead.gradient().iter().zip(behind.gradient()).map(|(a, b)| (a - b) / (2.0 * step)).collect();
    let distance = norm(&difference.iter().zip(hv).map(|(d, h)| d - h).collect::<Vec<_>>());
    Ok(relative(distance, norm(hv).max(norm(&difference))))
}

/// Names of parameters whose gradient and product vanish altogether.
fn dead<'a>(at: &'a Parameters, gradient: &[f64], hv: &[f64]) -> Vec<&'a str> {
    at.ranges()
        .into_iter()
        .filter(|(_, range)| gradient[range.clone()].iter().chain(&hv[range.clone()]).all(|x| *x == 0.0))
        .map(|(name, _)| name)
        .collect()
}

fn dead_share(at: &Parameters, gradient: &[f64], hv: &[f64]) -> f64 {
    dead(at, gradient, hv).len() as f64 / at.names().len() as f64
}

fn direction(n: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let v: Vec<f64> = (0..n).map(|_| StandardNormal.sample(random)).collect();
    let length = norm(&v);
    v.into_iter().map(|x| x / length).collect()
}

fn smallest(errors: &[f64]) -> f64 {
    errors.iter().copied().fold(f64::INFINITY, f64::min)
}

fn relative(difference: f64, size: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / size }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
