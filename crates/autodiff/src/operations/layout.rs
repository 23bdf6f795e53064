//! Operations that move entries without computing: reshape, permute, narrow, concatenate, pad, expand.

use candle_core::Tensor;

use super::broadcast::Broadcast;
use crate::axes::reshaped;
use crate::error::shape;
use crate::order::Order;
use crate::rule::{Axes, Axis, Index, Linear};
use crate::{Error, Result, Value, device, pointwise};

/// A linear operation with one argument.
fn only<'a>(arguments: &[Option<&'a Tensor>]) -> Result<&'a Tensor> {
    arguments[0].ok_or_else(|| Error::Unavailable("a linear operation was applied to nothing".into()))
}

/// Declares a linear operation of one argument from its map and its adjoint.
macro_rules! layout_rule {
    ($rule:ident, $name:literal, |$self_:ident, $x:ident| $apply:expr, |$self2:ident, $g:ident| $adjoint:expr,
     |$self3:ident, $from:ident, $to:ident| $axes:expr) => {
        impl Linear for $rule {
            fn name(&self) -> &'static str {
                $name
            }
            fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
                let ($self_, $x) = (self, only(arguments)?);
                Ok($apply)
            }
            fn adjoint(&self, _: usize, $g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
                let $self2 = self;
                Ok($adjoint)
            }
            fn axes(&self, $from: &[&[usize]], $to: &[usize]) -> Option<Axes> {
                let $self3 = self;
                $axes
            }
        }
    };
}

#[derive(Debug)]
pub(crate) struct Reshape {
    from: Vec<usize>,
    to: Vec<usize>,
}
layout_rule!(
    Reshape,
    "reshape",
    |r, x| in_shape(x, &r.to)?,
    |r, g| in_shape(g, &r.from)?,
    |r, _from, _to| reshaped(&r.from, &r.to)
);

/// The same entries in another shape: a view where only axes of length 1 come and go, whatever the strides.
fn in_shape(x: &Tensor, to: &[usize]) -> Result<Tensor> {
    let longer = |dims: &[usize]| dims.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
    if x.is_contiguous() || longer(x.dims()) != longer(to) {
        return Ok(x.reshape(to)?);
    }
    let mut view = x.clone();
    for axis in (0..x.rank()).rev().filter(|&axis| x.dims()[axis] == 1) {
        view = view.squeeze(axis)?;
    }
    for axis in (0..to.len()).filter(|&axis| to[axis] == 1) {
        view = view.unsqueeze(axis)?;
    }
    Ok(view)
}

#[derive(Debug)]
struct Permute {
    axes: Vec<usize>,
    inverse: Vec<usize>,
}
layout_rule!(
    Permute,
    "permute",
    |r, x| x.permute(r.axes.as_slice())?,
    |r, g| g.permute(r.inverse.as_slice())?,
    |r, from, _to| {
        let mut axes = Axes::aligned(from, from[0]);
        axes.result = r.axes.iter().map(|&a| axes.arguments[0][a].clone()).collect();
        Some(axes)
    }
);

#[derive(Debug)]
struct Narrow {
    axis: usize,
    start: usize,
    length: usize,
    full: usize,
}
impl Linear for Narrow {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        Ok(only(arguments)?.narrow(self.axis, self.start, self.length)?)
    }

    fn adjoint(&self, _: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        Order::along(g, self.axis, |g, axis| g.pad_with_zeros(axis, self.start, self.after()))
    }

    /// Adds where g goes, and copies the rest: parts of one tensor, such as queries, keys and values, are put together
    /// without zeros.
    fn add_adjoint(
        &self,
        argument: usize,
        g: &Tensor,
        fixed: Option<&Tensor>,
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let Some(sum) = sum else { return self.adjoint(argument, g, fixed) };
        let lies = Order::of(sum);
        let (sum, axis) = (lies.pack(sum)?, lies.place(self.axis));
        let within = pointwise::plus(&lies.pack(g)?, &sum.narrow(axis, self.start, self.length)?)?;
        let mut parts = vec![within];
        if self.start > 0 {
            parts.insert(0, sum.narrow(axis, 0, self.start)?);
        }
        if self.after() > 0 {
            parts.push(sum.narrow(axis, self.start + self.length, self.after())?);
        }
        lies.unpack(&Tensor::cat(&parts, axis)?)
    }

    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        let lengths = [self.start, self.length, self.after()];
        Some(surrounded(self.axis, lengths, arguments[0], result, true))
    }
}

impl Narrow {
    /// Entries after the ones taken.
    fn after(&self) -> usize {
        self.full - self.start - self.length
    }
}

#[derive(Debug)]
struct Pad {
    axis: usize,
    before: usize,
    after: usize,
    length: usize,
}
layout_rule!(
    Pad,
    "pad_with_zeros",
    |r, x| Order::along(x, r.axis, |x, axis| x.pad_with_zeros(axis, r.before, r.after))?,
    |r, g| g.narrow(r.axis, r.before, r.length)?,
    |r, from, to| Some(surrounded(r.axis, [r.before, r.length, r.after], from[0], to, false))
);

/// Axes of a narrowing or of its adjoint, with these lengths before, within and after.
fn surrounded(axis: usize, lengths: [usize; 3], from: &[usize], to: &[usize], narrows: bool) -> Axes {
    let parts = [0, 1, 2].map(|i| Index::free(from.len() + 1 + i, lengths[i]));
    Axes::aligned_but(&[from], to, axis, |argument| {
        if argument.is_some() == narrows { Axis::Sum(parts.into()) } else { Axis::Product(vec![parts[1]]) }
    })
}

/// Every `step`-th entry along an axis.
#[derive(Debug)]
struct Stride {
    axis: usize,
    step: usize,
    full: usize,
}
layout_rule!(Stride, "stride", |r, x| r.take(x)?, |r, g| r.spread(g)?, |r, from, to| {
    let one = |name, length| Axis::Product(vec![Index::ordered(from[0].len() + name, length)]);
    Some(Axes::aligned_but(from, to, r.axis, |argument| match argument {
        Some(_) => one(1, r.full),
        None => one(2, to[r.axis]),
    }))
});

impl Stride {
    fn indices(&self, device: &candle_core::Device) -> Result<Tensor> {
        let taken = self.full.div_ceil(self.step);
        Ok(Tensor::from_iter((0..taken).map(|i| (i * self.step) as u32), device)?)
    }

    fn take(&self, x: &Tensor) -> Result<Tensor> {
        if device::holds(x) {
            let lies = Order::of(x);
            return lies.unpack(&device::stride(&lies.pack(x)?, lies.place(self.axis), self.step)?);
        }
        let taken = self.indices(x.device())?;
        Order::along(x, self.axis, |x, axis| x.index_select(&taken, axis))
    }

    fn spread(&self, g: &Tensor) -> Result<Tensor> {
        if device::holds(g) {
            let lies = Order::of(g);
            let place = lies.place(self.axis);
            return lies.unpack(&device::stride_adjoint(&lies.pack(g)?, place, self.step, self.full)?);
        }
        let taken = self.indices(g.device())?;
        Order::along(g, self.axis, |g, axis| {
            let mut shape = g.dims().to_vec();
            shape[axis] = self.full;
            Tensor::zeros(shape, g.dtype(), g.device())?.index_add(&taken, g, axis)
        })
    }
}

/// Repetition along axes of length 1.
#[derive(Debug)]
pub(super) struct Expand(pub(super) Broadcast);
layout_rule!(Expand, "broadcast_as", |r, x| r.0.expand(x)?, |r, g| r.0.reduce(g)?, |_r, from, to| Some(
    Axes::aligned(from, to)
));

/// Joins tensors along an axis.
#[derive(Debug)]
struct Concat {
    axis: usize,
    shapes: Vec<Vec<usize>>,
}

impl Linear for Concat {
    fn name(&self) -> &'static str {
        "cat"
    }

    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        let present = arguments.iter().flatten().next().ok_or_else(|| shape("cat", "nothing to join"))?;
        let lies = Order::of(present);
        let parts = arguments
            .iter()
            .zip(&self.shapes)
            .map(|(x, s)| match x {
                Some(x) => lies.pack(x),
                None => Ok(Tensor::zeros(lies.dims(s), present.dtype(), present.device())?),
            })
            .collect::<Result<Vec<_>>>()?;
        lies.unpack(&Tensor::cat(&parts, lies.place(self.axis))?)
    }

    fn adjoint(&self, argument: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        let start = self.shapes[..argument].iter().map(|s| s[self.axis]).sum();
        Ok(g.narrow(self.axis, start, self.shapes[argument][self.axis])?)
    }

    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        let part = |k: usize| Index::free(result.len() + 1 + k, arguments[k][self.axis]);
        Some(Axes::aligned_but(arguments, result, self.axis, |argument| match argument {
            Some(k) => Axis::Product(vec![part(k)]),
            None => Axis::Sum((0..arguments.len()).map(part).collect()),
        }))
    }
}

impl Value {
    /// The same entries in another shape.
    pub fn reshape(&self, dims: &[usize]) -> Result<Value> {
        if dims.iter().product::<usize>() != self.elem_count() {
            return Err(shape("reshape", format!("shape {:?} cannot become {dims:?}", self.dims())));
        }
        if dims == self.dims() {
            return Ok(self.clone());
        }
        let rule = Reshape { from: self.dims().to_vec(), to: dims.to_vec() };
        Ok(self.builder.linear(rule, &[self], dims))
    }

    /// Joins all axes from `axis` on into one.
    pub fn flatten_from(&self, axis: usize) -> Result<Value> {
        self.dim(axis)?;
        let mut dims = self.dims()[..axis].to_vec();
        dims.push(self.dims()[axis..].iter().product());
        self.reshape(&dims)
    }

    /// Adds an axis of length 1 before `axis`.
    pub fn unsqueeze(&self, axis: usize) -> Result<Value> {
        if axis > self.rank() {
            return Err(shape("unsqueeze", format!("axis {axis} of a tensor with {} axes", self.rank())));
        }
        let mut dims = self.dims().to_vec();
        dims.insert(axis, 1);
        self.reshape(&dims)
    }

    /// Removes an axis of length 1.
    pub fn squeeze(&self, axis: usize) -> Result<Value> {
        if self.dim(axis)? != 1 {
            return Err(shape(
                "squeeze",
                format!("axis {axis} of shape {:?} is not of length 1", self.dims()),
            ));
        }
        let mut dims = self.dims().to_vec();
        dims.remove(axis);
        self.reshape(&dims)
    }

    /// Axis `axes[i]` becomes axis i.
    pub fn permute(&self, axes: &[usize]) -> Result<Value> {
        let mut inverse = vec![usize::MAX; self.rank()];
        for (i, &a) in axes.iter().enumerate() {
            if a < self.rank() {
                inverse[a] = i;
            }
        }
        if axes.len() != self.rank() || inverse.contains(&usize::MAX) {
            return Err(shape("permute", format!("{axes:?} is not an order of {} axes", self.rank())));
        }
        let dims: Vec<usize> = axes.iter().map(|&a| self.dims()[a]).collect();
        Ok(self.builder.linear(Permute { axes: axes.to_vec(), inverse }, &[self], &dims))
    }

    /// Swaps two axes.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Value> {
        self.dim(a)?;
        self.dim(b)?;
        let mut axes: Vec<usize> = (0..self.rank()).collect();
        axes.swap(a, b);
        self.permute(&axes)
    }

    /// Swaps the last two axes.
    pub fn t(&self) -> Result<Value> {
        match self.rank() {
            0 | 1 => Err(shape("t", format!("shape {:?} has fewer than two axes", self.dims()))),
            rank => self.transpose(rank - 2, rank - 1),
        }
    }

    /// Entries `start .. start + length` along `axis`.
    pub fn narrow(&self, axis: usize, start: usize, length: usize) -> Result<Value> {
        let full = self.dim(axis)?;
        if start + length > full {
            let problem = format!("entries {start}..{} of axis {axis}, which has {full}", start + length);
            return Err(shape("narrow", problem));
        }
        let mut dims = self.dims().to_vec();
        dims[axis] = length;
        Ok(self.builder.linear(Narrow { axis, start, length, full }, &[self], &dims))
    }

    /// Every `step`-th entry along `axis`, from the first (as `x[::step]`).
    pub fn stride(&self, axis: usize, step: usize) -> Result<Value> {
        let full = self.dim(axis)?;
        if step == 0 {
            return Err(shape("stride", "a step must be at least 1"));
        }
        let mut dims = self.dims().to_vec();
        dims[axis] = full.div_ceil(step);
        Ok(self.builder.linear(Stride { axis, step, full }, &[self], &dims))
    }

    /// Zeros before and after the entries along `axis`.
    pub fn pad_with_zeros(&self, axis: usize, before: usize, after: usize) -> Result<Value> {
        let length = self.dim(axis)?;
        let mut dims = self.dims().to_vec();
        dims[axis] = before + length + after;
        Ok(self.builder.linear(Pad { axis, before, after, length }, &[self], &dims))
    }

    /// Joins values along `axis`; all other axes must agree.
    pub fn cat(values: &[&Value], axis: usize) -> Result<Value> {
        let first = values.first().ok_or_else(|| shape("cat", "nothing to join"))?;
        let mut dims = first.dims().to_vec();
        first.dim(axis)?;
        dims[axis] = 0;
        for v in values {
            let fits = v.rank() == first.rank()
                && (0..v.rank()).all(|i| i == axis || v.dims()[i] == first.dims()[i]);
            if !fits {
                return Err(shape(
                    "cat",
                    format!("shapes {:?} and {:?} differ off axis {axis}", first.dims(), v.dims()),
                ));
            }
            dims[axis] += v.dims()[axis];
        }
        let rule = Concat { axis, shapes: values.iter().map(|v| v.dims().to_vec()).collect() };
        Ok(first.builder.linear(rule, values, &dims))
    }
}
