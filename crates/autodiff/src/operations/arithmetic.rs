//! Sums, products and quotients of two tensors, with broadcasting.

use candle_core::Tensor;

use super::broadcast::{Broadcast, common_shape};
use crate::pointwise::sum_of_products;
use crate::rule::{Axes, Bilinear, Entrywise, Linear};
use crate::{Result, Value};

/// a + b or a - b, broadcast to one shape.
#[derive(Debug)]
struct Add {
    a: Broadcast,
    b: Broadcast,
    subtracts: bool,
}

impl Add {
    /// b with its sign.
    fn signed(&self, b: &Tensor) -> Result<Tensor> {
        scale(b, if self.subtracts { -1.0 } else { 1.0 })
    }
}

impl Linear for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        match (arguments[0], arguments[1]) {
            (Some(a), None) => self.a.expand(a),
            (None, Some(b)) => self.b.expand(&self.signed(b)?),
            (Some(a), Some(b)) if self.a.is_identity() => self.b.add(a, &self.signed(b)?),
            (Some(a), Some(b)) if self.b.is_identity() => self.a.add(&self.signed(b)?, a),
            (Some(a), Some(b)) => {
                let wide = Broadcast::new(&self.a.to, &self.a.to);
                wide.add(&self.a.expand(a)?, &self.b.expand(&self.signed(b)?)?)
            }
            (None, None) => Err(crate::Error::Unavailable("a sum of nothing has no shape".into())),
        }
    }

    fn adjoint(&self, argument: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        if argument == 0 { self.a.reduce(g) } else { self.signed(&self.b.reduce(g)?) }
    }

    fn entrywise(&self) -> Option<Entrywise> {
        Some(if self.subtracts { Entrywise::Difference } else { Entrywise::Sum })
    }

    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

/// A fixed factor.
#[derive(Debug)]
struct Scale(f64);

impl Linear for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }
    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        arguments[0]
            .map_or_else(|| Err(crate::Error::Unavailable("nothing to scale".into())), |x| scale(x, self.0))
    }
    fn adjoint(&self, _: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        scale(g, self.0)
    }
    fn entrywise(&self) -> Option<Entrywise> {
        Some(Entrywise::Scale(self.0))
    }
    fn axes(&self, arguments: &[&[usize]], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(arguments, result))
    }
}

#[expect(clippy::float_cmp, reason = "the factor 1 is exact")]
fn scale(x: &Tensor, factor: f64) -> Result<Tensor> {
    if factor == 1.0 { Ok(x.clone()) } else { crate::pointwise::times(factor, x) }
}

/// a * b, entry by entry, broadcast to one shape.
#[derive(Debug)]
struct Multiply {
    a: Broadcast,
    b: Broadcast,
}

impl Multiply {
    fn adjoint(this: &Broadcast, other: &Broadcast, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        let mut sum = None;
        for (g, partner) in pairs {
            let part = if other.is_identity() {
                this.reduce_product(g, partner)?
            } else {
                this.reduce(&other.multiply(g, partner)?)?
            };
            crate::pointwise::add(&mut sum, part)?;
        }
        sum.ok_or_else(|| crate::Error::Unavailable("a sum of nothing has no shape".into()))
    }
}

impl Bilinear for Multiply {
    fn name(&self) -> &'static str {
        "mul"
    }

    fn apply(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        if self.a.is_identity() && self.b.is_identity() {
            return sum_of_products(pairs);
        }
        let mut sum = None;
        for (a, b) in pairs {
            let part = match (self.a.is_identity(), self.b.is_identity()) {
                (true, _) => self.b.multiply(a, b)?,
                (_, true) => self.a.multiply(b, a)?,
                _ => sum_of_products(&[(&self.a.expand(a)?, &self.b.expand(b)?)])?,
            };
            crate::pointwise::add(&mut sum, part)?;
        }
        sum.ok_or_else(|| crate::Error::Unavailable("a sum of nothing has no shape".into()))
    }

    fn adjoint_left(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        Self::adjoint(&self.a, &self.b, pairs)
    }

    fn adjoint_right(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        Self::adjoint(&self.b, &self.a, pairs)
    }

    fn entrywise(&self) -> Option<Entrywise> {
        Some(Entrywise::Product)
    }

    fn axes(&self, arguments: [&[usize]; 2], result: &[usize]) -> Option<Axes> {
        Some(Axes::aligned(&arguments, result))
    }
}

impl Value {
    fn plus(&self, other: &Value, subtracts: bool) -> Result<Value> {
        let shape = common_shape("add", self.dims(), other.dims())?;
        let rule = Add {
            a: Broadcast::new(self.dims(), &shape),
            b: Broadcast::new(other.dims(), &shape),
            subtracts,
        };
        Ok(self.builder.linear(rule, &[self, other], &shape))
    }

    /// Sum, broadcasting.
    pub fn add(&self, other: &Value) -> Result<Value> {
        self.plus(other, false)
    }

    /// Difference, broadcasting.
    pub fn sub(&self, other: &Value) -> Result<Value> {
        self.plus(other, true)
    }

    /// Product entry by entry, broadcasting.
    pub fn mul(&self, other: &Value) -> Result<Value> {
        let shape = common_shape("mul", self.dims(), other.dims())?;
        let rule =
            Multiply { a: Broadcast::new(self.dims(), &shape), b: Broadcast::new(other.dims(), &shape) };
        Ok(self.builder.bilinear(rule, self, other, &shape))
    }

    /// Quotient entry by entry, broadcasting.
    pub fn div(&self, other: &Value) -> Result<Value> {
        self.mul(&other.recip()?)
    }

    /// x * factor.
    pub fn scale(&self, factor: f64) -> Result<Value> {
        Ok(self.builder.linear(Scale(factor), &[self], self.dims()))
    }

    /// x * factor + offset.
    pub fn affine(&self, factor: f64, offset: f64) -> Result<Value> {
        self.scale(factor)?.add(&self.builder.scalar(offset)?)
    }

    /// -x.
    pub fn neg(&self) -> Result<Value> {
        self.scale(-1.0)
    }
}
