//! Rescaled layers of a ReLU network: the function stays, and so must what claims to be invariant.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use candle_core::{DType, Tensor};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Error, Lanczos, Objective, Parameters, Sampling, Target, gradient,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Minibatches, Task, TaskOptions};
use relief_sharpness::measures::{
    Apgd, AverageCase, Ball, Centre, CriticalStep, Invariance, Keskar, MSharpness, MWorstCase, Measure,
    Noise, PacBayesSigma, RelativeFlatness, WorstCase, eigenvalues, fisher_rao, frobenius, gradient_norm,
    operator_norm, sam_ascent, stand_in, trace, unit_flatness, weighted_lambda_max, weighted_trace,
};
use relief_sharpness::{Perturbation, Scale};

fn options() -> TaskOptions {
    TaskOptions { dtype: DType::F64, ..TaskOptions::default() }
}

fn network(tensors: &BTreeMap<String, Tensor>) -> (Task, Minibatches) {
    let load = DataOptions { dtype: DType::F64, limit: Some(500), ..DataOptions::default() };
    let data = Dataset::load("digits", &load).unwrap();
    let model = Architecture::parse("mlp:widths=64-16-16-10").unwrap();
    let task = Task::new(&model, tensors, &data, &options()).unwrap();
    (task, Minibatches::new(&model, tensors, &data, &options()).unwrap())
}

/// Trained by gradient descent with momentum until the loss is small.
fn trained() -> BTreeMap<String, Tensor> {
    let model = Architecture::parse("mlp:widths=64-16-16-10").unwrap();
    let (task, _) = network(&model.random_parameters(&[64], 0, DType::F64).unwrap());
    let mut at = task.objective.parameters().clone();
    let mut velocity = vec![0.0; at.len()];
    for _ in 0..400 {
        let (_, g) = gradient(&task.objective, &at).unwrap();
        velocity.iter_mut().zip(&g).for_each(|(v, g)| *v = 0.9 * *v + g);
        at = at.displaced(&velocity, -0.1).unwrap();
    }
    at.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
}

/// The first layer times a, the second's weights over a.
fn rescaled(tensors: &BTreeMap<String, Tensor>, a: f64) -> BTreeMap<String, Tensor> {
    let mut out = tensors.clone();
    for (name, factor) in [("0.weight", a), ("0.bias", a), ("2.weight", 1.0 / a)] {
        out.insert(name.into(), tensors[name].affine(factor, 0.0).unwrap());
    }
    out
}

fn all(tensors: &BTreeMap<String, Tensor>) -> (f64, Vec<Measure>) {
    let (task, minibatches) = network(tensors);
    let objective = &task.objective;
    let at = objective.parameters();
    let centre = Centre::new(objective, at).unwrap();
    let curvature = Curvature::new(objective, at, DEFAULT_MEMORY).unwrap();
    let hessian = curvature.hessian();
    let lanczos = Lanczos { tolerance: 1e-9, ..Lanczos::default() };
    let sampling = Sampling { target: Target::Products(24), ..Sampling::default() };
    let mut rows = vec![gradient_norm(&centre)];
    rows.extend(eigenvalues(&hessian, &lanczos).unwrap());
    rows.push(operator_norm(&rows[1], &rows[2]));
    rows.push(trace(&hessian, &sampling).unwrap());
    rows.push(frobenius(&hessian, &sampling).unwrap());
    rows.push(weighted_trace(&hessian, at, &sampling).unwrap());
    rows.push(weighted_lambda_max(&hessian, at, &lanczos).unwrap());
    for layer in ["0.weight", "2.weight", "4.weight"] {
        let settings = RelativeFlatness { layer: layer.into(), sampling: sampling.clone() };
        rows.push(settings.measure(&hessian, at).unwrap());
        rows.push(unit_flatness(layer, &hessian, at, &lanczos).unwrap());
    }
    let gauss_newton = curvature.gauss_newton();
    rows.extend(stand_in(("G", "Gauss-Newton"), &gauss_newton, &lanczos, &sampling).unwrap());
    let slopes = |batch, outputs: &Tensor, direction: &Tensor| {
        task.slopes(batch, outputs, direction).map_err(|e| Error::Other(e.to_string()))
    };
    rows.push(fisher_rao(&centre, 3, &slopes).unwrap());
    for (scale, l2, linf, sigma) in [(Scale::None, 0.1, 0.01, 0.05), (Scale::Magnitude, 0.5, 0.01, 0.2)] {
        for norm in [1.0, 2.0, 10.0, f64::INFINITY] {
            let rho = if norm.is_infinite() { linf } else { l2 };
            rows.push(sam_ascent(&centre, &Perturbation { norm, scale }, rho).unwrap());
        }
        let perturbation = Perturbation { norm: 2.0, scale };
        rows.push(MSharpness { m: 50, rho: l2, perturbation, seed: 0 }.measure(&minibatches, at).unwrap());
        for (ball, rho) in [(Ball::L2, l2), (Ball::Linf, linf)] {
            let search = Apgd { steps: 10, ..Apgd::default() };
            let worst = WorstCase { ball, rho, scale, search };
            rows.push(worst.measure(&centre).unwrap());
            rows.push(MWorstCase { m: 250, worst, seed: 0 }.measure(&minibatches, at).unwrap());
        }
        for noise in [Noise::Gaussian, Noise::Uniform] {
            let average = AverageCase { noise, rho: sigma, scale, max_pairs: 16, ..AverageCase::default() };
            rows.push(average.measure(&centre).unwrap());
        }
        let accuracy = |at: &Parameters| {
            Ok(task.accuracy(at).map_err(|e| Error::Other(e.to_string()))?.unwrap_or(f64::NAN))
        };
        rows.push(
            PacBayesSigma { draws: 4, scale, ..PacBayesSigma::default() }
                .measure(&centre, &accuracy)
                .unwrap(),
        );
    }
    rows.push(Keskar { epsilon: 1e-2, ..Keskar::default() }.measure(&centre).unwrap());
    rows.push(CriticalStep { tolerance: 1e-3, ..CriticalStep::default() }.measure(&centre).unwrap());
    (centre.loss(), rows)
}

fn both() -> &'static [(f64, Vec<Measure>); 2] {
    static ROWS: OnceLock<[(f64, Vec<Measure>); 2]> = OnceLock::new();
    ROWS.get_or_init(|| {
        let tensors = trained();
        [all(&tensors), all(&rescaled(&tensors, 5.0))]
    })
}

#[test]
fn what_says_it_is_invariant_is_and_nothing_else() {
    let [(loss, before), (same, after)] = both();
    assert!(*loss < 0.1 && (loss - same).abs() < 1e-12 * loss, "{loss} {same}");
    for (a, b) in before.iter().zip(after) {
        let change = (a.value - b.value).abs() / a.value.abs();
        println!("{:35} {:12.6} {:12.6}  {change:.1e}", a.name, a.value, b.value);
    }
    for (a, b) in before.iter().zip(after) {
        let change = (a.value - b.value).abs() / a.value.abs();
        if a.invariance == Invariance::Rescaling {
            assert!(change < 1e-8, "{}: {} {}", a.name, a.value, b.value);
        } else {
            assert!(change > 1e-2, "{} did not change: {}", a.name, a.value);
        }
    }
}

#[test]
fn searches_go_beyond_the_single_step() {
    let rows = &both()[0].1;
    let value = |name: &str| rows.iter().find(|row| row.name == name).unwrap().value;
    for prefix in ["", "adaptive-"] {
        for norm in ["l2", "linf"] {
            let (one, many) =
                (value(&format!("{prefix}sam-ascent-{norm}")), value(&format!("{prefix}worst-case-{norm}")));
            assert!(many >= one * (1.0 - 1e-12), "{prefix}{norm}: {many} {one}");
        }
        // A mini-batch climbs its own loss higher than the mean of all climbs.
        assert!(value(&format!("{prefix}m-sharpness-l2")) > value(&format!("{prefix}sam-ascent-l2")));
    }
}

#[test]
fn names_are_unique_and_values_are_finite() {
    let rows = &both()[0].1;
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len());
    assert!(rows.iter().all(|row| row.value.is_finite() && !row.definition.contains('\n')));
}
