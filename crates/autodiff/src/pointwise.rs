//! Entry-by-entry arithmetic on tensors of one shape, in whatever order they lie.

use candle_core::{DType, Tensor};

use crate::host::{Host, tensor};
use crate::kernels::vectorised;
use crate::order::Order;
use crate::rule::Elementwise;
use crate::{Result, device, host};

/// f^(order)(x) for every entry.
pub(crate) fn map(rule: &dyn Elementwise, order: usize, x: &Tensor) -> Result<Tensor> {
    if device::holds(x) {
        let lies = Order::of(x);
        return lies.unpack(&device::map(rule, order, &lies.pack(x)?)?);
    }
    map_on_host(rule, order, x)
}

pub(crate) fn map_on_host(rule: &dyn Elementwise, order: usize, x: &Tensor) -> Result<Tensor> {
    let lies = Order::of(x);
    let x = lies.pack(x)?;
    let input = Host::open(rule.name(), &x)?;
    let out = match x.dtype() {
        DType::F32 => {
            let mut out = vec![0f32; x.elem_count()];
            rule.map_f32(order, input.slice()?, &mut out);
            tensor(out, x.dims())
        }
        DType::F64 => {
            let mut out = vec![0f64; x.elem_count()];
            rule.map_f64(order, input.slice()?, &mut out);
            tensor(out, x.dims())
        }
        found => Err(host::unsupported(rule.name(), found)),
    };
    lies.unpack(&out?)
}

/// f(x), f'(x) and, if `curved`, f''(x) for every entry.
pub(crate) fn jet(
    rule: &dyn Elementwise,
    x: &Tensor,
    curved: bool,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    if device::holds(x) {
        let lies = Order::of(x);
        let (f, slope, bend) = device::jet(rule, &lies.pack(x)?, curved)?;
        let bend = bend.map(|bend| lies.unpack(&bend)).transpose()?;
        return Ok((lies.unpack(&f)?, lies.unpack(&slope)?, bend));
    }
    jet_on_host(rule, x, curved)
}

pub(crate) fn jet_on_host(
    rule: &dyn Elementwise,
    x: &Tensor,
    curved: bool,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    let lies = Order::of(x);
    let x = lies.pack(x)?;
    let input = Host::open(rule.name(), &x)?;
    let (n, dims) = (x.elem_count(), x.dims());
    let bends = if curved { n } else { 0 };
    let (f, slope, bend) = match x.dtype() {
        DType::F32 => {
            let (mut f, mut slope, mut bend) = (vec![0f32; n], vec![0f32; n], vec![0f32; bends]);
            rule.jet_f32(input.slice()?, [&mut f, &mut slope, &mut bend]);
            (tensor(f, dims)?, tensor(slope, dims)?, curved.then(|| tensor(bend, dims)))
        }
        DType::F64 => {
            let (mut f, mut slope, mut bend) = (vec![0f64; n], vec![0f64; n], vec![0f64; bends]);
            rule.jet_f64(input.slice()?, [&mut f, &mut slope, &mut bend]);
            (tensor(f, dims)?, tensor(slope, dims)?, curved.then(|| tensor(bend, dims)))
        }
        found => return Err(host::unsupported(rule.name(), found)),
    };
    let bend = bend.transpose()?.map(|b| lies.unpack(&b)).transpose()?;
    Ok((lies.unpack(&f)?, lies.unpack(&slope)?, bend))
}

/// `sum_i` `a_i` `b_i`, entry by entry, over pairs of tensors of one shape.
pub(crate) fn sum_of_products(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let (first, rest) = pairs
        .split_first()
        .ok_or_else(|| crate::Error::Unavailable("a sum of products needs at least one pair".into()))?;
    if device::holds(first.0) {
        let lies = Order::of(first.0);
        let packed =
            pairs.iter().map(|(a, b)| Ok((lies.pack(a)?, lies.pack(b)?))).collect::<Result<Vec<_>>>()?;
        let pairs: Vec<_> = packed.iter().map(|(a, b)| (a, b)).collect();
        return lies.unpack(&device::sum_of_products(&pairs)?);
    }
    let (lies, mut sum) = match rest.first() {
        None => combine(
            "product",
            [first.0, first.1],
            #[inline(always)]
            |[a, b]| a * b,
            #[inline(always)]
            |[a, b]| a * b,
        )?,
        Some(second) => {
            let four = [first.0, first.1, second.0, second.1];
            combine(
                "product",
                four,
                #[inline(always)]
                |[a, b, c, d]| a * b + c * d,
                #[inline(always)]
                |[a, b, c, d]| a * b + c * d,
            )?
        }
    };
    for (a, b) in rest.iter().skip(1) {
        let three = [&lies.unpack(&sum)?, *a, *b];
        sum = combine(
            "product",
            three,
            #[inline(always)]
            |[s, a, b]| s + a * b,
            #[inline(always)]
            |[s, a, b]| s + a * b,
        )?
        .1;
    }
    lies.unpack(&sum)
}

/// a + b for tensors of one shape.
pub(crate) fn plus(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if device::holds(a) {
        let lies = Order::of(a);
        return lies.unpack(&device::plus(&lies.pack(a)?, &lies.pack(b)?)?);
    }
    let (lies, sum) = combine(
        "sum",
        [a, b],
        #[inline(always)]
        |[a, b]| a + b,
        #[inline(always)]
        |[a, b]| a + b,
    )?;
    lies.unpack(&sum)
}

/// factor * x.
pub(crate) fn times(factor: f64, x: &Tensor) -> Result<Tensor> {
    if device::holds(x) {
        let lies = Order::of(x);
        return lies.unpack(&device::times(factor, &lies.pack(x)?)?);
    }
    let single = factor as f32;
    let (lies, product) = combine(
        "scale",
        [x],
        #[inline(always)]
        |[x]| single * x,
        #[inline(always)]
        |[x]| factor * x,
    )?;
    lies.unpack(&product)
}

/// Adds a contribution to a sum that starts out empty.
pub(crate) fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        None => part,
        Some(sum) => plus(&sum, &part)?,
    });
    Ok(())
}

/// `f` of the entries of N tensors, in the order in which the first of them lies.
fn combine<const N: usize>(
    operation: &'static str,
    arguments: [&Tensor; N],
    single: impl Fn([f32; N]) -> f32,
    double: impl Fn([f64; N]) -> f64,
) -> Result<(Order, Tensor)> {
    let lies = Order::of(arguments[0]);
    let packed = arguments.iter().map(|x| lies.pack(x)).collect::<Result<Vec<_>>>()?;
    let hosts = packed.iter().map(|x| Host::open(operation, x)).collect::<Result<Vec<_>>>()?;
    let out = match packed[0].dtype() {
        DType::F32 => tensor(entries(&hosts, single)?, packed[0].dims()),
        DType::F64 => tensor(entries(&hosts, double)?, packed[0].dims()),
        found => Err(host::unsupported(operation, found)),
    };
    Ok((lies, out?))
}

fn entries<T: candle_core::WithDType, const N: usize>(
    hosts: &[Host<'_>],
    f: impl Fn([T; N]) -> T,
) -> Result<Vec<T>> {
    let slices = hosts.iter().map(Host::slice::<T>).collect::<Result<Vec<_>>>()?;
    let n = slices[0].len();
    let slices: [&[T]; N] = std::array::from_fn(|i| slices[i]);
    let mut out = Vec::with_capacity(n);
    vectorised(
        #[inline(always)]
        || {
            // Copies of known length: what is reached through a reference would be loaded and checked for every entry.
            let slices = slices.map(
                #[inline(always)]
                |slice| &slice[..n],
            );
            for (at, out) in out.spare_capacity_mut()[..n].iter_mut().enumerate() {
                let mut at_once = [T::zero(); N];
                for i in 0..N {
                    at_once[i] = slices[i][at];
                }
                out.write(f(at_once));
            }
        },
    );
    // SAFETY: the loop above has written all n entries.
    unsafe { out.set_len(n) };
    Ok(out)
}
