//! Maximum and average over windows: sliding ones of any kernel and stride, and adaptive ones.

use candle_core::Tensor;

use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::pooling::{self, Windows};
use crate::rule::Linear;
use crate::{Error, Result, Value};

/// Windows along [height, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// Size of a window.
    pub kernel: [usize; 2],
    /// Distance between neighbouring windows.
    pub stride: [usize; 2],
    /// Border that windows may reach into, at most half a window.
    pub padding: [usize; 2],
    /// For averages: count the border as zeros (PyTorch's default) instead of leaving it out.
    pub count_include_pad: bool,
}

impl PoolOptions {
    /// Square windows side by side.
    pub fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [kernel; 2], padding: [0; 2], count_include_pad: true }
    }
}

/// Where windows lie in a plane of an [n, c, h, w] tensor.
#[derive(Debug)]
struct Planes {
    input: [usize; 4],
    output: [usize; 4],
    windows: Windows,
}

impl Planes {
    fn new(operation: &'static str, x: &Value, windows: impl FnOnce(usize, usize) -> Result<Windows>) -> Result<Self> {
        let &[n, c, h, w] = x.dims() else {
            return Err(shape(operation, format!("expected [n, channels, height, width], found {:?}", x.dims())));
        };
        let windows = windows(h, w)?;
        Ok(Self { input: [n, c, h, w], output: [n, c, windows.rows.len(), windows.columns.len()], windows })
    }

    fn size(&self) -> [usize; 2] {
        [self.input[2], self.input[3]]
    }
}

/// The first maximum of every window, chosen at the point of linearization (PyTorch's choice at ties).
#[derive(Debug)]
struct Maximum(Planes);

impl Linear for Maximum {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn fix(&self, arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        let x = arguments[0].contiguous()?;
        for_real!(self.name(), x, T => {
            let host = Host::open(self.name(), &x)?;
            let chosen = pooling::first_maximum(&self.0.windows, self.0.size(), host.slice::<T>()?);
            tensor(chosen, &self.0.output).map(Some)
        })
    }

    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor> {
        let x = given(arguments[0])?.contiguous()?;
        let chosen = given(fixed)?;
        for_real!(self.name(), x, T => {
            let (host, chosen) = (Host::open(self.name(), &x)?, Host::open(self.name(), chosen)?);
            let mut out = vec![<T as Default>::default(); self.0.output.iter().product()];
            pooling::select(self.0.size(), host.slice::<T>()?, chosen.slice::<u32>()?, &mut out);
            tensor(out, &self.0.output)
        })
    }

    fn adjoint(&self, _: usize, g: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor> {
        let g = g.contiguous()?;
        let chosen = given(fixed)?;
        for_real!(self.name(), g, T => {
            let (host, chosen) = (Host::open(self.name(), &g)?, Host::open(self.name(), chosen)?);
            let mut out = vec![<T as Default>::default(); self.0.input.iter().product()];
            pooling::scatter_add(self.0.size(), host.slice::<T>()?, chosen.slice::<u32>()?, &mut out);
            tensor(out, &self.0.input)
        })
    }
}

/// The mean of every window.
#[derive(Debug)]
struct Average {
    planes: Planes,
    divisors: Vec<f64>,
}

impl Linear for Average {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        let x = given(arguments[0])?.contiguous()?;
        let p = &self.planes;
        for_real!(self.name(), x, T => {
            let host = Host::open(self.name(), &x)?;
            let mut out = vec![<T as Default>::default(); p.output.iter().product()];
            pooling::average(&p.windows, p.size(), &self.divisors, host.slice::<T>()?, &mut out);
            tensor(out, &p.output)
        })
    }

    fn adjoint(&self, _: usize, g: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        let g = g.contiguous()?;
        let p = &self.planes;
        for_real!(self.name(), g, T => {
            let host = Host::open(self.name(), &g)?;
            let mut out = vec![<T as Default>::default(); p.input.iter().product()];
            pooling::average_adjoint(&p.windows, p.size(), &self.divisors, host.slice::<T>()?, &mut out);
            tensor(out, &p.input)
        })
    }
}

fn given(x: Option<&Tensor>) -> Result<&Tensor> {
    x.ok_or_else(|| Error::Unavailable("a pooling operation was applied without its argument".into()))
}

