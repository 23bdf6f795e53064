//! Elastic bands against known saddle points, closed forms and forces worked out by hand.

use relief_hessian::{Control, Error, Result};
use relief_landscape::{
    BandLoss, BandProgress, BandState, Curve, CurveKind, Cycle, ElasticBand, Ending, Insertion,
    LossAndGradient, Spacing,
};

/// The potential of Mueller & Brown (1979), with two saddle points between its two deepest minima.
struct MuellerBrown;

impl BandLoss for MuellerBrown {
    fn gradient(&self, _: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
        let terms = [
            (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
            (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
            (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
            (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
        ];
        let (mut loss, mut gradient) = (0.0, vec![0.0; 2]);
        for (height, a, b, c, x, y) in terms {
            let (dx, dy) = (point[0] - x, point[1] - y);
            let term = height * f64::exp(a * dx * dx + b * dx * dy + c * dy * dy);
            loss += term;
            gradient[0] += term * (2.0 * a * dx + b * dy);
            gradient[1] += term * (b * dx + 2.0 * c * dy);
        }
        Ok((loss, gradient))
    }

    fn loss(&self, point: &[f64]) -> Result<f64> {
        Ok(self.gradient(0, 0, point)?.0)
    }
}

fn straight(start: &[f64], end: &[f64]) -> BandState {
    BandState::new(Curve::straight(CurveKind::Chain, start.to_vec(), end.to_vec(), 0).unwrap()).unwrap()
}

/// One equal insertion, then refinement.
fn refining(cycles: usize, steps: usize, eta: f64) -> ElasticBand {
    let mut all = vec![Cycle { insertion: Insertion::Equal(3), steps, eta }];
    all.extend(vec![Cycle { insertion: Insertion::Highest(2), steps, eta }; cycles]);
    ElasticBand { cycles: all, weight_decay: 0.0, ..ElasticBand::default() }
}

fn relaxed(band: &ElasticBand, mut state: BandState, loss: &dyn BandLoss) -> BandState {
    let ending = band.run(&mut state, loss, &mut |_, _| Control::Continue).unwrap();
    assert_eq!(ending, Ending::Finished);
    state
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn bits(points: &[Vec<f64>]) -> Vec<u64> {
    points.iter().flatten().map(|x| x.to_bits()).collect()
}

/// From the straight line between the two deepest minima to the path over both saddle points, with energies -40.665 and
/// -72.249, at (-0.822, 0.624) and (0.212, 0.293), past the third minimum, with -80.768.
#[test]
fn the_path_on_the_mueller_brown_potential_is_found() {
    let (start, end) = ([-0.558, 1.442], [0.623, 0.028]);
    let coarse = refining(14, 300, 1e-4);
    let fine = ElasticBand { threshold: 0.01, ..coarse.clone() };
    let springs = ElasticBand { spacing: Spacing::Springs(100.0), ..fine.clone() };
    let chord = Curve::straight(CurveKind::Chain, start.to_vec(), end.to_vec(), 0).unwrap();
    let along_chord = (0..=100).map(|i| MuellerBrown.loss(&chord.at(f64::from(i) / 100.0)).unwrap());
    assert!(along_chord.fold(f64::NEG_INFINITY, f64::max) > -13.0, "the straight line is far from the path");
    for (band, tolerance) in [(coarse, 0.025), (fine, 0.01), (springs, 0.01)] {
        let state = relaxed(&band, straight(&start, &end), &MuellerBrown);
        let profile = band.profile(&state).unwrap();
        let (top, energy) = (&state.pivots[profile.highest_pivot], profile.highest_pivot_loss);
        assert!((energy / -40.665 - 1.0).abs() < tolerance, "{energy} at {top:?}");
        assert!(distance(top, &[-0.822, 0.624]) < 0.06, "{top:?}");
        if tolerance > 0.01 {
            continue;
        }
        let report = profile.report().unwrap();
        assert!((report.loss.max / -40.665 - 1.0).abs() < 0.01);
        // After the first saddle point the path falls to the third minimum and rises to the second saddle point.
        let rest = &profile.loss[profile.highest_pivot * (profile.sub_pivots + 1)..];
        let valley = (1..rest.len()).find(|&i| rest[i] > rest[i - 1] && rest[i] > -100.0).unwrap();
        let second = rest[valley..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(
            (rest[valley - 1] / -80.768 - 1.0).abs() < 0.01 && (second / -72.249 - 1.0).abs() < 0.01,
            "{second}"
        );
        assert_eq!(
            (bits(&state.pivots[..1]), bits(&state.pivots[state.pivots.len() - 1..])),
            (bits(&[start.to_vec()]), bits(&[end.to_vec()]))
        );
    }
}

/// (|x|^2 - 1)^2 with noise that belongs to the step.
struct Annulus;

impl BandLoss for Annulus {
    fn gradient(&self, step: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
        let height = point.iter().map(|x| x * x).sum::<f64>() - 1.0;
        let noise = |i: usize| 0.05 * ((step * 7 + i) as f64).sin();
        Ok((height * height, point.iter().enumerate().map(|(i, x)| 4.0 * height * x + noise(i)).collect()))
    }

    fn loss(&self, point: &[f64]) -> Result<f64> {
        let height = point.iter().map(|x| x * x).sum::<f64>() - 1.0;
        Ok(height * height)
    }
}

/// Interrupted after every step, after every few points measured, and carried through its parts, a band ends at the same
/// digits, whatever the number of threads.
#[test]
fn an_interrupted_band_goes_on_to_the_same_digits_on_any_threads() {
    let band = ElasticBand { weight_decay: 1e-3, threshold: 0.01, ..refining(3, 40, 0.01) };
    let start = || straight(&[-1.0, 0.0, 0.1], &[0.9, 0.3, 0.0]);
    let whole = relaxed(&band, start(), &Annulus);
    assert!(whole.pivots.len() > 6, "pivots were inserted where the loss was measured");
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut state, mut stops) = (start(), 0);
        while pool.install(|| band.run(&mut state, &Annulus, &mut |_, _| Control::Interrupt)).unwrap()
            == Ending::Interrupted
        {
            stops += 1;
            assert!(stops < 2000);
            let BandState { pivots, velocities, shares, cycle, inserted, step, losses } = state;
            state = BandState { pivots, velocities, shares, cycle, inserted, step, losses };
        }
        assert!(stops > band.steps(), "{stops}");
        assert_eq!(state, whole);
        assert_eq!(
            (bits(&state.pivots), bits(&[state.losses])),
            (bits(&whole.pivots), bits(std::slice::from_ref(&whole.losses)))
        );
    }
    assert_eq!(bits(&whole.pivots[..1]), bits(&start().pivots[..1]), "the ends stay");

    let at_the_end = |progress: &BandProgress, _: &BandState| match progress {
        BandProgress::Measured { cycle: 4, done, of } if done == of => Control::Interrupt,
        _ => Control::Continue,
    };
    let ending = band.run(&mut start(), &Annulus, &mut { at_the_end }).unwrap();
    assert_eq!(ending, Ending::Finished, "there is nothing to go on with");
}

/// Steps are counted through all cycles, and every pivot of a step hears the same number.
#[test]
fn mini_batches_are_numbered_through_all_cycles() {
    struct Heard(std::sync::Mutex<Vec<(usize, usize)>>);
    impl BandLoss for Heard {
        fn gradient(&self, step: usize, pivot: usize, point: &[f64]) -> Result<LossAndGradient> {
            self.0.lock().unwrap().push((step, pivot));
            Ok((0.0, vec![0.0; point.len()]))
        }
        fn loss(&self, _: &[f64]) -> Result<f64> {
            Ok(0.0)
        }
    }
    let heard = Heard(std::sync::Mutex::default());
    relaxed(&refining(2, 3, 0.1), straight(&[0.0], &[1.0]), &heard);
    let mut heard = heard.0.into_inner().unwrap();
    heard.sort_unstable();
    assert_eq!(heard, (0..9).flat_map(|step| (0..5).map(move |pivot| (step, pivot))).collect::<Vec<_>>());
}

/// A loss given at each pivot, with one gradient everywhere.
struct Given {
    losses: Vec<f64>,
    gradient: Vec<f64>,
}

impl BandLoss for Given {
    fn gradient(&self, _: usize, pivot: usize, _: &[f64]) -> Result<LossAndGradient> {
        Ok((self.losses[pivot], self.gradient.clone()))
    }

    fn loss(&self, _: &[f64]) -> Result<f64> {
        Ok(0.0)
    }
}

/// The middle of three pivots after one step of eta = 1 without momentum.
fn moved(losses: [f64; 3], gradient: [f64; 2], springs: f64) -> Vec<f64> {
    let chain = vec![vec![0.0, 0.0], vec![3.0, 0.0], vec![3.0, 1.0]];
    let mut state = BandState::new(Curve::new(CurveKind::Chain, chain).unwrap()).unwrap();
    state.shares = vec![0.5, 0.5];
    let band = ElasticBand {
        cycles: vec![Cycle { insertion: Insertion::Equal(0), steps: 1, eta: 1.0 }],
        spacing: Spacing::Springs(springs),
        weight_decay: 0.0,
        ..ElasticBand::default()
    };
    let given = Given { losses: losses.to_vec(), gradient: gradient.to_vec() };
    let state = relaxed(&band, state, &given);
    vec![state.pivots[1][0] - 3.0, state.pivots[1][1]]
}

/// The force is the gradient's part perpendicular to the tangent, which points to the higher neighbour, or between both
/// segments (3, 0) and (0, 1) weighted by differences of the loss where the pivot is a maximum or a minimum; the spring's
/// is k (1 - 3) along it.
#[test]
fn forces_are_those_of_henkelman_and_jonsson() {
    let (gradient, k) = ([0.5, -0.25], 1e-3);
    let force = |tangent: [f64; 2]| {
        let norm = f64::hypot(tangent[0], tangent[1]);
        let t = tangent.map(|x| x / norm);
        let along = gradient[0] * t[0] + gradient[1] * t[1];
        [0, 1].map(|i| -(gradient[i] - along * t[i]) + k * (1.0 - 3.0) * t[i])
    };
    for (losses, tangent) in [
        ([1.0, 2.0, 4.0], [0.0, 1.0]),
        ([4.0, 2.0, 1.0], [3.0, 0.0]),
        ([1.0, 1.0, 4.0], [0.0, 1.0]),
        ([4.0, 1.0, 1.0], [3.0, 0.0]),
        // A maximum whose higher neighbour is ahead: differences 2 ahead and 5 behind.
        ([1.0, 6.0, 4.0], [3.0 * 2.0, 5.0]),
        // A minimum whose higher neighbour is behind: differences 3 ahead and 5 behind.
        ([6.0, 1.0, 4.0], [3.0 * 5.0, 3.0]),
        ([2.0, 2.0, 2.0], [3.0, 1.0]),
        ([2.0, 3.0, 2.0], [3.0, 1.0]),
    ] {
        let (found, truth) = (moved(losses, gradient, k), force(tangent));
        assert!(distance(&found, &truth) < 1e-15, "{losses:?}: {found:?} for {truth:?}");
    }
}

/// On a flat loss springs bring segments to their shares, and redistribution does at once, along the chain.
#[test]
fn segments_get_their_shares_of_the_length() {
    let chain = || {
        let points = vec![vec![0.0, 0.0], vec![0.1, 0.0], vec![0.2, 0.0], vec![2.0, 0.0], vec![4.0, 0.0]];
        BandState::new(Curve::new(CurveKind::Chain, points).unwrap()).unwrap()
    };
    assert!(
        distance(&chain().shares, &[0.025, 0.025, 0.45, 0.5]) < 1e-15,
        "a chain keeps the ratios it comes with"
    );
    let flat = Given { losses: vec![1.0; 5], gradient: vec![0.0; 2] };
    for (spacing, steps) in [(Spacing::Redistributed, 1), (Spacing::Springs(0.2), 400)] {
        let cycles = vec![Cycle { insertion: Insertion::Equal(0), steps, eta: 1.0 }];
        let band =
            ElasticBand { cycles, spacing, momentum: 0.5, weight_decay: 0.0, ..ElasticBand::default() };
        let state = BandState { shares: vec![0.1, 0.2, 0.3, 0.4], ..chain() };
        let state = relaxed(&band, state, &flat);
        let places: Vec<f64> = state.pivots.iter().map(|p| p[0]).collect();
        assert!(distance(&places, &[0.0, 0.4, 1.2, 2.4, 4.0]) < 1e-12, "{places:?}");
        let profile = band.profile(&state).unwrap();
        let pivots: Vec<f64> = profile.lengths.iter().copied().step_by(10).collect();
        assert!(
            distance(&pivots, &places) < 1e-12
                && distance(&profile.t[..11], &(0..11).map(|i| f64::from(i) / 40.0).collect::<Vec<_>>())
                    < 1e-15
        );
    }
}

/// Hats of heights 0.5, 2 and 3 over a straight line of length 3 with two pivots on it.
struct Hats;

impl BandLoss for Hats {
    fn gradient(&self, _: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
        Ok((self.loss(point)?, vec![0.0; point.len()]))
    }

    fn loss(&self, point: &[f64]) -> Result<f64> {
        let hat = |height: f64, at: f64| height * (1.0 - 5.0 * (point[0] - at).abs()).max(0.0);
        Ok(10.0 * point[0] / 3.0 + hat(0.5, 0.5) + hat(2.0, 1.3) + hat(3.0, 2.5))
    }
}

/// Pivots go to the sub-pivot of greatest excess, into the segments of greatest excess first, and nowhere where the excess
/// is below a tenth of the range of 10.
#[test]
fn pivots_are_inserted_where_the_loss_exceeds_the_line() {
    let chain = || {
        let curve = Curve::straight(CurveKind::Chain, vec![0.0, 1.0], vec![3.0, 1.0], 2).unwrap();
        BandState::new(curve).unwrap()
    };
    let inserted = |insertion, threshold| {
        let band = ElasticBand {
            cycles: vec![Cycle { insertion, steps: 0, eta: 1.0 }],
            weight_decay: 0.0,
            threshold,
            ..ElasticBand::default()
        };
        let state = relaxed(&band, chain(), &Hats);
        assert!((state.shares.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        let lengths = state.pivots.windows(2).map(|p| distance(&p[0], &p[1]) / 3.0).collect::<Vec<_>>();
        assert!(distance(&lengths, &state.shares) < 1e-12, "new pivots are where they should be");
        let (profile, along) = (band.profile(&state).unwrap(), state.chain().unwrap());
        let losses: Vec<f64> = profile.t.iter().map(|t| Hats.loss(&along.at(*t)).unwrap()).collect();
        assert!(distance(&profile.loss, &losses) < 1e-12, "the chain is measured as it is at the end");
        state.pivots.iter().map(|p| p[0]).collect::<Vec<_>>()
    };
    for (insertion, threshold, places) in [
        (Insertion::Highest(2), 0.1, vec![0.0, 1.0, 1.3, 2.0, 2.5, 3.0]),
        (Insertion::Highest(1), 0.1, vec![0.0, 1.0, 2.0, 2.5, 3.0]),
        (Insertion::Highest(9), 0.1, vec![0.0, 1.0, 1.3, 2.0, 2.5, 3.0]),
        (Insertion::Highest(9), 0.04, vec![0.0, 0.5, 1.0, 1.3, 2.0, 2.5, 3.0]),
        (Insertion::Highest(9), 0.31, vec![0.0, 1.0, 2.0, 3.0]),
        (Insertion::Equal(1), 0.1, vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
    ] {
        let found = inserted(insertion, threshold);
        assert!(found.len() == places.len() && distance(&found, &places) < 1e-12, "{insertion:?}: {found:?}");
    }
}

/// The losses of a profile carry w/2 |x|^2, as the steps do: one function everywhere.
#[test]
fn the_weight_decay_is_a_squared_norm_everywhere() {
    let flat = Given { losses: vec![0.0; 3], gradient: vec![0.0; 2] };
    let band = ElasticBand {
        cycles: vec![Cycle { insertion: Insertion::Equal(1), steps: 1, eta: 0.1 }],
        weight_decay: 0.5,
        ..ElasticBand::default()
    };
    let state = relaxed(&band, straight(&[-1.0, 3.0], &[1.0, 3.0]), &flat);
    // The gradient at (0, 3) is (0, 1.5), and perpendicular to the chain.
    assert!(distance(&state.pivots[1], &[0.0, 3.0 - 0.15]) < 1e-15, "{:?}", state.pivots[1]);
    let profile = band.profile(&state).unwrap();
    assert!((profile.loss[0] - 0.25 * 10.0).abs() < 1e-15);
    assert!((profile.loss[10] - 0.25 * 2.85 * 2.85).abs() < 1e-12);
    assert_eq!(profile.highest_pivot, 0);
}

#[test]
fn the_published_schedule_scales() {
    let published = ElasticBand::default();
    let cycles: Vec<(usize, f64)> = published.cycles.iter().map(|c| (c.steps, c.eta)).collect();
    assert_eq!((cycles.len(), published.steps()), (14, 16_000));
    assert_eq!(
        (cycles[0], cycles[4], cycles[6], cycles[13]),
        ((1000, 0.1), (2000, 0.1), (1000, 0.01), (1000, 0.001))
    );
    assert_eq!(published.cycles[0].insertion, Insertion::Equal(3));
    assert!(published.cycles[1..].iter().all(|c| c.insertion == Insertion::Highest(2)));
    let short = ElasticBand::published(0.015);
    assert_eq!(
        (short.steps(), short.cycles[4].steps, short.cycles[4].eta.to_bits()),
        (240, 30, 0.1f64.to_bits())
    );
}

#[test]
fn a_diverging_band_keeps_the_last_finite_state() {
    let band = refining(2, 200, 1.0);
    let (mut state, mut last) = (straight(&[-1.0, 0.0], &[1.0, 0.2]), None);
    let problem = band
        .run(&mut state, &Annulus, &mut |_, state| {
            last = Some(state.clone());
            Control::Continue
        })
        .unwrap_err();
    assert!(matches!(problem, Error::NonFinite(_)));
    let text = problem.to_string();
    assert!(text.contains("pivot") && text.contains(&format!("step {} of 600", state.step)), "{text}");
    assert!(state.step > 0 && Some(&state) == last.as_ref());

    // Loss and gradient are numbers, but the step is not.
    let steep = Given { losses: vec![1.0; 5], gradient: vec![0.0, 1e200] };
    let (mut still, before) = (straight(&[0.0, 0.0], &[1.0, 0.0]), straight(&[0.0, 0.0], &[1.0, 0.0]));
    let problem = refining(0, 1, 1e200).run(&mut still, &steep, &mut |_, _| Control::Continue).unwrap_err();
    assert!(problem.to_string().contains("too large"), "{problem}");
    assert_eq!(bits(&[still.pivots[0].clone(), still.pivots[4].clone()]), bits(&before.pivots));
    assert!(still.step == 0 && still.velocities.iter().flatten().all(|v| *v == 0.0));
    assert!(state.pivots.iter().chain(&state.velocities).flatten().all(|x| x.is_finite()));
}

/// Losses between pivots may be anything: they are measured and kept.
#[test]
fn losses_that_are_not_numbers_stay_in_the_profile() {
    struct Holes;
    impl BandLoss for Holes {
        fn gradient(&self, _: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
            Ok((1.0, vec![0.0; point.len()]))
        }
        fn loss(&self, point: &[f64]) -> Result<f64> {
            Ok(if point[0] < 0.3 { f64::NAN } else { f64::INFINITY })
        }
    }
    let band = refining(2, 1, 0.1);
    let state = relaxed(&band, straight(&[0.0], &[1.0]), &Holes);
    let profile = band.profile(&state).unwrap();
    assert!(
        profile.loss[0].is_nan()
            && profile.highest_pivot_loss.is_nan()
            && profile.report().unwrap().barrier.is_none()
    );
}

#[test]
fn a_band_of_parts_that_do_not_fit_is_refused() {
    let good = refining(1, 1, 0.1);
    let fails = |band: &ElasticBand, mut state: BandState| {
        band.run(&mut state, &Annulus, &mut |_, _| Control::Continue).is_err()
    };
    let state = straight(&[-1.0, 0.0], &[1.0, 0.0]);
    assert!(!fails(&good, state.clone()));
    let bent = Curve::straight(CurveKind::Bezier, vec![0.0], vec![1.0], 1).unwrap();
    assert!(BandState::new(bent).unwrap_err().to_string().contains("chain"));
    assert!(fails(&good, BandState { pivots: vec![], ..state.clone() }));
    assert!(fails(&good, BandState { shares: vec![], ..state.clone() }));
    assert!(fails(&good, BandState { shares: vec![f64::NAN], ..state.clone() }));
    assert!(fails(&good, BandState { shares: vec![0.5], ..state.clone() }));
    assert!(fails(&good, BandState { velocities: vec![vec![0.0; 2]], ..state.clone() }));
    assert!(fails(&good, BandState { cycle: 3, ..state.clone() }));
    assert!(fails(&good, BandState { step: 2, ..state.clone() }));
    assert!(fails(&good, BandState { losses: vec![0.0; 12], ..state.clone() }));
    for wrong in [
        ElasticBand { momentum: -0.1, ..good.clone() },
        ElasticBand { weight_decay: f64::NAN, ..good.clone() },
        ElasticBand { threshold: -1.0, ..good.clone() },
        ElasticBand { spacing: Spacing::Springs(f64::INFINITY), ..good.clone() },
        refining(1, 1, 0.0),
    ] {
        assert!(fails(&wrong, state.clone()), "{wrong:?}");
    }
    // Coinciding ends have no direction; pivots then follow the gradient.
    let nowhere = relaxed(&good, straight(&[0.5, 0.0], &[0.5, 0.0]), &Annulus);
    assert!(nowhere.pivots.iter().flatten().all(|x| x.is_finite()));
}
