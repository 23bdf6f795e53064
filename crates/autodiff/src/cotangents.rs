//! Pulling components back: cotangents of every node, down to the parameters.

use candle_core::Tensor;

use crate::Result;
use crate::graph::{Id, Kind};
use crate::jet::{Bends, Component, Jet};
use crate::linearize::Linearized;
use crate::pointwise::{add, map, sum_of_products};
use crate::product::Direction;

impl Linearized {
    /// Pulls cotangent components back from node `start` to the parameters.
    pub(crate) fn pull_back(
        &self,
        mut tangents: Vec<Jet>,
        start: Id,
        seed: Jet,
        components: &[Component],
        bends: Bends,
    ) -> Result<Vec<Direction>> {
        let graph = &self.graph;
        let mut cotangents: Vec<Jet> = vec![vec![None; components.len()]; graph.nodes.len()];
        cotangents[start] = seed;
        for id in (0..=start).rev() {
            let node = &graph.nodes[id];
            if !node.active || matches!(node.kind, Kind::Named(_)) {
                continue;
            }
            let g = std::mem::take(&mut cotangents[id]);
            for (c, component) in components.iter().enumerate() {
                self.pull_back_component(id, c, *component, &g, &tangents, bends, &mut cotangents)?;
            }
            self.free_tangents(id, &mut tangents);
        }
        (0..components.len())
            .map(|c| {
                graph
                    .parameters
                    .iter()
                    .map(|(_, id)| {
                        if let Some(g) = cotangents[*id][c].take() {
                            Ok(g.contiguous()?)
                        } else {
                            let device = self.value(graph.loss)?.device();
                            Ok(Tensor::zeros(graph.nodes[*id].shape.as_slice(), self.dtype, device)?)
                        }
                    })
                    .collect()
            })
            .collect()
    }

    #[expect(clippy::too_many_arguments, reason = "one node, one component: everything that meets there")]
    fn pull_back_component(
        &self,
        id: Id,
        c: usize,
        component: Component,
        g: &[Option<Tensor>],
        tangents: &[Jet],
        bends: Bends,
        cotangents: &mut [Jet],
    ) -> Result<()> {
        let active = |a: Id| self.graph.nodes[a].active;
        let of = |a: Id, c: usize| tangents[a].get(c).and_then(Option::as_ref);
        let bends = bends.includes(id);
        let kept = &self.kept[id];
        // The primal cotangent exists only where the loss depends on this node.
        let primal = if bends { kept.cotangent.as_ref() } else { None };
        match &self.graph.nodes[id].kind {
            Kind::Linear(rule, arguments) => {
                let Some(g) = &g[c] else { return Ok(()) };
                for (k, &a) in arguments.iter().enumerate().filter(|(_, a)| active(**a)) {
                    let sum = cotangents[a][c].as_ref();
                    cotangents[a][c] = Some(rule.add_adjoint(k, g, kept.fixed.as_ref(), sum)?);
                }
            }
            Kind::Bilinear(rule, a, b) => {
                for (this, other, left) in [(*a, *b, true), (*b, *a, false)] {
                    if !active(this) {
                        continue;
                    }
                    let mut pairs = vec![];
                    if let Some(g) = &g[c] {
                        pairs.push((g, self.value(other)?));
                    }
                    pairs.extend(primal.zip(of(other, c)));
                    if let (Component::Mixed(u, v), true) = (component, bends) {
                        for (u, v) in [(u, v), (v, u)] {
                            pairs.extend(g[u].as_ref().zip(of(other, v)));
                        }
                    }
                    if !pairs.is_empty() {
                        let part =
                            if left { rule.adjoint_left(&pairs)? } else { rule.adjoint_right(&pairs)? };
                        add(&mut cotangents[this][c], part)?;
                    }
                }
            }
            Kind::Elementwise(rule, x) => {
                let mut pairs: Vec<(&Tensor, &Tensor)> = kept.slope.iter().zip(&g[c]).collect();
                if bends {
                    pairs.extend(kept.bend.as_ref().zip(of(*x, c)));
                }
                if !pairs.is_empty() {
                    add(&mut cotangents[*x][c], sum_of_products(&pairs)?)?;
                }
                if let Component::Mixed(u, v) = component
                    && rule.is_curved()
                {
                    self.pull_back_mixed(id, g, (u, v), (of(*x, u), of(*x, v)), &mut cotangents[*x][c])?;
                }
            }
            Kind::RowWise(rule, arguments) => {
                let x = arguments[0];
                let mut terms: Vec<Vec<&Tensor>> = g[c].iter().map(|g| vec![g]).collect();
                terms.extend(primal.zip(of(x, c)).map(|(g, x)| vec![g, x]));
                if let (Component::Mixed(u, v), true) = (component, bends) {
                    terms.extend(g[u].as_ref().zip(of(x, v)).map(|(g, x)| vec![g, x]));
                    terms.extend(g[v].as_ref().zip(of(x, u)).map(|(g, x)| vec![g, x]));
                    let all = primal.zip(of(x, u)).zip(of(x, v));
                    terms.extend(all.map(|((g, u), v)| vec![g, u, v]));
                }
                if !terms.is_empty() {
                    let terms: Vec<_> = terms.iter().map(Vec::as_slice).collect();
                    add(&mut cotangents[x][c], rule.cotangent(&kept.rows, &terms)?)?;
                }
            }
            Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => {}
        }
        Ok(())
    }

    /// f''(x) (`x_u` `g_v` + `x_v` `g_u`) + f'''(x) `x_u` `x_v` g: what a curved function adds to the mixed component.
    fn pull_back_mixed(
        &self,
        id: Id,
        g: &[Option<Tensor>],
        (u, v): (usize, usize),
        (x_u, x_v): (Option<&Tensor>, Option<&Tensor>),
        into: &mut Option<Tensor>,
    ) -> Result<()> {
        let Kind::Elementwise(rule, _) = &self.graph.nodes[id].kind else { return Ok(()) };
        let point = self.point(id)?;
        let pairs: Vec<_> = x_u.zip(g[v].as_ref()).into_iter().chain(x_v.zip(g[u].as_ref())).collect();
        if !pairs.is_empty() {
            let second = map(rule.as_ref(), 2, point)?;
            add(into, sum_of_products(&[(&second, &sum_of_products(&pairs)?)])?)?;
        }
        if let (Some(x_u), Some(x_v), Some(g)) = (x_u, x_v, self.kept[id].cotangent.as_ref()) {
            let third = map(rule.as_ref(), 3, point)?;
            let third = sum_of_products(&[(&third, g)])?;
            add(into, sum_of_products(&[(&third, &sum_of_products(&[(x_u, x_v)])?)])?)?;
        }
        Ok(())
    }

    /// Tangents of a node's arguments are done with once all their readers have been pulled back, which is when the
    /// first reader is.
    fn free_tangents(&self, id: Id, tangents: &mut [Jet]) {
        for a in self.graph.nodes[id].kind.arguments() {
            if self.graph.nodes[a].first_reader == id {
                tangents[a] = vec![];
            }
        }
    }
}
