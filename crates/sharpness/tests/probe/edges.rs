//! Edges against the linear maps that they are the edges of.

use proptest::prelude::*;
use relief_sharpness::{
    adam_edge, gradient_descent_edge, heavy_ball_edge, nesterov_edge, sam_edge, sam_edge_below,
    unnormalised_sam_edge,
};

use super::assert_close;

/// How a step turns a gradient into a move, with what it remembers.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Plain,
    HeavyBall(f64),
    Nesterov(f64),
    /// With a preconditioner of 1 and means that are no longer corrected for their start.
    Adam(f64),
}

/// Whether steps along an eigenvector, where the gradient is `slope` times the place, shrink in the long run.
fn shrinks(rule: Rule, eta: f64, slope: f64) -> bool {
    let (mut w, mut v) = (1.0f64, 0.0f64);
    let (mut early, mut late) = (0.0f64, 0.0f64);
    for step in 0..40_000 {
        let g = slope * w;
        let direction = match rule {
            Rule::Plain => g,
            Rule::HeavyBall(mu) => {
                v = mu * v + g;
                v
            }
            Rule::Nesterov(mu) => {
                v = mu * v + g;
                g + mu * v
            }
            Rule::Adam(beta) => {
                v = beta * v + (1.0 - beta) * g;
                v
            }
        };
        w -= eta * direction;
        let size = w.abs() + v.abs();
        if (10_000..11_000).contains(&step) {
            early = early.max(size);
        } else if step >= 39_000 {
            late = late.max(size);
        }
        if size > 1e100 {
            return false;
        }
    }
    late < early || late == 0.0
}

#[test]
fn optimisers_are_stable_just_below_their_edge_and_unstable_just_above() {
    for eta in [0.03, 0.4] {
        for (rule, edge) in [
            (Rule::Plain, gradient_descent_edge(eta)),
            (Rule::HeavyBall(0.9), heavy_ball_edge(eta, 0.9)),
            (Rule::HeavyBall(0.5), heavy_ball_edge(eta, 0.5)),
            (Rule::Nesterov(0.9), nesterov_edge(eta, 0.9)),
            (Rule::Nesterov(0.5), nesterov_edge(eta, 0.5)),
            (Rule::Adam(0.9), adam_edge(eta, 0.9)),
        ] {
            assert!(shrinks(rule, eta, 0.999 * edge), "{rule:?} {eta}");
            assert!(!shrinks(rule, eta, 1.001 * edge), "{rule:?} {eta}");
        }
    }
    assert_close(adam_edge(1e-3, 0.9), 3.8e4, 1e-14);
    assert_close(nesterov_edge(0.2, 0.9), 6.785_714_285_714_286, 1e-14);
}

#[test]
fn with_a_perturbation_the_edge_moves_for_every_linear_optimiser() {
    let (eta, rho, length) = (0.2, 0.05, 0.7);
    for (rule, own) in [
        (Rule::Plain, gradient_descent_edge(eta)),
        (Rule::HeavyBall(0.9), heavy_ball_edge(eta, 0.9)),
        (Rule::Nesterov(0.9), nesterov_edge(eta, 0.9)),
    ] {
        let edge = sam_edge_below(own, rho, length);
        assert!(edge < own);
        for (factor, stable) in [(0.999, true), (1.001, false)] {
            let lambda = factor * edge;
            assert_eq!(
                shrinks(rule, eta, lambda * (1.0 + rho * lambda / length)),
                stable,
                "{rule:?} {factor}"
            );
            let lambda = factor * sam_edge_below(own, rho, 1.0);
            assert_eq!(shrinks(rule, eta, lambda * (1.0 + rho * lambda)), stable, "{rule:?} {factor}");
        }
    }
    assert_close(
        unnormalised_sam_edge(eta, rho),
        ((1.0f64 + 8.0 * rho / eta).sqrt() - 1.0) / (2.0 * rho),
        1e-13,
    );
}

#[test]
fn the_cycle_of_sam_on_a_quadratic_lies_at_its_edge() {
    for (eta, rho) in [(0.05, 0.2), (0.1, 0.2), (0.12, 0.01)] {
        let lambdas = [15.0, 9.0, 4.0, 1.0, 0.3];
        let mut w = [0.4, -0.3, 0.2, 0.5, -0.1];
        let mut length = 0.0;
        for _ in 0..20_000 {
            let g: Vec<f64> = lambdas.iter().zip(&w).map(|(l, w)| l * w).collect();
            length = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            for i in 0..5 {
                w[i] -= eta * lambdas[i] * (w[i] + rho * g[i] / length);
            }
        }
        let expected = rho * eta * 15.0 / (2.0 - eta * 15.0);
        assert_close(w[0].abs(), expected, 1e-10);
        assert!(w[1..].iter().all(|x| x.abs() < 1e-10), "{w:?}");
        assert_close(sam_edge(eta, rho, length), 15.0, 1e-10);
    }
}

proptest! {
    /// Against the published form, its limits and its directions.
    #[test]
    fn the_sam_edge_is_the_published_one(eta in 1e-3..1.0f64, rho in 1e-3..1.0f64, length in 1e-3..10.0f64) {
        let edge = sam_edge(eta, rho, length);
        let published = length / (2.0 * rho) * ((1.0 + 8.0 * rho / (eta * length)).sqrt() - 1.0);
        prop_assert!((edge - published).abs() <= 1e-9 * published);
        prop_assert!(edge < 2.0 / eta);
        prop_assert!(edge < sam_edge(eta, rho, 1.1 * length));
        prop_assert!(edge > sam_edge(eta, 1.1 * rho, length));
        prop_assert!(edge > sam_edge(1.1 * eta, rho, length));
        let small = (2.0 * length * 1e-12 / (eta * rho)).sqrt();
        prop_assert!((sam_edge(eta, rho, length * 1e-12) - small).abs() <= 1e-3 * small);
        prop_assert!((sam_edge(eta, 0.0, length) * eta - 2.0).abs() < 1e-14);
        prop_assert!(sam_edge(eta, rho, 0.0).abs() < f64::MIN_POSITIVE);
    }
}
