//! What each of some vectors adds to the span of the others.

use super::basis::Basis;
use crate::lanczos::vectors::{self, dot};

/// Share of a probe's row by which it may fall short of unit length and still count as indispensable.
const ROUNDING: f64 = 1e-8;

/// For every vector `y_i` that was added to a basis, the unit vector `s_i`, in the coordinates of Q, that is orthogonal to all
/// the others; `None` where `y_i` lies in their span.
///
/// With R' = U T, the i-th row of R's pseudoinverse, which is orthogonal to the other columns of R, is T^-1 (row i of U).
/// Leaving out column i lowers R's rank where that row of U has length 1: always, if R is square.
pub(crate) fn directions(basis: &Basis) -> Vec<Option<Vec<f64>>> {
    let (factor, _) = basis.scaled_factor();
    let (r, k) = (factor.nrows(), factor.ncols());
    if r == 0 {
        return vec![None; k];
    }
    let decomposition = factor.transpose().to_owned().qr();
    let (u, t) = (decomposition.compute_thin_Q(), decomposition.thin_R());
    (0..k)
        .map(|i| {
            let mut v: Vec<f64> = (0..r).map(|j| u[(i, j)]).collect();
            if r < k && dot(&v, &v) < 1.0 - ROUNDING {
                return None;
            }
            for j in (0..r).rev() {
                let above: f64 = (j + 1..r).map(|l| t[(j, l)] * v[l]).sum();
                v[j] = (v[j] - above) / t[(j, j)];
            }
            let length = vectors::norm(&v);
            Some(v.into_iter().map(|x| x / length).collect())
        })
        .collect()
}
