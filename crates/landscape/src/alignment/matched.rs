//! The similarity of two networks as a function of the permutations of one.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use relief_autodiff::{PermutationGroup, PermutedAxis};
use relief_hessian::{Error, Parameters, Result};

use crate::assignment::best_assignment;
use crate::direction::check_one_network;

/// An improvement must exceed this share of the norms that meet in it.
const TOLERANCE: f64 = 1e-12;

/// Two networks, and the groups of units that can be permuted.
pub(super) struct Matched<'a> {
    tensors: Vec<Pair<'a>>,
    sizes: Vec<usize>,
}

/// One tensor of both networks.
struct Pair<'a> {
    dims: Vec<usize>,
    a: Vec<f64>,
    b: Vec<f64>,
    moves: Vec<Move<'a>>,
}

/// One of the groups whose units lie along an axis of a tensor.
struct Move<'a> {
    group: usize,
    member: &'a PermutedAxis,
}

impl<'a> Matched<'a> {
    pub(super) fn new(a: &Parameters, b: &Parameters, groups: &'a [PermutationGroup]) -> Result<Self> {
        check_one_network(a, b)?;
        let (flat_a, flat_b) = (a.to_vec()?, b.to_vec()?);
        let mut tensors = vec![];
        for ((name, range), tensor) in a.ranges().into_iter().zip(a.tensors()) {
            let (a, b) = (flat_a[range.clone()].to_vec(), flat_b[range].to_vec());
            if let Some(entry) = a.iter().chain(&b).find(|entry| !entry.is_finite()) {
                return Err(Error::NonFinite(format!(
                    "an entry of `{name}` is {entry}: only networks of finite numbers can be matched"
                )));
            }
            let mut pair = Pair { dims: tensor.dims().to_vec(), a, b, moves: vec![] };
            for (group, PermutationGroup { size, members }) in groups.iter().enumerate() {
                for member in members.iter().filter(|member| member.tensor == name) {
                    check(member, *size, &pair.dims)?;
                    pair.moves.push(Move { group, member });
                }
            }
            tensors.push(pair);
        }
        Ok(Self { tensors, sizes: groups.iter().map(|group| group.size).collect() })
    }

    /// Every unit in its own place.
    pub(super) fn identity(&self) -> Vec<Vec<usize>> {
        self.sizes.iter().map(|&size| (0..size).collect()).collect()
    }

    /// The inner product of a and the permuted b.
    pub(super) fn similarity(&self, permutations: &[Vec<usize>]) -> f64 {
        self.over(|_| true, |pair| pair.similarity(permutations))
    }

    /// The distance between a and the permuted b.
    pub(super) fn distance(&self, permutations: &[Vec<usize>]) -> f64 {
        let square = |pair: &Pair| {
            let b = pair.permuted(permutations, None);
            pair.a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        self.over(|_| true, square).sqrt()
    }

    /// Whether a tensor has units of this group, and of no other that is not placed.
    pub(super) fn touches(&self, group: usize, placed: &[bool]) -> bool {
        self.tensors.iter().any(|pair| pair.moves.iter().any(|m| m.group == group && pair.sees(m, placed)))
    }

    /// The best permutation of one group while all others are held, if it is better than the one at hand.
    pub(super) fn improved(&self, group: usize, permutations: &[Vec<usize>]) -> Result<Option<Vec<usize>>> {
        let mut changed = permutations.to_vec();
        changed[group] = self.matched(group, permutations, None)?;
        let touched = move |pair: &Pair| pair.moves.iter().any(|m| m.group == group);
        // Measured again rather than read off the assignment: a tensor with two axes of one group is quadratic in it.
        let before = self.over(touched, |pair| pair.similarity(permutations));
        let after = self.over(touched, |pair| pair.similarity(&changed));
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let (a, b) = (self.over(touched, |pair| square(&pair.a)), self.over(touched, |pair| square(&pair.b)));
        let scale = (a * b).sqrt();
        Ok((after - before > TOLERANCE * scale).then(|| changed.swap_remove(group)))
    }

    /// The permutation of one group that is best while all others are held, and its own as well on other axes of a
    /// tensor; with `placed`, by those tensors only whose other groups are placed.
    pub(super) fn matched(
        &self,
        group: usize,
        permutations: &[Vec<usize>],
        placed: Option<&[bool]>,
    ) -> Result<Vec<usize>> {
        let size = self.sizes[group];
        let anywhere = placed.is_none_or(|placed| !self.touches(group, placed));
        let places: Vec<(&Pair, usize)> = self
            .tensors
            .iter()
            .flat_map(|pair| (0..pair.moves.len()).map(move |nth| (pair, nth)))
            .filter(|(pair, nth)| {
                let this = &pair.moves[*nth];
                this.group == group && (anywhere || placed.is_none_or(|placed| pair.sees(this, placed)))
            })
            .collect();
        // Side by side, and added in their order.
        let parts: Vec<Vec<f64>> =
            places.par_iter().map(|(pair, nth)| pair.scores(*nth, permutations)).collect();
        let mut scores = vec![0.0; size * size];
        for part in parts {
            scores.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        best_assignment(&scores, size)
    }

    fn over(&self, which: impl Fn(&Pair) -> bool + Sync, measure: impl Fn(&Pair) -> f64 + Sync) -> f64 {
        let parts: Vec<f64> =
            self.tensors.par_iter().map(|pair| if which(pair) { measure(pair) } else { 0.0 }).collect();
        parts.into_iter().sum()
    }
}

impl Pair<'_> {
    /// Whether all groups but the one that moves are placed.
    fn sees(&self, this: &Move, placed: &[bool]) -> bool {
        self.moves.iter().all(|other| std::ptr::eq(other, this) || placed[other.group])
    }

    fn similarity(&self, permutations: &[Vec<usize>]) -> f64 {
        self.a.iter().zip(self.permuted(permutations, None)).map(|(a, b)| a * b).sum()
    }

    /// The tensor of b with its units permuted, but for one of the moves.
    fn permuted(&self, permutations: &[Vec<usize>], but: Option<usize>) -> Vec<f64> {
        let mut sources: Vec<Vec<usize>> = self.dims.iter().map(|&n| (0..n).collect()).collect();
        for (nth, Move { group, member }) in self.moves.iter().enumerate() {
            if but == Some(nth) {
                continue;
            }
            let along = &mut sources[member.axis];
            *along = member.sources(&permutations[*group]).into_iter().map(|i| along[i]).collect();
        }
        let Some((last, outer)) = sources.split_last() else { return self.b.clone() };
        // Where each row along the last axis begins.
        let mut starts = vec![0];
        for (sources, length) in outer.iter().zip(&self.dims) {
            starts =
                starts.iter().flat_map(|start| sources.iter().map(move |i| start * length + i)).collect();
        }
        starts.iter().flat_map(|start| last.iter().map(move |i| self.b[start * last.len() + i])).collect()
    }

    /// For each unit of a and each of b, the inner product of what belongs to them in this tensor.
    fn scores(&self, nth: usize, permutations: &[Vec<usize>]) -> Vec<f64> {
        let member = self.moves[nth].member;
        let (a, b) = (self.rows(member, &self.a), self.rows(member, &self.permuted(permutations, Some(nth))));
        let size = member.entries.len();
        let columns = a.len() / size;
        let mut scores = vec![0.0; size * size];
        matmul(
            MatMut::from_row_major_slice_mut(&mut scores, size, size),
            Accum::Replace,
            MatRef::from_row_major_slice(&a, size, columns),
            MatRef::from_row_major_slice(&b, size, columns).transpose(),
            1.0,
            Par::Seq,
        );
        scores
    }

    /// What belongs to each unit, one row a unit.
    fn rows(&self, member: &PermutedAxis, entries: &[f64]) -> Vec<f64> {
        let inner: usize = self.dims[member.axis + 1..].iter().product();
        let slab = member.length * inner;
        let mut rows = Vec::with_capacity(entries.len());
        for unit in &member.entries {
            for slab in entries.chunks_exact(slab) {
                unit.iter().for_each(|&i| rows.extend(&slab[i * inner..(i + 1) * inner]));
            }
        }
        rows
    }
}

/// Whether the units lie within the tensor, as many entries to each.
fn check(member: &PermutedAxis, size: usize, dims: &[usize]) -> Result<()> {
    let PermutedAxis { tensor, axis, length, entries } = member;
    let each = entries.first().map_or(0, Vec::len);
    let fits = dims.get(*axis) == Some(length)
        && entries.len() == size
        && each > 0
        && entries.iter().all(|unit| unit.len() == each && unit.iter().all(|i| i < length));
    if fits {
        return Ok(());
    }
    Err(Error::Input(format!(
        "a group of {size} units does not fit axis {axis} of `{tensor}`, whose shape is {dims:?}: take the groups of the \
         architecture that the tensors belong to"
    )))
}
