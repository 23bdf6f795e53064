//! Pushing components forward: tangents of every node.

use candle_core::Tensor;

use crate::Result;
use crate::graph::{Id, Kind};
use crate::jet::{Bends, Component, Jet};
use crate::linearize::Linearized;
use crate::pointwise::{add, map, sum_of_products};
use crate::product::Direction;

impl Linearized {
    /// Tangents of every node up to `last`; only those that [`pull_back`](Self::pull_back) reads are left.
    pub(crate) fn push_forward(
        &self,
        seeds: &[Option<&Direction>],
        components: &[Component],
        last: Id,
        bends: Bends,
    ) -> Result<Vec<Jet>> {
        let graph = &self.graph;
        let keeps = |a: Id| graph.nodes[a].keeps_tangent && bends.reads_tangent(a);
        let mut tangents: Vec<Jet> = vec![vec![]; graph.nodes.len()];
        for seed in seeds.iter().flatten() {
            self.check_direction(seed)?;
        }
        for (position, (_, id)) in graph.parameters.iter().enumerate() {
            tangents[*id] = seeds
                .iter()
                .map(|seed| seed.map(|s| self.place(&s[position])).transpose())
                .collect::<Result<_, _>>()?;
        }
        for (id, node) in graph.nodes.iter().enumerate().take(last + 1) {
            if node.active && !matches!(node.kind, Kind::Named(_)) {
                let jet = (0..components.len())
                    .map(|c| self.tangent(id, c, components[c], &tangents))
                    .collect::<Result<Jet>>()?;
                tangents[id] = jet;
            }
            for a in node.kind.arguments() {
                let read = graph.nodes[a].last_reader == id && a != graph.outputs;
                if read && !keeps(a) {
                    tangents[a] = vec![];
                }
            }
        }
        Ok(tangents)
    }

    fn tangent(&self, id: Id, c: usize, component: Component, tangents: &[Jet]) -> Result<Option<Tensor>> {
        let of = |a: Id, c: usize| tangents[a].get(c).and_then(Option::as_ref);
        match &self.graph.nodes[id].kind {
            Kind::Linear(rule, arguments) => {
                let values: Vec<_> = arguments.iter().map(|&a| of(a, c)).collect();
                if values.iter().all(Option::is_none) {
                    return Ok(None);
                }
                rule.apply(&values, self.kept[id].fixed.as_ref()).map(Some)
            }
            Kind::Bilinear(rule, a, b) => {
                let mut pairs = vec![];
                if let Some(a) = of(*a, c) {
                    pairs.push((a, self.value(*b)?));
                }
                if let Some(b) = of(*b, c) {
                    pairs.push((self.value(*a)?, b));
                }
                if let Component::Mixed(u, v) = component {
                    for (u, v) in [(u, v), (v, u)] {
                        pairs.extend(of(*a, u).zip(of(*b, v)));
                    }
                }
                if pairs.is_empty() { Ok(None) } else { rule.apply(&pairs).map(Some) }
            }
            Kind::Elementwise(rule, x) => {
                let kept = &self.kept[id];
                let mut sum = None;
                if let Some((slope, x)) = kept.slope.as_ref().zip(of(*x, c)) {
                    sum = Some(sum_of_products(&[(slope, x)])?);
                }
                if let Component::Mixed(u, v) = component
                    && rule.is_curved()
                    && let Some((u, v)) = of(*x, u).zip(of(*x, v))
                {
                    let second = map(rule.as_ref(), 2, self.point(id)?)?;
                    add(&mut sum, sum_of_products(&[(&second, &sum_of_products(&[(u, v)])?)])?)?;
                }
                Ok(sum)
            }
            Kind::RowWise(rule, arguments) => {
                let x = arguments[0];
                let first = of(x, c).map(|x| vec![x]);
                let second = match component {
                    Component::Mixed(u, v) => of(x, u).zip(of(x, v)).map(|(u, v)| vec![u, v]),
                    Component::First => None,
                };
                let terms: Vec<_> = first.iter().chain(&second).map(Vec::as_slice).collect();
                if terms.is_empty() {
                    return Ok(None);
                }
                rule.tangent(&self.kept[id].rows, &terms).map(Some)
            }
            Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => Ok(None),
        }
    }
}
