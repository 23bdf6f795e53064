//! The spectral density on spectra that are known: its bounds hold as often as they say, and say something.

mod matrices;

use std::f64::consts::{FRAC_PI_4, PI};

use matrices::{
    Diagonal, OUTLIERS, density, even, network, places, settings, share, spectra, wasserstein, wishart,
};
use relief_hessian::{Moment, Probe, Spectrum};

fn masses(probe: &Probe) -> impl Iterator<Item = (f64, f64)> {
    probe.values.iter().copied().zip(probe.weights.iter().copied())
}

fn atoms(eigenvalues: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    eigenvalues.iter().map(|v| (*v, 1.0 / eigenvalues.len() as f64))
}

fn spread(eigenvalues: &[f64]) -> f64 {
    let largest = eigenvalues.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest - eigenvalues.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn the_cumulative_share_lies_within_its_bounds_as_often_as_stated() {
    for (name, eigenvalues) in spectra() {
        let operator = Diagonal(eigenvalues.clone());
        let places = places(&eigenvalues, 8);
        for probes in [1, 3] {
            let mut missed = 0;
            for seed in 0..200 {
                let spectrum = density(&settings(probes, 20, seed), &operator);
                // All places at once, as is claimed.
                missed += usize::from(places.iter().any(|x| {
                    let found = spectrum.cumulative(*x);
                    let truth = share(&eigenvalues, *x);
                    truth < found.lower - 1e-12 || truth > found.upper + 1e-12
                }));
            }
            assert!(missed <= 10, "{name}, {probes} probes: {missed} of 200 missed at a confidence of 0.95");
        }
    }
}

#[test]
fn bounds_are_no_wider_than_those_of_the_paper_and_far_narrower_at_the_ends() {
    let eigenvalues = network();
    let n = eigenvalues.len() as f64;
    for probes in [1, 5] {
        let spectrum = density(&settings(probes, 40, 3), &Diagonal(eigenvalues.clone()));
        let published = ((2.0 * n / 0.05).ln() / (probes as f64 * n)).sqrt();
        for x in places(&eigenvalues, 50) {
            let found = spectrum.cumulative(x);
            assert!(found.upper <= found.quadrature_upper + published + 1.0 / n);
            assert!(found.lower >= found.quadrature_lower - published - 1.0 / n);
            assert!(
                found.quadrature_lower <= found.value + 1e-9 && found.value <= found.quadrature_upper + 1e-9
            );
        }
        // Five outliers beyond 1.3: at least those for certain, and not many more.
        let beyond = spectrum.cumulative(1.3);
        assert!((1.0 - beyond.upper) * n > 4.99, "{beyond:?}");
        assert!((1.0 - beyond.lower) * n < if probes == 1 { 35.0 } else { 20.0 }, "{beyond:?}");
        assert!(published * n > if probes == 1 { 50.0 } else { 20.0 });
    }
}

/// Steps through the whole matrix from the same random vector give its measure itself.
fn measure(eigenvalues: &[f64], seed: u64) -> Probe {
    density(&settings(1, eigenvalues.len(), seed), &Diagonal(eigenvalues.to_vec())).probes.remove(0)
}

#[test]
fn what_a_vector_sees_lies_within_its_bracket_always() {
    for (name, eigenvalues) in spectra() {
        for seed in 0..6 {
            let whole = measure(&eigenvalues, seed);
            assert!(whole.exact);
            for steps in [1, 2, 3, 8, 15, 30] {
                let spectrum = density(&settings(1, steps, seed), &Diagonal(eigenvalues.clone()));
                let probe = &spectrum.probes[0];
                for x in places(&eigenvalues, 30).iter().chain(&probe.values) {
                    let (lower, upper) = probe.bracket(*x, 1e-13);
                    let truth = whole.mass_up_to(*x);
                    assert!(
                        lower <= truth + 1e-9 && truth <= upper + 1e-9,
                        "{name}, {steps} steps, seed {seed}: {truth} at {x}, bracket {lower} to {upper}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_bracket_is_half_as_wide_as_the_weights_of_two_neighbours() {
    for eigenvalues in [even(300, -1.0, 1.0), wishart(200, 400, &[])] {
        let probe = density(&settings(1, 25, 1), &Diagonal(eigenvalues.clone())).probes.remove(0);
        let (mut width, mut neighbours) = (0.0, 0.0);
        for j in 0..24 {
            let x = 0.5 * (probe.values[j] + probe.values[j + 1]);
            let (lower, upper) = probe.bracket(x, 0.0);
            let up_to = |count: usize| probe.weights[..count].iter().sum::<f64>();
            assert!(lower >= up_to(j) - 1e-9 && upper <= up_to(j + 2) + 1e-9);
            width += upper - lower;
            neighbours += probe.weights[j] + probe.weights[j + 1];
            // At a Ritz value, the bracket is its weight.
            let (lower, upper) = probe.bracket(probe.values[j], 0.0);
            assert!((lower - up_to(j)).abs() < 1e-9 && (upper - up_to(j + 1)).abs() < 1e-9);
        }
        assert!(width < 0.6 * neighbours, "{width} {neighbours}");
    }
}

#[test]
fn the_distance_to_the_true_distribution_is_as_planned() {
    for (name, eigenvalues) in spectra().into_iter().filter(|(_, e)| e.len() > 20) {
        let spread = spread(&eigenvalues);
        let mut missed = 0;
        for seed in 0..200 {
            let steps = 5 + seed as usize % 20;
            let settings = settings(1, steps, seed);
            let plan = settings.plan(eigenvalues.len()).unwrap();
            let spectrum = density(&settings, &Diagonal(eigenvalues.clone()));
            let probe = &spectrum.probes[0];
            let distance = wasserstein(masses(probe), atoms(&eigenvalues));
            missed += usize::from(distance > plan.distance * spread + 1e-12);
            // What the steps leave open is certain.
            if seed < 10 {
                let open = wasserstein(masses(probe), masses(&measure(&eigenvalues, seed)));
                let bound = FRAC_PI_4 / steps as f64 * spread + 1e-12;
                assert!(open <= bound, "{name}: {open} of {bound}");
            }
        }
        assert!(missed <= 10, "{name}: {missed} of 200 missed at a confidence of 0.95");
    }
}

#[test]
fn moments_are_exact_to_their_standard_errors() {
    type Of = fn(&Spectrum) -> Moment;
    let moments: [(i32, Of); 2] = [(1, Spectrum::mean_eigenvalue), (2, Spectrum::mean_square)];
    for (name, eigenvalues) in spectra() {
        for probes in [1, 4] {
            let (mut inside, mut squares) = ([0; 2], [0.0; 2]);
            for seed in 0..200 {
                let spectrum = density(&settings(probes, 6, seed), &Diagonal(eigenvalues.clone()));
                for (i, (degree, moment)) in moments.iter().enumerate() {
                    let truth =
                        eigenvalues.iter().map(|x| x.powi(*degree)).sum::<f64>() / eigenvalues.len() as f64;
                    let found = moment(&spectrum);
                    let (error, standard) = (found.value - truth, found.standard_error.unwrap() + 1e-13);
                    inside[i] += usize::from(error.abs() <= 2.0 * standard);
                    squares[i] += (error / standard).powi(2) / 200.0;
                }
            }
            for (inside, squares) in inside.iter().zip(squares) {
                // 191 expected of normal numbers; a single vector's error is that of a skewed one.
                assert!(
                    *inside >= 180,
                    "{name}, {probes} probes: {inside} of 200 within two standard errors"
                );
                assert!(squares.sqrt() < 1.25, "{name}, {probes} probes: rms {}", squares.sqrt());
                let random = spread(&eigenvalues) > 0.0;
                assert!(!random || squares.sqrt() > 0.5, "{name}, {probes} probes: rms {}", squares.sqrt());
            }
        }
    }
}

#[test]
fn an_invariant_subspace_makes_the_quadrature_exact() {
    let eigenvalues: Vec<f64> = (0..400).map(|i| [-2.0, 0.0, 0.5, 3.0][i % 4]).collect();
    for scale in [1e-12, 1.0, 1e12] {
        let scaled: Vec<f64> = eigenvalues.iter().map(|x| x * scale).collect();
        let spectrum = density(&settings(3, 50, 2), &Diagonal(scaled));
        assert_eq!(spectrum.products, 12);
        for probe in &spectrum.probes {
            assert!(probe.exact && probe.values.len() == 4);
            for (found, expected) in probe.values.iter().zip([-2.0, 0.0, 0.5, 3.0]) {
                assert!((found / scale - expected).abs() < 1e-13);
            }
        }
        let found = spectrum.cumulative(0.2 * scale);
        assert!((found.quadrature_lower - found.quadrature_upper).abs() < 1e-15 && found.lower < 0.5);
        assert!(found.upper > 0.5 && found.upper - found.lower < 0.25, "{found:?}");
    }
    let zero = density(&settings(2, 50, 0), &Diagonal(vec![0.0; 30]));
    assert_eq!((zero.products, zero.smallest(), zero.largest()), (2, 0.0, 0.0));
    assert_eq!((zero.negative().upper, zero.cumulative(0.0).lower), (0.0, 1.0));
    // All rows: every eigenvalue is known, whatever its weight.
    let all = density(&settings(1, 50, 0), &Diagonal(even(8, -2.5, 4.5)));
    let negative = all.negative();
    assert_eq!((negative.lower, negative.upper), (3.0 / 8.0, 3.0 / 8.0));
}

#[test]
fn a_converged_outlier_is_one_ritz_value() {
    let eigenvalues = [vec![50.0], even(399, 0.0, 1.0)].concat();
    let steps = 150;
    let copies = |values: &[f64]| values.iter().filter(|v| (**v - 50.0).abs() < 1e-6).count();
    for seed in 0..5 {
        let spectrum = density(&settings(1, steps, seed), &Diagonal(eigenvalues.clone()));
        assert_eq!(copies(&spectrum.probes[0].values), 1);
        let whole = measure(&eigenvalues, seed);
        let weight = |p: &Probe| p.weights[p.weights.len() - 1];
        assert!((weight(&spectrum.probes[0]) / weight(&whole) - 1.0).abs() < 1e-9);
        assert!(copies(&without_orthogonalisation(&eigenvalues, steps)) > 1);
    }
}

/// Ritz values of the three-term recurrence as it stands in textbooks.
fn without_orthogonalisation(eigenvalues: &[f64], steps: usize) -> Vec<f64> {
    let n = eigenvalues.len();
    let mut v = vec![1.0 / (n as f64).sqrt(); n];
    let mut before = vec![0.0; n];
    let (mut diagonal, mut beside) = (vec![], vec![0.0]);
    for j in 0..steps {
        let mut next: Vec<f64> = (0..n).map(|i| eigenvalues[i] * v[i] - beside[j] * before[i]).collect();
        let alpha: f64 = next.iter().zip(&v).map(|(a, b)| a * b).sum();
        next.iter_mut().zip(&v).for_each(|(a, b)| *a -= alpha * b);
        let beta = next.iter().map(|a| a * a).sum::<f64>().sqrt();
        next.iter_mut().for_each(|a| *a /= beta);
        before = std::mem::replace(&mut v, next);
        diagonal.push(alpha);
        beside.push(beta);
    }
    let entry = |i: usize, j: usize| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.max(j)],
        _ => 0.0,
    };
    faer::Mat::from_fn(steps, steps, entry).self_adjoint_eigenvalues(faer::Side::Lower).unwrap()
}

#[test]
fn outliers_are_counted_and_their_number_is_bounded() {
    // Papyan's example at half its size: spikes of 5, 4 and 3 on a Marchenko-Pastur bulk that ends at 4.
    let eigenvalues = wishart(1000, 1000, &[5.0, 4.0, 3.0]);
    for seed in 0..5 {
        let spectrum = density(&settings(2, 80, seed), &Diagonal(eigenvalues.clone()));
        let above = spectrum.outliers().above;
        for (found, expected) in above.values.iter().zip(eigenvalues.iter().rev()) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!(above.values.len() == 3 && above.at_least == 3 && above.at_most < 30, "{above:?}");
        assert!(above.edge > 4.0 && above.edge < 4.6 && spectrum.outliers().below.values.is_empty());
        // A spike moves to s + s / (s - 1) (Baik, Ben Arous & Peche 2005), to within fluctuations of n^(-1/2).
        for (found, spike) in above.values.iter().zip([5.0, 4.0, 3.0]) {
            assert!((found - spike - spike / (spike - 1.0)).abs() < 0.25);
        }
        let mirrored: Vec<f64> = eigenvalues.iter().map(|v| -v).collect();
        let below = density(&settings(2, 80, seed), &Diagonal(mirrored)).outliers().below;
        assert_eq!((below.values.len(), below.at_least, below.at_most), (3, 3, above.at_most));
        assert!((below.edge + above.edge).abs() < 1e-12);

        let crowd = density(&settings(2, 60, seed), &Diagonal(network())).outliers().above;
        assert_eq!((crowd.values.len(), crowd.at_least), (10, 10));
        assert!(crowd.values.iter().zip(OUTLIERS).all(|(found, expected)| (found - expected).abs() < 1e-8));
        for flat in [even(500, -1.0, 1.0), wishart(400, 800, &[]), vec![1.0; 30]] {
            let none = density(&settings(2, 40, seed), &Diagonal(flat)).outliers();
            assert!(none.above.values.is_empty() && none.below.values.is_empty());
        }
    }
}

#[test]
fn the_law_of_marchenko_and_pastur_comes_out() {
    let ratio: f64 = 0.5;
    let (a, b) = ((1.0 - ratio.sqrt()).powi(2), (1.0 + ratio.sqrt()).powi(2));
    let law = |x: f64| ((b - x) * (x - a)).max(0.0).sqrt() / (2.0 * PI * ratio * x);
    let eigenvalues = wishart(600, 1200, &[]);
    let spectrum = density(&settings(100, 40, 0), &Diagonal(eigenvalues.clone()));
    let steps = 20_000;
    let (mut cumulative, mut worst) = (0.0, 0.0f64);
    for i in 0..steps {
        let x = a + (b - a) * (f64::from(i) + 0.5) / f64::from(steps);
        if i % 500 == 0 {
            let found = spectrum.cumulative(x);
            worst = worst.max((0.5 * (found.quadrature_lower + found.quadrature_upper) - cumulative).abs());
        }
        cumulative += law(x) * (b - a) / f64::from(steps);
    }
    assert!(worst < 0.02, "{worst}");
    let curve = spectrum.density(None, 400).unwrap();
    let kernel = |x: f64| (-0.5 * (x / curve.sigma).powi(2)).exp() / (curve.sigma * (2.0 * PI).sqrt());
    for (x, found) in curve.x.iter().zip(&curve.density).filter(|(x, _)| (0.4..2.6).contains(*x)) {
        let expected = eigenvalues.iter().map(|v| kernel(x - v)).sum::<f64>() / 600.0;
        assert!((found / expected - 1.0).abs() < 0.06, "{found} instead of {expected} at {x}");
        assert!((found / law(*x) - 1.0).abs() < 0.1, "{found} instead of {} at {x}", law(*x));
    }
}

#[test]
fn curves_hold_all_of_the_mass() {
    for (name, eigenvalues) in spectra() {
        let spectrum = density(&settings(2, 20, 1), &Diagonal(eigenvalues));
        let integral =
            |x: &[f64], y: &[f64]| if x.len() < 2 { 0.0 } else { y.iter().sum::<f64>() * (x[1] - x[0]) };
        for sigma in [None, Some(0.05)] {
            let curve = spectrum.density(sigma, 3000).unwrap();
            let whole = integral(&curve.x, &curve.density);
            assert!((whole - 1.0).abs() < 1e-3, "{name}: {whole}");
            let mean: f64 = curve.x.iter().zip(&curve.density).map(|(x, d)| x * d).sum::<f64>()
                * (curve.x[1] - curve.x[0]);
            let size = spectrum.smallest().abs().max(spectrum.largest().abs());
            assert!(
                (mean - spectrum.mean_eigenvalue().value).abs() <= 1e-3 * size.max(1e-3),
                "{name}: {mean}"
            );
        }
        let curve = spectrum.log_density(None, 3000).unwrap();
        let negative = integral(&curve.log10, &curve.negative);
        let positive = integral(&curve.log10, &curve.positive);
        assert!((negative + positive + curve.zero - 1.0).abs() < 1e-3, "{name}: {negative} {positive}");
        assert!((negative - spectrum.negative().value).abs() < 1e-3 + curve.zero, "{name}: {negative}");
        assert!(spectrum.density(Some(0.0), 10).is_err() && spectrum.log_density(None, 1).is_err());
    }
}

#[test]
fn the_cumulative_curve_rises_between_its_bounds_and_sees_the_narrow_bulk() {
    let eigenvalues = network();
    let spectrum = density(&settings(3, 40, 5), &Diagonal(eigenvalues.clone()));
    let curve = spectrum.cumulative_curve(200).unwrap();
    assert!((150..=200).contains(&curve.x.len()));
    assert!(curve.x[0] < spectrum.smallest() && curve.x[curve.x.len() - 1] > spectrum.largest());
    for (i, x) in curve.x.iter().enumerate() {
        let found = spectrum.cumulative(*x);
        assert_eq!(curve.value[i].to_bits(), found.value.to_bits());
        assert_eq!(curve.lower[i].to_bits(), found.lower.to_bits());
        assert_eq!(curve.upper[i].to_bits(), found.upper.to_bits());
        let truth = share(&eigenvalues, *x);
        assert!(curve.lower[i] - 1e-12 <= truth && truth <= curve.upper[i] + 1e-12, "at {x}");
        let bracket = curve.quadrature_lower[i] - 1e-9..=curve.quadrature_upper[i] + 1e-9;
        assert!(bracket.contains(&curve.value[i]), "at {x}");
    }
    for column in [&curve.value, &curve.lower, &curve.upper, &curve.quadrature_lower, &curve.quadrature_upper]
    {
        assert!(column.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
    }
    // Evenly spaced places alone would see the bulk in a single step.
    let between = curve.value.iter().filter(|v| (0.1..0.9).contains(*v)).count();
    assert!(between >= 10, "{between} places where the share rises");
    assert!(spectrum.cumulative_curve(2).unwrap().x.len() >= 2);
}
