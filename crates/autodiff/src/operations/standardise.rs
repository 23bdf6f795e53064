//! Rows divided by their deviation, less their mean or not: what layer, group and RMS norms do before weights come in.
//!
//! With `[a, b] = sum_i a_i b_i / m` over a row of m entries, z = (x - mean) s with `s = 1 / sqrt([x - mean, x - mean] + eps)`.
//! z is the gradient of m / s. For directions less their means (RMS norm: as they are) u, v, w and `p = [z, u]`,
//! `q = [z, v]`, `r = [z, w]`, entry by entry:
//!
//! - `z'[u] = s (u - z p)`
//! - `z''[u, v] = -s^2 (v p + u q + z ([u, v] - 3 p q))`
//! - `z'''[u, v, w] = -s^3 (A + z (15 p q r - 3 (r [u, v] + q [u, w] + p [v, w])))` with
//!   `A = u ([v, w] - 3 q r) + v ([u, w] - 3 p r) + w ([u, v] - 3 p q)`

use candle_core::Tensor;

use super::rows::{GradientMap, OfRows, less, of_rows, plus_scaled, product};
use crate::error::shape;
use crate::kernels::Real;
use crate::kernels::rows::totals;
use crate::{Result, Value, device, pointwise};

/// The mean is subtracted where `centred` says so; `eps` is added to the mean square.
#[derive(Debug)]
struct Standardise {
    centred: bool,
    eps: f64,
}

impl Standardise {
    /// The means to subtract from each of some rows.
    #[inline(always)]
    fn means<T: Real, const N: usize>(&self, rows: [&[T]; N]) -> [f64; N] {
        if !self.centred {
            return [0.0; N];
        }
        let width = rows[0].len() as f64;
        totals(rows[0], rows, |_, entries| entries).map(
            #[inline(always)]
            |sum| sum / width,
        )
    }

    /// The third derivative as whole-tensor operations.
    fn composed_third(&self, z: &Tensor, scale: &Tensor, vectors: &[Tensor]) -> Result<Tensor> {
        let (count, width) = z.dims2()?;
        let rows = of_rows(count, width);
        let over_width = |sum: Tensor| pointwise::times(1.0 / width as f64, &sum);
        let mean = |a: &Tensor, b: &Tensor| over_width(rows.reduce_product(a, b)?);
        let centred = |x: &Tensor| {
            if self.centred { less(&rows, x, &over_width(rows.reduce(x)?)?) } else { Ok(x.clone()) }
        };
        let centred = vectors.iter().map(centred).collect::<Result<Vec<_>>>()?;
        let along = centred.iter().map(|u| mean(z, u)).collect::<Result<Vec<_>>>()?;
        let ([u, v, w], [p, q, r]) = (centred.as_slice(), along.as_slice()) else {
            return Err(shape("standardise", format!("no derivative along {} vectors", vectors.len())));
        };
        // [a, b] - 3 [z, a] [z, b].
        let joint =
            |[a, b]: [&Tensor; 2], [p, q]: [&Tensor; 2]| plus_scaled(&mean(a, b)?, -3.0, &product(p, q)?);
        let (of_u, of_v, of_w) = (joint([v, w], [q, r])?, joint([u, w], [p, r])?, joint([u, v], [p, q])?);
        // -3 (p of_u + q of_v + r of_w) = 27 p q r - 3 (..), so that 12 p q r are too many.
        let weighted = pointwise::sum_of_products(&[(p, &of_u), (q, &of_v), (r, &of_w)])?;
        let along = plus_scaled(&pointwise::times(-3.0, &weighted)?, -12.0, &product(&product(p, q)?, r)?)?;
        let mut sum = None;
        for (x, numbers) in [(u, &of_u), (v, &of_v), (w, &of_w), (z, &along)] {
            pointwise::add(&mut sum, rows.multiply(x, numbers)?)?;
        }
        let sum = sum.ok_or_else(|| shape("standardise", "a sum of no terms"))?;
        let cube = product(&product(scale, scale)?, scale)?;
        rows.multiply(&sum, &pointwise::times(-1.0, &cube)?)
    }
}

impl GradientMap for Standardise {
    const NAME: &'static str = "standardise";
    const NEEDS_NUMBER: bool = true;

    #[inline(always)]
    fn value<T: Real>(&self, x: &[T], _: &[T], y: &mut [T]) -> f64 {
        let [mean] = self.means([x]);
        let [sum] = totals(x, [] as [&[T]; 0], |x, []| [(x - mean) * (x - mean)]);
        let scale = 1.0 / (sum / x.len() as f64 + self.eps).sqrt();
        for (y, &x) in y.iter_mut().zip(x) {
            *y = T::round_from((x.into() - mean) * scale);
        }
        scale
    }

    #[inline(always)]
    fn add_first<T: Real>(&self, z: &[T], scale: f64, u: &[T], out: &mut [T]) {
        let [mean] = self.means([u]);
        let [p] = totals(z, [u], |z, [u]| [z * (u - mean)]);
        let p = p / z.len() as f64;
        for ((o, &z), &u) in out.iter_mut().zip(z).zip(u) {
            *o += T::round_from(scale * (u.into() - mean - z.into() * p));
        }
    }

    #[inline(always)]
    fn add_second<T: Real>(&self, z: &[T], scale: f64, [u, v]: [&[T]; 2], out: &mut [T]) {
        let [u_mean, v_mean] = self.means([u, v]);
        let width = z.len() as f64;
        let [p, q, c] = totals(z, [u, v], |z, [u, v]| {
            let (u, v) = (u - u_mean, v - v_mean);
            [z * u, z * v, u * v]
        });
        let (p, q, c) = (p / width, q / width, c / width);
        let (factor, along) = (-scale * scale, c - 3.0 * p * q);
        for (((o, &z), &u), &v) in out.iter_mut().zip(z).zip(u).zip(v) {
            let (u, v) = (u.into() - u_mean, v.into() - v_mean);
            *o += T::round_from(factor * (v * p + u * q + z.into() * along));
        }
    }

    #[inline(always)]
    fn add_third<T: Real>(&self, z: &[T], scale: f64, [u, v, w]: [&[T]; 3], out: &mut [T]) {
        let [u_mean, v_mean, w_mean] = self.means([u, v, w]);
        let width = z.len() as f64;
        let [p, q, r, uv, uw, vw] = totals(z, [u, v, w], |z, [u, v, w]| {
            let (u, v, w) = (u - u_mean, v - v_mean, w - w_mean);
            [z * u, z * v, z * w, u * v, u * w, v * w]
        })
        .map(
            #[inline(always)]
            |sum| sum / width,
        );
        let along = 15.0 * p * q * r - 3.0 * (r * uv + q * uw + p * vw);
        let (of_u, of_v, of_w) = (vw - 3.0 * q * r, uw - 3.0 * p * r, uv - 3.0 * p * q);
        let factor = -scale * scale * scale;
        for ((((o, &z), &u), &v), &w) in out.iter_mut().zip(z).zip(u).zip(v).zip(w) {
            let (u, v, w) = (u.into() - u_mean, v.into() - v_mean, w.into() - w_mean);
            *o += T::round_from(factor * (u * of_u + v * of_v + w * of_w + z.into() * along));
        }
    }

    fn value_on_device(&self, x: &Tensor, _: Option<&Tensor>) -> Result<(Tensor, Option<Tensor>)> {
        let (z, scale) = device::standardise(self.centred, self.eps, x)?;
        Ok((z, Some(scale)))
    }

    fn derivative_on_device(&self, z: &Tensor, scale: Option<&Tensor>, vectors: &[Tensor]) -> Result<Tensor> {
        let scale = scale.ok_or_else(|| shape("standardise", "no deviations were kept"))?;
        if vectors.len() < 3 {
            return device::standardise_derivative(self.centred, z, scale, vectors);
        }
        self.composed_third(z, &scale.to_dtype(z.dtype())?, vectors)
    }
}

impl Value {
    /// (x - mean) / sqrt(var + eps) along the last axis, or x / sqrt(mean(x^2) + eps) if not `centred`.
    pub(super) fn standardised_rows(&self, centred: bool, eps: f64) -> Result<Value> {
        if self.dims().last().is_none_or(|&width| width == 0) {
            return Err(shape("norm", format!("shape {:?} has no last axis to norm", self.dims())));
        }
        Ok(self.builder.row_wise(OfRows(Standardise { centred, eps }), &[self], self.dims()))
    }
}
