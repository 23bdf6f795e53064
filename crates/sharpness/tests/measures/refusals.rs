//! Input that makes no sense is refused in a sentence.

use relief_hessian::{Dense, Objective, Parameters, Result, Sampling};
use relief_sharpness::measures::{
    AverageCase, Ball, Centre, CriticalStep, Keskar, Measure, PacBayesSigma, RelativeFlatness, WorstCase,
    sam_ascent,
};
use relief_sharpness::{Perturbation, Scale};

use super::Quadratic;

#[test]
fn what_makes_no_sense_is_refused() {
    let quadratic = Quadratic::diagonal(&[1.0, 2.0], &[0.5, 0.5], 1.0, &[1.0, -1.0]);
    let at = quadratic.parameters();
    let centre = Centre::new(&quadratic, at).unwrap();
    let worst = |rho| {
        WorstCase { ball: Ball::L2, rho, scale: Scale::None, search: Default::default() }.measure(&centre)
    };
    let always = |_: &Parameters| Ok(1.0);
    let poor = |_: &Parameters| Ok(0.05);
    let flat = Quadratic::diagonal(&[1.0, 2.0], &[0.0, 0.0], 1.0, &[0.0, 0.0]);
    let flat = Centre::new(&flat, at).and_then(|_| Centre::new(&flat, flat.parameters())).unwrap();
    let downhill = Quadratic::diagonal(&[0.0, 0.0], &[1.0, 0.0], 1.0, &[1.0, -1.0]);
    let downhill = Centre::new(&downhill, downhill.parameters()).unwrap();
    let dense = Dense::new(2, vec![1.0, 0.0, 0.0, 2.0]).unwrap();
    let layer = RelativeFlatness { layer: "head".into(), sampling: Sampling::default() };
    let refused: Vec<Result<Measure>> = vec![
        worst(f64::NAN),
        worst(-1.0),
        worst(f64::INFINITY),
        worst(1e200),
        sam_ascent(&centre, &Perturbation::default(), -0.1),
        sam_ascent(&flat, &Perturbation::default(), 0.1),
        AverageCase { rho: f64::NAN, ..AverageCase::default() }.measure(&centre),
        Keskar { epsilon: 0.0, ..Keskar::default() }.measure(&centre),
        PacBayesSigma::default().measure(&centre, &always),
        PacBayesSigma::default().measure(&centre, &poor),
        PacBayesSigma { draws: 1, ..PacBayesSigma::default() }.measure(&centre, &always),
        CriticalStep::default().measure(&flat),
        CriticalStep::default().measure(&downhill),
        CriticalStep { guess: 0.0, ..CriticalStep::default() }.measure(&centre),
        layer.measure(&dense, at),
    ];
    for (i, result) in refused.into_iter().enumerate() {
        let message = result.unwrap_err().to_string();
        assert!(message.len() > 20, "{i}: {message}");
    }
    assert!(centre.rise(&[0.0; 3]).is_err());
    // A ball of radius 0 holds the point alone.
    assert!(worst(0.0).unwrap().value.abs() < f64::MIN_POSITIVE);
}
