//! Several entry-by-entry operations in one pass over memory: a block that stays in the first cache goes through all of
//! them.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::Arc;

use super::channels::View;
use super::scratch::with_buffer;
use super::{Real, vectorised};
use crate::rule::Elementwise;

/// Entries of a block: few enough that the results of all steps stay in the first cache.
const BLOCK: usize = 1024;
/// Blocks that a thread takes at once.
const BLOCKS: usize = 32;

/// What a step reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand {
    /// One of the given tensors.
    Given(usize),
    /// The result of an earlier step.
    Step(usize),
}

/// An operation on every entry.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// a + b.
    Sum([Operand; 2]),
    /// a - b.
    Difference([Operand; 2]),
    /// a * b.
    Product([Operand; 2]),
    /// A fixed factor times a.
    Scale(Operand, f64),
    /// f(a).
    Map(Operand, Arc<dyn Elementwise>),
}

/// A given tensor: all its entries, or a smaller one that is repeated.
pub(crate) enum Given<'a, T> {
    Whole(&'a [T]),
    Repeated(View, &'a [T]),
}

/// How a block reads a given tensor.
enum Source<'a, T> {
    Whole(&'a [T]),
    /// Repeated so often that every block is a slice; with the period.
    Periodic(Vec<T>, usize),
    Repeated(View, &'a [T]),
}

impl<'a, T: Real> Source<'a, T> {
    fn of(given: &Given<'a, T>) -> Self {
        match *given {
            Given::Whole(entries) => Self::Whole(entries),
            Given::Repeated(view, small) if view.is_periodic() && small.len() <= BLOCK => {
                Self::Periodic(small.iter().copied().cycle().take(BLOCK + small.len()).collect(), small.len())
            }
            Given::Repeated(view, small) => Self::Repeated(view, small),
        }
    }

    /// The entries of a block, in `room` where they have to be put together.
    fn block<'b>(&'b self, start: usize, room: &'b mut [T]) -> &'b [T] {
        match self {
            Self::Whole(entries) => &entries[start..start + room.len()],
            Self::Periodic(entries, period) => &entries[start % period..][..room.len()],
            Self::Repeated(view, small) => {
                view.repeat(small, start, room);
                room
            }
        }
    }
}

/// The last step's result for all `n` entries. Digits are those of the steps one after the other.
pub(crate) fn run<T: Real>(steps: &[Step], given: &[Given<'_, T>], n: usize) -> Vec<T> {
    let sources: Vec<Source<'_, T>> = given.iter().map(Source::of).collect();
    let mut out = Vec::with_capacity(n);
    let share = BLOCK * BLOCKS;
    let piece = |(nth, out): (usize, &mut [MaybeUninit<T>])| {
        with_buffer(BLOCK * (steps.len() + sources.len()), |rooms| {
            for (i, out) in out.chunks_mut(BLOCK).enumerate() {
                let result = block(steps, &sources, nth * share + i * BLOCK, out.len(), rooms);
                out.iter_mut().zip(result).for_each(|(o, &x)| {
                    o.write(x);
                });
            }
        });
    };
    let spare = &mut out.spare_capacity_mut()[..n];
    if n <= share {
        piece((0, spare));
    } else {
        spare.par_chunks_mut(share).enumerate().for_each(piece);
    }
    // SAFETY: the pieces cover all n entries, and each writes its blocks in full.
    unsafe { out.set_len(n) };
    out
}

/// Runs all steps on the entries from `start` on.
fn block<'r, T: Real>(
    steps: &[Step],
    sources: &[Source<'_, T>],
    start: usize,
    length: usize,
    rooms: &'r mut [T],
) -> &'r [T] {
    let (rooms, results) = rooms.split_at_mut(BLOCK * sources.len());
    let given: Vec<&[T]> = (sources.iter().zip(rooms.chunks_mut(BLOCK)))
        .map(|(source, room)| source.block(start, &mut room[..length]))
        .collect();
    for (i, step) in steps.iter().enumerate() {
        let (earlier, now) = results.split_at_mut(i * BLOCK);
        let read = |operand: Operand| match operand {
            Operand::Given(nth) => given[nth],
            Operand::Step(nth) => &earlier[nth * BLOCK..][..length],
        };
        let out = &mut now[..length];
        match step {
            Step::Sum([a, b]) => combine(out, read(*a), read(*b), |a, b| a + b),
            Step::Difference([a, b]) => combine(out, read(*a), read(*b), |a, b| a - b),
            Step::Product([a, b]) => combine(out, read(*a), read(*b), |a, b| a * b),
            Step::Scale(x, factor) => {
                let (x, factor) = (read(*x), T::round_from(*factor));
                vectorised(
                    #[inline(always)]
                    || out.iter_mut().zip(x).for_each(|(o, &x)| *o = factor * x),
                );
            }
            Step::Map(x, rule) => T::map(rule.as_ref(), read(*x), out),
        }
    }
    &results[(steps.len() - 1) * BLOCK..][..length]
}

#[inline(always)]
fn combine<T: Real>(out: &mut [T], a: &[T], b: &[T], f: impl Fn(T, T) -> T) {
    vectorised(
        #[inline(always)]
        || out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = f(a, b)),
    );
}
