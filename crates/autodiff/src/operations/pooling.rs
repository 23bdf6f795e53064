//! Maximum and average over windows: sliding ones of any kernel and stride, and adaptive ones.

use candle_core::Tensor;

use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::pooling::{self, Pool, Windows};
use crate::order::Order;
use crate::rule::{Axes, Axis, Index, Linear};
use crate::{Error, Result, Value, device};

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
    fn new(
        operation: &'static str,
        x: &Value,
        windows: impl FnOnce(usize, usize) -> Result<Windows>,
    ) -> Result<Self> {
        let &[n, c, h, w] = x.dims() else {
            return Err(shape(
                operation,
                format!("expected [n, channels, height, width], found {:?}", x.dims()),
            ));
        };
        let windows = windows(h, w)?;
        Ok(Self { input: [n, c, h, w], output: [n, c, windows.rows.len(), windows.columns.len()], windows })
    }

    /// Examples and channels stay, pixels are ordered.
    fn axes(&self) -> Axes {
        let image = |[n, c, h, w]: [usize; 4], first: usize| -> Vec<Axis> {
            let (rows, columns) = (Index::ordered(first, h), Index::ordered(first + 1, w));
            [Index::free(0, n), Index::free(1, c), rows, columns].map(|i| Axis::Product(vec![i])).into()
        };
        Axes { arguments: vec![image(self.input, 2)], result: image(self.output, 4) }
    }

    fn pool(&self) -> Pool<'_> {
        Pool { windows: &self.windows, size: [self.input[2], self.input[3]], channels: self.input[1] }
    }
}

/// The first maximum of every window, chosen at the point of linearization (PyTorch's choice at ties).
#[derive(Debug)]
struct Maximum(Planes);

impl Linear for Maximum {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn chooses(&self) -> bool {
        true
    }

    fn fix(&self, arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        let images = Order::channels_last();
        let x = images.pack(arguments[0])?;
        if device::holds(&x) {
            return device::first_maximum(self.0.pool(), &x).map(Some);
        }
        for_real!(self.name(), x, T => {
            let host = Host::open(self.name(), &x)?;
            let chosen = pooling::first_maximum(self.0.pool(), host.slice::<T>()?);
            tensor(chosen, &images.dims(&self.0.output)).map(Some)
        })
    }

    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor> {
        let images = Order::channels_last();
        let (x, chosen) = (images.pack(given(arguments[0])?)?, given(fixed)?);
        if device::holds(&x) {
            return images.unpack(&device::select(self.0.pool(), &x, chosen)?);
        }
        for_real!(self.name(), x, T => {
            let (host, chosen) = (Host::open(self.name(), &x)?, Host::open(self.name(), chosen)?);
            let mut out = vec![<T as Default>::default(); self.0.output.iter().product()];
            pooling::select(self.0.pool(), host.slice::<T>()?, chosen.slice::<u32>()?, &mut out);
            images.unpack(&tensor(out, &images.dims(&self.0.output))?)
        })
    }

    fn adjoint(&self, _: usize, g: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor> {
        let images = Order::channels_last();
        let (g, chosen) = (images.pack(g)?, given(fixed)?);
        if device::holds(&g) {
            return images.unpack(&device::select_adjoint(self.0.pool(), &g, chosen)?);
        }
        for_real!(self.name(), g, T => {
            let (host, chosen) = (Host::open(self.name(), &g)?, Host::open(self.name(), chosen)?);
            let mut out = vec![<T as Default>::default(); self.0.input.iter().product()];
            pooling::scatter_add(self.0.pool(), host.slice::<T>()?, chosen.slice::<u32>()?, &mut out);
            images.unpack(&tensor(out, &images.dims(&self.0.input))?)
        })
    }

    fn axes(&self, _: &[&[usize]], _: &[usize]) -> Option<Axes> {
        Some(self.0.axes())
    }
}

/// The mean of every window.
#[derive(Debug)]
struct Average {
    planes: Planes,
    /// What every sum is divided by; without one, by the number of its entries.
    area: Option<usize>,
    divisors: Vec<f64>,
}

impl Linear for Average {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    /// On a device, where the windows lie.
    fn fix(&self, arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        let x = arguments[0];
        device::holds(x).then(|| device::window_table(self.planes.pool(), x.device())).transpose()
    }

    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor> {
        let (images, p) = (Order::channels_last(), &self.planes);
        let x = images.pack(given(arguments[0])?)?;
        if device::holds(&x) {
            return images.unpack(&device::average(p.pool(), self.area, &x, given(fixed)?)?);
        }
        for_real!(self.name(), x, T => {
            let host = Host::open(self.name(), &x)?;
            let mut out = vec![<T as Default>::default(); p.output.iter().product()];
            pooling::average(p.pool(), &self.divisors, host.slice::<T>()?, &mut out);
            images.unpack(&tensor(out, &images.dims(&p.output))?)
        })
    }

    fn adjoint(&self, _: usize, g: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor> {
        let (images, p) = (Order::channels_last(), &self.planes);
        let g = images.pack(g)?;
        if device::holds(&g) {
            return images.unpack(&device::average_adjoint(p.pool(), self.area, &g, given(fixed)?)?);
        }
        for_real!(self.name(), g, T => {
            let host = Host::open(self.name(), &g)?;
            let mut out = vec![<T as Default>::default(); p.input.iter().product()];
            pooling::average_adjoint(p.pool(), &self.divisors, host.slice::<T>()?, &mut out);
            images.unpack(&tensor(out, &images.dims(&p.input))?)
        })
    }

    fn axes(&self, _: &[&[usize]], _: &[usize]) -> Option<Axes> {
        Some(self.planes.axes())
    }
}

fn given(x: Option<&Tensor>) -> Result<&Tensor> {
    x.ok_or_else(|| Error::Unavailable("a pooling operation was applied without its argument".into()))
}

impl Value {
    /// Maximum over windows of [n, c, h, w].
    pub fn max_pool2d(&self, options: PoolOptions) -> Result<Value> {
        let planes = Planes::new("max_pool2d", self, |h, w| sliding("max_pool2d", [h, w], options))?;
        Ok(self.chosen(planes))
    }

    /// Maximum over out`[0]` x out`[1]` windows that cover the plane (PyTorch's partition).
    pub fn adaptive_max_pool2d(&self, out: [usize; 2]) -> Result<Value> {
        let planes = Planes::new("adaptive_max_pool2d", self, |h, w| Ok(adaptive([h, w], out)))?;
        Ok(self.chosen(planes))
    }

    /// Mean over windows of [n, c, h, w].
    pub fn avg_pool2d(&self, options: PoolOptions) -> Result<Value> {
        let planes = Planes::new("avg_pool2d", self, |h, w| sliding("avg_pool2d", [h, w], options))?;
        Ok(self.averaged(planes, options.count_include_pad.then_some(options.kernel)))
    }

    /// Mean over out`[0]` x out`[1]` windows that cover the plane (PyTorch's partition).
    pub fn adaptive_avg_pool2d(&self, out: [usize; 2]) -> Result<Value> {
        let planes = Planes::new("adaptive_avg_pool2d", self, |h, w| Ok(adaptive([h, w], out)))?;
        Ok(self.averaged(planes, None))
    }

    fn chosen(&self, planes: Planes) -> Value {
        let out = planes.output;
        self.builder.linear(Maximum(planes), &[self], &out)
    }

    /// `full`: divide by this kernel's area, border included, instead of by the number of entries.
    fn averaged(&self, planes: Planes, full: Option<[usize; 2]>) -> Value {
        let windows = &planes.windows;
        let area = full.map(|[rows, columns]| rows * columns);
        let divisors = windows
            .rows
            .iter()
            .flat_map(|r| windows.columns.iter().map(move |c| area.unwrap_or((r.1 - r.0) * (c.1 - c.0))))
            .map(|area| area as f64)
            .collect();
        let out = planes.output;
        self.builder.linear(Average { planes, area, divisors }, &[self], &out)
    }
}

fn sliding(operation: &'static str, size: [usize; 2], options: PoolOptions) -> Result<Windows> {
    let axis = |i: usize| -> Result<Vec<(usize, usize)>> {
        let (n, k, s, p) = (size[i], options.kernel[i], options.stride[i], options.padding[i]);
        if k == 0 || s == 0 || 2 * p > k || k > n + 2 * p {
            let problem = format!("windows of {k} every {s} with border {p} do not fit {n} entries");
            return Err(shape(operation, problem));
        }
        let count = (n + 2 * p - k) / s + 1;
        Ok((0..count).map(|o| ((o * s).saturating_sub(p), (o * s + k - p).min(n))).collect())
    };
    Ok(Windows { rows: axis(0)?, columns: axis(1)? })
}

fn adaptive(size: [usize; 2], out: [usize; 2]) -> Windows {
    let axis = |n: usize, m: usize| (0..m).map(|o| (o * n / m, ((o + 1) * n).div_ceil(m))).collect();
    Windows { rows: axis(size[0], out[0]), columns: axis(size[1], out[1]) }
}
