//! XTrace (Epperly, Tropp & Webber 2024): every probe samples what the products of the others leave of the matrix, with its
//! length normalised there.

use crate::sampling::leave_out::LeaveOut;
use crate::sampling::sketch::Sketch;
use crate::sampling::statistics::{Scalar, exchangeable};

pub(super) fn conclude(sketch: &Sketch, unit_roundoff: f64) -> Scalar {
    let left_out = LeaveOut::new(sketch);
    let scalar = if sketch.exhausted() {
        Scalar::exact(left_out.inside.trace)
    } else {
        let (own, without) = left_out.samples();
        let own: Vec<f64> = own.iter().map(|s| s.trace).collect();
        let without: Vec<Vec<f64>> =
            without.iter().map(|row| row.iter().map(|s| s.trace).collect()).collect();
        exchangeable(&own, &without)
    };
    scalar.with_rounding(sketch.norm(), unit_roundoff)
}
