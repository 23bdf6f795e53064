//! A whole probe, number by number.

use std::collections::BTreeSet;

use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, FiniteSum, Lanczos, Objective, Observer, Outcome, Parameters,
    Progress, Silent, Wanted, gradient, third_products,
};
use relief_models::loss::Loss;
use relief_models::task::Minibatches;
use relief_sharpness::{AdamSetting, KernelNorm, Noise, Probe, Probed, Setting, sam_edge};

use super::{assert_close, digits, done, dot, norm, options, product};

fn network() -> Minibatches {
    digits("mlp:widths=64-8-10,activation=tanh", 60, &options(Loss::HalfSquaredError))
}

fn probe(probe: &Probe, sum: &Minibatches, at: &Parameters, setting: &Setting<'_>) -> Probed {
    let whole = sum.whole().unwrap();
    done(probe.run(sum, &*whole, at, setting, None, &mut Silent).unwrap())
}

fn largest(whole: &dyn Objective, at: &Parameters) -> f64 {
    let curvature = Curvature::new(whole, at, DEFAULT_MEMORY).unwrap();
    let solver = Lanczos { wanted: Wanted::Largest { k: 2 }, tolerance: 1e-10, ..Lanczos::default() };
    done(solver.run(&curvature.hessian(), None, &mut Silent).unwrap()).largest[0].value
}

#[test]
fn every_number_is_what_it_says() {
    let sum = network();
    let at = sum.parameters();
    let whole = sum.whole().unwrap();
    let (eta, rho) = (0.2, 0.05);
    let settings = Probe {
        top: 3,
        tolerance: 1e-8,
        trace: Some(0.05),
        third_order: true,
        phantom: true,
        noise: Some(Noise {
            relative_error: 0.1,
            kernel_norm: Some(KernelNorm { exact_up_to: 700, ..KernelNorm::default() }),
            ..Noise::default()
        }),
        ..Probe::default()
    };
    let setting = Setting { eta: Some(eta), rho: Some(rho), batch: Some(10), ..Setting::default() };
    let found = probe(&settings, &sum, at, &setting);

    let (loss, slope) = gradient(&*whole, at).unwrap();
    let length = norm(&slope);
    assert_close(found.loss, loss, 1e-13);
    assert_close(found.gradient_norm, length, 1e-13);
    let edge = sam_edge(eta, rho, length);
    assert_close(found.edges.sam.unwrap(), edge, 1e-13);
    assert_close(found.distance().unwrap(), found.eigenvalues[0].value / edge, 1e-13);

    let curvature = Curvature::new(&*whole, at, DEFAULT_MEMORY).unwrap();
    let hessian = curvature.hessian();
    let v = &found.vectors[0];
    let image = product(&hessian, v);
    assert_close(dot(&image, v), found.eigenvalues[0].value, 1e-12);
    let ascended = at.displaced(&slope, rho / length).unwrap();
    let followed = gradient(&*whole, &ascended).unwrap().1;
    let cosine = |u: &[f64]| dot(u, v).abs() / norm(u);
    // Without another rule, the perturbation is along the gradient.
    assert_close(found.gradient.unwrap().first, cosine(&slope), 1e-12);
    assert_close(found.perturbation.unwrap().first, cosine(&slope), 1e-12);
    assert_close(found.perturbed_gradient.unwrap().first, cosine(&followed), 1e-11);
    assert!(found.gradient.unwrap().first_bound.unwrap() < 1e-5);
    let curved = product(&hessian, &slope);
    assert_close(found.hessian_gradient.unwrap().rayleigh, dot(&curved, &slope) / length / length, 1e-12);

    let trace: f64 = (0..at.len())
        .map(|i| {
            let mut unit = vec![0.0; at.len()];
            unit[i] = 1.0;
            product(&hessian, &unit)[i]
        })
        .sum();
    let estimate = found.trace.as_ref().unwrap();
    assert!((estimate.value - trace).abs() < 4.0 * estimate.error_estimate, "{estimate:?} {trace}");

    // Along the gradient, by differences of the largest eigenvalue itself.
    let step = 1e-4;
    let there = |sign: f64| largest(&*whole, &at.displaced(&slope, sign * step / length).unwrap());
    let rate = (there(1.0) - there(-1.0)) / (2.0 * step);
    assert_close(found.third.largest_along_gradient.unwrap(), rate, 1e-5);
    // The gradient at theta + epsilon beyond its first order, by both signs.
    let behind = gradient(&*whole, &at.displaced(&slope, -rho / length).unwrap()).unwrap().1;
    let second: Vec<f64> = (0..at.len()).map(|i| 0.5 * (followed[i] + behind[i]) - slope[i]).collect();
    assert_close(found.third.perturbation.unwrap(), norm(&second), 1e-2);
    assert_close(found.third.perturbation_along_gradient.unwrap(), dot(&second, &slope) / length, 3e-2);

    let kernel = found.kernel_norm.unwrap();
    assert_eq!((kernel.outputs, kernel.standard_error), (10, None));
    let metrics = found.metrics();
    let tags: BTreeSet<&str> = metrics.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(tags.len(), metrics.len());
    for tag in [
        "loss/train",
        "gradient/norm",
        "hessian/lambda_1",
        "hessian/lambda_3",
        "hessian/lambda_1_bound",
        "hessian/lambda_1_over_loss",
        "hessian/trace",
        "hessian/trace_error",
        "edge/gd",
        "edge/sam",
        "edge/distance",
        "align/g_v1",
        "align/eps_v1",
        "align/sg_v1",
        "align/g_v1_bound",
        "align/g_top",
        "align/hessian_gradient",
        "noise/batch_sharpness",
        "noise/batch_sharpness_error",
        "noise/gni",
        "noise/scale",
        "noise/hessian_scale",
        "noise/kernel_norm",
        "third/perturbation",
        "phantom/gini_at_point",
        "phantom/gini_at_phantom",
        "work/products",
        "work/gradients",
    ] {
        assert!(tags.contains(tag), "{tag} is missing among {tags:?}");
    }
}

/// D3f(u, u) by differences of the Hessian's products with u, with the error of fourth order.
fn differences(whole: &dyn Objective, at: &Parameters, u: &[f64], step: f64) -> Vec<f64> {
    let image = |shift: f64| {
        let there = at.displaced(u, shift).unwrap();
        product(&Curvature::new(whole, &there, DEFAULT_MEMORY).unwrap().hessian(), u)
    };
    let near = (image(step), image(-step));
    let far = (image(2.0 * step), image(-2.0 * step));
    let one = |i: usize| 8.0 * (near.0[i] - near.1[i]) - (far.0[i] - far.1[i]);
    (0..u.len()).map(|i| one(i) / (12.0 * step)).collect()
}

#[test]
fn third_derivatives_are_differences_of_products() {
    let sum = network();
    let at = sum.parameters();
    let whole = sum.whole().unwrap();
    let settings = Probe { top: 2, tolerance: 1e-11, third_order: true, ..Probe::default() };
    let setting = Setting { rho: Some(0.05), ..Setting::default() };
    let found = probe(&settings, &sum, at, &setting);
    let slope = gradient(&*whole, at).unwrap().1;
    let length = norm(&slope);
    let ascent: Vec<f64> = slope.iter().map(|g| 0.05 * g / length).collect();
    let v = &found.vectors[0];
    let exact = third_products(&*whole, at, &[(&ascent, &ascent), (v, v)]).unwrap();
    for (u, exact, step) in [(&ascent, &exact[0], 0.05), (v, &exact[1], 3e-3)] {
        let numeric = differences(&*whole, at, u, step);
        let gap: Vec<f64> = numeric.iter().zip(exact).map(|(a, b)| a - b).collect();
        assert!(norm(&gap) < 1e-7 * norm(exact), "{} {}", norm(&gap), norm(exact));
    }
    // The second-order term of SAM's expansion, and the slope of the largest eigenvalue.
    assert_close(found.third.perturbation.unwrap(), 0.5 * norm(&exact[0]), 1e-12);
    let along = dot(&exact[0], &slope) / length;
    assert_close(found.third.perturbation_along_gradient.unwrap(), 0.5 * along, 1e-10);
    assert_close(found.third.largest_along_gradient.unwrap(), dot(&exact[1], &slope) / length, 1e-8);
    // grad lambda_1 = D3f(v, v) in a direction that has nothing to do with either.
    let mut direction: Vec<f64> = (0..at.len()).map(|i| ((i * 29 + i * i) % 31) as f64 - 15.0).collect();
    let size = norm(&direction);
    direction.iter_mut().for_each(|d| *d /= size);
    let step = 1e-2;
    let there = |shift: f64| largest(&*whole, &at.displaced(&direction, shift * step).unwrap());
    let rate = (8.0 * (there(1.0) - there(-1.0)) - (there(2.0) - there(-2.0))) / (12.0 * step);
    assert!((rate - dot(&exact[1], &direction)).abs() < 1e-6 * norm(&exact[1]), "{rate}");
}

#[test]
fn a_warm_probe_has_the_same_digits_and_nothing_extra_is_said() {
    let sum = network();
    let whole = sum.whole().unwrap();
    let cold = probe(&Probe::default(), &sum, sum.parameters(), &Setting::default());
    assert_eq!(cold.edges, Default::default());
    assert!(cold.perturbation.is_none() && cold.noise.is_none() && cold.distance().is_none());
    let start = Some(cold.vectors.as_slice());
    let warm = Probe::default().run(&sum, &*whole, sum.parameters(), &Setting::default(), start, &mut Silent);
    let warm = done(warm.unwrap());
    for (a, b) in cold.eigenvalues.iter().zip(&warm.eigenvalues) {
        assert!((a.value - b.value).abs() <= a.error_bound + b.error_bound, "{a:?} {b:?}");
    }
    assert!(warm.products <= cold.products, "{} {}", warm.products, cold.products);
}

#[test]
fn the_rule_of_training_and_its_optimiser_are_heeded() {
    let sum = network();
    let at = sum.parameters();
    let n = at.len();
    let diagonal: Vec<f64> = (0..n).map(|i| 1e-3 * (1.0 + (i % 7) as f64)).collect();
    let adam = AdamSetting { beta1: 0.9, preconditioner: &diagonal };
    let backwards = |g: &[f64], _: &Parameters| Ok(Some(g.iter().map(|x| -0.01 * x).collect::<Vec<f64>>()));
    let setting =
        Setting { eta: Some(1e-3), adam: Some(adam), perturb: Some(&backwards), ..Setting::default() };
    let found = probe(&Probe { top: 2, ..Probe::default() }, &sum, at, &setting);
    assert_close(found.edges.adam.unwrap(), 3.8e4, 1e-13);
    assert_eq!((found.edges.gradient_descent, found.edges.sam), (None, None));
    let pair = found.preconditioned.as_ref().unwrap();
    // Between the extremes of the preconditioner.
    let first = found.eigenvalues[0].value;
    assert!(pair.value >= first / 7e-3 && pair.value <= first / 1e-3, "{} {first}", pair.value);
    assert_close(found.distance().unwrap(), pair.value / 3.8e4, 1e-13);
    assert_eq!(found.vectors.len(), 3);
    assert_close(found.perturbation.unwrap().first, found.gradient.unwrap().first, 1e-12);
    let whole = sum.whole().unwrap();
    let again = done(
        Probe { top: 2, ..Probe::default() }
            .run(&sum, &*whole, at, &setting, Some(&found.vectors), &mut Silent)
            .unwrap(),
    );
    assert_close(again.preconditioned.unwrap().value, pair.value, 1e-6);
}

#[test]
fn a_stop_is_heeded_and_nonsense_refused() {
    struct After(usize);
    impl Observer for After {
        fn product(&mut self, progress: &Progress) -> Control {
            if progress.products >= self.0 { Control::Interrupt } else { Control::Continue }
        }
    }
    let sum = network();
    let whole = sum.whole().unwrap();
    let at = sum.parameters();
    for products in [1, 12, 60] {
        let settings = Probe { trace: Some(1e-3), ..Probe::default() };
        let outcome = settings.run(&sum, &*whole, at, &Setting::default(), None, &mut After(products));
        assert!(matches!(outcome.unwrap(), Outcome::Interrupted(())));
    }
    let short = [1.0];
    for setting in [
        Setting { eta: Some(0.0), ..Setting::default() },
        Setting { eta: Some(f64::NAN), ..Setting::default() },
        Setting { rho: Some(-1.0), ..Setting::default() },
        Setting { momentum: 1.0, ..Setting::default() },
        Setting { adam: Some(AdamSetting { beta1: 0.9, preconditioner: &short }), ..Setting::default() },
    ] {
        assert!(Probe::default().run(&sum, &*whole, at, &setting, None, &mut Silent).is_err());
    }
    let wrong = vec![vec![1.0; 3]];
    let start = Some(wrong.as_slice());
    assert!(Probe::default().run(&sum, &*whole, at, &Setting::default(), start, &mut Silent).is_err());
}
