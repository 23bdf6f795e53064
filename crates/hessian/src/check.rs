//! A model held against its own definition: is the gradient the slope of the loss, is H v the slope of the gradient?

use serde::Serialize;

use crate::curvature::Curvature;
use crate::lanczos::vectors;
use crate::objective::{Objective, gradient, loss};
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

/// Steps of the differences, relative to |theta|: first the one at which smooth functions agree best, then those from where
/// truncation rules to where rounding does.
const STEPS: [f64; 6] = [1e-5, 1e-3, 1e-4, 1e-6, 1e-7, 1e-8];
/// Relative error of both differences at the first step up to which the others could say nothing new.
const CLEAR: f64 = 1e-6;
/// Relative error of a difference that says nothing against a rule: a wrong one is off by far more, and where the loss is
/// almost zero (a network that has learnt its data) differences themselves are no better.
const GRADIENT_TOLERANCE: f64 = 1e-5;
/// The same for differences of the gradient.
const PRODUCT_TOLERANCE: f64 = 1e-4;
/// How often the measured rounding errors may occur in a difference.
const ALLOWED_NOISE: f64 = 30.0;

/// Holds gradient against loss differences, H v against gradient differences, u'Hv against v'Hu, and two evaluations
/// against each other, along random directions.
///
/// The objective should be in f64 and small (some tens of examples): the point is the rules, not the data. Costs 2 losses,
/// 6 gradients and 3 products where the differences at the first step agree, and 12 losses and 16 gradients where they do not.
pub fn check(objective: &dyn Objective, seed: u64) -> Result<Report> {
    let at = objective.parameters();
    let here = Curvature::new(objective, at, crate::DEFAULT_MEMORY)?;
    let (u, v) = rayon::join(|| direction(at.len(), seed, 1), || direction(at.len(), seed, 2));
    let (hu, hv) = (product(&here, &u)?, product(&here, &v)?);
    let asymmetry = relative((dot(&u, &hv) - dot(&v, &hu)).abs(), vectors::norm(&hu).max(vectors::norm(&hv)));
    drop(hu);
    let again = Curvature::new(objective, at, 0)?;
    let repeats = here.gradient() == again.gradient() && hv == product(&again, &v)?;
    drop(again);

    let size = vectors::norm(&at.to_vec()?).max(1e-3);
    // Half along the gradient, so that the slope stands out of the loss's rounding; half random, so that all of it counts.
    let ahead = mixed(here.gradient(), u);
    let slope = dot(here.gradient(), &ahead);
    let noise = noise(objective, &here, &v, size)?;
    let mut slopes = vec![];
    let mut products = vec![];
    for step in STEPS.map(|s| s * size) {
        let difference = (loss(objective, &at.displaced(&ahead, step)?)?
            - loss(objective, &at.displaced(&ahead, -step)?)?)
            / (2.0 * step);
        let error = relative((difference - slope).abs(), slope.abs().max(difference.abs()));
        slopes.push((error, relative(ALLOWED_NOISE * noise.loss, step * slope.abs())));
        let error = product_error(objective, &v, step, &hv)?;
        products.push((error, relative(ALLOWED_NOISE * noise.gradient, step * vectors::norm(&hv))));
        if slopes[0].0 <= CLEAR && products[0].0 <= CLEAR {
            break;
        }
    }
    let (gradient_error, gradient_noise) = best(&slopes);
    let (product_error, product_noise) = best(&products);
    let gradient_allowed = gradient_noise.max(GRADIENT_TOLERANCE);
    // A kink inside a middling step shows as a jump in gradient differences.
    let kinks = products[0].0 > 1e3 * product_error.max(products[0].1).max(1e-9);
    let findings = vec![
        finding("the same digits twice", f64::from(u8::from(!repeats)), 0.0, || {
            "something random or order-dependent is left in the model (dropout, shuffling)".into()
        }),
        finding("every parameter has a gradient", dead_share(at, here.gradient(), &hv), 0.0, || {
            format!("the loss does not depend on {}", dead(at, here.gradient(), &hv).join(", "))
        }),
        finding("gradient against differences of the loss", gradient_error, gradient_allowed, || {
            "an operation's first derivative is wrong".into()
        }),
        finding(
            "Hessian product against differences of the gradient",
            product_error,
            product_noise.max(PRODUCT_TOLERANCE),
            || {
                if gradient_error > gradient_allowed {
                    "the gradient is wrong already".into()
                } else {
                    "an operation's second derivative is wrong".into()
                }
            },
        ),
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

fn product(curvature: &Curvature<'_>, v: &[f64]) -> Result<Vec<f64>> {
    let mut product = vec![0.0; v.len()];
    curvature.hessian().apply(v, &mut product)?;
    Ok(product)
}

/// How far the differences of the gradient over a step along `v` are from H v.
fn product_error(objective: &dyn Objective, v: &[f64], step: f64, hv: &[f64]) -> Result<f64> {
    let at = |step| gradient(objective, &objective.parameters().displaced(v, step)?);
    let ((_, mut difference), (_, behind)) = (at(step)?, at(-step)?);
    vectors::subtract(&[behind], &[1.0], &mut difference);
    vectors::scale(&mut difference, 0.5 / step);
    let size = vectors::norm(hv).max(vectors::norm(&difference));
    vectors::subtract(&[hv], &[1.0], &mut difference);
    Ok(relative(vectors::norm(&difference), size))
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

/// A random unit vector.
fn direction(n: usize, seed: u64, draw: u64) -> Vec<f64> {
    let mut v = vectors::random(n, seed, draw);
    let length = vectors::norm(&v);
    vectors::scale(&mut v, 1.0 / length);
    v
}

/// The step at which a difference agrees best: its error, and what rounding may contribute there.
fn best(errors: &[(f64, f64)]) -> (f64, f64) {
    errors
        .iter()
        .copied()
        .fold((f64::INFINITY, 0.0), |best, found| if found.0 < best.0 { found } else { best })
}

/// The unit vector halfway between the direction of `gradient` and the unit vector `random`.
fn mixed(gradient: &[f64], mut random: Vec<f64>) -> Vec<f64> {
    let length = vectors::norm(gradient);
    if length > 0.0 {
        vectors::subtract(&[gradient], &[-1.0 / length], &mut random);
        let length = vectors::norm(&random);
        vectors::scale(&mut random, 1.0 / length);
    }
    random
}

/// Rounding errors of a loss and of a gradient, measured: what changes under a step too short to change anything.
struct Noise {
    loss: f64,
    gradient: f64,
}

fn noise(objective: &dyn Objective, here: &Curvature<'_>, v: &[f64], size: f64) -> Result<Noise> {
    let mut found = Noise { loss: 0.0, gradient: 0.0 };
    for step in [1e-12 * size, -1e-12 * size] {
        let (near, mut change) = gradient(objective, &here.parameters().displaced(v, step)?)?;
        let moved = here.loss() + step * dot(here.gradient(), v);
        vectors::subtract(&[here.gradient()], &[1.0], &mut change);
        found.loss = found.loss.max((near - moved).abs());
        found.gradient = found.gradient.max(vectors::norm(&change));
    }
    Ok(found)
}

fn relative(difference: f64, size: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / size }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    vectors::coefficients(&[a], b)[0]
}
