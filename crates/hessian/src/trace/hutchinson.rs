//! The estimator of Girard (1989) and Hutchinson (1990), on the sphere.

use crate::sampling::independent::Forms;
use crate::sampling::statistics::{Scalar, independent};

/// The mean of n w'Aw / |w|^2.
pub(super) fn conclude(forms: &Forms, unit_roundoff: f64) -> Scalar {
    let norm = independent(&forms.squares).value.sqrt();
    independent(&forms.quadratic).with_rounding(norm, unit_roundoff)
}
