//! The four kinds of operation, and the one rule each must supply.
//!
//! Everything the engine derives (gradient, Jv, J'u, Hessian, Gauss-Newton and third-order products) follows from these
//! rules; see `product.rs` for how.

use candle_core::Tensor;
use std::any::Any;
use std::fmt::Debug;

pub use crate::axes::{Axes, Axis, Index};

use crate::Result;
use crate::kernels::{Real, vectorised};
use crate::pointwise::plus;

/// Runs an expression with a known order, so that the compiler specialises its loop for each.
macro_rules! each_order {
    ($found:expr, $order:ident => $run:expr) => {
        match $found {
            0 => each_order!(@run 0, $order => $run),
            1 => each_order!(@run 1, $order => $run),
            2 => each_order!(@run 2, $order => $run),
            _ => each_order!(@run 3, $order => $run),
        }
    };
    (@run $known:literal, $order:ident => $run:expr) => {{
        // A constant, because a variable would reach the loop as a captured reference.
        const $order: usize = $known;
        $run
    }};
}

/// What an operation does to every entry of its arguments, broadcast to one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entrywise {
    /// a + b.
    Sum,
    /// a - b.
    Difference,
    /// a * b.
    Product,
    /// A fixed factor times its only argument.
    Scale(f64),
}

/// An operation that is linear in all its differentiable arguments together: y = `sum_k` `A_k` `x_k`.
///
/// Integer arguments (indices) and data-dependent choices (which entry is a window's maximum) are *fixed* at the point
/// of linearization: [`fix`](Linear::fix) extracts them once, and every later product uses the same choice.
pub trait Linear: Any + Debug + Send + Sync {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// What the operation needs to remember of its arguments at the point of linearization (indices), if anything.
    fn fix(&self, _arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Whether [`fix`](Linear::fix) looks at entries that are differentiated, such as which of them is the largest: then the
    /// operation is linear only near a point.
    fn chooses(&self) -> bool {
        false
    }

    /// y = `sum_k` `A_k` `x_k`, where an absent argument counts as zero (at least one is present).
    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor>;

    /// `A_k`' g for the argument `k`.
    fn adjoint(&self, argument: usize, cotangent: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor>;

    /// `A_k`' g added to what other operations have contributed for their argument, if anything.
    fn add_adjoint(
        &self,
        argument: usize,
        cotangent: &Tensor,
        fixed: Option<&Tensor>,
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let part = self.adjoint(argument, cotangent, fixed)?;
        sum.map_or_else(|| Ok(part.clone()), |sum| plus(sum, &part))
    }

    /// What the operation does to every entry, if that is all it does: such operations share a pass over memory where
    /// nothing is differentiated.
    fn entrywise(&self) -> Option<Entrywise> {
        None
    }

    /// Which axes run over the same index, given the shapes of the arguments and of the result; `None`, the default, if
    /// nothing can be said, and then no unit that meets the operation is permuted.
    fn axes(&self, _arguments: &[&[usize]], _result: &[usize]) -> Option<Axes> {
        None
    }
}

/// An operation B(a, b) that is linear in each of its two arguments.
///
/// All three methods sum over several pairs, because second-order terms come in pairs (B(a', b) + B(a, b')) and a kernel
/// that accumulates into one destination saves a pass over memory.
pub trait Bilinear: Any + Debug + Send + Sync {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// `sum_i` `B(a_i`, `b_i`) over the pairs (`a_i`, `b_i`); there is at least one.
    fn apply(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor>;

    /// `sum_i` of the adjoint in the first argument, over the pairs (`g_i`, `b_i`).
    fn adjoint_left(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor>;

    /// `sum_i` of the adjoint in the second argument, over the pairs (`g_i`, `a_i`).
    fn adjoint_right(&self, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor>;

    /// Multiply-adds of one product, given the shapes of the arguments and of the result: by default one for every entry.
    fn multiplications(&self, _arguments: [&[usize]; 2], result: &[usize]) -> usize {
        result.iter().product()
    }

    /// What the operation does to every entry; see [`Linear::entrywise`].
    fn entrywise(&self) -> Option<Entrywise> {
        None
    }

    /// Which axes run over the same index; see [`Linear::axes`].
    fn axes(&self, _arguments: [&[usize]; 2], _result: &[usize]) -> Option<Axes> {
        None
    }
}

/// A function of one real variable, applied to every entry.
///
/// One scalar rule serves every precision: `f32` entries are widened, so derivatives carry no rounding of their own.
pub trait Elementwise: Debug + Send + Sync {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// The derivative of the given order (0 is the function itself, 3 the highest asked for) at `x`.
    fn derivative(&self, order: usize, x: f64) -> f64;

    /// The same where it is rounded to single precision afterwards: to 1e-8 will do.
    fn derivative_single(&self, order: usize, x: f64) -> f64 {
        self.derivative(order, x)
    }

    /// Whether f'' is not zero almost everywhere. Piecewise linear functions need no second-order terms.
    fn is_curved(&self) -> bool {
        true
    }

    /// Two constants of the function where there are kernels of its name on devices (`device/functions.cu`); `None`, the
    /// default, if there are none, and then its entries travel to the host and back.
    fn kernel_constants(&self) -> Option<[f64; 2]> {
        None
    }

    /// `out[i] = f^(order)(x[i])` in single precision.
    fn map_f32(&self, order: usize, x: &[f32], out: &mut [f32]) {
        map(self, order, x, out);
    }

    /// `out[i] = f^(order)(x[i])` in double precision.
    fn map_f64(&self, order: usize, x: &[f64], out: &mut [f64]) {
        map(self, order, x, out);
    }

    /// f and f', and f'' unless `bend` is empty, at every entry in one pass, which shares what they have in common; single
    /// precision.
    fn jet_f32(&self, x: &[f32], [f, slope, bend]: [&mut [f32]; 3]) {
        jet(self, x, [f, slope, bend]);
    }

    /// The same in double precision.
    fn jet_f64(&self, x: &[f64], [f, slope, bend]: [&mut [f64]; 3]) {
        jet(self, x, [f, slope, bend]);
    }
}

#[inline(always)]
fn map<T: Real>(rule: &(impl Elementwise + ?Sized), order: usize, x: &[T], out: &mut [T]) {
    each_order!(order, ORDER => vectorised(#[inline(always)] || {
        for (&x, y) in x.iter().zip(out) {
            *y = at(rule, ORDER, x);
        }
    }));
}

#[inline(always)]
fn at<T: Real>(rule: &(impl Elementwise + ?Sized), order: usize, x: T) -> T {
    let x = x.into();
    T::round_from(if T::IS_SINGLE { rule.derivative_single(order, x) } else { rule.derivative(order, x) })
}

#[inline(always)]
fn jet<T: Real>(rule: &(impl Elementwise + ?Sized), x: &[T], [f, slope, bend]: [&mut [T]; 3]) {
    let pairs = x.iter().zip(f).zip(slope);
    let at = |order, x| at(rule, order, x);
    vectorised(
        #[inline(always)]
        || {
            if bend.is_empty() {
                for ((&x, f), slope) in pairs {
                    (*f, *slope) = (at(0, x), at(1, x));
                }
            } else {
                for (((&x, f), slope), bend) in pairs.zip(bend) {
                    (*f, *slope, *bend) = (at(0, x), at(1, x), at(2, x));
                }
            }
        },
    );
}

/// A function of every row of its first argument, with closed forms for its derivatives along any directions.
///
/// Rows are the last axis. Further arguments (labels, masks) have no derivative. Compositions of the other kinds say the same; a function of rows says it in one pass over memory.
///
/// Derivatives are sums of terms, because second order comes in several: each method adds them up row by row.
pub trait RowWise: Debug + Send + Sync {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// f at the arguments, and what derivatives need to know of the point.
    fn value(&self, arguments: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)>;

    /// The sum over terms `[u]` of `f'[u]` and `[u, v]` of `f''[u, v]`; there is at least one.
    fn tangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor>;

    /// The sum over terms `[g]` of `f'* g`, `[g, u]` of `f''[u, .]* g` and `[g, u, v]` of `f'''[u, v, .]* g`, where g is a cotangent, u
    /// and v are directions and * stands for the adjoint; there is at least one term.
    fn cotangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor>;

    /// Which axes run over the same index; see [`Linear::axes`].
    fn axes(&self, _arguments: &[&[usize]], _result: &[usize]) -> Option<Axes> {
        None
    }
}

/// A function of the arguments whose derivative is taken to be zero: shifts that cancel, masks, detached statistics.
pub trait Frozen: Debug + Send + Sync {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// The value.
    fn value(&self, arguments: &[&Tensor]) -> Result<Tensor>;

    /// Which axes run over the same index; see [`Linear::axes`].
    fn axes(&self, _arguments: &[&[usize]], _result: &[usize]) -> Option<Axes> {
        None
    }
}
