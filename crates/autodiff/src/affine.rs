//! A loss on an affine subspace of parameter space: what of a network is affine in the coordinates, and the rest.
//!
//! On the points theta + `sum_k` `c_k` `d_k` the first layer of a network is `z_0` + `sum_k` `c_k` `z_k` for a fixed batch, with
//! `z_0` its values at theta and `z_k` what it makes of `d_k` without its constants. So is all that linear operations make of
//! affine values, and bilinear ones of an affine value and one that is the same everywhere. Where it saves time, these values
//! are computed once, and a point evaluates only the rest of the graph.

mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Result;
use crate::graph::{Graph, Id, Kind};

pub use kept::KeptValues;

/// Multiply-adds that take as long as reading a kept number and adding it to a sum.
pub const NUMBER_COST: usize = 16;

/// How a tensor depends on the coordinates of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Motion {
    /// It is the same at every point.
    Fixed,
    /// It is affine in some of the coordinates, given by their places.
    Affine(BTreeSet<usize>),
    /// In any other way.
    Free,
}

impl Motion {
    /// Values that are kept of such a tensor: at the origin, and along every direction that moves it.
    fn values(&self) -> usize {
        1 + self.directions().count()
    }

    /// Places of the coordinates in which it is affine.
    fn directions(&self) -> impl Iterator<Item = usize> {
        let all = if let Self::Affine(places) = self { Some(places) } else { None };
        all.into_iter().flatten().copied()
    }
}

/// A graph on an affine subspace: what is kept of it, and what every point evaluates.
#[derive(Debug)]
pub struct AffineGraph {
    whole: Arc<Graph>,
    /// Reads the batch's tensors, then the kept nodes' values at a point.
    rest: Graph,
    kept: Vec<Id>,
    /// How every node's value depends on the coordinates.
    motions: Vec<Motion>,
    cost: AffineCost,
}

/// Counted work, of one batch. Numbers are counted as the multiply-adds that they take as long as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AffineCost {
    /// Multiply-adds of an evaluation of the whole graph.
    pub whole: usize,
    /// Multiply-adds of what is left of it, for every point.
    pub rest: usize,
    /// Kept numbers that are read and added for every point.
    pub numbers: usize,
    /// Multiply-adds that the kept values take, once.
    pub once: usize,
    /// Numbers that are kept.
    pub entries: usize,
}

impl AffineCost {
    /// Multiply-adds of a point, with those that its numbers stand for.
    pub fn point(&self) -> usize {
        self.rest + NUMBER_COST * self.numbers
    }

    /// Whether it pays for so many points: a tenth or more of a point's work, and in all more than the kept values cost.
    pub fn pays(&self, points: usize) -> bool {
        10 * self.point() <= 9 * self.whole && points * (self.whole - self.point()) > self.once
    }
}

impl std::ops::AddAssign for AffineCost {
    fn add_assign(&mut self, other: Self) {
        self.whole += other.whole;
        self.rest += other.rest;
        self.numbers += other.numbers;
        self.once += other.once;
        self.entries += other.entries;
    }
}

impl Graph {
    /// The graph on an affine subspace, given how every named tensor moves on it: keeps the last values that are affine in
    /// the coordinates, where reading them is less work than computing them.
    ///
    /// `number` is how many multiply-adds a number that is read and added counts for: [`NUMBER_COST`], or 0 to keep
    /// whatever is affine.
    pub fn on_affine(
        self: &Arc<Self>,
        motion: &dyn Fn(&str) -> Motion,
        number: usize,
    ) -> Result<AffineGraph> {
        let motions = self.motions(motion);
        let kept = self.chosen(&motions, number);
        let mut read = vec![false; self.nodes.len()];
        self.mark(self.loss, &kept, &mut read);
        self.mark(self.outputs, &kept, &mut read);
        let kept: Vec<Id> = (0..read.len()).filter(|&id| kept[id] && read[id]).collect();
        let mut once = vec![false; self.nodes.len()];
        let (mut cost, all) = (AffineCost::default(), vec![false; self.nodes.len()]);
        for &id in &kept {
            self.mark(id, &all, &mut once);
            cost.entries += self.entries(id) * motions[id].values();
            cost.numbers += self.numbers(id, &motions);
        }
        for id in 0..self.nodes.len() {
            let work = self.multiplications(id);
            cost.whole += work;
            cost.rest += if read[id] && !kept.contains(&id) { work } else { 0 };
            cost.once += if once[id] { motions[id].values() * work } else { 0 };
        }
        let rest = self.rest(&read, &kept)?;
        Ok(AffineGraph { whole: self.clone(), rest, kept, motions, cost })
    }

    /// The nodes to keep: the last ones of those that are affine and less work to read than to compute, each given the ones
    /// before it.
    fn chosen(&self, motions: &[Motion], number: usize) -> Vec<bool> {
        let pays = |id: Id, kept: &[bool]| {
            let mut computed = vec![false; self.nodes.len()];
            self.mark(id, kept, &mut computed);
            let work: usize =
                (0..=id).filter(|&a| computed[a] && !kept[a]).map(|a| self.multiplications(a)).sum();
            motions[id] != Motion::Free && work > number * self.numbers(id, motions)
        };
        let (mut candidates, none) = (vec![], vec![false; self.nodes.len()]);
        let mut read = none.clone();
        (read[self.loss], read[self.outputs]) = (true, true);
        for id in (0..self.nodes.len()).rev().filter(|&id| self.multiplications(id) > 0) {
            if read[id] && pays(id, &none) {
                candidates.push(id);
            } else if read[id] {
                self.nodes[id].kind.arguments().into_iter().for_each(|a| read[a] = true);
            }
        }
        let mut kept = none;
        for id in candidates.into_iter().rev() {
            kept[id] = pays(id, &kept);
        }
        kept
    }

    /// How every node's value depends on the coordinates.
    fn motions(&self, motion: &dyn Fn(&str) -> Motion) -> Vec<Motion> {
        let mut motions: Vec<Motion> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let arguments = node.kind.arguments();
            let fixed = arguments.iter().all(|&a| motions[a] == Motion::Fixed);
            let found = match &node.kind {
                Kind::Named(name) => match motion(name) {
                    Motion::Affine(terms) if terms.is_empty() => Motion::Fixed,
                    other => other,
                },
                _ if fixed => Motion::Fixed,
                Kind::Linear(rule, _) if !rule.chooses() => together(&motions, &arguments),
                Kind::Bilinear(_, a, b) if motions[*a] == Motion::Fixed || motions[*b] == Motion::Fixed => {
                    together(&motions, &[*a, *b])
                }
                _ => Motion::Free,
            };
            motions.push(found);
        }
        motions
    }

    /// Marks a node and all that it is computed from, as far as the nodes that are kept.
    fn mark(&self, id: Id, kept: &[bool], marked: &mut [bool]) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut marked[id], true) && !kept[id] {
                open.extend(self.nodes[id].kind.arguments());
            }
        }
    }

    /// Numbers that are read for a node's value at a point.
    fn numbers(&self, id: Id, motions: &[Motion]) -> usize {
        if motions[id] == Motion::Fixed { 0 } else { self.entries(id) * motions[id].values() }
    }

    fn entries(&self, id: Id) -> usize {
        self.nodes[id].shape.iter().product()
    }

    /// Multiply-adds of a node; what is not bilinear counts one for every entry.
    fn multiplications(&self, id: Id) -> usize {
        let shape = |id: Id| self.nodes[id].shape.as_slice();
        match &self.nodes[id].kind {
            Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) => 0,
            Kind::Bilinear(rule, a, b) => rule.multiplications([shape(*a), shape(*b)], shape(id)),
            _ => self.entries(id),
        }
    }

    /// The nodes that are read, where those that are kept are given with the batch.
    fn rest(&self, read: &[bool], kept: &[Id]) -> Result<Self> {
        let mut places = vec![0; self.nodes.len()];
        let mut kinds = vec![];
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| read[*id]) {
            places[id] = kinds.len();
            let kind = match kept.iter().position(|&k| k == id) {
                Some(nth) => Kind::Input(self.inputs + nth),
                None => node.kind.with_arguments(|a| places[a]),
            };
            kinds.push((kind, node.shape.clone()));
        }
        let trainable = |name: &str| self.parameters.iter().any(|(known, _)| known == name);
        Self::new(kinds, self.inputs, places[self.outputs], places[self.loss], &trainable)
    }
}

/// How a sum of values moves.
fn together(motions: &[Motion], ids: &[Id]) -> Motion {
    let mut all = BTreeSet::new();
    for &id in ids {
        match &motions[id] {
            Motion::Fixed => {}
            Motion::Affine(terms) => all.extend(terms),
            Motion::Free => return Motion::Free,
        }
    }
    Motion::Affine(all)
}

impl AffineGraph {
    /// What it costs.
    pub fn cost(&self) -> AffineCost {
        self.cost
    }

    /// Names of the parameters that a point must be given (sorted): those that only kept values read are not among them.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.rest.parameter_names()
    }
}
