//! Noise of mini-batches against all mini-batches there are.

use relief_hessian::{Control, Curvature, DEFAULT_MEMORY, FiniteSum, Observer, Outcome, Progress, Silent};
use relief_sharpness::{Mean, MeasuredNoise, Noise};

use super::{Regression, assert_close, done, form, square};

const N: usize = 9;

/// All choices of `size` of N examples.
fn subsets(size: usize) -> Vec<Vec<usize>> {
    (0u32..1 << N)
        .filter(|bits| bits.count_ones() as usize == size)
        .map(|bits| (0..N).filter(|i| bits >> i & 1 == 1).collect())
        .collect()
}

fn measure(regression: &Regression, noise: &Noise, seed: u64) -> MeasuredNoise {
    let whole = regression.sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, regression.sum.parameters(), DEFAULT_MEMORY).unwrap();
    done(noise.run(&regression.sum, &curvature, None, seed, &mut Silent).unwrap())
}

#[track_caller]
fn assert_within(mean: Mean, expected: f64) {
    let error = mean.standard_error.unwrap();
    assert!((mean.value - expected).abs() < 4.0 * error, "{mean:?}, expected {expected}");
}

#[test]
fn estimates_hold_their_errors_against_enumeration() {
    let regression = Regression::new(N, 0.0);
    let (g, h) = regression.derivatives(&(0..N).collect::<Vec<_>>());
    for size in [1, 3] {
        let all = subsets(size);
        let count = all.len() as f64;
        let (mut sharpness, mut top, mut bottom, mut crossed, mut deviation) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for chosen in &all {
            let (gb, hb) = regression.derivatives(chosen);
            sharpness += form(&hb, &gb) / square(&gb) / count;
            top += form(&hb, &gb) / count;
            bottom += square(&gb) / count;
            crossed += form(&h, &gb) / count;
            let gap = [0, 1, 2].map(|a| gb[a] - g[a]);
            deviation += square(&gap) / count;
        }
        let noise = Noise { batch: Some(size), relative_error: 0.02, max_draws: 4000, ..Noise::default() };
        let found = measure(&regression, &noise, 1);
        assert!(found.reached && found.draws >= 20, "{found:?}");
        assert!(found.batch_sharpness.standard_error.unwrap() <= 0.02 * found.batch_sharpness.value);
        assert_within(found.batch_sharpness, sharpness);
        assert_within(found.ratio_of_means, top / bottom);
        assert_within(found.interaction.unwrap(), crossed / square(&g));
        // Of single examples, with the divisor N - 1.
        let single = deviation / (1.0 / size as f64 - 1.0 / N as f64);
        assert_within(found.scale.unwrap(), single / square(&g));
        let along = form(&h, &g);
        let curved = (crossed - along) / (1.0 / size as f64 - 1.0 / N as f64) / along;
        assert_within(found.hessian_scale(along / square(&g)).unwrap(), curved);
        assert_eq!(found.hessian_scale(-1.0), None);
        assert_eq!(found.work, [found.draws * size, 2 * found.draws * size]);
        assert_eq!(found, measure(&regression, &noise, 1));
        assert_ne!(found.batch_sharpness, measure(&regression, &noise, 2).batch_sharpness);
    }
}

#[test]
fn a_mini_batch_of_all_examples_is_exact() {
    let regression = Regression::new(N, 0.0);
    let (g, h) = regression.derivatives(&(0..N).collect::<Vec<_>>());
    let found = measure(&regression, &Noise::default(), 0);
    let rayleigh = form(&h, &g) / square(&g);
    for mean in [found.batch_sharpness, found.ratio_of_means, found.interaction.unwrap()] {
        assert_close(mean.value, rayleigh, 1e-12);
        assert_eq!(mean.standard_error, None);
    }
    assert_eq!((found.draws, found.reached, found.scale), (2, true, None));
    assert_eq!(found.hessian_scale(rayleigh), None);
}

#[test]
fn weight_decay_is_part_of_gradients_and_curvature() {
    let decay = 0.4;
    let (plain, decayed) = (Regression::new(N, 0.0), Regression::new(N, decay));
    let (mut g, mut h) = plain.derivatives(&(0..N).collect::<Vec<_>>());
    for a in 0..3 {
        g[a] += decay * plain.theta[a];
        h[a][a] += decay;
    }
    let found = measure(&decayed, &Noise::default(), 0);
    assert_close(found.batch_sharpness.value, form(&h, &g) / square(&g), 1e-12);
    // With weight decay in the loss over all examples alone, as in training.
    let whole = decayed.sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, plain.sum.parameters(), DEFAULT_MEMORY).unwrap();
    let found = done(Noise::default().run(&plain.sum, &curvature, None, 0, &mut Silent).unwrap());
    assert_close(found.batch_sharpness.value, form(&h, &g) / square(&g), 1e-12);
}

#[test]
fn what_cannot_be_drawn_is_refused_and_a_stop_is_heeded() {
    struct Stops;
    impl Observer for Stops {
        fn product(&mut self, _: &Progress) -> Control {
            Control::Interrupt
        }
    }
    let regression = Regression::new(N, 0.0);
    let whole = regression.sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, regression.sum.parameters(), DEFAULT_MEMORY).unwrap();
    let stopped = Noise::default().run(&regression.sum, &curvature, Some(2), 0, &mut Stops).unwrap();
    assert!(matches!(stopped, Outcome::Interrupted(())));
    for noise in [
        Noise { batch: Some(0), ..Noise::default() },
        Noise { batch: Some(N + 1), ..Noise::default() },
        Noise { max_draws: 1, ..Noise::default() },
        Noise { relative_error: f64::NAN, ..Noise::default() },
    ] {
        assert!(noise.run(&regression.sum, &curvature, None, 0, &mut Silent).is_err(), "{noise:?}");
    }
}
