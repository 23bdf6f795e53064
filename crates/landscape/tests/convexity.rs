//! The two ends of the Hessian's spectrum against explicit matrices.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use faer::{Mat, Side};
use relief_autodiff::{GraphBuilder, Value};
use relief_hessian::{
    Batch, Control, DEFAULT_MEMORY, GraphObjective, Lanczos, Objective, Observer, Parameters, Progress,
    Silent, Wanted,
};
use relief_landscape::{Convexity, convexity};

/// (|w|^2 - 1)^2 / 4 - mean of (x w)^2 / 2 over the rows x of the data. Its Hessian is
/// (|w|^2 - 1) I + 2 w w' - mean of x x'.
fn wells(w: &[f64], rows: &[Vec<f64>]) -> GraphObjective {
    let n = w.len();
    let build = move |g: &GraphBuilder, batch: &[Value]| {
        let w = g.parameter("w", &[n, 1])?;
        let round = w.sqr()?.sum_all()?.affine(1.0, -1.0)?.sqr()?.scale(0.25)?;
        let out = batch[0].matmul(&w)?;
        let loss = round.sub(&out.sqr()?.mean_all()?.scale(0.5)?)?;
        Ok((out, loss))
    };
    let batches = rows
        .chunks(3)
        .map(|rows| Batch {
            tensors: vec![Tensor::from_vec(rows.concat(), (rows.len(), n), &Device::Cpu).unwrap()],
            examples: rows.len(),
        })
        .collect();
    let w = Tensor::from_slice(w, (n, 1), &Device::Cpu).unwrap();
    GraphObjective::new(Parameters::new([("w".to_string(), w)]).unwrap(), BTreeMap::new(), batches, build)
        .unwrap()
}

fn solve(objective: &GraphObjective) -> Convexity {
    // What it wants does not matter.
    let solver = Lanczos { wanted: Wanted::Magnitude { k: 2 }, tolerance: 1e-9, ..Lanczos::default() };
    convexity(objective, objective.parameters(), &solver, DEFAULT_MEMORY, &mut Silent).unwrap().unwrap()
}

#[test]
fn both_ends_are_those_of_the_explicit_hessian() {
    let n = 40;
    let w: Vec<f64> = (0..n).map(|i| 0.3 * (1.7 * i as f64).sin()).collect();
    let rows: Vec<Vec<f64>> =
        (0..7).map(|j| (0..n).map(|i| ((3 * i + 5 * j * j) as f64 * 0.61).cos()).collect()).collect();
    let square: f64 = w.iter().map(|w| w * w).sum();
    let hessian = Mat::from_fn(n, n, |i, j| {
        let data = rows.iter().map(|x| x[i] * x[j]).sum::<f64>() / rows.len() as f64;
        (if i == j { square - 1.0 } else { 0.0 }) + 2.0 * w[i] * w[j] - data
    });
    let spectrum = hessian.self_adjoint_eigenvalues(Side::Lower).unwrap();
    let (low, high) = (spectrum[0], spectrum[n - 1]);
    assert!(low < -1.0 && high > 1.0, "{low} {high}");
    let found = solve(&wells(&w, &rows));
    for (pair, expected) in [(&found.smallest, low), (&found.largest, high)] {
        assert!(
            pair.converged && (pair.value - expected).abs() <= pair.error_bound + 1e-13,
            "{pair:?} {expected}"
        );
        assert!(pair.error_bound < 1e-8);
    }
    assert!(
        (found.ratio - low.abs() / high).abs() < 1e-8
            && (found.magnitude_ratio() - found.ratio).abs() < 1e-15
    );
}

/// Along w the curvature is 3 |w|^2 - 1, across it |w|^2 - 1; the data add nothing.
#[test]
fn a_convex_point_has_no_negative_curvature() {
    let zero = vec![vec![0.0; 5]];
    let convex = solve(&wells(&[1.2, 0.0, 0.0, 0.5, 0.0], &zero));
    assert!((convex.smallest.value - 0.69).abs() < 1e-9 && (convex.largest.value - 4.07).abs() < 1e-9);
    assert!(convex.ratio == 0.0 && (convex.magnitude_ratio() - 0.69 / 4.07).abs() < 1e-9);
    // At 0 all of it is -1: a ratio of 1 that no positive curvature balances.
    let top = solve(&wells(&[0.0; 5], &zero));
    assert!((top.ratio - 1.0).abs() < 1e-9 && top.largest.value < 0.0);
}

#[test]
fn one_parameter_is_both_ends() {
    let found = solve(&wells(&[0.5], &[vec![0.0]]));
    assert!((found.smallest.value + 0.25).abs() < 1e-14 && found.smallest == found.largest);
    assert!((found.ratio - 1.0).abs() < 1e-15);
}

struct Stop;

impl Observer for Stop {
    fn product(&mut self, progress: &Progress) -> Control {
        if progress.products < 2 { Control::Continue } else { Control::Interrupt }
    }
}

#[test]
fn an_interrupted_run_has_no_answer() {
    let objective = wells(&[0.3; 12], &[vec![0.1; 12]]);
    let found = convexity(&objective, objective.parameters(), &Lanczos::default(), DEFAULT_MEMORY, &mut Stop)
        .unwrap();
    assert!(found.is_none());
}
