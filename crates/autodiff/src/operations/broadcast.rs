//! How a smaller tensor lines up with a larger one (NumPy's rule), and summing back.

use candle_core::Tensor;

use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::channels;
use crate::{Result, Value};

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
    /// Where the small tensor is one run of axes of the large one: [outer, channel, inner].
    run: Option<[usize; 3]>,
}

impl Broadcast {
    pub(super) fn new(from: &[usize], to: &[usize]) -> Self {
        let padded: Vec<usize> =
            std::iter::repeat_n(1, to.len() - from.len()).chain(from.iter().copied()).collect();
        let wide: Vec<usize> = (0..to.len()).filter(|&i| padded[i] != 1).collect();
        let run = match (wide.first(), wide.last()) {
            (Some(&first), Some(&last)) => (first..=last).all(|i| padded[i] == to[i]).then(|| {
                [to[..first].iter().product(), padded.iter().product(), to[last + 1..].iter().product()]
            }),
            _ => Some([to.iter().product(), 1, 1]),
        };
        Self { from: from.to_vec(), to: to.to_vec(), run }
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
        let Some(view) = self.run else { return self.slowly(large, small, |a, b| a + b) };
        let (large, small) = (large.contiguous()?, small.contiguous()?);
        for_real!("add", large, T => {
            let mut out = vec![<T as Default>::default(); large.elem_count()];
            let (l, s) = (Host::open("add", &large)?, Host::open("add", &small)?);
            channels::add(view.into(), l.slice::<T>()?, s.slice()?, &mut out);
            tensor(out, &self.to)
        })
    }

    /// large * small.
    pub(super) fn multiply(&self, large: &Tensor, small: &Tensor) -> Result<Tensor> {
        let Some(view) = self.run else { return self.slowly(large, small, |a, b| a * b) };
        let (large, small) = (large.contiguous()?, small.contiguous()?);
        for_real!("mul", large, T => {
            let mut out = vec![<T as Default>::default(); large.elem_count()];
            let (l, s) = (Host::open("mul", &large)?, Host::open("mul", &small)?);
            channels::multiply(view.into(), l.slice::<T>()?, s.slice()?, &mut out);
            tensor(out, &self.to)
        })
    }

    /// The adjoint of [`expand`](Self::expand): sums over the axes along which the small tensor was repeated.
    pub(super) fn reduce(&self, large: &Tensor) -> Result<Tensor> {
        if self.is_identity() {
            return Ok(large.clone());
        }
        let Some(view) = self.run else {
            let skipped = self.to.len() - self.from.len();
            let axes: Vec<usize> = (0..self.to.len())
                .filter(|&i| i < skipped || (self.from[i - skipped] == 1 && self.to[i] != 1))
                .collect();
            return Ok(large.contiguous()?.sum_keepdim(axes)?.reshape(self.from.as_slice())?);
        };
        let large = large.contiguous()?;
        for_real!("sum", large, T => {
            let mut out = vec![<T as Default>::default(); self.from.iter().product()];
            channels::sum(view.into(), Host::open("sum", &large)?.slice::<T>()?, &mut out);
            tensor(out, &self.from)
        })
    }

    /// Sum of the products a * b over the axes along which the small tensor was repeated.
    pub(super) fn reduce_product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        match self.run {
            Some(view) if !self.is_identity() => {
                let (a, b) = (a.contiguous()?, b.contiguous()?);
                for_real!("sum of products", a, T => {
                    let mut out = vec![<T as Default>::default(); self.from.iter().product()];
                    let (x, y) = (Host::open("sum of products", &a)?, Host::open("sum of products", &b)?);
                    channels::sum_of_products(view.into(), x.slice::<T>()?, y.slice()?, &mut out);
                    tensor(out, &self.from)
                })
            }
            _ => self.reduce(&crate::pointwise::sum_of_products(&[(a, b)])?),
        }
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
