//! A large tensor [repeat, outer, channel, inner] against a small one [repeat, channel]: bias, scale, and the sums that
//! are their adjoints.

use rayon::prelude::*;
use std::mem::MaybeUninit;

use super::{Real, SERIAL, vectorised};

/// The large tensor's shape; the small one has its first and its third axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) repeat: usize,
    pub(crate) outer: usize,
    pub(crate) channel: usize,
    pub(crate) inner: usize,
}

impl View {
    /// How a small tensor lies in a large one of shape `large`, axis by axis the same or of length 1; `None` if it takes
    /// more than these four axes to say.
    pub(crate) fn new(small: &[usize], large: &[usize]) -> Option<Self> {
        // Neighbouring axes that the small tensor has, or lacks, together.
        let mut groups: Vec<(bool, usize)> = vec![];
        for (&s, &l) in small.iter().zip(large).filter(|(_, l)| **l != 1) {
            match groups.last_mut() {
                Some((has, length)) if *has == (s == l) => *length *= l,
                _ => groups.push((s == l, l)),
            }
        }
        let view = |repeat, outer, channel, inner| Some(Self { repeat, outer, channel, inner });
        match *groups.as_slice() {
            [] => view(1, 1, 1, 1),
            // One channel is one long run: the same sums, without a loop over runs of length one.
            [(false, inner)] => view(1, 1, 1, inner),
            [(true, channel)] => view(1, 1, channel, 1),
            [(false, outer), (true, channel)] => view(1, outer, channel, 1),
            [(true, channel), (false, inner)] => view(1, 1, channel, inner),
            [(false, outer), (true, channel), (false, inner)] => view(1, outer, channel, inner),
            [(true, repeat), (false, outer), (true, channel)] => view(repeat, outer, channel, 1),
            [(true, repeat), (false, outer), (true, channel), (false, inner)] => {
                view(repeat, outer, channel, inner)
            }
            _ => None,
        }
    }

    /// Whether the large tensor is the small one over and over.
    pub(super) fn is_periodic(&self) -> bool {
        self.repeat == 1 && self.inner == 1
    }

    /// The entries of the small tensor at the places of the large one from `start` on.
    pub(super) fn repeat<T: Copy>(&self, small: &[T], start: usize, out: &mut [T]) {
        let (mut at, end) = (start, start + out.len());
        let mut rest = out;
        while at < end {
            let run = at / self.inner;
            let length = ((run + 1) * self.inner).min(end) - at;
            let (now, later) = rest.split_at_mut(length);
            now.fill(small[run / (self.outer * self.channel) * self.channel + run % self.channel]);
            (at, rest) = (at + length, later);
        }
    }

    /// Entries of the small tensor.
    pub(crate) fn small(&self) -> usize {
        self.repeat * self.channel
    }

    fn large(&self) -> usize {
        self.small() * self.outer * self.inner
    }
}

/// large + small.
pub(crate) fn add<T: Real>(view: View, large: &[T], small: &[T]) -> Vec<T> {
    combine(
        view,
        large,
        small,
        #[inline(always)]
        |x, s| x + s,
    )
}

/// large * small.
pub(crate) fn multiply<T: Real>(view: View, large: &[T], small: &[T]) -> Vec<T> {
    combine(
        view,
        large,
        small,
        #[inline(always)]
        |x, s| x * s,
    )
}

/// For every entry of the small tensor the sum of the large one's entries there, accumulated in f64.
pub(crate) fn sum<T: Real>(view: View, large: &[T]) -> Vec<T> {
    reduce(
        view,
        #[inline(always)]
        |at| large[at].into(),
        #[inline(always)]
        |from, sums| {
            for (sum, &x) in sums.iter_mut().zip(&large[from..]) {
                *sum += x.into();
            }
        },
    )
}

/// The same sums of the products of two large tensors.
pub(crate) fn sum_of_products<T: Real>(view: View, a: &[T], b: &[T]) -> Vec<T> {
    let (a, b) = (&a[..view.large()], &b[..view.large()]);
    reduce(
        view,
        #[inline(always)]
        |at| a[at].into() * b[at].into(),
        #[inline(always)]
        |from, sums| {
            for ((sum, &x), &y) in sums.iter_mut().zip(&a[from..]).zip(&b[from..]) {
                *sum += x.into() * y.into();
            }
        },
    )
}

/// Independent partial sums, so that the compiler can use wide registers.
const LANES: usize = 16;

fn combine<T: Real>(view: View, large: &[T], small: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let View { outer, channel, inner, .. } = view;
    let n = view.large();
    assert!(large.len() == n && small.len() == view.small(), "tensors that do not fit their view");
    let mut out = Vec::with_capacity(n);
    let row = (channel * inner).max(1);
    // Rows that a block holds: of one repetition where there are several.
    let rows = if view.repeat > 1 { outer } else { SERIAL.div_ceil(row) };
    let block = |i: usize, out: &mut [MaybeUninit<T>], large: &[T]| {
        let small = if view.repeat > 1 { &small[i * channel..][..channel] } else { &small[..channel] };
        vectorised(
            #[inline(always)]
            || {
                for (out, large) in out.chunks_exact_mut(row).zip(large.chunks_exact(row)) {
                    if inner == 1 {
                        for ((o, &x), &s) in out.iter_mut().zip(large).zip(small) {
                            o.write(f(x, s));
                        }
                    } else {
                        let runs = out.chunks_exact_mut(inner).zip(large.chunks_exact(inner));
                        for ((o, x), &s) in runs.zip(small) {
                            for (o, &x) in o.iter_mut().zip(x) {
                                o.write(f(x, s));
                            }
                        }
                    }
                }
            },
        );
    };
    let size = (rows * row).max(1);
    let spare = &mut out.spare_capacity_mut()[..n];
    if n < SERIAL {
        spare.chunks_mut(size).zip(large.chunks(size)).enumerate().for_each(|(i, (o, x))| block(i, o, x));
    } else {
        spare
            .par_chunks_mut(size)
            .zip(large.par_chunks(size))
            .enumerate()
            .for_each(|(i, (o, x))| block(i, o, x));
    }
    // SAFETY: the blocks cover all n entries, and every row of a block is written in full.
    unsafe { out.set_len(n) };
    out
}

/// Sums of what `entry` says; `add_row` adds it for as many neighbours as there are sums.
fn reduce<T: Real>(
    view: View,
    entry: impl Fn(usize) -> f64 + Sync,
    add_row: impl Fn(usize, &mut [f64]) + Sync,
) -> Vec<T> {
    let View { repeat, outer, channel, inner } = view;
    if inner == 1 {
        return columns(view, &add_row);
    }
    let total = |i: usize| {
        let first = i / channel * outer * channel + i % channel;
        T::round_from(vectorised(
            #[inline(always)]
            || {
                (0..outer)
                    .map(
                        #[inline(always)]
                        |o| run(&entry, (first + o * channel) * inner, inner),
                    )
                    .sum::<f64>()
            },
        ))
    };
    if view.large() < SERIAL {
        (0..repeat * channel).map(total).collect()
    } else {
        (0..repeat * channel).into_par_iter().map(total).collect()
    }
}

#[inline(always)]
fn run(entry: impl Fn(usize) -> f64, from: usize, length: usize) -> f64 {
    let mut lanes = [0.0; LANES];
    let whole = length / LANES * LANES;
    for start in (from..from + whole).step_by(LANES) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane += entry(start + l);
        }
    }
    lanes.iter().sum::<f64>() + (from + whole..from + length).map(&entry).sum::<f64>()
}

/// Sums of columns: whole rows are added up, a block of them at a time.
fn columns<T: Real>(view: View, add_row: &(impl Fn(usize, &mut [f64]) + Sync)) -> Vec<T> {
    let View { repeat, outer, channel, .. } = view;
    let rows = SERIAL.div_ceil(channel.max(1)).max(1);
    let partial = |first: usize, rows: usize| {
        let mut sums = vec![0.0; channel];
        vectorised(
            #[inline(always)]
            || {
                for row in first..first + rows {
                    add_row(row * channel, &mut sums);
                }
            },
        );
        sums
    };
    let mut out = Vec::with_capacity(view.small());
    for repetition in 0..repeat {
        let starts: Vec<usize> = (0..outer).step_by(rows).collect();
        let block = |&start: &usize| partial(repetition * outer + start, rows.min(outer - start));
        let parts: Vec<_> = if starts.len() > 1 {
            starts.par_iter().map(block).collect()
        } else {
            starts.iter().map(block).collect()
        };
        let mut sums = vec![0.0; channel];
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        out.extend(sums.into_iter().map(T::round_from));
    }
    out
}
