//! How a smaller tensor lines up with a larger one (NumPy's rule), and summing back.

use candle_core::Tensor;

use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::channels::{self, View};
use crate::order::Order;
use crate::{Result, Value, device, pointwise};

/// The shape that two operands share after broadcasting.
pub(super) fn common_shape(operation: &'static str, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(shape(
                operation,
                format!("shapes {a:?} and {b:?} do not broadcast: each axis must agree or be 1"),
            )),
        })
        .collect()
}

/// A broadcast from one shape to another.
#[derive(Debug, Clone)]
pub(super) struct Broadcast {
    pub(super) from: Vec<usize>,
    pub(super) to: Vec<usize>,
    /// `from` with leading axes of length 1.
    padded: Vec<usize>,
}

impl Broadcast {
    pub(super) fn new(from: &[usize], to: &[usize]) -> Self {
        let padded = std::iter::repeat_n(1, to.len() - from.len()).chain(from.iter().copied()).collect();
        Self { from: from.to_vec(), to: to.to_vec(), padded }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// The tensor at the large shape.
    pub(super) fn expand(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_identity() {
            return Ok(x.clone());
        }
        Ok(x.broadcast_as(self.to.as_slice())?)
    }

    /// large + small.
    pub(super) fn add(&self, large: &Tensor, small: &Tensor) -> Result<Tensor> {
        if self.is_identity() {
            return pointwise::plus(large, small);
        }
        let lies = Order::of(large);
        let Some(view) = self.view(&lies) else { return self.slowly(large, small, |a, b| a + b) };
        let (large, small) = (lies.pack(large)?, self.pack_small(&lies, small)?);
        if device::holds(&large) {
            return lies.unpack(&device::add_small(view, &large, &small)?);
        }
        for_real!("add", large, T => {
            let (l, s) = (Host::open("add", &large)?, Host::open("add", &small)?);
            lies.unpack(&tensor(channels::add(view, l.slice::<T>()?, s.slice()?), large.dims())?)
        })
    }

    /// large * small.
    pub(super) fn multiply(&self, large: &Tensor, small: &Tensor) -> Result<Tensor> {
        if self.is_identity() {
            return pointwise::sum_of_products(&[(large, small)]);
        }
        let lies = Order::of(large);
        let Some(view) = self.view(&lies) else { return self.slowly(large, small, |a, b| a * b) };
        let (large, small) = (lies.pack(large)?, self.pack_small(&lies, small)?);
        if device::holds(&large) {
            return lies.unpack(&device::multiply_small(view, &large, &small)?);
        }
        for_real!("mul", large, T => {
            let (l, s) = (Host::open("mul", &large)?, Host::open("mul", &small)?);
            lies.unpack(&tensor(channels::multiply(view, l.slice::<T>()?, s.slice()?), large.dims())?)
        })
    }

    /// The adjoint of [`expand`](Self::expand): sums over the axes along which the small tensor was repeated.
    pub(super) fn reduce(&self, large: &Tensor) -> Result<Tensor> {
        if self.is_identity() {
            return Ok(large.clone());
        }
        let lies = Order::of(large);
        let Some(view) = self.view(&lies) else {
            let skipped = self.to.len() - self.from.len();
            let axes: Vec<usize> = (0..self.to.len())
                .filter(|&i| i < skipped || (self.from[i - skipped] == 1 && self.to[i] != 1))
                .collect();
            return Ok(large.contiguous()?.sum_keepdim(axes)?.reshape(self.from.as_slice())?);
        };
        let large = lies.pack(large)?;
        if device::holds(&large) {
            return self.unpack_small(&lies, &device::sum(view, &large)?);
        }
        for_real!("sum", large, T => {
            let sums = channels::sum(view, Host::open("sum", &large)?.slice::<T>()?);
            self.unpack_small(&lies, &tensor(sums, &[view.small()])?)
        })
    }

    /// Sum of the products a * b over the axes along which the small tensor was repeated.
    pub(super) fn reduce_product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let lies = Order::of(a);
        match self.view(&lies) {
            Some(view) if !self.is_identity() => {
                let (a, b) = (lies.pack(a)?, lies.pack(b)?);
                if device::holds(&a) {
                    return self.unpack_small(&lies, &device::small_sum_of_products(view, &a, &b)?);
                }
                for_real!("sum of products", a, T => {
                    let (x, y) = (Host::open("sum of products", &a)?, Host::open("sum of products", &b)?);
                    let sums = channels::sum_of_products(view, x.slice::<T>()?, y.slice()?);
                    self.unpack_small(&lies, &tensor(sums, &[view.small()])?)
                })
            }
            _ => self.reduce(&pointwise::sum_of_products(&[(a, b)])?),
        }
    }

    /// How the small tensor lies in a large one with its axes in this order.
    fn view(&self, lies: &Order) -> Option<View> {
        View::new(&lies.dims(&self.padded), &lies.dims(&self.to))
    }

    fn pack_small(&self, lies: &Order, small: &Tensor) -> Result<Tensor> {
        lies.pack(&small.reshape(self.padded.as_slice())?)
    }

    fn unpack_small(&self, lies: &Order, entries: &Tensor) -> Result<Tensor> {
        let small = entries.reshape(lies.dims(&self.padded))?;
        Ok(lies.unpack(&small)?.reshape(self.from.as_slice())?)
    }

    fn slowly(
        &self,
        large: &Tensor,
        small: &Tensor,
        f: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Tensor> {
        Ok(f(&large.contiguous()?, &self.expand(small)?.contiguous()?)?)
    }
}

impl Value {
    /// Repeats axes of length 1 and adds leading ones, so that the shape becomes `shape`.
    pub fn broadcast_as(&self, shape: &[usize]) -> Result<Value> {
        if common_shape("broadcast_as", self.dims(), shape)? != shape {
            return Err(crate::error::shape(
                "broadcast_as",
                format!("shape {:?} cannot become {shape:?}", self.dims()),
            ));
        }
        if self.dims() == shape {
            return Ok(self.clone());
        }
        let rule = super::layout::Expand(Broadcast::new(self.dims(), shape));
        Ok(self.builder.linear(rule, &[self], shape))
    }
}
