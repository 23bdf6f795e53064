//! XDiag: every probe w of signs samples what the others leave of the diagonal, by w * (I - P) A (I - P) w.
//!
//! What P holds is computed: the diagonal of PA + AP - PAP. Were the samples from different probes uncorrelated, their
//! spread would give the errors. Their covariances are estimated as for the trace (`statistics::exchangeable`), but from
//! neighbouring probes only, and summed over all entries; the errors are enlarged by what that sum says.

use std::ops::Range;

use rayon::prelude::*;

use crate::sampling::leave_out::{self, LeaveOut, Test};
use crate::sampling::sketch::Sketch;

/// Some rows of Q and E, and of the diagonal of Q(HQ' + E') + E Q'.
struct Rows<'a> {
    basis: Vec<&'a [f64]>,
    outside: Vec<Vec<f64>>,
    whole: Vec<f64>,
}

/// Coefficients of one sample.
struct Coefficients {
    test: Test,
    outside: Vec<f64>,
    inside: Vec<f64>,
}

/// The estimate and its standard errors.
pub(super) fn estimate(sketch: &Sketch) -> (Vec<f64>, Vec<f64>) {
    let left_out = LeaveOut::new(sketch);
    let k = sketch.probes();
    let coefficients = |i: usize, without: Option<usize>| {
        let test = left_out.test(i, without);
        let (outside, inside) = left_out.coefficients(&test);
        Coefficients { test, outside, inside }
    };
    let (before, after) = (|i: usize| (i + k - 1) % k, |i: usize| (i + 1) % k);
    let own: Vec<Coefficients> = (0..k).map(|i| coefficients(i, None)).collect();
    let without_next: Vec<Coefficients> = (0..k).map(|i| coefficients(i, Some(after(i)))).collect();
    let without_last: Vec<Coefficients> = (0..k).map(|i| coefficients(i, Some(before(i)))).collect();
    let (mut values, mut errors) = (vec![], vec![]);
    let mut covariance = 0.0;
    for piece in sketch.draw() {
        let rows = Rows::new(&left_out, &piece.rows, leave_out::outside(sketch, &left_out.projected, &piece));
        let samples = |all: &[Coefficients]| -> Vec<Vec<f64>> {
            all.par_iter().zip(&piece.probes).map(|(c, w)| rows.sample(c, w)).collect()
        };
        let (own, next, last) = (samples(&own), samples(&without_next), samples(&without_last));
        for row in 0..piece.rows.len() {
            let mean = own.iter().map(|d| d[row]).sum::<f64>() / k as f64;
            let deviations: f64 = own.iter().map(|d| (d[row] - mean).powi(2)).sum();
            values.push(mean);
            errors.push((deviations / (k * (k - 1)) as f64).sqrt());
            let products = (0..k).map(|i| {
                let j = after(i);
                (own[i][row] - next[i][row]) * (own[j][row] - last[j][row])
            });
            covariance += products.sum::<f64>() / k as f64;
        }
    }
    let spread: f64 = errors.iter().map(|e| e * e).sum();
    if spread > 0.0 {
        let factor = (1.0 + covariance.max(0.0) / spread).sqrt();
        errors.iter_mut().for_each(|e| *e *= factor);
    }
    (values, errors)
}

impl<'a> Rows<'a> {
    fn new(left_out: &LeaveOut<'a>, rows: &Range<usize>, outside: Vec<Vec<f64>>) -> Self {
        let basis: Vec<&[f64]> = left_out.sketch.basis.vectors.iter().map(|q| &q[rows.clone()]).collect();
        let mut whole = vec![0.0; rows.len()];
        for (j, (q, e)) in basis.iter().zip(&outside).enumerate() {
            let column: Vec<f64> = left_out.projected.col(j).iter().copied().collect();
            let mut image = combination(&basis, &column, rows.len());
            image.iter_mut().zip(e).for_each(|(i, e)| *i += 2.0 * e);
            whole.iter_mut().zip(image.iter().zip(*q)).for_each(|(w, (i, q))| *w += i * q);
        }
        Self { basis, outside, whole }
    }

    /// The sample's rows: with S what P lacks, the diagonal of PA + AP - PAP is that of the whole without
    /// 2 E S S'Q' + Q S S'H S S'Q'.
    fn sample(&self, c: &Coefficients, probe: &[f64]) -> Vec<f64> {
        let rows = self.whole.len();
        let mut out = combination(&self.outside, &c.outside, rows);
        let inside = combination(&self.basis, &c.inside, rows);
        for ((out, inside), (w, whole)) in out.iter_mut().zip(inside).zip(probe.iter().zip(&self.whole)) {
            *out = whole + w * (*out + inside);
        }
        let lacking: Vec<Vec<f64>> =
            c.test.lacking.iter().map(|s| combination(&self.basis, &s.vector, rows)).collect();
        for (a, s) in c.test.lacking.iter().enumerate() {
            let mut lost = combination(&self.outside, &s.vector, rows);
            lost.iter_mut().for_each(|lost| *lost *= 2.0);
            for (other, h) in lacking.iter().zip(&c.test.lost[a]) {
                lost.iter_mut().zip(other).for_each(|(lost, q)| *lost += h * q);
            }
            out.iter_mut().zip(lost.iter().zip(&lacking[a])).for_each(|(out, (l, q))| *out -= l * q);
        }
        out
    }
}

fn combination<V: AsRef<[f64]>>(vectors: &[V], coefficients: &[f64], rows: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows];
    for (v, c) in vectors.iter().zip(coefficients) {
        out.iter_mut().zip(v.as_ref()).for_each(|(out, v)| *out += c * v);
    }
    out
}
