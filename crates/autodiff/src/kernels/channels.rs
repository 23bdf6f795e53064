//! A large tensor [outer, channel, inner] against a small one [channel]: bias, scale, and the sums that are their adjoints.

use rayon::prelude::*;

use super::{Real, SERIAL};

/// The large tensor's shape, with the small tensor's axes in the middle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    outer: usize,
    channel: usize,
    inner: usize,
}

impl From<[usize; 3]> for View {
    fn from([outer, channel, inner]: [usize; 3]) -> Self {
        // One channel is one long run: the same sums, without a loop over runs of length one.
        if channel == 1 {
            Self { outer: 1, channel, inner: outer * inner }
        } else {
            Self { outer, channel, inner }
        }
    }
}

/// out = large + small.
pub(crate) fn add<T: Real>(view: View, large: &[T], small: &[T], out: &mut [T]) {
    combine(view, large, small, out, |x, s| x + s);
}

/// out = large * small.
pub(crate) fn multiply<T: Real>(view: View, large: &[T], small: &[T], out: &mut [T]) {
    combine(view, large, small, out, |x, s| x * s);
}

/// `out[c]` = sum of the large tensor's entries of channel c, accumulated in f64.
pub(crate) fn sum<T: Real>(view: View, large: &[T], out: &mut [T]) {
    reduce(view, out, |at| large[at].into(), |from, n| run(&large[from..from + n], std::convert::Into::into));
}

/// `out[c]` = sum over channel c of the products of two large tensors, accumulated in f64.
pub(crate) fn sum_of_products<T: Real>(view: View, a: &[T], b: &[T], out: &mut [T]) {
    let product = |x: T, y: T| -> f64 { x.into() * y.into() };
    reduce(
        view,
        out,
        |at| product(a[at], b[at]),
        |from, n| {
            let mut lanes = [0.0; LANES];
            let (x, y) = (&a[from..from + n], &b[from..from + n]);
            let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
            let rest = xs.remainder().iter().zip(ys.remainder()).map(|(&x, &y)| product(x, y)).sum::<f64>();
            for (x, y) in xs.zip(ys) {
                for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
                    *lane += product(x, y);
                }
            }
            lanes.iter().sum::<f64>() + rest
        },
    );
}

/// Independent partial sums, so that the compiler can use wide registers.
const LANES: usize = 8;

fn run<T: Real>(x: &[T], f: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().map(|&x| f(x)).sum::<f64>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

fn combine<T: Real>(view: View, large: &[T], small: &[T], out: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    let View { channel, inner, .. } = view;
    let block = |out: &mut [T], large: &[T]| {
        if inner == 1 {
            for (o, x) in out.chunks_exact_mut(channel).zip(large.chunks_exact(channel)) {
                o.iter_mut().zip(x).zip(small).for_each(|((o, &x), &s)| *o = f(x, s));
            }
        } else {
            let runs = out.chunks_exact_mut(inner).zip(large.chunks_exact(inner));
            for ((o, x), &s) in runs.zip(small.iter().cycle()) {
                o.iter_mut().zip(x).for_each(|(o, &x)| *o = f(x, s));
            }
        }
    };
    let row = channel * inner;
    if out.len() < SERIAL || row == 0 {
        return block(out, large);
    }
    let rows = SERIAL.div_ceil(row) * row;
    out.par_chunks_mut(rows).zip(large.par_chunks(rows)).for_each(|(out, large)| block(out, large));
}

fn reduce<T: Real>(
    view: View,
    out: &mut [T],
    entry: impl Fn(usize) -> f64,
    inner_sum: impl Fn(usize, usize) -> f64 + Sync,
) {
    let View { outer, channel, inner } = view;
    if inner == 1 {
        let mut sums = vec![0.0; channel];
        for row in 0..outer {
            sums.iter_mut().enumerate().for_each(|(c, s)| *s += entry(row * channel + c));
        }
        out.iter_mut().zip(sums).for_each(|(o, s)| *o = T::round_from(s));
        return;
    }
    let total = |c: usize| (0..outer).map(|o| inner_sum((o * channel + c) * inner, inner)).sum::<f64>();
    if outer * channel * inner < SERIAL {
        out.iter_mut().enumerate().for_each(|(c, o)| *o = T::round_from(total(c)));
    } else {
        out.par_iter_mut().enumerate().for_each(|(c, o)| *o = T::round_from(total(c)));
    }
}
