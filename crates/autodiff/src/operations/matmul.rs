//! Matrix products, batched and broadcast over leading axes.

use candle_core::Tensor;

use super::broadcast::{Broadcast, common_shape};
use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::matrix::{Matrix, multiply_add, written};
use crate::rule::{Axes, Axis, Bilinear, Index};
use crate::{Result, Value, device, pointwise};

/// c = a b over the last two axes: a [.., m, k], b [.., k, n]; or c = a b' with b [.., n, k], which saves turning b and
/// its derivatives round.
#[derive(Debug)]
pub(crate) struct MatMul {
    a: Vec<usize>,
    b: Vec<usize>,
    c: Vec<usize>,
    pub(crate) turned: bool,
}

/// A matrix operand that may have to be read transposed.
#[derive(Clone, Copy)]
struct Side<'a> {
    tensor: &'a Tensor,
    transposed: bool,
}

impl Side<'_> {
    /// The operand as it is read.
    fn view(&self) -> Result<Tensor> {
        if self.transposed { Ok(self.tensor.t()?) } else { Ok(self.tensor.clone()) }
    }
}

impl Bilinear for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn apply(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        self.sum(&self.c, pairs, |(a, b)| (plain(a), if self.turned { transposed(b) } else { plain(b) }))
    }

    fn adjoint_left(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        self.sum(&self.a, pairs, |(g, b)| (plain(g), if self.turned { plain(b) } else { transposed(b) }))
    }

    fn adjoint_right(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        if self.turned {
            self.sum(&self.b, pairs, |(g, a)| (transposed(g), plain(a)))
        } else {
            self.sum(&self.b, pairs, |(g, a)| (transposed(a), plain(g)))
        }
    }

    fn multiplications(&self, [a, _]: [&[usize]; 2], c: &[usize]) -> usize {
        c.iter().product::<usize>() * a[a.len() - 1]
    }

    fn axes(&self, [a, b]: [&[usize]; 2], c: &[usize]) -> Option<Axes> {
        let mut axes = Axes::aligned(&[a, b], c);
        let one = |name, length| Axis::Product(vec![Index::free(name, length)]);
        let (rows, inner, columns) = (c.len() + 1, c.len() + 2, c.len() + 3);
        let replace = |axes: &mut Vec<Axis>, shape: &[usize], names: [usize; 2]| {
            let batch = shape.len() - 2;
            axes.truncate(batch);
            axes.extend([one(names[0], shape[batch]), one(names[1], shape[batch + 1])]);
        };
        replace(&mut axes.arguments[0], a, [rows, inner]);
        replace(&mut axes.arguments[1], b, if self.turned { [columns, inner] } else { [inner, columns] });
        replace(&mut axes.result, c, [rows, columns]);
        Some(axes)
    }
}

fn plain(tensor: &Tensor) -> Side<'_> {
    Side { tensor, transposed: false }
}

fn transposed(tensor: &Tensor) -> Side<'_> {
    Side { tensor, transposed: true }
}

impl MatMul {
    /// The sum of the products of all pairs, and over the batch axes along which the result was broadcast.
    fn sum<'a>(
        &self,
        out_shape: &[usize],
        pairs: &[(&'a Tensor, &'a Tensor)],
        sides: impl Fn((&'a Tensor, &'a Tensor)) -> (Side<'a>, Side<'a>),
    ) -> Result<Tensor> {
        let batch = &self.c[..self.c.len() - 2];
        let count = batch.iter().product::<usize>();
        if device::holds(pairs[0].0) {
            let mut sum = None;
            for &pair in pairs {
                let (left, right) = sides(pair);
                pointwise::add(&mut sum, device::matrix_product(&left.view()?, &right.view()?, batch)?)?;
            }
            let sum = sum.ok_or_else(|| shape("matmul", "a sum of nothing has no shape"))?;
            return Broadcast::new(out_shape, sum.dims()).reduce(&sum);
        }
        for_real!("matmul", pairs[0].0, T => {
            let length = out_shape.iter().product::<usize>();
            let rank = out_shape.len();
            let (rows, columns) = (out_shape[rank - 2], out_shape[rank - 1]);
            let out_strides = contiguous_strides(out_shape);
            // Where no batch axis is summed over, the first pair need not be added to anything.
            let own = out_shape[..rank - 2].iter().product::<usize>() == count;
            let add_all = |out: &mut [T]| -> Result<()> {
                for (nth, &pair) in pairs.iter().enumerate() {
                    let (left, right) = sides(pair);
                    let (l, r) = (Host::open("matmul", left.tensor)?, Host::open("matmul", right.tensor)?);
                    let (l_data, r_data) = (l.entries_from_first::<T>()?, r.entries_from_first::<T>()?);
                    for index in 0..count {
                        let offset = |dims: &[usize], strides: &[usize]| batch_offset(batch, index, dims, strides);
                        let lhs = view(&l_data[offset(left.tensor.dims(), l.strides())..], l.strides(), left.transposed);
                        let rhs = view(&r_data[offset(right.tensor.dims(), r.strides())..], r.strides(), right.transposed);
                        let inner = left.tensor.dims()[left.tensor.rank() - if left.transposed { 2 } else { 1 }];
                        let start = offset(out_shape, &out_strides);
                        let out = &mut out[start..start + rows * columns];
                        multiply_add(out, rows, columns, inner, lhs, rhs, nth > 0 || !own);
                    }
                }
                Ok(())
            };
            let out = if own {
                // SAFETY: there is a first pair, whose products, one for every matrix of the result, are written, not added.
                unsafe { written(length, add_all) }?
            } else {
                let mut out = vec![<T as Default>::default(); length];
                add_all(&mut out)?;
                out
            };
            tensor(out, out_shape)
        })
    }
}

fn view<'a, T>(data: &'a [T], strides: &[usize], transposed: bool) -> Matrix<'a, T> {
    let (row, column) = (strides[strides.len() - 2], strides[strides.len() - 1]);
    let (row_stride, column_stride) = if transposed { (column, row) } else { (row, column) };
    Matrix { data, row_stride, column_stride }
}

fn contiguous_strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for i in (0..dims.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * dims[i + 1];
    }
    strides
}

/// Where the matrix of batch `index` starts in a tensor whose batch axes broadcast to `batch`.
fn batch_offset(batch: &[usize], mut index: usize, dims: &[usize], strides: &[usize]) -> usize {
    let own = dims.len() - 2;
    let mut offset = 0;
    for (i, &length) in batch.iter().enumerate().rev() {
        let position = index % length;
        index /= length;
        // Axes align at the end; an axis that is missing or of length 1 is repeated.
        if let Some(axis) = (i + own).checked_sub(batch.len())
            && dims[axis] != 1
        {
            offset += position * strides[axis];
        }
    }
    offset
}

impl Value {
    /// Matrix product over the last two axes; leading axes broadcast.
    pub fn matmul(&self, other: &Value) -> Result<Value> {
        self.multiplied(other, false)
    }

    /// Matrix product with the transpose of `other` over the last two axes, [.., m, k] and [.., n, k].
    pub(super) fn matmul_transposed(&self, other: &Value) -> Result<Value> {
        self.multiplied(other, true)
    }

    fn multiplied(&self, other: &Value, turned: bool) -> Result<Value> {
        let (ra, rb) = (self.rank(), other.rank());
        let mismatch =
            || shape("matmul", format!("shapes {:?} and {:?} do not multiply", self.dims(), other.dims()));
        let (inner, outer) = if turned { (1, 2) } else { (2, 1) };
        if ra < 2 || rb < 2 || self.dims()[ra - 1] != other.dims()[rb - inner] {
            return Err(mismatch());
        }
        let (m, k, n) = (self.dims()[ra - 2], self.dims()[ra - 1], other.dims()[rb - outer]);
        if rb == 2 && ra > 2 {
            // One large product instead of many small ones.
            let rows = self.elem_count() / k;
            let mut dims = self.dims().to_vec();
            dims[ra - 1] = n;
            return self.reshape(&[rows, k])?.multiplied(other, turned)?.reshape(&dims);
        }
        let mut c = common_shape("matmul", &self.dims()[..ra - 2], &other.dims()[..rb - 2])?;
        c.extend([m, n]);
        let rule = MatMul { a: self.dims().to_vec(), b: other.dims().to_vec(), c: c.clone(), turned };
        Ok(self.builder.bilinear(rule, self, other, &c))
    }

    /// x W' + b over the last axis: x [.., in], weight [out, in], bias `[out]` (PyTorch's layout).
    pub fn linear(&self, weight: &Value, bias: Option<&Value>) -> Result<Value> {
        if self.rank() == 0 || weight.rank() != 2 || self.dims()[self.rank() - 1] != weight.dims()[1] {
            return Err(shape(
                "linear",
                format!("inputs of shape {:?} do not fit a weight of shape {:?}", self.dims(), weight.dims()),
            ));
        }
        let product = if self.rank() == 1 {
            self.unsqueeze(0)?.matmul_transposed(weight)?.squeeze(0)?
        } else {
            self.matmul_transposed(weight)?
        };
        bias.map_or_else(|| Ok(product.clone()), |b| product.add(b))
    }
}
