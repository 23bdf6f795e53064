//! The perturbations of sharpness-aware minimization: norms, slopes and scales.

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use relief_hessian::Parameters;
use relief_sharpness::{Perturbation, Scale};

use super::{close, dot};

/// Two tensors of two entries: `a.weight` and `b.bias`.
fn parameters(values: [f64; 4]) -> Parameters {
    let tensor = |x: &[f64]| Tensor::new(x, &Device::Cpu).unwrap();
    Parameters::new([("a.weight".into(), tensor(&values[..2])), ("b.bias".into(), tensor(&values[2..]))])
        .unwrap()
}

fn norm(x: &[f64], p: f64) -> f64 {
    let most = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if p.is_infinite() {
        return most;
    }
    most * x.iter().map(|x| (x.abs() / most).powf(p)).sum::<f64>().powf(1.0 / p)
}

proptest! {
    #[test]
    fn the_radius_is_met_and_the_slope_is_the_dual_norm(
        gradient in prop::collection::vec(-10.0..10.0, 4),
        weights in prop::collection::vec(0.1..3.0, 4),
        p in prop::sample::select(vec![1.0, 1.1, 1.5, 2.0, 3.0, 10.0, f64::INFINITY]),
        scale in prop::sample::select(vec![Scale::None, Scale::Magnitude, Scale::Shifted { eta: 0.01 }, Scale::Weights { eta: 0.01 }]),
    ) {
        prop_assume!(gradient.iter().any(|g: &f64| g.abs() > 1e-3));
        let at = parameters([weights[0], -weights[1], weights[2], -weights[3]]);
        let epsilon = Perturbation { norm: p, scale }.direction(&gradient, &at).unwrap();
        let t = scale.at(&at).unwrap().unwrap_or(vec![1.0; 4]);
        let inside: Vec<f64> = epsilon.iter().zip(&t).map(|(e, t)| e / t).collect();
        prop_assert!((norm(&inside, p) - 1.0).abs() < 1e-10);
        let q = if p <= 1.0 { f64::INFINITY } else if p.is_infinite() { 1.0 } else { p / (p - 1.0) };
        let slopes: Vec<f64> = gradient.iter().zip(&t).map(|(g, t)| g * t).collect();
        let dual = norm(&slopes, q);
        prop_assert!((dot(&epsilon, &gradient) - dual).abs() < 1e-10 * dual);
    }
}

#[test]
fn the_three_conventions_of_scales_are_what_they_say() {
    let at = parameters([3.0, -0.5, 0.2, -4.0]);
    assert_eq!(Scale::None.at(&at).unwrap(), None);
    assert_eq!(Scale::Magnitude.at(&at).unwrap().unwrap(), [3.0, 0.5, 0.2, 4.0]);
    assert_eq!(Scale::Shifted { eta: 0.5 }.at(&at).unwrap().unwrap(), [3.5, 1.0, 0.7, 4.5]);
    assert_eq!(Scale::Weights { eta: 0.5 }.at(&at).unwrap().unwrap(), [3.5, 1.0, 1.0, 1.0]);
}

#[test]
fn numbers_by_hand() {
    let at = parameters([3.0, -0.5, 0.2, -4.0]);
    let gradient = [1.0, -2.0, 5.0, 0.5];
    let direction = |norm, scale| Perturbation { norm, scale }.direction(&gradient, &at).unwrap();
    // T g = (3, -1, 1, 2), of length sqrt(15); epsilon = T^2 g / |T g|.
    let expected = [9.0, -0.5, 0.2, 8.0].map(|x| x / 15.0f64.sqrt());
    direction(2.0, Scale::Magnitude).iter().zip(expected).for_each(|(e, x)| close(*e, x, 1e-14));
    assert_eq!(direction(1.0, Scale::None), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(direction(1.0, Scale::Magnitude), [3.0, 0.0, 0.0, 0.0]);
    assert_eq!(direction(f64::INFINITY, Scale::Magnitude), [3.0, -0.5, 0.2, 4.0]);
}

#[test]
fn what_has_no_direction_is_refused() {
    let at = parameters([1.0; 4]);
    let norm = |norm| Perturbation { norm, scale: Scale::None };
    for (perturbation, gradient) in [
        (norm(2.0), [0.0; 4]),
        (norm(2.0), [f64::NAN, 1.0, 1.0, 1.0]),
        (norm(0.5), [1.0; 4]),
        (norm(f64::NAN), [1.0; 4]),
    ] {
        assert!(perturbation.direction(&gradient, &at).is_err());
    }
}
