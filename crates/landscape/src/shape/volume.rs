//! The volume of a basin: the simplices that it fills, and shares of those that the level cuts.

use super::heights::{Heights, crossing};

/// The volume of the part at or below the level of all simplices with a point `inside`: a basin has all points below the
/// level of such a simplex, or none.
pub(super) fn volume(heights: &Heights, inside: &[bool], level: f64) -> f64 {
    let n = heights.axes().len();
    let (steps, all) = (heights.steps(), (1 << n) - 1);
    let simplices = simplices(n);
    let mut sum = 0.0;
    for base in (0..heights.len()).filter(|&base| heights.room(base).0 == all) {
        if !steps.iter().any(|step| inside[base + step]) {
            continue;
        }
        let nodes = heights.nodes(base).zip(heights.axes());
        let cell: f64 = nodes.map(|(node, axis)| axis[node + 1] - axis[node]).product();
        let mut shares = 0.0;
        for simplex in &simplices {
            let corners: Vec<usize> = simplex.iter().map(|set| base + steps[*set]).collect();
            let values: Vec<f64> = corners.iter().map(|i| heights.values()[*i]).collect();
            if corners.iter().any(|&i| inside[i]) && !values.iter().any(|v| v.is_nan()) {
                shares += share_below(&values, level);
            }
        }
        sum += cell * shares / simplices.len() as f64;
    }
    sum
}

/// The simplices of a cell: n! ways from its lowest to its highest corner, as the sets of axes gone up so far.
fn simplices(n: usize) -> Vec<Vec<usize>> {
    (0..n).fold(vec![vec![0]], |ways, gone| {
        let longer = |way: &Vec<usize>| {
            let set = way[gone];
            let rest: Vec<usize> = (0..n).map(|k| 1 << k).filter(|bit| set & bit == 0).collect();
            rest.into_iter().map(|bit| [way.as_slice(), &[set | bit]].concat()).collect::<Vec<_>>()
        };
        ways.iter().flat_map(longer).collect()
    })
}

/// The share of a simplex in which the linear function with these values at its corners is at or below a level.
///
/// The crossing on an edge from a corner below to one above cuts the simplex in two, in which it takes the place of one or
/// the other; being at the level, it can be left out of both. The shares of the simplices of the first i corners below and
/// the first j above follow from each other by convex combinations, which lose no digits (the recursion of Varsi 1973 and
/// Ali 1973, reviewed by Cho & Cho 2001).
fn share_below(values: &[f64], level: f64) -> f64 {
    let (below, above): (Vec<f64>, Vec<f64>) = values.iter().partition(|v| **v <= level);
    let mut shares = vec![1.0; below.len() + 1];
    shares[0] = 0.0;
    for above in above {
        for (i, below) in below.iter().enumerate() {
            let t = crossing(*below, above, level);
            shares[i + 1] = t * shares[i + 1] + (1.0 - t) * shares[i];
        }
    }
    shares[below.len()]
}
