//! Grids and functions on them.

#![allow(dead_code, reason = "every test file uses some of it")]

use relief_landscape::Heights;

pub(crate) const INF: f64 = f64::INFINITY;
pub(crate) const NAN: f64 = f64::NAN;

pub(crate) fn even(from: f64, to: f64, nodes: usize) -> Vec<f64> {
    (0..nodes).map(|i| from + (to - from) * i as f64 / (nodes - 1) as f64).collect()
}

/// The node of a point along every axis.
pub(crate) fn nodes(lengths: &[usize], mut index: usize) -> Vec<usize> {
    lengths
        .iter()
        .map(|length| {
            let node = index % length;
            index /= length;
            node
        })
        .collect()
}

pub(crate) fn sampled(axes: Vec<Vec<f64>>, f: impl Fn(&[f64]) -> f64) -> Heights {
    let lengths: Vec<usize> = axes.iter().map(Vec::len).collect();
    let at = |i| -> Vec<f64> { nodes(&lengths, i).iter().zip(&axes).map(|(i, axis)| axis[*i]).collect() };
    let values = (0..lengths.iter().product()).map(|i| f(&at(i))).collect();
    Heights::new(axes, values).unwrap()
}

/// Node 0, 1, 2, ... along axes of some lengths.
pub(crate) fn lattice(lengths: &[usize], values: Vec<f64>) -> Heights {
    Heights::new(lengths.iter().map(|n| (0..*n).map(|i| i as f64).collect()).collect(), values).unwrap()
}

pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}
