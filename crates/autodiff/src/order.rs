//! The order in which a tensor's axes lie in memory.
//!
//! Images flow channels last through the engine, as strided views of the logical [n, c, h, w]. Operations that do not
//! care about the order compute in the one they find, and hand on their result in it.

use candle_core::Tensor;

use crate::Result;

/// The axes of a tensor without gaps, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order(Vec<usize>);

impl Order {
    /// The order of `x`, or the logical one where `x` has gaps or repetitions.
    pub(crate) fn of(x: &Tensor) -> Self {
        if x.is_contiguous() {
            return Self::logical(x.rank());
        }
        let strides = x.stride();
        let mut axes: Vec<usize> = (0..x.rank()).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        let mut expected = 1;
        for &axis in axes.iter().rev() {
            if x.dims()[axis] > 1 && strides[axis] != expected {
                return Self::logical(x.rank());
            }
            expected *= x.dims()[axis];
        }
        Self(axes)
    }

    /// The order of the axes themselves.
    pub(crate) fn logical(rank: usize) -> Self {
        Self((0..rank).collect())
    }

    /// [n, c, h, w] channels last.
    pub(crate) fn channels_last() -> Self {
        Self(vec![0, 2, 3, 1])
    }

    /// `x` with its axes in this order, contiguous: a view wherever `x` lies in this order already.
    pub(crate) fn pack(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_logical() {
            return Ok(x.contiguous()?);
        }
        Ok(x.permute(self.0.as_slice())?.contiguous()?)
    }

    /// The inverse of [`pack`](Self::pack), a view.
    pub(crate) fn unpack(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_logical() {
            return Ok(x.clone());
        }
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(position, &axis)| inverse[axis] = position);
        Ok(x.permute(inverse)?)
    }

    /// What `f` makes of `x` in the order in which it lies, given the place of `axis` in it.
    pub(crate) fn along(
        x: &Tensor,
        axis: usize,
        f: impl FnOnce(&Tensor, usize) -> candle_core::Result<Tensor>,
    ) -> Result<Tensor> {
        let lies = Self::of(x);
        lies.unpack(&f(&lies.pack(x)?, lies.place(axis))?)
    }

    /// How many axes lie outside of `axis`.
    pub(crate) fn place(&self, axis: usize) -> usize {
        self.0.iter().position(|&a| a == axis).unwrap_or(axis)
    }

    /// A shape with its axes in this order.
    pub(crate) fn dims(&self, dims: &[usize]) -> Vec<usize> {
        self.0.iter().map(|&axis| dims[axis]).collect()
    }

    fn is_logical(&self) -> bool {
        self.0.iter().enumerate().all(|(position, &axis)| position == axis)
    }
}
