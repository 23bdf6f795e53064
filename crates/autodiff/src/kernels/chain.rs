//! Several entry-by-entry operations in one pass over memory: a block that stays in the first cache goes through all of
//! them.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;
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
    /// What a kernel hands over piece by piece.
    Piece,
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

/// Steps with what they read, ready to run on any part of the entries. Digits are those of the steps one after the other.
pub(crate) struct Program<'a, T> {
    steps: &'a [Step],
    sources: Vec<Source<'a, T>>,
}

impl<'a, T: Real> Program<'a, T> {
    pub(crate) fn new(steps: &'a [Step], given: &[Given<'a, T>]) -> Self {
        Self { steps, sources: given.iter().map(Source::of).collect() }
    }

    /// The last step's result for all `n` entries.
    pub(crate) fn run(&self, n: usize) -> Vec<T> {
        let share = BLOCK * BLOCKS;
        let pieces: Vec<Range<usize>> = (0..n).step_by(share).map(|at| at..(at + share).min(n)).collect();
        collect(&pieces, |nth, out| self.write(pieces[nth].start, &[], out))
    }

    /// Writes the result for the entries from `first` on, block by block; `piece` has them where a step reads it.
    fn write(&self, first: usize, piece: &[T], out: &mut [MaybeUninit<T>]) {
        with_buffer(BLOCK * (self.steps.len() + self.sources.len()), |rooms| {
            for (i, out) in out.chunks_mut(BLOCK).enumerate() {
                let piece = piece.get(i * BLOCK..i * BLOCK + out.len()).unwrap_or_default();
                let result = self.block(first + i * BLOCK, piece, out.len(), rooms);
                copy(result, out);
            }
        });
    }

    /// Runs all steps on the entries from `start` on.
    fn block<'r>(&self, start: usize, piece: &'r [T], length: usize, rooms: &'r mut [T]) -> &'r [T] {
        let (rooms, results) = rooms.split_at_mut(BLOCK * self.sources.len());
        let given: Vec<&[T]> = (self.sources.iter().zip(rooms.chunks_mut(BLOCK)))
            .map(|(source, room)| source.block(start, &mut room[..length]))
            .collect();
        for (i, step) in self.steps.iter().enumerate() {
            let (earlier, now) = results.split_at_mut(i * BLOCK);
            let read = |operand: Operand| match operand {
                Operand::Given(nth) => given[nth],
                Operand::Step(nth) => &earlier[nth * BLOCK..][..length],
                Operand::Piece => &piece[..length],
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
        &results[(self.steps.len() - 1) * BLOCK..][..length]
    }
}

/// What `after` makes of what `fill` writes, a piece of neighbouring entries at a time while it is in the cache; pieces
/// follow each other from 0 on.
pub(super) fn in_pieces<T: Real>(
    pieces: &[Range<usize>],
    after: Option<&Program<'_, T>>,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    collect(pieces, |nth, out| {
        with_buffer(out.len(), |piece| {
            fill(nth, piece);
            match after {
                Some(program) => program.write(pieces[nth].start, piece, out),
                None => copy(piece, out),
            }
        });
    })
}

/// All pieces' entries: `write` has to write every one of them.
fn collect<T: Real>(pieces: &[Range<usize>], write: impl Fn(usize, &mut [MaybeUninit<T>]) + Sync) -> Vec<T> {
    let n = pieces.last().map_or(0, |last| last.end);
    let mut out = Vec::with_capacity(n);
    let (mut rest, mut parts) = (&mut out.spare_capacity_mut()[..n], vec![]);
    for piece in pieces {
        assert!(piece.start == n - rest.len(), "pieces that do not follow each other");
        let (part, later) = rest.split_at_mut(piece.len());
        parts.push(part);
        rest = later;
    }
    if let [part] = &mut *parts {
        write(0, part);
    } else {
        parts.into_par_iter().enumerate().for_each(|(nth, part)| write(nth, part));
    }
    // SAFETY: the pieces follow each other from 0 to n, and both callers write theirs with `copy`, block by block in full.
    unsafe { out.set_len(n) };
    out
}

/// Writes every entry of `out`.
fn copy<T: Real>(from: &[T], out: &mut [MaybeUninit<T>]) {
    assert!(from.len() == out.len(), "a piece of another length");
    // By the kilobyte: the system's copy of more starts up slowly.
    for (out, from) in out.chunks_mut(256).zip(from.chunks(256)) {
        out.iter_mut().zip(from).for_each(|(o, &x)| {
            o.write(x);
        });
    }
}

#[inline(always)]
fn combine<T: Real>(out: &mut [T], a: &[T], b: &[T], f: impl Fn(T, T) -> T) {
    vectorised(
        #[inline(always)]
        || out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = f(a, b)),
    );
}
