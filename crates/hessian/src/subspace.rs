//! How two subspaces lie to each other.

use faer::Mat;

use crate::lanczos::vectors::{coefficients, subtract};
use crate::{Error, Result};

/// The principal angles between the spans of two lists of orthonormal vectors, in radians, ascending; as many as the
/// shorter list has vectors (Björck & Golub 1973).
///
/// Small angles come from sines and large ones from cosines, so that none loses more than half of its digits to rounding.
pub fn principal_angles(a: &[Vec<f64>], b: &[Vec<f64>]) -> Result<Vec<f64>> {
    let (a, b) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let (Some(first), false) = (a.first(), b.is_empty()) else {
        return Err(Error::Input("a subspace has no vectors: give at least one for each".into()));
    };
    if let Some(other) = a.iter().chain(b).find(|v| v.len() != first.len()) {
        return Err(Error::Input(format!(
            "vectors of {} and {} entries are not of one network",
            first.len(),
            other.len()
        )));
    }
    // Columns: what of each vector of b lies in the span of a, and what is left of it.
    let inside: Vec<Vec<f64>> = b.iter().map(|v| coefficients(a, v)).collect();
    let mut outside = b.to_vec();
    for (v, along) in outside.iter_mut().zip(&inside) {
        subtract(a, along, v);
    }
    let cosines = singular_values(&Mat::from_fn(a.len(), b.len(), |i, j| inside[j][i]))?;
    // The squares of the sines, from the small matrix of inner products.
    let left: Vec<Vec<f64>> = outside.iter().map(|v| coefficients(&outside, v)).collect();
    let mut squares = singular_values(&Mat::from_fn(b.len(), b.len(), |i, j| left[j][i]))?;
    squares.reverse();
    let angle = |(cosine, square): (f64, f64)| {
        if cosine * cosine > 0.5 { square.max(0.0).sqrt().min(1.0).asin() } else { cosine.min(1.0).acos() }
    };
    Ok(cosines.into_iter().zip(squares).map(angle).collect())
}

/// Descending.
fn singular_values(matrix: &Mat<f64>) -> Result<Vec<f64>> {
    matrix
        .singular_values()
        .map_err(|e| Error::Other(format!("a small matrix has no singular values: {e:?}")))
}
