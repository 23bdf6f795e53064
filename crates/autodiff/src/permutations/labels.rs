//! Which axes must be permuted alike: a union-find over the units that axes run over.
//!
//! An axis is labelled with factors: their product is what it runs over, the last one fastest. A factor is a list of
//! units (neurons, channels), which it may share with other factors where axes were cut or joined. Where two axes turn
//! out to run over the same index their factors are united, after both have been split as finely as either is. What
//! cannot be matched is pinned: its units keep their places.

use std::collections::{BTreeMap, BTreeSet};

use crate::axes::{Axes, Axis, Index};

/// Position of a factor.
pub(super) type FactorId = usize;
/// The factors of one axis; none for an axis of length 1.
pub(super) type Label = Vec<FactorId>;

#[derive(Debug)]
struct Factor {
    length: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its units in their order. A rigid factor shares units with another one, and is not split.
    Units { units: Vec<usize>, rigid: bool },
    /// The same as another factor.
    Alias(FactorId),
    /// A product of two factors.
    Split([FactorId; 2]),
}

#[derive(Debug, Default)]
pub(super) struct Labels {
    factors: Vec<Factor>,
    /// Parents of the units' trees.
    parents: Vec<usize>,
    /// Of roots: whether they keep their places.
    pinned: Vec<bool>,
}

impl Labels {
    /// The label of an axis of which nothing is known yet, or of one that must not be permuted.
    pub(super) fn fresh(&mut self, length: usize, pinned: bool) -> Label {
        if length == 1 {
            return vec![];
        }
        let units = (0..length).map(|_| self.unit(pinned)).collect();
        vec![self.factor(units, false)]
    }

    /// Keeps everything along an axis in its place.
    pub(super) fn pin(&mut self, label: &[FactorId]) {
        for factor in self.leaves(label) {
            for unit in self.units(factor).to_vec() {
                let root = self.root(unit);
                self.pinned[root] = true;
            }
        }
    }

    /// The labels of an operation's result, given those of its arguments.
    pub(super) fn result(&mut self, axes: &Axes, arguments: &[&[Label]]) -> Vec<Label> {
        let mut bound: BTreeMap<usize, Label> = BTreeMap::new();
        for (axes, labels) in axes.arguments.iter().zip(arguments) {
            for (axis, label) in axes.iter().zip(*labels) {
                let (indices, parts) = match axis {
                    Axis::Product(indices) => (indices, self.factored(label, indices)),
                    Axis::Sum(indices) => (indices, self.cut(label, indices)),
                };
                for (index, part) in indices.iter().zip(parts) {
                    if index.ordered {
                        self.pin(&part);
                    }
                    match bound.get(&index.name) {
                        Some(known) => self.unite(&known.clone(), &part),
                        None => _ = bound.insert(index.name, part),
                    }
                }
            }
        }
        let mut of = |labels: &mut Self, index: &Index| -> Label {
            let label = bound.entry(index.name).or_insert_with(|| labels.fresh(index.length, index.ordered));
            if index.ordered {
                labels.pin(label);
            }
            label.clone()
        };
        let axis = |axis: &Axis| match axis {
            Axis::Product(indices) => indices.iter().flat_map(|index| of(self, index)).collect(),
            Axis::Sum(indices) => {
                let parts: Vec<Label> = indices.iter().map(|index| of(self, index)).collect();
                self.joined(indices, &parts)
            }
        };
        axes.result.iter().map(axis).collect()
    }

    /// The factors that are neither split nor aliases.
    pub(super) fn leaves(&self, label: &[FactorId]) -> Label {
        let mut stack: Vec<FactorId> = label.iter().rev().copied().collect();
        std::iter::from_fn(|| self.next(&mut stack)).collect()
    }

    /// Number of units of a factor.
    pub(super) fn length(&self, factor: FactorId) -> usize {
        self.factors[factor].length
    }

    /// For each unit of a leaf, the class of units it can be exchanged with and its place there.
    pub(super) fn places(&self, factor: FactorId, classes: &Classes) -> Vec<Option<(usize, usize)>> {
        self.units(factor).iter().map(|&unit| classes.places.get(&self.root(unit)).copied()).collect()
    }

    /// Units that can be exchanged: those that occur in exactly the same factors of these axes and are not pinned.
    pub(super) fn classes<'a>(&self, axes: impl Iterator<Item = &'a Label>) -> Classes {
        let factors: BTreeSet<FactorId> = axes.flat_map(|label| self.leaves(label)).collect();
        let mut occurrences: BTreeMap<usize, Vec<FactorId>> = BTreeMap::new();
        for factor in factors {
            for &unit in self.units(factor) {
                occurrences.entry(self.root(unit)).or_default().push(factor);
            }
        }
        let mut known: BTreeMap<Vec<FactorId>, usize> = BTreeMap::new();
        let mut classes = Classes::default();
        for (root, factors) in occurrences {
            // A unit that occurs twice in one factor would move two entries, whose order nothing tells.
            if self.pinned[root] || factors.windows(2).any(|pair| pair[0] == pair[1]) {
                continue;
            }
            let next = known.len();
            let class = *known.entry(factors).or_insert(next);
            if class == next {
                classes.sizes.push(0);
            }
            classes.places.insert(root, (class, classes.sizes[class]));
            classes.sizes[class] += 1;
        }
        classes
    }

    fn unit(&mut self, pinned: bool) -> usize {
        self.parents.push(self.parents.len());
        self.pinned.push(pinned);
        self.parents.len() - 1
    }

    fn factor(&mut self, units: Vec<usize>, rigid: bool) -> FactorId {
        self.factors.push(Factor { length: units.len(), state: State::Units { units, rigid } });
        self.factors.len() - 1
    }

    /// The units of a leaf; none of any other factor.
    fn units(&self, factor: FactorId) -> &[usize] {
        match &self.factors[factor].state {
            State::Units { units, .. } => units,
            _ => &[],
        }
    }

    fn root(&self, mut unit: usize) -> usize {
        while self.parents[unit] != unit {
            unit = self.parents[unit];
        }
        unit
    }

    /// Takes the next leaf from a stack of factors.
    fn next(&self, stack: &mut Vec<FactorId>) -> Option<FactorId> {
        loop {
            let factor = stack.pop()?;
            match self.factors[factor].state {
                State::Units { .. } => return Some(factor),
                State::Alias(other) => stack.push(other),
                State::Split([first, rest]) => stack.extend([rest, first]),
            }
        }
    }

    /// Says that two axes run over the same index.
    fn unite(&mut self, a: &[FactorId], b: &[FactorId]) {
        let mut stacks = [a, b].map(|label| label.iter().rev().copied().collect::<Vec<_>>());
        while let (Some(x), Some(y)) = (self.next(&mut stacks[0]), self.next(&mut stacks[1])) {
            let (n, m) = (self.length(x), self.length(y));
            if x == y {
                continue;
            }
            if n == m {
                self.merge(x, y);
            } else if (n > m && self.split(x, m)) || (m > n && self.split(y, n)) {
                stacks[0].push(x);
                stacks[1].push(y);
            } else {
                let left: Label = stacks.concat().into_iter().chain([x, y]).collect();
                self.pin(&left);
                return;
            }
        }
    }

    /// Makes one factor of two leaves of one length.
    fn merge(&mut self, x: FactorId, y: FactorId) {
        let (first, second) = (self.units(x).to_vec(), self.units(y).to_vec());
        for (&a, &b) in first.iter().zip(&second) {
            let (a, b) = (self.root(a), self.root(b));
            // The smaller number wins, so that the order of units is that of their first appearance.
            let (low, high) = (a.min(b), a.max(b));
            self.parents[high] = low;
            self.pinned[low] |= self.pinned[high];
        }
        let stiff = self.is_rigid(x) || self.is_rigid(y);
        self.factors[x].state = State::Units { units: first, rigid: stiff };
        self.factors[y].state = State::Alias(x);
    }

    fn is_rigid(&self, factor: FactorId) -> bool {
        matches!(self.factors[factor].state, State::Units { rigid: true, .. })
    }

    /// Splits a leaf into a factor of the given length and the rest. A factor that cannot be split is pinned.
    fn split(&mut self, factor: FactorId, first: usize) -> bool {
        let length = self.length(factor);
        if !length.is_multiple_of(first) || self.is_rigid(factor) {
            self.pin(&[factor]);
            return false;
        }
        let pinned = self.units(factor).iter().any(|&unit| self.pinned[self.root(unit)]);
        let parts = [first, length / first].map(|n| self.fresh(n, pinned)[0]);
        self.factors[factor].state = State::Split(parts);
        true
    }

    /// The factors that belong to each index of a product; pinned where they do not nest.
    fn factored(&mut self, label: &[FactorId], indices: &[Index]) -> Vec<Label> {
        let mut stack: Vec<FactorId> = label.iter().rev().copied().collect();
        let mut parts = vec![];
        for index in indices {
            let (mut part, mut left) = (vec![], index.length);
            while left > 1 {
                let Some(factor) = self.next(&mut stack) else { break };
                let length = self.length(factor);
                if left % length == 0 {
                    part.push(factor);
                    left /= length;
                } else if length > left && self.split(factor, left) {
                    stack.push(factor);
                } else {
                    self.pin(label);
                    return indices.iter().map(|index| self.fresh(index.length, true)).collect();
                }
            }
            parts.push(part);
        }
        parts
    }

    /// The pieces of an axis that runs over one index after the other; pinned where its factors are not cut as wholes.
    fn cut(&mut self, label: &[FactorId], indices: &[Index]) -> Vec<Label> {
        let leaves = self.leaves(label);
        let inner: usize = leaves.iter().skip(1).map(|&factor| self.length(factor)).product();
        let (Some(&outer), true) = (leaves.first(), indices.iter().all(|index| index.length % inner == 0))
        else {
            self.pin(label);
            return indices.iter().map(|index| self.fresh(index.length, true)).collect();
        };
        let units = self.units(outer).to_vec();
        self.factors[outer].state = State::Units { units: units.clone(), rigid: true };
        let mut start = 0;
        let piece = |index: &Index| {
            let length = index.length / inner;
            let units = units[start..start + length].to_vec();
            start += length;
            let factor = self.factor(units, true);
            if length == 1 {
                // Where there is one value there is no axis to tell it apart by: it must not be exchanged.
                self.pin(&[factor]);
                return leaves[1..].to_vec();
            }
            [factor].into_iter().chain(leaves[1..].iter().copied()).collect()
        };
        indices.iter().map(piece).collect()
    }

    /// An axis that runs over one index after the other; pinned where they are products.
    fn joined(&mut self, indices: &[Index], parts: &[Label]) -> Label {
        let mut units = vec![];
        for (index, part) in indices.iter().zip(parts) {
            match self.leaves(part).as_slice() {
                &[factor] => {
                    let own = self.units(factor).to_vec();
                    units.extend(&own);
                    self.factors[factor].state = State::Units { units: own, rigid: true };
                }
                several => {
                    self.pin(several);
                    units.extend((0..index.length).map(|_| self.unit(true)).collect::<Vec<_>>());
                }
            }
        }
        vec![self.factor(units, true)]
    }
}

/// Classes of units that can be exchanged.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Units of each class.
    pub(super) sizes: Vec<usize>,
    /// For the root of each unit, its class and its place there.
    places: BTreeMap<usize, (usize, usize)>,
}
