//! Quadratic losses, where every measure has a closed form.

use relief_hessian::{Curvature, DEFAULT_MEMORY, Lanczos, Objective, Sampling};
use relief_sharpness::measures::{
    Apgd, AverageCase, Ball, Centre, CriticalStep, Keskar, Noise, PacBayesSigma, WorstCase, confinement,
    eigenvalues, frobenius, gradient_norm, operator_norm, over_loss, pac_bayes_flatness, pac_bayes_origin,
    pac_bayes_start, sam_ascent, sam_bound, trace, weighted_lambda_max, weighted_trace,
};
use relief_sharpness::{Perturbation, Scale};

use super::{Quadratic, close, dot, error_of};

const AT: [f64; 6] = [0.5, -1.0, 2.0, 0.0, -0.3, 1.5];

/// A symmetric matrix with positive and negative eigenvalues, and a point where the gradient is `gradient`.
fn at_gradient(gradient: &[f64; 6]) -> Quadratic {
    let matrix: Vec<Vec<f64>> = (0..6)
        .map(|i| {
            (0..6)
                .map(|j| {
                    let (low, high) = (i.min(j), i.max(j));
                    let off = ((low * 5 + high * 3) % 7) as f64 / 7.0 - 0.4;
                    if i == j { [4.0, 2.0, -1.0, 3.0, 0.5, 1.0][i] } else { off }
                })
                .collect()
        })
        .collect();
    let flat = Quadratic::new(matrix.clone(), &[0.0; 6], 0.0, &AT);
    let slope: Vec<f64> = flat.product(&AT).iter().zip(gradient).map(|(a, g)| g - a).collect();
    Quadratic::new(matrix, &slope, 3.0, &AT)
}

/// The largest eigenvalue of T A T, by many steps of the power method on a shifted matrix.
fn top(quadratic: &Quadratic, scale: &[f64]) -> f64 {
    let mut v = vec![1.0; scale.len()];
    let mut value = 0.0;
    for _ in 0..20_000 {
        let inside: Vec<f64> = v.iter().zip(scale).map(|(v, t)| v * t).collect();
        let y: Vec<f64> = quadratic.product(&inside).iter().zip(scale).map(|(y, t)| y * t).collect();
        value = dot(&v, &y) / dot(&v, &v);
        let next: Vec<f64> = y.iter().zip(&v).map(|(y, v)| y + 20.0 * v).collect();
        let length = dot(&next, &next).sqrt();
        v = next.iter().map(|x| x / length).collect();
    }
    value
}

fn long() -> Apgd {
    Apgd { steps: 400, random_starts: 3, seed: 1 }
}

#[test]
fn the_worst_case_at_a_minimum_is_half_the_largest_eigenvalue() {
    let quadratic = at_gradient(&[0.0; 6]);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let magnitudes = AT.map(f64::abs);
    for (scale, t) in [
        (Scale::None, [1.0; 6]),
        (Scale::Magnitude, magnitudes),
        (Scale::Shifted { eta: 0.1 }, magnitudes.map(|m| m + 0.1)),
    ] {
        // The gradient is zero, so that only random starts lead anywhere.
        let worst = WorstCase { ball: Ball::L2, rho: 0.3, scale, search: long() };
        let found = worst.ascend(&centre).unwrap();
        let expected = 0.5 * 0.09 * top(&quadratic, &t);
        assert!(found.rise <= expected * (1.0 + 1e-12), "a lower bound: {} {expected}", found.rise);
        close(found.rise, expected, 1e-6);
        let length: f64 =
            found.displacement.iter().zip(t).filter(|(_, t)| *t > 0.0).map(|(e, t)| (e / t).powi(2)).sum();
        assert!(length.sqrt() <= 0.3 * (1.0 + 1e-12));
        close(centre.rise(&found.displacement).unwrap(), found.rise, 1e-12);
    }
}

#[test]
fn the_worst_case_of_a_slope_is_its_dual_norm() {
    let slope = [1.0, -2.0, 0.5, 3.0, 0.0, -0.25];
    let linear = Quadratic::diagonal(&[0.0; 6], &slope, 5.0, &AT);
    let centre = Centre::new(&linear, linear.parameters()).unwrap();
    let worst = |ball, scale| WorstCase { ball, rho: 0.2, scale, search: Apgd::default() };
    let rise = |ball, scale| worst(ball, scale).measure(&centre).unwrap().value;
    let scaled: Vec<f64> = slope.iter().zip(AT).map(|(g, w)| g * w.abs()).collect();
    let one = |v: &[f64]| v.iter().map(|x| x.abs()).sum::<f64>();
    close(rise(Ball::L2, Scale::None), 0.2 * dot(&slope, &slope).sqrt(), 1e-12);
    close(rise(Ball::L2, Scale::Magnitude), 0.2 * dot(&scaled, &scaled).sqrt(), 1e-12);
    close(rise(Ball::Linf, Scale::None), 0.2 * one(&slope), 1e-12);
    close(rise(Ball::Linf, Scale::Magnitude), 0.2 * one(&scaled), 1e-12);
    for norm in [1.0, 1.5, 2.0, 3.0, 10.0, f64::INFINITY] {
        let perturbation = Perturbation { norm, scale: Scale::None };
        let found = sam_ascent(&centre, &perturbation, 0.2).unwrap();
        let dual = if norm <= 1.0 {
            3.0
        } else if norm.is_infinite() {
            one(&slope)
        } else {
            let q = norm / (norm - 1.0);
            slope.iter().map(|g| g.abs().powf(q)).sum::<f64>().powf(1.0 / q)
        };
        close(found.value, 0.2 * dual, 1e-12);
        close(found.beside["first_order"], 0.2 * dual, 1e-12);
    }
}

#[test]
fn the_worst_corner_of_a_box_is_found() {
    let quadratic = at_gradient(&[0.3, -0.2, 0.1, 0.0, 0.4, -0.1]);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    for (scale, t) in [(Scale::None, [1.0; 6]), (Scale::Magnitude, AT.map(f64::abs))] {
        let rise = |signs: [i32; 6]| {
            let epsilon: Vec<f64> = signs.iter().zip(t).map(|(s, t)| f64::from(*s) * 0.4 * t).collect();
            centre.rise(&epsilon).unwrap()
        };
        // The third direction bends down, so its best place may lie inside: -1, 0 and 1 bound the maximum from below.
        let corners = (0..729).map(|i: i32| [1, 3, 9, 27, 81, 243].map(|d| (i / d) % 3 - 1));
        let best = corners.map(rise).fold(f64::NEG_INFINITY, f64::max);
        let worst = WorstCase { ball: Ball::Linf, rho: 0.4, scale, search: long() };
        let found = worst.ascend(&centre).unwrap();
        assert!(found.rise >= best * (1.0 - 1e-9), "{} {best}", found.rise);
        assert!(found.displacement.iter().zip(t).all(|(e, t)| e.abs() <= 0.4 * t * (1.0 + 1e-12)));
    }
}

#[test]
fn the_average_case_is_the_trace() {
    let quadratic = at_gradient(&[1.0, -2.0, 1.0, 0.0, 4.0, -1.0]);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let diagonal: Vec<f64> = (0..6).map(|i| quadratic.matrix[i][i]).collect();
    let magnitudes: f64 = diagonal.iter().zip(AT).map(|(a, w)| a * w * w).sum();
    for noise in [Noise::Gaussian, Noise::Uniform] {
        for (scale, trace) in [(Scale::None, diagonal.iter().sum::<f64>()), (Scale::Magnitude, magnitudes)] {
            let average =
                AverageCase { noise, scale, rho: 0.2, relative_error: 0.02, max_pairs: 20_000, seed: 3 };
            let found = average.measure(&centre).unwrap();
            assert_eq!(found.remedy.is_none(), error_of(&found) <= 0.01 * found.value.abs());
            // Signs come in pairs, so the gradient adds no error.
            assert!((found.value - average.second_order(trace)).abs() < 4.0 * error_of(&found));
            let variance = if noise == Noise::Gaussian { 1.0 } else { 1.0 / 3.0 };
            close(average.second_order(trace), 0.5 * 0.04 * variance * trace, 1e-14);
        }
    }
    let few = AverageCase { relative_error: 1e-6, max_pairs: 16, ..AverageCase::default() };
    let few = few.measure(&centre).unwrap();
    assert!(few.remedy.is_some() && few.cost.evaluations == 32);
}

#[test]
fn the_variance_under_noise_holds_gradient_and_frobenius_norm() {
    let quadratic = at_gradient(&[1.0, -0.5, 0.5, 0.0, 2.0, -1.0]);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let (rho, draws) = (0.8f64, 100_000);
    let losses: Vec<f64> = (0..draws)
        .map(|number| {
            let epsilon: Vec<f64> =
                Noise::Gaussian.draw(5, number, 6, None).iter().map(|z| rho * z).collect();
            let there: Vec<f64> = AT.iter().zip(&epsilon).map(|(w, e)| w + e).collect();
            quadratic.loss_at(&there)
        })
        .collect();
    let mean = losses.iter().sum::<f64>() / draws as f64;
    let variance = losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (draws - 1) as f64;
    let square: f64 = quadratic.matrix.iter().flatten().map(|a| a * a).sum();
    close(
        variance,
        rho.powi(2) * dot(centre.gradient(), centre.gradient()) + 0.5 * rho.powi(4) * square,
        0.01,
    );
}

#[test]
fn spectral_measures_are_those_of_the_matrix() {
    let quadratic = at_gradient(&[0.1, 0.0, 0.0, 0.0, 0.0, 0.2]);
    let at = quadratic.parameters();
    let curvature = Curvature::new(&quadratic, at, DEFAULT_MEMORY).unwrap();
    let (hessian, lanczos, sampling) = (curvature.hessian(), Lanczos::default(), Sampling::default());
    let [max, min] = eigenvalues(&hessian, &lanczos).unwrap();
    close(max.value, top(&quadratic, &[1.0; 6]), 1e-9);
    assert!(min.value < 0.0 && max.beside["residual"] < 1e-5);
    close(operator_norm(&max, &min).value, max.value.max(-min.value), 1e-15);
    close(operator_norm(&min, &min).value, -min.value, 1e-15);
    let whole: f64 = quadratic.matrix.iter().flatten().map(|a| a * a).sum();
    close(trace(&hessian, &sampling).unwrap().value, 9.5, 1e-12);
    close(frobenius(&hessian, &sampling).unwrap().value, whole.sqrt(), 1e-12);
    let weighted: f64 = (0..6).map(|i| quadratic.matrix[i][i] * AT[i].powi(2)).sum();
    close(weighted_trace(&hessian, at, &sampling).unwrap().value, weighted, 1e-12);
    let adaptive = weighted_lambda_max(&hessian, at, &lanczos).unwrap();
    close(adaptive.value, top(&quadratic, &AT.map(f64::abs)), 1e-9);
    let centre = Centre::new(&quadratic, at).unwrap();
    close(gradient_norm(&centre).value, 0.05f64.sqrt(), 1e-9);
    close(over_loss(&max, centre.loss()).unwrap().value, max.value / centre.loss(), 1e-15);
    assert!(over_loss(&max, 0.0).is_none());
}

#[test]
fn the_top_eigenvectors_hold_a_share_of_the_gradient() {
    let values = [9.0, 6.0, 4.5, 2.0, 1.0, -0.5];
    let quadratic = Quadratic::diagonal(&values, &[0.0; 6], 1.0, &AT);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let curvature = Curvature::new(&quadratic, quadratic.parameters(), DEFAULT_MEMORY).unwrap();
    let hessian = curvature.hessian();
    let gradient: Vec<f64> = values.iter().zip(AT).map(|(l, w)| l * w).collect();
    let lanczos = Lanczos { tolerance: 1e-10, ..Lanczos::default() };
    for k in [1, 3, 5] {
        let found = confinement(&hessian, &centre, k, &lanczos).unwrap();
        assert_eq!(found.len(), 2);
        let share = dot(&gradient[..k], &gradient[..k]).sqrt() / dot(&gradient, &gradient).sqrt();
        for (row, expected) in found.iter().zip([9.0 / values[k - 1], share]) {
            assert!((row.value - expected).abs() <= error_of(row).max(1e-12), "{row:?} {expected}");
            assert!(error_of(row) < 1e-6);
            close(row.settings["k"], k as f64, 1e-15);
        }
    }
    // A negative eigenvalue gives no ratio, and the whole space holds all of the gradient.
    let whole = confinement(&hessian, &centre, 9, &lanczos).unwrap();
    assert!(whole.iter().all(|row| row.name == "gradient-confinement"), "{whole:?}");
}

#[test]
fn the_critical_sharpness_is_the_curvature_along_the_gradient() {
    let gradient = [1.0, -0.5, 0.2, 0.4, 2.0, -1.0];
    let quadratic = at_gradient(&gradient);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let along = dot(&gradient, &quadratic.product(&gradient)) / dot(&gradient, &gradient);
    for guess in [1.0, 1e-4, 1e5] {
        let settings = CriticalStep { guess, tolerance: 1e-3, ..CriticalStep::default() };
        let found = settings.measure(&centre).unwrap();
        assert!((found.value - along).abs() <= error_of(&found), "{} {along}", found.value);
        assert!(error_of(&found) <= 1e-3 * found.value && found.cost.evaluations < 20, "{:?}", found.cost);
        close(found.beside["critical_step"], 2.0 / found.value, 1e-12);
    }
}

#[test]
fn keskars_measure_goes_up() {
    // At a minimum, a search that goes down would find nothing.
    let diagonal = [2.0, 1.0, 0.5];
    let at = [1.0, -2.0, 0.0];
    let minimum = Quadratic::diagonal(&diagonal, &[-2.0, 2.0, 0.0], 3.0, &at);
    let centre = Centre::new(&minimum, minimum.parameters()).unwrap();
    let settings = Keskar { epsilon: 0.01, ..Keskar::default() };
    let found = settings.measure(&centre).unwrap();
    let ascent: f64 = diagonal.iter().zip(at).map(|(a, w)| 0.5 * a * (0.01 * (w.abs() + 1.0)).powi(2)).sum();
    close(found.beside["ascent"], ascent, 1e-9);
    close(found.value, 100.0 * ascent / (1.0 + centre.loss()), 1e-9);

    let slope = Quadratic::diagonal(&[0.0; 3], &[1.0, -1.0, 0.5], 0.0, &at);
    let centre = Centre::new(&slope, slope.parameters()).unwrap();
    let found = settings.measure(&centre).unwrap();
    close(found.beside["ascent"], 0.01 * (2.0 + 3.0 + 0.5), 1e-12);
    // Of a subspace: the slopes along its vectors, each in its own interval. Rotated, three dimensions are all there are.
    let whole = Keskar { dimensions: Some(3), ..settings }.measure(&centre).unwrap();
    let one = Keskar { dimensions: Some(1), ..settings }.measure(&centre).unwrap();
    assert!(one.value > 0.0 && whole.value > one.value, "the first vector is the same");
    for p in [0, 4] {
        assert!(Keskar { dimensions: Some(p), ..settings }.measure(&centre).is_err());
    }
}

#[test]
fn sigma_is_a_standard_deviation() {
    // The accuracy falls by the root mean square of the noise: by 0.1 where sigma is 0.1, and sigma^2 is 0.01.
    let n = 4000;
    let point: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 2.0 } else { -2.0 }).collect();
    let quadratic = Quadratic::new(vec![vec![]; n], &vec![0.0; n], 1.0, &point);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let accuracy = |at: &relief_hessian::Parameters| {
        let square: f64 = at.to_vec()?.iter().zip(&point).map(|(a, w)| (a - w).powi(2)).sum();
        Ok(0.95 - (square / n as f64).sqrt())
    };
    let settings = PacBayesSigma { tolerance: 1e-3, ..PacBayesSigma::default() };
    let sigma = settings.measure(&centre, &accuracy).unwrap();
    assert!((sigma.value - 0.1).abs() < 4.0 * error_of(&sigma) && error_of(&sigma) < 1e-3, "{sigma:?}");
    // Relative to weights of size 2, half as much.
    let relative = PacBayesSigma { scale: Scale::Magnitude, ..settings };
    let relative = relative.measure(&centre, &accuracy).unwrap();
    close(relative.value, 0.5 * sigma.value, 2e-3);
    let m = 500.0f64;
    let origin = (4.0 * n as f64 / (4.0 * sigma.value.powi(2)) + (m / sigma.value).ln() + 10.0) / m;
    close(pac_bayes_origin(&sigma, &centre, 500).value, origin.sqrt(), 1e-12);
    let start: Vec<f64> = point.iter().map(|w| w + 0.5).collect();
    let from = pac_bayes_start(&sigma, &centre, &start, 500).unwrap();
    let expected = (0.25 * n as f64 / (4.0 * sigma.value.powi(2)) + (m / sigma.value).ln() + 10.0) / m;
    close(from.value, expected.sqrt(), 1e-12);
    close(from.beside["distance"], 0.5 * (n as f64).sqrt(), 1e-12);
    assert!(pac_bayes_start(&sigma, &centre, &start[1..], 500).is_err());
    let flatness = pac_bayes_flatness(&relative, 500);
    assert_eq!(flatness.name, "adaptive-pac-bayes-flatness");
    close(flatness.value, 1.0 / (relative.value * m.sqrt()), 1e-12);
}

#[test]
fn noise_has_its_variance() {
    for noise in [Noise::Gaussian, Noise::Uniform] {
        let draw = noise.draw(7, 3, 200_000, None);
        let mean = draw.iter().sum::<f64>() / draw.len() as f64;
        close(dot(&draw, &draw) / draw.len() as f64, noise.variance(), 0.02);
        assert!(mean.abs() < 0.01);
        assert_eq!(draw, noise.draw(7, 3, 200_000, None), "a draw is given by seed and number");
        assert_ne!(draw[..5], noise.draw(7, 4, 5, None)[..]);
    }
}

#[test]
fn the_bound_of_sharpness_aware_minimization_is_its_formula() {
    let quadratic = Quadratic::diagonal(&[2.0, 1.0], &[0.0; 2], 0.25, &[0.0, 0.0]);
    let centre = Centre::new(&quadratic, quadratic.parameters()).unwrap();
    let worst = WorstCase { ball: Ball::L2, rho: 0.5, scale: Scale::None, search: long() };
    let worst = worst.measure(&centre).unwrap();
    let found = sam_bound(&worst, &centre, 1000, 0.05).unwrap();
    // At the origin the first logarithm is that of 1.
    let complexity = ((4.0 * 20_000f64.ln() + 8.0 * 6006f64.ln()) / 999.0).sqrt();
    close(found.beside["complexity"], complexity, 1e-12);
    close(found.value, 0.25 + 0.25 + complexity, 1e-6);

    let away = quadratic.parameters().at(&[3.0, 4.0]).unwrap();
    let centre = Centre::new(&quadratic, &away).unwrap();
    let worst = WorstCase { ball: Ball::L2, rho: 0.5, scale: Scale::None, search: long() };
    let worst = worst.measure(&centre).unwrap();
    let spread = 1.0 + 100.0 * (1.0 + (1000f64.ln() / 2.0).sqrt()).powi(2);
    let complexity = ((2.0 * spread.ln() + 4.0 * 20_000f64.ln() + 8.0 * 6006f64.ln()) / 999.0).sqrt();
    close(sam_bound(&worst, &centre, 1000, 0.05).unwrap().beside["complexity"], complexity, 1e-12);
    for (examples, delta) in [(1, 0.05), (1000, 0.0), (1000, 1.0)] {
        assert!(sam_bound(&worst, &centre, examples, delta).is_err());
    }
}
