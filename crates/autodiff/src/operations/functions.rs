//! Functions of one variable and their first three derivatives.

use super::elementary::{self, exp, normal};
use crate::rule::Elementwise;
use crate::{Result, Value};

/// A value and its first three derivatives.
type Taylor = [f64; 4];

/// Derivatives of f(g(x)) from those of f at g(x) and of g at x (Faa di Bruno).
#[inline(always)]
fn compose(f: Taylor, g: Taylor) -> Taylor {
    [
        f[0],
        f[1] * g[1],
        f[2] * g[1] * g[1] + f[1] * g[2],
        f[3] * g[1] * g[1] * g[1] + 3.0 * f[2] * g[1] * g[2] + f[1] * g[3],
    ]
}

/// Derivatives of x f(x).
#[inline(always)]
fn times_x(x: f64, f: Taylor) -> Taylor {
    [x * f[0], f[0] + x * f[1], 2.0 * f[1] + x * f[2], 3.0 * f[2] + x * f[3]]
}

#[inline(always)]
fn sigmoid(x: f64, single: bool) -> Taylor {
    // The form that cannot overflow.
    let e = exp(-x.abs(), single);
    let whole = 1.0 / (1.0 + e);
    let s = if x >= 0.0 { whole } else { e * whole };
    let first = e * whole * whole;
    [s, first, first * (1.0 - 2.0 * s), first * (1.0 - 6.0 * first)]
}

#[inline(always)]
fn tanh(x: f64, single: bool) -> Taylor {
    let t = elementary::tanh(x, single);
    let first = 1.0 - t * t;
    [t, first, -2.0 * t * first, first * (6.0 * t * t - 2.0)]
}

#[inline(always)]
fn softplus(x: f64, single: bool) -> Taylor {
    let [s, first, second, _] = sigmoid(x, single);
    [x.max(0.0) + exp(-x.abs(), single).ln_1p(), s, first, second]
}

#[inline(always)]
fn gelu(x: f64, single: bool) -> Taylor {
    let (density, cumulative) = normal(x, single);
    [x * cumulative, cumulative + x * density, density * (2.0 - x * x), x * density * (x * x - 4.0)]
}

#[inline(always)]
fn gelu_tanh(x: f64, single: bool) -> Taylor {
    const SCALE: f64 = 0.797_884_560_802_865_4; // sqrt(2 / pi)
    const CUBIC: f64 = 0.044_715;
    let inner = [
        SCALE * (x + CUBIC * x * x * x),
        SCALE * (1.0 + 3.0 * CUBIC * x * x),
        SCALE * 6.0 * CUBIC * x,
        SCALE * 6.0 * CUBIC,
    ];
    let gate = compose(tanh(inner[0], single), inner).map(|d| 0.5 * d);
    times_x(x, [gate[0] + 0.5, gate[1], gate[2], gate[3]])
}

/// Derivatives of x^p; a vanishing factor wins over an infinite power (the second derivative of x is 0 at 0).
#[inline(always)]
fn power(p: f64, order: usize, x: f64) -> f64 {
    let mut factor = 1.0;
    for k in 0..order {
        factor *= p - k as f64;
    }
    if factor == 0.0 { 0.0 } else { factor * raise(x, p - order as f64) }
}

#[inline(always)]
fn raise(x: f64, p: f64) -> f64 {
    if p.fract() == 0.0 && p.abs() <= 64.0 { x.powi(p as i32) } else { x.powf(p) }
}

/// Declares a function without parameters and the method that applies it.
macro_rules! functions {
    ($($(#[$doc:meta])* $method:ident, $rule:ident, curved: $curved:expr, |$order:ident, $x:ident $(, $single:ident)?| $derivative:expr;)*) => {
        $(
            #[derive(Debug)]
            pub(super) struct $rule;
            impl Elementwise for $rule {
                fn name(&self) -> &'static str {
                    stringify!($method)
                }
                #[inline(always)]
                fn derivative(&self, $order: usize, $x: f64) -> f64 {
                    $(let $single = false;)?
                    $derivative
                }
                #[inline(always)]
                fn derivative_single(&self, $order: usize, $x: f64) -> f64 {
                    $(let $single = true;)?
                    $derivative
                }
                fn is_curved(&self) -> bool {
                    $curved
                }
                fn kernel_constants(&self) -> Option<[f64; 2]> {
                    Some([0.0, 0.0])
                }
            }
        )*
        impl Value {
            $(
                $(#[$doc])*
                pub fn $method(&self) -> Result<Value> {
                    Ok(self.builder.elementwise($rule, self))
                }
            )*
        }
    };
}

/// Derivatives of a function that is linear on either side of a kink, given what holds at `x`.
#[inline(always)]
fn piece(order: usize, value: f64, slope: f64) -> f64 {
    match order {
        0 => value,
        1 => slope,
        _ => 0.0,
    }
}

functions! {
    /// max(x, 0), with slope 0 at 0 (PyTorch's choice).
    relu, Relu, curved: false, |order, x| {
        // No wider numbers are needed for single precision: the compiler sees through both choices.
        piece(order, if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 })
    };
    /// min(max(x, 0), 6), with slope 0 at both kinks.
    relu6, Relu6, curved: false, |order, x| {
        if x > 0.0 && x < 6.0 { piece(order, x, 1.0) } else { piece(order, x.clamp(0.0, 6.0), 0.0) }
    };
    /// |x|, with slope 0 at 0.
    abs, Abs, curved: false, |order, x| piece(order, x.abs(), if x == 0.0 { 0.0 } else { x.signum() });
    /// x clamp(x + 3, 0, 6) / 6.
    hard_swish, HardSwish, curved: true, |order, x| {
        if x <= -3.0 {
            0.0
        } else if x >= 3.0 {
            piece(order, x, 1.0)
        } else {
            [x * (x + 3.0) / 6.0, x / 3.0 + 0.5, 1.0 / 3.0, 0.0][order]
        }
    };
    /// clamp(x / 6 + 1/2, 0, 1).
    hard_sigmoid, HardSigmoid, curved: false, |order, x| {
        piece(order, (x / 6.0 + 0.5).clamp(0.0, 1.0), if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 })
    };
    /// Hyperbolic tangent.
    tanh, Tanh, curved: true, |order, x, single| tanh(x, single)[order];
    /// 1 / (1 + exp(-x)).
    sigmoid, Sigmoid, curved: true, |order, x, single| sigmoid(x, single)[order];
    /// log(1 / (1 + exp(-x))), without overflow.
    log_sigmoid, LogSigmoid, curved: true, |order, x, single| {
        let d = softplus(-x, single);
        [-d[0], d[1], -d[2], d[3]][order]
    };
    /// log(1 + exp(x)), without overflow.
    softplus, Softplus, curved: true, |order, x, single| softplus(x, single)[order];
    /// x / (1 + |x|).
    softsign, Softsign, curved: true, |order, x| {
        let d = 1.0 + x.abs();
        [x / d, 1.0 / (d * d), -2.0 * x.signum() / (d * d * d), 6.0 / (d * d * d * d)][order]
    };
    /// x Phi(x), the exact Gaussian error linear unit.
    gelu_erf, GeluErf, curved: true, |order, x, single| gelu(x, single)[order];
    /// The tanh approximation of the Gaussian error linear unit (candle's `gelu`, PyTorch's `approximate="tanh"`).
    gelu, Gelu, curved: true, |order, x, single| gelu_tanh(x, single)[order];
    /// x sigmoid(x).
    silu, Silu, curved: true, |order, x, single| times_x(x, sigmoid(x, single))[order];
    /// x tanh(softplus(x)).
    mish, Mish, curved: true, |order, x, single| {
        let inner = softplus(x, single);
        times_x(x, compose(tanh(inner[0], single), inner))[order]
    };
    /// The self-normalising exponential linear unit (Klambauer et al. 2017).
    selu, Selu, curved: true, |order, x| {
        const ALPHA: f64 = 1.673_263_242_354_377_2;
        const SCALE: f64 = 1.050_700_987_355_480_5;
        SCALE * Elu(ALPHA).derivative(order, x)
    };
    /// The error function.
    erf, Erf, curved: true, |order, x| {
        let density = std::f64::consts::FRAC_2_SQRT_PI * exp(-x * x, false);
        match order {
            0 => libm::erf(x),
            1 => density,
            2 => -2.0 * x * density,
            _ => (4.0 * x * x - 2.0) * density,
        }
    };
    /// exp(x).
    exp, Exp, curved: true, |_order, x, single| exp(x, single);
    /// Natural logarithm.
    log, Log, curved: true, |order, x| if order == 0 { x.ln() } else { power(-1.0, order - 1, x) };
    /// sin(x).
    sin, Sin, curved: true, |order, x| [x.sin(), x.cos(), -x.sin(), -x.cos()][order];
    /// cos(x).
    cos, Cos, curved: true, |order, x| [x.cos(), -x.sin(), -x.cos(), x.sin()][order];
    /// x^2.
    sqr, Square, curved: true, |order, x| [x * x, 2.0 * x, 2.0, 0.0][order];
    /// Square root.
    sqrt, SquareRoot, curved: true, |order, x| if order == 0 { x.sqrt() } else { power(0.5, order, x) };
    /// 1 / sqrt(x).
    rsqrt, ReciprocalRoot, curved: true, |order, x| power(-0.5, order, x);
    /// 1 / x.
    recip, Reciprocal, curved: true, |order, x| {
        let inverse = 1.0 / x;
        [inverse, -inverse * inverse, 2.0 * inverse * inverse * inverse, -6.0 * (inverse * inverse) * (inverse * inverse)][order]
    };
}

/// x^p.
#[derive(Debug)]
struct Power(f64);
impl Elementwise for Power {
    fn name(&self) -> &'static str {
        "powf"
    }
    fn kernel_constants(&self) -> Option<[f64; 2]> {
        Some([self.0, 0.0])
    }
    #[inline(always)]
    fn derivative(&self, order: usize, x: f64) -> f64 {
        power(self.0, order, x)
    }
}

/// x for positive x, alpha (exp(x) - 1) otherwise.
#[derive(Debug)]
struct Elu(f64);
impl Elementwise for Elu {
    fn name(&self) -> &'static str {
        "elu"
    }
    fn kernel_constants(&self) -> Option<[f64; 2]> {
        Some([self.0, 0.0])
    }
    #[inline(always)]
    fn derivative(&self, order: usize, x: f64) -> f64 {
        if x > 0.0 {
            piece(order, x, 1.0)
        } else if order == 0 {
            self.0 * x.exp_m1()
        } else {
            self.0 * exp(x, false)
        }
    }
}

/// x for positive x, slope * x otherwise.
#[derive(Debug)]
struct LeakyRelu(f64);
impl Elementwise for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }
    fn kernel_constants(&self) -> Option<[f64; 2]> {
        Some([self.0, 0.0])
    }
    #[inline(always)]
    fn derivative(&self, order: usize, x: f64) -> f64 {
        if x > 0.0 { piece(order, x, 1.0) } else { piece(order, self.0 * x, self.0) }
    }
    fn is_curved(&self) -> bool {
        false
    }
}

/// min(max(x, low), high), with slope 0 at both kinks.
#[derive(Debug)]
struct Clamp(f64, f64);
impl Elementwise for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }
    fn kernel_constants(&self) -> Option<[f64; 2]> {
        Some([self.0, self.1])
    }
    #[inline(always)]
    fn derivative(&self, order: usize, x: f64) -> f64 {
        if x > self.0 && x < self.1 {
            piece(order, x, 1.0)
        } else {
            piece(order, x.clamp(self.0, self.1), 0.0)
        }
    }
    fn is_curved(&self) -> bool {
        false
    }
}

impl Value {
    /// x^p; for a p that is not an integer, x must be positive.
    pub fn powf(&self, p: f64) -> Result<Value> {
        Ok(self.builder.elementwise(Power(p), self))
    }

    /// x where positive, alpha (exp(x) - 1) elsewhere.
    pub fn elu(&self, alpha: f64) -> Result<Value> {
        Ok(self.builder.elementwise(Elu(alpha), self))
    }

    /// x where positive, `slope` * x elsewhere.
    pub fn leaky_relu(&self, slope: f64) -> Result<Value> {
        Ok(self.builder.elementwise(LeakyRelu(slope), self))
    }

    /// min(max(x, low), high) (PyTorch's `hardtanh`).
    pub fn clamp(&self, low: f64, high: f64) -> Result<Value> {
        if low > high {
            return Err(crate::error::shape(
                "clamp",
                format!("the lower limit {low} is above the upper limit {high}"),
            ));
        }
        Ok(self.builder.elementwise(Clamp(low, high), self))
    }
}
