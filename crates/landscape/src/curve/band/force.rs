//! The forces on the pivots of a band.

use super::super::distance;
use crate::direction::{dot, norm};

/// The direction of the chain at a pivot: towards its higher neighbour where the loss rises or falls along the chain, and
/// where the pivot is above or below both its neighbours a mean of both segments that passes smoothly into the one or the
/// other (Henkelman & Jonsson 2000, equations 8 to 11). Of norm 1, or 0 where pivots coincide.
pub(super) fn tangent(chain: &[Vec<f64>], losses: &[f64], pivot: usize) -> Vec<f64> {
    let (up, down) = (losses[pivot + 1] - losses[pivot], losses[pivot] - losses[pivot - 1]);
    let (ahead, behind) = if up == 0.0 && down == 0.0 {
        (1.0, 1.0)
    } else if up >= 0.0 && down >= 0.0 {
        (1.0, 0.0)
    } else if up <= 0.0 && down <= 0.0 {
        (0.0, 1.0)
    } else {
        let (larger, smaller) = (up.abs().max(down.abs()), up.abs().min(down.abs()));
        if losses[pivot + 1] > losses[pivot - 1] { (larger, smaller) } else { (smaller, larger) }
    };
    let ends = chain[pivot - 1].iter().zip(&chain[pivot + 1]);
    let mut tangent: Vec<f64> = chain[pivot]
        .iter()
        .zip(ends)
        .map(|(here, (before, after))| ahead * (after - here) + behind * (here - before))
        .collect();
    let length = norm(&tangent);
    if length > 0.0 {
        tangent.iter_mut().for_each(|t| *t /= length);
    }
    tangent
}

/// Takes from a gradient its part along the tangent, and the force of springs instead: along the tangent,
/// k times how much longer than its share the segment ahead is less how much longer the one behind is (for equal shares
/// equation 12 of Henkelman & Jonsson 2000). The result is what to descend along.
pub(super) fn project(gradient: &mut [f64], tangent: &[f64], spring: f64) {
    let along = dot(gradient, tangent) + spring;
    gradient.iter_mut().zip(tangent).for_each(|(g, t)| *g -= along * t);
}

/// How much longer than its share the segment ahead of a pivot is, less how much longer the one behind is.
pub(super) fn stretch(lengths: &[f64], shares: &[f64], pivot: usize) -> f64 {
    let whole: f64 = lengths.iter().sum();
    (lengths[pivot] - shares[pivot] * whole) - (lengths[pivot - 1] - shares[pivot - 1] * whole)
}

/// The lengths of a chain's segments.
pub(super) fn lengths(chain: &[Vec<f64>]) -> Vec<f64> {
    chain.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect()
}

/// Moves the pivots between the ends along the chain to where the segments have their shares of its length.
pub(super) fn redistribute(chain: &mut Vec<Vec<f64>>, shares: &[f64]) {
    let lengths = lengths(chain);
    let whole: f64 = lengths.iter().sum();
    let (mut segment, mut passed, mut wanted) = (0, 0.0, 0.0);
    let mut moved = Vec::with_capacity(chain.len());
    moved.push(chain[0].clone());
    for share in &shares[..shares.len() - 1] {
        wanted += share * whole;
        while segment + 1 < lengths.len() && passed + lengths[segment] < wanted {
            passed += lengths[segment];
            segment += 1;
        }
        let along =
            if lengths[segment] > 0.0 { ((wanted - passed) / lengths[segment]).clamp(0.0, 1.0) } else { 0.0 };
        moved.push(between(&chain[segment], &chain[segment + 1], along));
    }
    moved.extend(chain.pop());
    *chain = moved;
}

/// The point a share of the way from one to another.
pub(super) fn between(from: &[f64], to: &[f64], along: f64) -> Vec<f64> {
    from.iter().zip(to).map(|(a, b)| (1.0 - along) * a + along * b).collect()
}
