//! Where training settles: Cohen et al. (2021) and Long & Bartlett (2024) on a network of 300 parameters.

mod nets;

use nets::{chebyshev, largest};
use relief_hessian::{Control, Curvature, DEFAULT_MEMORY, FiniteSum, SymmetricOperator};
use relief_models::task::Minibatches;
use relief_sharpness::{gradient_descent_edge, sam_edge};
use relief_training::{Rule, Sam, Training, TrainingState};

/// Odd, so that both phases of an oscillation are seen.
const EVERY: usize = 25;

/// Largest eigenvalue and norm of the gradient every few steps of the second half, and the state at the end.
fn settled(sum: &Minibatches, training: &Training) -> (Vec<(f64, f64)>, TrainingState) {
    let objective = sum.whole().unwrap();
    let mut state = TrainingState::new(sum.parameters()).unwrap();
    let (mut seen, mut start) = (vec![], None);
    training
        .run(sum, &mut state, &mut |_, state| {
            if state.step > training.steps / 2 && state.step.is_multiple_of(EVERY) {
                let at = Training::point(sum, state).unwrap();
                let found = largest(&*objective, &at, 1, 1e-8, start.as_deref());
                let (_, gradient) = relief_hessian::gradient(&*objective, &at).unwrap();
                seen.push((found.largest[0].value, gradient.iter().map(|g| g * g).sum::<f64>().sqrt()));
                start = Some(found.vectors);
            }
            Control::Continue
        })
        .unwrap();
    (seen, state)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), x| (count + 1, sum + x));
    sum / f64::from(count)
}

/// Whether shift I - H is positive definite, by elimination on the explicit matrix.
fn lies_below(shift: f64, sum: &Minibatches, state: &TrainingState) -> bool {
    let at = Training::point(sum, state).unwrap();
    let objective = sum.whole().unwrap();
    let curvature = Curvature::new(&*objective, &at, DEFAULT_MEMORY).unwrap();
    let n = at.len();
    let mut matrix: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let (mut unit, mut row) = (vec![0.0; n], vec![0.0; n]);
            unit[i] = 1.0;
            curvature.hessian().apply(&unit, &mut row).unwrap();
            row.iter().enumerate().map(|(j, h)| f64::from(u8::from(i == j)) * shift - h).collect()
        })
        .collect();
    for column in 0..n {
        if matrix[column][column] <= 0.0 {
            return false;
        }
        let pivot = matrix[column].clone();
        for row in &mut matrix[column + 1..] {
            let factor = row[column] / pivot[column];
            (column..n).for_each(|j| row[j] -= factor * pivot[j]);
        }
    }
    true
}

#[test]
fn gradient_descent_settles_at_two_over_eta() {
    let sum = chebyshev();
    let training = Training { eta: 0.2, steps: 10_000, ..Training::default() };
    let (seen, state) = settled(&sum, &training);
    let sharpness = mean(seen.iter().map(|s| s.0));
    assert!((sharpness / gradient_descent_edge(0.2) - 1.0).abs() < 0.03, "{sharpness}");
    // The search found the largest eigenvalue of the explicit matrix.
    let last = seen.last().unwrap().0;
    assert!(lies_below(last * (1.0 + 1e-9), &sum, &state) && !lies_below(last * (1.0 - 1e-9), &sum, &state));
}

#[test]
fn sharpness_aware_minimization_settles_at_its_own_edge() {
    let sum = chebyshev();
    let rule = Rule::Sam(Sam { rho: 0.05, ..Sam::default() });
    let training = Training { rule, eta: 0.1, steps: 10_000, ..Training::default() };
    let (seen, _) = settled(&sum, &training);
    let (sharpness, edge) =
        (mean(seen.iter().map(|s| s.0)), mean(seen.iter().map(|s| sam_edge(0.1, 0.05, s.1))));
    assert!((sharpness / edge - 1.0).abs() < 0.06, "{sharpness} at an edge of {edge}");
    assert!(seen.iter().all(|s| sam_edge(0.1, 0.05, s.1) < gradient_descent_edge(0.1)));
}
