//! Training of curves against closed forms, differences and recurrences written out.

use relief_hessian::{Control, Error, Result};
use relief_landscape::{
    Curve, CurveKind, CurveReport, CurveTraining, Ending, LossAndGradient, TrainingState, TrainingStep,
};

type Landscape = fn(&[f64]) -> LossAndGradient;

fn train(training: &CurveTraining, curve: Curve, landscape: Landscape) -> Curve {
    let mut state = TrainingState::new(curve);
    let ending =
        training.run(&mut state, &mut |_, x| Ok(landscape(x)), &mut |_, _| Control::Continue).unwrap();
    assert_eq!((ending, state.step), (Ending::Finished, training.steps()));
    state.curve
}

fn evenly(samples: usize) -> Vec<f64> {
    (0..samples).map(|i| i as f64 / (samples - 1) as f64).collect()
}

fn along(curve: &Curve, landscape: Landscape) -> CurveReport {
    let t = evenly(201);
    let loss: Vec<f64> = t.iter().map(|t| landscape(&curve.at(*t)).0).collect();
    CurveReport::new(&t, &loss, &curve.lengths(&t)).unwrap()
}

fn bits(points: &[Vec<f64>]) -> Vec<u64> {
    points.iter().flatten().map(|x| x.to_bits()).collect()
}

/// (x'Ax)^2/4 + b'x: every entry depends on every other.
fn quartic(x: &[f64]) -> LossAndGradient {
    let a = |i: usize, j: usize| if i == j { 1.0 + i as f64 } else { 0.3 };
    let b = |i: usize| (i as f64).cos();
    let product: Vec<f64> = (0..x.len()).map(|i| (0..x.len()).map(|j| a(i, j) * x[j]).sum()).collect();
    let square: f64 = product.iter().zip(x).map(|(a, x)| a * x).sum();
    let linear: f64 = x.iter().enumerate().map(|(i, x)| b(i) * x).sum();
    (0.25 * square * square + linear, (0..x.len()).map(|i| square * product[i] + b(i)).collect())
}

/// (|x|^2 - 1)^2: a valley around a ridge.
fn annulus(x: &[f64]) -> LossAndGradient {
    let height = x.iter().map(|x| x * x).sum::<f64>() - 1.0;
    (height * height, x.iter().map(|x| 4.0 * height * x).collect())
}

/// |x - m|^2/2 for m = (2, -1, 0.5).
fn bowl(x: &[f64]) -> LossAndGradient {
    let gradient: Vec<f64> = x.iter().zip([2.0, -1.0, 0.5]).map(|(x, m)| x - m).collect();
    (0.5 * gradient.iter().map(|g| g * g).sum::<f64>(), gradient)
}

/// What training descends along, `c_j(t)` times the gradient at phi(t), is the gradient of the mean loss in the control
/// points: against differences of a quadrature of the mean loss.
#[test]
fn coefficients_times_gradient_is_the_gradient_of_the_mean_loss() {
    let nodes: Vec<f64> = (0..200).map(|i| (f64::from(i) + 0.5) / 200.0).collect();
    for kind in [CurveKind::Bezier, CurveKind::Chain] {
        let points: Vec<Vec<f64>> =
            (0..5).map(|j| (0..3).map(|i| (f64::from(3 * j + i)).sin()).collect()).collect();
        let mean = |points: Vec<Vec<f64>>| {
            let curve = Curve::new(kind, points).unwrap();
            nodes.iter().map(|t| quartic(&curve.at(*t)).0).sum::<f64>() / 200.0
        };
        let curve = Curve::new(kind, points.clone()).unwrap();
        for j in 0..5 {
            for i in 0..3 {
                let by_rule = nodes
                    .iter()
                    .map(|t| curve.coefficients(*t)[j] * quartic(&curve.at(*t)).1[i])
                    .sum::<f64>()
                    / 200.0;
                let moved = |h: f64| {
                    let mut points = points.clone();
                    points[j][i] += h;
                    mean(points)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((by_rule - difference).abs() < 1e-8 * (1.0 + by_rule.abs()), "{kind:?} {j} {i}");
            }
        }
    }
}

/// Steps with momentum, written out as PyTorch's documentation of SGD has them, with the gradient of
/// L(phi) + w/2 |phi|^2 in the bends. The ends keep their bits.
#[test]
fn steps_are_those_of_the_recurrence() {
    for kind in [CurveKind::Bezier, CurveKind::Chain] {
        for nesterov in [false, true] {
            let training = CurveTraining {
                epochs: 6,
                batches_per_epoch: 3,
                eta: 0.02,
                momentum: 0.7,
                nesterov,
                weight_decay: 0.3,
                seed: 11,
            };
            let start: Vec<Vec<f64>> =
                (0..4).map(|j| (0..3).map(|i| 0.4 * (f64::from(5 * j + i)).cos()).collect()).collect();
            let mut by_hand = start.clone();
            let mut velocity = vec![vec![0.0; 3]; 4];
            for step in 0..18 {
                let curve = Curve::new(kind, by_hand.clone()).unwrap();
                let (c, phi) = (curve.coefficients(training.t(step)), curve.at(training.t(step)));
                let slope = quartic(&phi).1;
                for j in 1..3 {
                    for i in 0..3 {
                        let g = c[j] * (slope[i] + 0.3 * phi[i]);
                        velocity[j][i] = 0.7 * velocity[j][i] + g;
                        let d = if nesterov { g + 0.7 * velocity[j][i] } else { velocity[j][i] };
                        by_hand[j][i] -= training.learning_rate(step) * d;
                    }
                }
            }
            let trained = train(&training, Curve::new(kind, start.clone()).unwrap(), quartic);
            for (found, truth) in trained.points().iter().flatten().zip(by_hand.iter().flatten()) {
                assert!((found - truth).abs() < 1e-13, "{found} for {truth}");
            }
            assert_eq!(bits(&trained.points()[..1]), bits(&start[..1]));
            assert_eq!(bits(&trained.points()[3..]), bits(&start[3..]));
        }
    }
}

#[test]
fn the_learning_rate_is_whole_for_half_of_the_steps_and_a_hundredth_at_the_end() {
    let training = CurveTraining { epochs: 10, batches_per_epoch: 10, eta: 0.5, ..CurveTraining::default() };
    let rates: Vec<f64> = (0..100).map(|step| training.learning_rate(step) / 0.5).collect();
    assert!(rates[..50].iter().all(|r| (r - 1.0).abs() < 1e-15));
    assert!(rates[90..].iter().all(|r| (r - 0.01).abs() < 1e-15));
    assert!((rates[69] - 0.505).abs() < 1e-12, "half way down at 70 %");
    assert!(rates[49..90].windows(2).all(|pair| pair[1] < pair[0]));
    assert_eq!(
        CurveTraining::default(),
        CurveTraining {
            epochs: 200,
            batches_per_epoch: 1,
            eta: 0.01,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-4,
            seed: 1
        },
        "the published settings"
    );
}

#[test]
fn places_on_the_curve_are_uniform_and_belong_to_seed_and_step() {
    let training = CurveTraining::default();
    let mut places: Vec<f64> = (0..10_000).map(|step| training.t(step)).collect();
    let moment = |k: i32| places.iter().map(|t| t.powi(k)).sum::<f64>() / 1e4;
    // Standard errors of the moments are below 0.003.
    assert!((1..=4).all(|k| (moment(k) - 1.0 / f64::from(k + 1)).abs() < 0.015));
    let other = CurveTraining { seed: 2, ..CurveTraining::default() };
    assert!(places[7].to_bits() == training.t(7).to_bits() && places[7].to_bits() != other.t(7).to_bits());
    places.sort_by(f64::total_cmp);
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]) && places[0] > 0.0 && places[9999] < 1.0);
}

/// For |x - m|^2/2 + w/2 |x|^2 and one bend p the mean is least where (1 + w) (E[c0 c1] a + E[c1^2] p + E[c1 c2] b) =
/// E[c1] m: moments of Bernstein polynomials are Beta functions, those of hats integrals of lines.
#[test]
fn the_weight_decay_is_on_the_curves_own_weights() {
    let (a, b, m) = ([0.0, 1.0, 2.0], [3.0, -1.0, 1.0], [2.0, -1.0, 0.5]);
    for (kind, mean, square, cross) in
        [(CurveKind::Bezier, 1.0 / 3.0, 2.0 / 15.0, 0.1), (CurveKind::Chain, 0.5, 1.0 / 3.0, 1.0 / 12.0)]
    {
        for w in [0.0, 1.0] {
            let training = CurveTraining {
                epochs: 40_000,
                eta: 0.05,
                momentum: 0.5,
                weight_decay: w,
                ..CurveTraining::default()
            };
            let curve = Curve::straight(kind, a.to_vec(), b.to_vec(), 1).unwrap();
            let bend = train(&training, curve, bowl).bends()[0].clone();
            for i in 0..3 {
                let truth = (mean * m[i] / (1.0 + w) - cross * (a[i] + b[i])) / square;
                assert!((bend[i] - truth).abs() < 0.02, "{kind:?}, w = {w}: {} for {truth}", bend[i]);
            }
        }
    }
}

/// The loss told is the mini-batch loss plus w/2 |phi|^2, a squared norm.
#[test]
fn the_regulariser_is_the_squared_norm() {
    let training = CurveTraining { epochs: 1, weight_decay: 0.5, ..CurveTraining::default() };
    let curve = Curve::straight(CurveKind::Bezier, vec![10.0, 0.0], vec![10.0, 20.0], 3).unwrap();
    let (mut state, mut told) = (TrainingState::new(curve), vec![]);
    let mut observer = |step: &TrainingStep, _: &TrainingState| {
        told.push(*step);
        Control::Continue
    };
    training.run(&mut state, &mut |_, _| Ok((7.0, vec![0.0; 2])), &mut observer).unwrap();
    let height = 20.0 * training.t(0);
    assert!((told[0].loss - (7.0 + 0.25 * (100.0 + height * height))).abs() < 1e-12);
    assert_eq!((told[0].step, told[0].steps, told[0].t.to_bits()), (0, 1, training.t(0).to_bits()));
}

/// Between (-1, 0) and a point across the ridge, a trained curve goes around.
#[test]
fn a_trained_curve_goes_around_a_ridge() {
    let (start, end) = (vec![-1.0, 0.0], vec![1.0, 0.0]);
    for (kind, bends) in
        [(CurveKind::Bezier, 1), (CurveKind::Bezier, 3), (CurveKind::Chain, 1), (CurveKind::Chain, 5)]
    {
        let straight = Curve::straight(kind, start.clone(), end.clone(), bends).unwrap();
        let barrier = along(&straight, annulus).barrier.unwrap().above_line;
        assert!((barrier - 1.0).abs() < 1e-12);
        // On the chord itself the gradient is along the chord: a curve needs a first push to either side.
        let pushed = straight.bends().iter().map(|bend| vec![bend[0], bend[1] + 0.01]).collect();
        let training =
            CurveTraining { epochs: 4000, eta: 0.02, weight_decay: 0.0, ..CurveTraining::default() };
        let report = along(&train(&training, straight.with_bends(pushed).unwrap(), annulus), annulus);
        // One corner leaves the valley at the middle of its segments, where |x|^2 is 1/2 + (radius / 2)^2.
        let bound = match (kind, bends) {
            (CurveKind::Chain, 1) => 0.3,
            (_, 1) => 0.1,
            _ => 0.02,
        };
        assert!(report.loss.max < bound * barrier, "{kind:?} {bends}: {}", report.loss.max);
        assert!(report.length > 2.5, "it goes around");
    }
}

/// The valley is two-dimensional, the space is not: a search that draws control points at random finds nothing here.
#[test]
fn a_valley_is_found_in_two_thousand_dimensions() {
    const N: usize = 2000;
    fn axes() -> [Vec<f64>; 2] {
        let unit = |f: fn(f64) -> f64| -> Vec<f64> {
            let v: Vec<f64> = (0..N).map(|i| f(i as f64)).collect();
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.into_iter().map(|x| x / norm).collect()
        };
        let one = unit(|i| (0.7 * i).sin());
        let mut other = unit(|i| (0.3 * i + 1.0).cos());
        let along: f64 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
        other.iter_mut().zip(&one).for_each(|(b, a)| *b -= along * a);
        let norm = other.iter().map(|x| x * x).sum::<f64>().sqrt();
        other.iter_mut().for_each(|x| *x /= norm);
        [one, other]
    }
    fn embedded(x: &[f64]) -> LossAndGradient {
        let [u, v] = axes();
        let dot = |a: &[f64]| a.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        let (p, q) = (dot(&u), dot(&v));
        let (height, plane) = annulus(&[p, q]);
        let rest: Vec<f64> = (0..N).map(|i| x[i] - p * u[i] - q * v[i]).collect();
        let loss = height + 2.0 * rest.iter().map(|r| r * r).sum::<f64>();
        (loss, (0..N).map(|i| plane[0] * u[i] + plane[1] * v[i] + 4.0 * rest[i]).collect())
    }
    let [u, v] = axes();
    let at = |angle: f64| -> Vec<f64> {
        u.iter().zip(&v).map(|(u, v)| angle.cos() * u + angle.sin() * v).collect()
    };
    let straight = Curve::straight(CurveKind::Bezier, at(0.0), at(2.8), 2).unwrap();
    let barrier = along(&straight, embedded).barrier.unwrap().above_line;
    let training = CurveTraining { epochs: 1500, eta: 0.02, weight_decay: 0.0, ..CurveTraining::default() };
    let highest = along(&train(&training, straight, embedded), embedded).loss.max;
    assert!(barrier > 0.9 && highest < 0.02 * barrier, "{highest} of {barrier}");
}

/// Interrupted at many places, carried through its parts, the training ends at the same digits, as does one where the
/// closure sees each step once.
#[test]
fn an_interrupted_training_goes_on_to_the_same_digits() {
    let training = CurveTraining { epochs: 20, batches_per_epoch: 25, eta: 0.01, ..CurveTraining::default() };
    let noisy = |step: usize, x: &[f64]| -> Result<LossAndGradient> {
        let (loss, mut gradient) = annulus(x);
        gradient.iter_mut().enumerate().for_each(|(i, g)| *g += ((step * 7 + i) as f64).sin());
        Ok((loss, gradient))
    };
    let curve = Curve::straight(CurveKind::Bezier, vec![-1.0, 0.0, 0.2], vec![1.0, 0.3, 0.0], 4).unwrap();
    let mut whole = TrainingState::new(curve.clone());
    training.run(&mut whole, &mut |step, x| noisy(step, x), &mut |_, _| Control::Continue).unwrap();

    let stops: Vec<usize> = (0..20).map(|i| (i * 137 + 41) % 499).collect();
    let (mut state, mut seen, mut interruptions) = (TrainingState::new(curve), vec![], 0);
    loop {
        let mut gradient = |step: usize, x: &[f64]| {
            seen.push(step);
            noisy(step, x)
        };
        let mut observer = |step: &TrainingStep, _: &TrainingState| {
            if stops.contains(&step.step) { Control::Interrupt } else { Control::Continue }
        };
        if training.run(&mut state, &mut gradient, &mut observer).unwrap() == Ending::Finished {
            break;
        }
        interruptions += 1;
        let TrainingState { step, curve, velocities } = state;
        let curve = Curve::new(curve.kind(), curve.points().to_vec()).unwrap();
        state = TrainingState { step, curve, velocities };
    }
    let stopped_last = CurveTraining { epochs: 1, batches_per_epoch: 1, ..training.clone() };
    let mut one = TrainingState::new(state.curve.clone());
    let ending = stopped_last.run(&mut one, &mut |step, x| noisy(step, x), &mut |_, _| Control::Interrupt);
    assert_eq!(ending.unwrap(), Ending::Finished, "there is nothing to go on with");
    assert_eq!((interruptions, seen), (20, (0..500).collect::<Vec<_>>()));
    assert_eq!(bits(state.curve.points()), bits(whole.curve.points()));
    assert_eq!(bits(&state.velocities), bits(&whole.velocities));
}

/// An error names the step and where it was, and leaves the state before it.
#[test]
fn a_divergence_keeps_the_last_finite_state() {
    let training = CurveTraining { epochs: 100, eta: 5.0, ..CurveTraining::default() };
    let curve = Curve::straight(CurveKind::Bezier, vec![-1.0, 0.0], vec![1.0, 0.5], 2).unwrap();
    let (mut state, mut last) = (TrainingState::new(curve), None);
    let problem = training
        .run(&mut state, &mut |_, x| Ok(annulus(x)), &mut |_, state| {
            last = Some(state.clone());
            Control::Continue
        })
        .unwrap_err();
    assert!(matches!(problem, Error::NonFinite(_)));
    let text = problem.to_string();
    assert!(text.contains(&format!("step {} of 100", state.step)), "{text}");
    assert!(text.contains(&format!("t = {}", training.t(state.step))), "{text}");
    assert!(state.step > 0 && Some(&state) == last.as_ref());
    assert!(state.curve.points().iter().chain(&state.velocities).flatten().all(|x| x.is_finite()));

    for (loss, slope) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, f64::NAN)] {
        let mut state =
            TrainingState::new(Curve::straight(CurveKind::Chain, vec![0.0], vec![1.0], 1).unwrap());
        let before = state.clone();
        let told: &mut dyn FnMut(&TrainingStep, &TrainingState) -> Control = &mut |_, _| Control::Continue;
        assert!(training.run(&mut state, &mut |_, _| Ok((loss, vec![slope])), told).is_err());
        assert_eq!(state, before);
    }
    // Loss and gradient are numbers, but the step is not.
    let mut state = TrainingState::new(Curve::straight(CurveKind::Chain, vec![0.0], vec![1.0], 1).unwrap());
    let before = state.clone();
    let steep = CurveTraining { eta: 1e200, ..training };
    let problem =
        steep.run(&mut state, &mut |_, _| Ok((1.0, vec![1e200])), &mut |_, _| Control::Continue).unwrap_err();
    assert!(problem.to_string().contains("too large"), "{problem}");
    assert_eq!(state, before);
}

#[test]
fn settings_and_states_that_do_not_fit_are_refused() {
    let good = CurveTraining { epochs: 2, ..CurveTraining::default() };
    let curve = |bends| Curve::straight(CurveKind::Bezier, vec![0.0; 2], vec![1.0; 2], bends).unwrap();
    let fails = |training: &CurveTraining, mut state: TrainingState, entries: usize| {
        let mut gradient = |_: usize, _: &[f64]| Ok((1.0, vec![0.1; entries]));
        training.run(&mut state, &mut gradient, &mut |_, _| Control::Continue).is_err()
    };
    let state = TrainingState::new(curve(1));
    assert!(!fails(&good, state.clone(), 2));
    assert!(fails(&good, state.clone(), 3), "a gradient of another length");
    assert!(fails(&good, TrainingState::new(curve(0)), 2), "no bends");
    assert!(fails(&good, TrainingState { step: 3, ..state.clone() }, 2));
    assert!(fails(&good, TrainingState { velocities: vec![], ..state.clone() }, 2));
    for wrong in [
        CurveTraining { epochs: 0, ..good.clone() },
        CurveTraining { batches_per_epoch: 0, ..good.clone() },
        CurveTraining { eta: -1.0, ..good.clone() },
        CurveTraining { eta: f64::NAN, ..good.clone() },
        CurveTraining { momentum: 1.0, ..good.clone() },
        CurveTraining { weight_decay: f64::INFINITY, ..good.clone() },
    ] {
        assert!(fails(&wrong, state.clone(), 2), "{wrong:?}");
    }
}
