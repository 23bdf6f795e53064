//! Gradient maps of rows: softmax and the standardisations of norms.
//!
//! A function of a row that is the gradient of a potential has derivatives that are symmetric in everything that goes in:
//! f'(x)[u] is its own adjoint, and f''(x)[u, v] with a cotangent in place of v is the adjoint's derivative along u. So
//! one form for each order is all that tangents and cotangents of any order need.

use candle_core::{DType, Tensor};
use std::fmt::Debug;

use super::broadcast::Broadcast;
use crate::host::{Host, for_real, tensor};
use crate::kernels::Real;
use crate::kernels::rows::each_row;
use crate::rule::{Axes, RowWise};
use crate::{Error, Result, device, pointwise};

/// A gradient map y = f(x) of a row and its derivatives, all given y and one number that the value left behind.
pub(super) trait GradientMap: Debug + Send + Sync + 'static {
    /// Name for messages.
    const NAME: &'static str;

    /// Whether derivatives need the number, too.
    const NEEDS_NUMBER: bool;

    /// Writes y at a row x and a row of the second argument, which is empty where there is none; gives the number.
    fn value<T: Real>(&self, x: &[T], given: &[T], y: &mut [T]) -> f64;

    /// Adds f'[u].
    fn add_first<T: Real>(&self, y: &[T], number: f64, u: &[T], out: &mut [T]);

    /// Adds f''[u, v].
    fn add_second<T: Real>(&self, y: &[T], number: f64, uv: [&[T]; 2], out: &mut [T]);

    /// Adds f'''[u, v, w].
    fn add_third<T: Real>(&self, y: &[T], number: f64, uvw: [&[T]; 3], out: &mut [T]);

    /// Value and numbers [rows, 1], where derivatives need them, on a device: x [rows, width], the second argument [some,
    /// width].
    fn value_on_device(&self, x: &Tensor, given: Option<&Tensor>) -> Result<(Tensor, Option<Tensor>)>;

    /// The derivative along all of `vectors`, of which there are one to three, on a device.
    fn derivative_on_device(
        &self,
        y: &Tensor,
        numbers: Option<&Tensor>,
        vectors: &[Tensor],
    ) -> Result<Tensor>;
}

/// A gradient map applied to every row of the first argument. A second one has fewer rows, whose number divides that of the
/// first's, and is repeated.
#[derive(Debug)]
pub(super) struct OfRows<M>(pub(super) M);

impl<M: GradientMap> RowWise for OfRows<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn value(&self, arguments: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let x = arguments[0].contiguous()?;
        let (count, width) = extents(&x);
        let given = arguments.get(1).map(|given| given.contiguous()).transpose()?;
        let (y, numbers) = if device::holds(&x) {
            let given = given.map(|given| given.reshape(((), width))).transpose()?;
            let (y, numbers) = self.0.value_on_device(&x.reshape((count, width))?, given.as_ref())?;
            (y.reshape(x.dims())?, numbers)
        } else {
            for_real!(M::NAME, x, T => {
                let host = Host::open(M::NAME, &x)?;
                let entries = host.slice::<T>()?;
                let given = given.as_ref().map(|given| Host::open(M::NAME, given)).transpose()?;
                let given = given.as_ref().map_or(Ok(&[][..]), Host::slice::<T>)?;
                let repeats = given.len() / width.max(1);
                let (y, numbers) = each_row(
                    count,
                    width,
                    #[inline(always)]
                    |i, y| {
                        let given = i.checked_rem(repeats).map_or(&[][..], |i| &given[i * width..][..width]);
                        self.0.value(&entries[i * width..][..width], given, y)
                    },
                );
                let numbers = M::NEEDS_NUMBER.then(|| tensor(numbers, &[count, 1])).transpose()?;
                Ok::<_, Error>((tensor(y, x.dims())?, numbers))
            })?
        };
        let kept = [y.clone()].into_iter().chain(numbers).collect();
        Ok((y, kept))
    }

    fn tangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor> {
        let y = &kept[0];
        let (count, width) = extents(y);
        if device::holds(y) {
            return self.tangent_on_device(kept, terms);
        }
        let packed = terms
            .iter()
            .map(|term| term.iter().map(|v| Ok(v.contiguous()?)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        for_real!(M::NAME, y, T => {
            let open = |t| Host::open(M::NAME, t);
            let host = open(y)?;
            let numbers = kept.get(1).map(open).transpose()?;
            let (y_entries, numbers) = (host.slice::<T>()?, numbers.as_ref().map(Host::slice::<f64>).transpose()?);
            let hosts = packed.iter().map(|term| term.iter().map(open).collect::<Result<Vec<_>>>()).collect::<Result<Vec<_>>>()?;
            let slices = hosts.iter().map(|term| term.iter().map(Host::slice::<T>).collect::<Result<Vec<_>>>()).collect::<Result<Vec<_>>>()?;
            let (sums, _) = each_row(
                count,
                width,
                #[inline(always)]
                |i, out| {
                    let row = i * width..(i + 1) * width;
                    let (y, number) = (&y_entries[row.clone()], numbers.map_or(0.0, |numbers| numbers[i]));
                    for term in &slices {
                        match term[..] {
                            [u] => self.0.add_first(y, number, &u[row.clone()], out),
                            [u, v] => self.0.add_second(y, number, [u, v].map(|u| &u[row.clone()]), out),
                            [u, v, w] => self.0.add_third(y, number, [u, v, w].map(|u| &u[row.clone()]), out),
                            _ => {}
                        }
                    }
                    0.0
                },
            );
            tensor(sums, y.dims())
        })
    }

    fn cotangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor> {
        self.tangent(kept, terms)
    }

    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

impl<M: GradientMap> OfRows<M> {
    fn tangent_on_device(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor> {
        let (count, width) = extents(&kept[0]);
        let y = kept[0].reshape((count, width))?;
        let mut sum = None;
        for term in terms {
            let vectors = term
                .iter()
                .map(|v| Ok(v.contiguous()?.reshape((count, width))?))
                .collect::<Result<Vec<_>>>()?;
            pointwise::add(&mut sum, self.0.derivative_on_device(&y, kept.get(1), &vectors)?)?;
        }
        let sum = sum.ok_or_else(|| Error::Unavailable(format!("{}: a sum of no terms", M::NAME)))?;
        Ok(sum.reshape(kept[0].dims())?)
    }
}

/// Rows of a tensor and entries of each.
fn extents(x: &Tensor) -> (usize, usize) {
    let width = x.dims().last().copied().unwrap_or(1);
    (x.elem_count() / width.max(1), width)
}

/// One number for every row against all its entries.
pub(super) fn of_rows(count: usize, width: usize) -> Broadcast {
    Broadcast::new(&[count, 1], &[count, width])
}

/// a * b, entry by entry.
pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pointwise::sum_of_products(&[(a, b)])
}

/// a + factor * b, entry by entry.
pub(super) fn plus_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    pointwise::plus(a, &pointwise::times(factor, b)?)
}

/// x with each row's number subtracted.
pub(super) fn less(rows: &Broadcast, x: &Tensor, numbers: &Tensor) -> Result<Tensor> {
    rows.add(x, &pointwise::times(-1.0, numbers)?)
}

/// 1 for the number type of `x`, to convert to it later.
pub(super) fn marker(x: &Tensor) -> Result<Tensor> {
    Ok(Tensor::zeros(1, x.dtype(), x.device())?)
}

/// In double precision.
pub(super) fn widened(x: &Tensor) -> Result<Tensor> {
    Ok(x.contiguous()?.to_dtype(DType::F64)?)
}
