//! SAM and its nearest kin against closed forms.

mod common;

use common::{Analytic, assert_near, digits, dot, followed, norm, trained};
use proptest::prelude::*;
use relief_hessian::{Control, Dense, FiniteSum, Lanczos, Outcome, Silent, gradient};
use relief_sharpness::{Perturbation, Scale, sam_edge};
use relief_training::{
    Egr, EigenMethod, EigenSam, Every, MSam, Memory, RandomSam, Rule, Sam, Training, TrainingState,
    UnnormalisedSam,
};

fn sam(rho: f64) -> Rule {
    Rule::Sam(Sam { rho, ..Sam::default() })
}

/// On a convex quadratic SAM ends in a cycle of two points along the top eigenvector, |w1| = rho eta lambda/(2 - eta lambda),
/// where the SAM-edge is the top eigenvalue (Bartlett, Long & Bousquet 2023).
#[test]
fn sam_bounces_between_two_points_where_its_edge_is_the_eigenvalue() {
    let spectrum: &[f64] = &[15.0, 9.0, 4.0, 1.0, 0.3];
    for (spectrum, eta, expected) in [(&[10.0][..], 0.1, 0.2), (spectrum, 0.05, 0.12), (spectrum, 0.1, 0.6)] {
        let start: Vec<f64> = (0..spectrum.len()).map(|i| 0.5 + 0.1 * i as f64).collect();
        let sum = Analytic::quadratic(spectrum, 1, &start);
        let training = Training { rule: sam(0.2), eta, steps: 4000, ..Training::default() };
        let last = trained(&training, &sum).point;
        assert!((last[0].abs() - expected).abs() < 1e-10, "{last:?}");
        assert!(last[1..].iter().all(|w| w.abs() < 1e-10), "{last:?}");
        let slope: Vec<f64> = spectrum.iter().zip(&last).map(|(a, w)| a * w).collect();
        assert!((sam_edge(eta, 0.2, norm(&slope)) - spectrum[0]).abs() < 1e-10);
        let next = trained(&Training { steps: 4001, ..training }, &sum).point;
        assert!((last[0] + next[0]).abs() < 1e-10);
    }
}

#[test]
fn sam_and_its_variants_on_a_quadratic_take_the_gradient_at_the_perturbed_point() {
    let (curvatures, start) = ([3.0, 1.0, 0.5], [1.0, -2.0, 0.5]);
    let sum = Analytic::quadratic(&curvatures, 1, &start);
    let g: Vec<f64> = curvatures.iter().zip(&start).map(|(a, w)| a * w).collect();
    let length = norm(&g);
    let at =
        |epsilon: Vec<f64>| -> Vec<f64> { (0..3).map(|i| curvatures[i] * (start[i] + epsilon[i])).collect() };
    let scaled = |factor: f64| g.iter().map(|g| factor * g).collect::<Vec<f64>>();
    let rule = |rule: Rule| followed(&Training { rule, ..Training::default() }, &sum);
    assert_near(&rule(sam(0.3)), &at(scaled(0.3 / length)), 1e-14);
    assert_near(
        &rule(Rule::ReverseSam(Sam { rho: 0.3, ..Sam::default() })),
        &at(scaled(-0.3 / length)),
        1e-14,
    );
    assert_near(&rule(Rule::UnnormalisedSam(UnnormalisedSam { rho: 0.3 })), &at(scaled(0.3)), 1e-14);
    // ASAM: rho T^2 g/|T g|.
    let adaptive = Sam { rho: 0.3, perturbation: Perturbation { norm: 2.0, scale: Scale::Magnitude } };
    let slopes: Vec<f64> = g.iter().zip(&start).map(|(g, w)| g * w.abs()).collect();
    let epsilon = slopes.iter().zip(&start).map(|(s, w)| 0.3 * s * w.abs() / norm(&slopes)).collect();
    assert_near(&rule(Rule::Sam(adaptive)), &at(epsilon), 1e-14);
    // Infinity norm: rho sign g.
    let flat = Perturbation { norm: f64::INFINITY, scale: Scale::None };
    let signs = g.iter().map(|g| 0.3 * g.signum()).collect();
    assert_near(&rule(Rule::Sam(Sam { rho: 0.3, perturbation: flat })), &at(signs), 1e-14);
}

#[test]
fn a_random_perturbation_has_the_radius_and_changes_with_step_and_seed() {
    let sum = Analytic::quadratic(&[1.0; 6], 1, &[0.0; 6]);
    let rule = Rule::Random(RandomSam { rho: 0.3 });
    // With H = 1 and the gradient 0, what is followed is the perturbation.
    let first = followed(&Training { rule: rule.clone(), ..Training::default() }, &sum);
    assert!((norm(&first) - 0.3).abs() < 1e-14);
    let other = followed(&Training { rule: rule.clone(), seed: 1, ..Training::default() }, &sum);
    assert!(norm(&other.iter().zip(&first).map(|(a, b)| a - b).collect::<Vec<_>>()) > 0.01);
    let training = Training { rule, eta: 1.0, steps: 2, ..Training::default() };
    let two = trained(&training, &sum).point;
    // w2 = w1 - (w1 + e2) = -e2.
    assert!((norm(&two) - 0.3).abs() < 1e-14 && norm(&[two[0] + first[0], two[1] + first[1]]) > 1e-6);
}

#[test]
fn one_part_of_all_examples_is_sam_and_parts_are_averaged_by_size() {
    let sum = digits("tanh");
    let run = |rule| trained(&Training { rule, batch: Some(32), steps: 20, ..Training::default() }, &sum);
    let parts = |m| Rule::MSam(MSam { rho: 0.1, m, ..MSam::default() });
    let whole = run(parts(32));
    assert_eq!(whole.point, run(sam(0.1)).point);
    assert_eq!(whole.work, run(parts(5)).work);
    // Against the definition, on the first mini-batch.
    let training = Training { rule: parts(5), batch: Some(32), ..Training::default() };
    let examples = training.epochs(sum.examples()).unwrap().at(0);
    let mut expected = vec![0.0; sum.parameters().len()];
    for part in examples.chunks(5) {
        let objective = sum.over(part).unwrap();
        let (_, g) = gradient(&*objective, sum.parameters()).unwrap();
        let ahead = sum.parameters().displaced(&g, 0.1 / norm(&g)).unwrap();
        let (_, g) = gradient(&*objective, &ahead).unwrap();
        expected.iter_mut().zip(g).for_each(|(e, g)| *e += part.len() as f64 / 32.0 * g);
    }
    assert_near(&followed(&training, &sum), &expected, 1e-13);
}

/// A step along EGR is one along the gradient of f + rho |grad f|, by central differences.
#[test]
fn egr_is_the_gradient_of_loss_and_gradient_norm() {
    let sum = digits("tanh");
    let rho = 0.3;
    let training = Training { rule: Rule::Egr(Egr { rho }), batch: Some(64), ..Training::default() };
    let found = followed(&training, &sum);
    let objective = sum.over(&training.epochs(sum.examples()).unwrap().at(0)).unwrap();
    let value = |direction: &[f64], step: f64| {
        let at = sum.parameters().displaced(direction, step).unwrap();
        let (loss, g) = gradient(&*objective, &at).unwrap();
        loss + rho * norm(&g)
    };
    let n = sum.parameters().len();
    for nth in [0, 17, 200, n - 1] {
        let mut axis = vec![0.0; n];
        axis[nth] = 1.0;
        let slope = (value(&axis, 1e-5) - value(&axis, -1e-5)) / 2e-5;
        assert!((found[nth] - slope).abs() < 1e-9, "{} against {slope}", found[nth]);
    }
    let along = (value(&found, 1e-5) - value(&found, -1e-5)) / 2e-5;
    assert!((along - dot(&found, &found)).abs() < 1e-8 * along.abs().max(1.0));
}

fn eigen_sam(alpha: f64) -> EigenSam {
    EigenSam { rho: 0.1, alpha, every: Every::Steps(3), ..EigenSam::default() }
}

#[test]
fn eigen_sam_is_sam_with_alpha_0_and_before_the_first_estimate() {
    let sum = digits("relu");
    let run = |rule, steps| trained(&Training { rule, batch: Some(32), steps, ..Training::default() }, &sum);
    let plain = run(sam(0.1), 12).point;
    assert_near(&run(Rule::EigenSam(eigen_sam(0.0)), 12).point, &plain, 1e-13);
    let late = EigenSam { every: Every::StepsOfEpoch(11), ..eigen_sam(1.0) };
    let before = run(Rule::EigenSam(late), 11);
    assert_near(&before.point, &run(sam(0.1), 11).point, 1e-13);
    assert!(before.memory.vectors.is_empty());
    let after = run(Rule::EigenSam(late), 12);
    assert!(after.memory.get(EigenSam::EIGENVECTOR).is_some());
    assert!(norm(&after.point.iter().zip(&plain).map(|(a, b)| a - b).collect::<Vec<_>>()) > 1e-6);
}

#[test]
fn eigen_sam_perturbs_as_published() {
    let (g, v) = ([3.0, 0.0, 4.0], [0.6, 0.8, 0.0]);
    let at = common::point(&[&[0.0; 3]]);
    let memory = Memory { vectors: [(EigenSam::EIGENVECTOR.to_string(), v.to_vec())].into() };
    let perturbation =
        |rule: EigenSam, g: &[f64]| Rule::EigenSam(rule).perturbation(g, &at, &memory).unwrap().unwrap();
    // ghat = (.6, 0, .8), ghat'v = .36, the rest of v is (.384, .8, -.288).
    let rule = EigenSam { rho: 0.1, alpha: 0.5, ..EigenSam::default() };
    let expected = [0.0792, 0.04, 0.0656];
    assert_near(&perturbation(rule, &g), &expected, 1e-15);
    let length = norm(&expected) / 0.1;
    let renormalised = EigenSam { renormalise: true, ..rule };
    assert_near(&perturbation(renormalised, &g), &expected.map(|e| e / length), 1e-15);
    // The eigenvector's sign does not matter, the gradient's turns all.
    let turned = perturbation(rule, &g.map(|g| -g));
    assert_near(&turned, &expected.map(|e| -e), 1e-15);
    assert_eq!(perturbation(rule, &[0.0; 3]), [0.0; 3]);
}

proptest! {
    /// |cos(epsilon, v)| is (c + alpha (1 - c^2))/sqrt(1 + alpha^2 (1 - c^2)) with c = |cos(g, v)|, no less than c for alpha <= 2.
    #[test]
    fn eigen_sam_never_aligns_less_than_sam(
        g in prop::collection::vec(-1.0..1.0f64, 8),
        v in prop::collection::vec(-1.0..1.0f64, 8),
        alpha in 0.0..=2.0f64,
        renormalise: bool,
    ) {
        prop_assume!(norm(&g) > 1e-3 && norm(&v) > 1e-3 && dot(&g, &v) != 0.0);
        let unit: Vec<f64> = v.iter().map(|x| x / norm(&v)).collect();
        let memory = Memory { vectors: [(EigenSam::EIGENVECTOR.to_string(), unit.clone())].into() };
        let rule = Rule::EigenSam(EigenSam { rho: 0.3, alpha, renormalise, ..EigenSam::default() });
        let epsilon = rule.perturbation(&g, &common::point(&[&[0.0; 8]]), &memory).unwrap().unwrap();
        let c = dot(&g, &unit).abs() / norm(&g);
        let found = dot(&epsilon, &unit).abs() / norm(&epsilon);
        let rest = (1.0 - c * c).max(0.0);
        let expected = (c + alpha * rest) / (1.0 + alpha * alpha * rest).sqrt();
        prop_assert!((found - expected).abs() < 1e-12);
        prop_assert!(found >= c - 1e-12);
    }
}

/// Both methods find the top eigenvector of an explicit Hessian, whichever examples it belongs to.
#[test]
fn eigen_sam_estimates_the_top_eigenvector() {
    let sum = digits("tanh");
    let n = sum.parameters().len();
    let mut training = Training { batch: Some(64), steps: 1, ..Training::default() };
    let examples = training.epochs(sum.examples()).unwrap().at(0);
    let objective = sum.over(&examples).unwrap();
    let curvature =
        relief_hessian::Curvature::new(&*objective, sum.parameters(), relief_hessian::DEFAULT_MEMORY)
            .unwrap();
    let axes: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
    let rows = relief_hessian::SymmetricOperator::apply_block(&curvature.hessian(), &axes).unwrap();
    let entries: Vec<f64> = (0..n * n).map(|k| 0.5 * (rows[k / n][k % n] + rows[k % n][k / n])).collect();
    let solver = Lanczos { tolerance: 1e-12, ..Lanczos::default() };
    let Outcome::Done(top) = solver.run(&Dense::new(n, entries).unwrap(), None, &mut Silent).unwrap() else {
        unreachable!()
    };
    for (method, least) in [
        (EigenMethod::Power { steps: 400 }, 1.0 - 1e-6),
        (EigenMethod::Lanczos { tolerance: 1e-8, max_products: 200 }, 1.0 - 1e-12),
    ] {
        let rule = EigenSam { method, ..eigen_sam(0.2) };
        training.rule = Rule::EigenSam(rule);
        let state = trained(&training, &sum);
        let v = state.memory.get(EigenSam::EIGENVECTOR).unwrap();
        assert!((norm(v) - 1.0).abs() < 1e-12);
        let cosine = dot(v, &top.vectors[0]).abs();
        assert!(cosine >= least, "{method:?}: {cosine}");
        // One linearization, which gives the gradient too, and one gradient ahead.
        assert_eq!(state.work.gradients, 2 * 64);
        if let EigenMethod::Power { steps } = method {
            assert_eq!(state.work.products, 64 * steps);
        }
        training.rule = Rule::EigenSam(EigenSam { examples: Some(200), ..rule });
        assert_eq!(trained(&training, &sum).work.gradients, 2 * 64 + 200);
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_in_words() {
    let sum = digits("tanh");
    let cases: [(Rule, &str); 7] = [
        (sam(-0.1), "reverse-sam"),
        (sam(f64::NAN), "rho is NaN"),
        (Rule::MSam(MSam { m: 0, ..MSam::default() }), "at least 1"),
        (
            Rule::EigenSam(EigenSam { every: Every::StepsOfEpoch(100), ..eigen_sam(0.2) }),
            "never be estimated",
        ),
        (Rule::EigenSam(EigenSam { every: Every::Steps(0), ..eigen_sam(0.2) }), "every 0 steps"),
        (Rule::EigenSam(EigenSam { examples: Some(5000), ..eigen_sam(0.2) }), "there are 1437"),
        (Rule::named("frob-sam").unwrap().with_rho(0.0), "divided by it"),
    ];
    for (rule, part) in cases {
        let training = Training { rule, batch: Some(64), ..Training::default() };
        let mut state = TrainingState::new(sum.parameters()).unwrap();
        let before = state.clone();
        let error = training.run(&sum, &mut state, &mut |_, _| Control::Continue).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(state, before);
    }
    assert!(Rule::named("sharp").unwrap_err().to_string().contains("eigen-sam"));
    for name in Rule::NAMES {
        assert_eq!(Rule::named(name).unwrap().name(), name);
    }
}
