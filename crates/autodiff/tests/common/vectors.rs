//! Vectors in parameter space as lists of tensors: dot products, combinations, distances.

use candle_core::{DType, Tensor};

/// All entries, in order, in double precision.
pub(crate) fn flat(v: &[Tensor]) -> Vec<f64> {
    v.iter().flat_map(entries).collect()
}

/// The entries of one tensor in double precision.
pub(crate) fn entries(t: &Tensor) -> Vec<f64> {
    let t = t.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1());
    t.expect("a float tensor on the CPU")
}

/// u'v.
pub(crate) fn dot(u: &[Tensor], v: &[Tensor]) -> f64 {
    flat(u).iter().zip(flat(v)).map(|(a, b)| a * b).sum()
}

/// The Euclidean norm.
pub(crate) fn norm(v: &[Tensor]) -> f64 {
    dot(v, v).sqrt()
}

/// a u + b v.
pub(crate) fn combine(a: f64, u: &[Tensor], b: f64, v: &[Tensor]) -> Vec<Tensor> {
    let one = |(u, v): (&Tensor, &Tensor)| (u.affine(a, 0.0)? + v.affine(b, 0.0)?)?.contiguous();
    u.iter().zip(v).map(one).collect::<candle_core::Result<_>>().expect("tensors of equal shapes")
}

/// The largest difference of two lists of numbers, relative to the largest expected one.
pub(crate) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "different numbers of entries");
    let scale = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let difference = found.iter().zip(expected).fold(0.0, |m: f64, (a, b)| {
        // A NaN must not get lost in `max`.
        if a.is_finite() && b.is_finite() { m.max((a - b).abs()) } else { f64::INFINITY }
    });
    difference / scale.max(f64::MIN_POSITIVE)
}

/// d/ds f(s) at 0 by the four-point rule, whose error is of fourth order in `step`.
pub(crate) fn difference(step: f64, f: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let [near, back, far, far_back] = [1.0, -1.0, 2.0, -2.0].map(|s| f(s * step));
    (0..near.len()).map(|i| (8.0 * (near[i] - back[i]) - (far[i] - far_back[i])) / (12.0 * step)).collect()
}
