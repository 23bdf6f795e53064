//! Softmax and log-softmax, so that nothing overflows.
//!
//! Softmax is the gradient of log-sum-exp. With `<a>` = `sum_i y_i a_i` and a, b, c the directions u, v, w less their means
//! `<u>`, `<v>`, `<w>`, entry by entry (the joint cumulants of the distribution y):
//!
//! - `y'[u] = y a`
//! - `y''[u, v] = y (a b - <a b>)`
//! - `y'''[u, v, w] = y (a b c - <a b c> - a <b c> - b <a c> - c <a b>)`

use candle_core::Tensor;

use super::broadcast::Broadcast;
use super::elementary::exp;
use super::rows::{GradientMap, OfRows, less, of_rows, plus_scaled, product};
use crate::error::shape;
use crate::kernels::Real;
use crate::kernels::rows::totals;
use crate::rule::{Axes, Frozen};
use crate::{Result, Value, device, pointwise};

/// The maximum along an axis, kept with length 1. The shift cancels, so its derivative is rightly taken to be zero.
#[derive(Debug)]
struct Maximum {
    axis: usize,
}

impl Frozen for Maximum {
    fn name(&self) -> &'static str {
        "max"
    }
    fn value(&self, arguments: &[&Tensor]) -> Result<Tensor> {
        Ok(arguments[0].contiguous()?.max_keepdim(self.axis)?)
    }
    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

/// softmax(scale * x + mask), with a mask that has no derivative.
#[derive(Debug)]
struct Softmax {
    scale: f64,
}

/// The largest entry; one that is not a number is passed over.
#[inline(always)]
fn largest<T: Real>(x: &[T]) -> T {
    // Several at a time, so that the compiler can use wide registers.
    let mut lanes = [T::neg_infinity(); 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let mut largest = T::neg_infinity();
    for &x in lanes.iter().chain(rest) {
        largest = if x > largest { x } else { largest };
    }
    largest
}

/// x becomes its softmax; gives its largest entry and `sum_i` exp(`x_i` - max).
#[inline(always)]
pub(super) fn softmax<T: Real>(x: &mut [T]) -> (f64, f64) {
    let largest: f64 = largest(x).into();
    for x in &mut *x {
        *x = T::round_from(exp((*x).into() - largest, T::IS_SINGLE));
    }
    let [sum] = totals(&*x, [] as [&[T]; 0], |x, []| [x]);
    let inverse = 1.0 / sum;
    for x in x {
        *x = T::round_from((*x).into() * inverse);
    }
    (largest, sum)
}

/// The mean of u under y.
#[inline(always)]
pub(super) fn mean<Y: Real, T: Real>(y: &[Y], u: &[T]) -> f64 {
    totals(y, [u], |y, [u]| [y * u])[0]
}

/// The covariance of u and v under y, and their means.
#[inline(always)]
pub(super) fn covariance<Y: Real, T: Real>(y: &[Y], [u, v]: [&[T]; 2]) -> (f64, [f64; 2]) {
    let [p, q] = totals(y, [u, v], |y, [u, v]| [y * u, y * v]);
    let [c] = totals(y, [u, v], |y, [u, v]| [y * (u - p) * (v - q)]);
    (c, [p, q])
}

/// Adds factor * y'[u].
#[inline(always)]
pub(super) fn add_first<Y: Real, T: Real>(factor: f64, y: &[Y], u: &[T], out: &mut [T]) {
    let mean = mean(y, u);
    for ((o, &y), &u) in out.iter_mut().zip(y).zip(u) {
        *o += T::round_from(factor * y.into() * (u.into() - mean));
    }
}

/// Adds factor * y''[u, v].
#[inline(always)]
pub(super) fn add_second<Y: Real, T: Real>(factor: f64, y: &[Y], [u, v]: [&[T]; 2], out: &mut [T]) {
    let (c, [p, q]) = covariance(y, [u, v]);
    for (((o, &y), &u), &v) in out.iter_mut().zip(y).zip(u).zip(v) {
        *o += T::round_from(factor * y.into() * ((u.into() - p) * (v.into() - q) - c));
    }
}

impl GradientMap for Softmax {
    const NAME: &'static str = "softmax";
    const NEEDS_NUMBER: bool = false;

    #[inline(always)]
    fn value<T: Real>(&self, x: &[T], mask: &[T], y: &mut [T]) -> f64 {
        if mask.is_empty() {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = T::round_from(self.scale * x.into());
            }
        } else {
            for ((y, &x), &mask) in y.iter_mut().zip(x).zip(mask) {
                *y = T::round_from(self.scale * x.into() + mask.into());
            }
        }
        softmax(y).1
    }

    #[inline(always)]
    fn add_first<T: Real>(&self, y: &[T], _: f64, u: &[T], out: &mut [T]) {
        add_first(self.scale, y, u, out);
    }

    #[inline(always)]
    fn add_second<T: Real>(&self, y: &[T], _: f64, uv: [&[T]; 2], out: &mut [T]) {
        add_second(self.scale * self.scale, y, uv, out);
    }

    #[inline(always)]
    fn add_third<T: Real>(&self, y: &[T], _: f64, [u, v, w]: [&[T]; 3], out: &mut [T]) {
        let [p, q, r] = totals(y, [u, v, w], |y, [u, v, w]| [y * u, y * v, y * w]);
        let [ab, ac, bc, abc] = totals(y, [u, v, w], |y, [u, v, w]| {
            let (a, b, c) = (u - p, v - q, w - r);
            [y * a * b, y * a * c, y * b * c, y * a * b * c]
        });
        let factor = self.scale * self.scale * self.scale;
        for ((((o, &y), &u), &v), &w) in out.iter_mut().zip(y).zip(u).zip(v).zip(w) {
            let (a, b, c) = (u.into() - p, v.into() - q, w.into() - r);
            *o += T::round_from(factor * y.into() * (a * b * c - abc - a * bc - b * ac - c * ab));
        }
    }

    fn value_on_device(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<(Tensor, Option<Tensor>)> {
        Ok((device::softmax(self.scale, x, mask)?, None))
    }

    fn derivative_on_device(&self, y: &Tensor, _: Option<&Tensor>, vectors: &[Tensor]) -> Result<Tensor> {
        let factor = self.scale.powi(vectors.len() as i32);
        if vectors.len() < 3 {
            return device::softmax_derivative(factor, y, vectors);
        }
        let (count, width) = y.dims2()?;
        pointwise::times(factor, &composed_derivative(y, vectors, &of_rows(count, width))?)
    }
}

/// Softmax of rows and the sums of exponentials it divides by, as whole-tensor operations.
pub(super) fn composed(x: &Tensor, rows: &Broadcast) -> Result<(Tensor, Tensor)> {
    let powers = pointwise::map(&super::functions::Exp, 0, &less(rows, x, &x.max_keepdim(1)?)?)?;
    let sums = rows.reduce(&powers)?;
    Ok((rows.multiply(&powers, &pointwise::map(&super::functions::Reciprocal, 0, &sums)?)?, sums))
}

/// The vectors less their means under y.
pub(super) fn composed_centred(y: &Tensor, vectors: &[Tensor], rows: &Broadcast) -> Result<Vec<Tensor>> {
    vectors.iter().map(|u| less(rows, u, &rows.reduce_product(y, u)?)).collect()
}

/// Softmax's derivative along one to three vectors, as whole-tensor operations.
pub(super) fn composed_derivative(y: &Tensor, vectors: &[Tensor], rows: &Broadcast) -> Result<Tensor> {
    let centred = composed_centred(y, vectors, rows)?;
    match centred.as_slice() {
        [a] => product(y, a),
        [a, b] => {
            let ab = product(a, b)?;
            product(y, &less(rows, &ab, &rows.reduce_product(y, &ab)?)?)
        }
        [a, b, c] => {
            let ab = product(a, b)?;
            let abc = product(&ab, c)?;
            let mut sum = less(rows, &abc, &rows.reduce_product(y, &abc)?)?;
            for (one, [other, third]) in [(a, [b, c]), (b, [a, c]), (c, [a, b])] {
                let mean = rows.reduce_product(y, &product(other, third)?)?;
                sum = plus_scaled(&sum, -1.0, &rows.multiply(one, &mean)?)?;
            }
            product(y, &sum)
        }
        _ => Err(shape("softmax", format!("no derivative along {} vectors", vectors.len()))),
    }
}

impl Value {
    fn shifted(&self, axis: usize) -> Result<Value> {
        self.dim(axis)?;
        let mut dims = self.dims().to_vec();
        dims[axis] = 1;
        let maximum = self.builder.frozen(Maximum { axis }, &[self], &dims);
        self.sub(&maximum)
    }

    /// `exp(x_i)` / `sum_j` `exp(x_j)` along `axis`.
    pub fn softmax(&self, axis: usize) -> Result<Value> {
        if self.dim(axis)? == 0 {
            return Err(shape("softmax", format!("axis {axis} of shape {:?} is empty", self.dims())));
        }
        let last = self.rank() - 1;
        if axis != last {
            return self.transpose(axis, last)?.softmax(last)?.transpose(axis, last);
        }
        Ok(self.builder.row_wise(OfRows(Softmax { scale: 1.0 }), &[self], self.dims()))
    }

    /// softmax(scale * x + mask) along the last axis; `None` where the mask may have a derivative or is not repeated as a
    /// whole.
    pub(super) fn masked_softmax(&self, scale: f64, mask: Option<&Value>) -> Option<Value> {
        let rule = OfRows(Softmax { scale });
        let Some(mask) = mask else { return Some(self.builder.row_wise(rule, &[self], self.dims())) };
        let fits = mask.rank() > 0 && self.dims().ends_with(mask.dims()) && mask.elem_count() > 0;
        (fits && mask.is_given()).then(|| self.builder.row_wise(rule, &[self, mask], self.dims()))
    }

    /// Logarithm of the softmax along `axis`.
    pub fn log_softmax(&self, axis: usize) -> Result<Value> {
        let shifted = self.shifted(axis)?;
        shifted.sub(&shifted.exp()?.sum_keepdim(&[axis])?.log()?)
    }
}
