//! Products with derivative tensors at a linearized point, by forward-over-reverse differentiation.
//!
//! A *component* is the coefficient of one infinitesimal in a truncated polynomial: directions `v_1` .. `v_k` of a block are
//! independent first-order components, and the direction pair (u, v) of a third-order product adds the mixed component
//! uv. Pushing components forward (tangents) and pulling components back (cotangents) through the three kinds of
//! operation is all there is; the gradient of the component v at the parameters is H v, of the component uv it is
//! the third derivative applied to u and v. Pearlmutter (1994) is the case of one first-order component.

use candle_core::Tensor;

use crate::graph::{Id, Kind};
use crate::linearize::Linearized;
use crate::pointwise::{add, map, sum_of_products};
use crate::{Error, Result};

/// A vector in parameter space: one tensor per trainable parameter, in the graph's order.
pub type Direction = Vec<Tensor>;

/// One component: first-order, or the product of two earlier ones.
#[derive(Debug, Clone, Copy)]
enum Component {
    First,
    Mixed(usize, usize),
}

/// The components of one node: `None` is zero.
type Jet = Vec<Option<Tensor>>;

/// Which nodes contribute second-order terms in a pull back.
#[derive(Clone, Copy)]
enum Bends {
    All,
    /// Only nodes after the given one: the loss, but not the model (Gauss-Newton).
    After(Id),
    None,
}

impl Bends {
    fn includes(self, id: Id) -> bool {
        match self {
            Self::All => true,
            Self::After(first) => id > first,
            Self::None => false,
        }
    }

    /// Whether a node that contributes may read the tangent of `argument`.
    fn reads_tangent(self, argument: Id) -> bool {
        match self {
            Self::All => true,
            Self::After(first) => argument >= first,
            Self::None => false,
        }
    }
}

impl Linearized {
    /// H v, with H the Hessian of the loss in the trainable parameters.
    pub fn hessian_product(&self, v: &[Tensor]) -> Result<Direction> {
        single(self.hessian_products(&[v.to_vec()])?)
    }

    /// H v for a block of vectors at once.
    pub fn hessian_products(&self, block: &[Direction]) -> Result<Vec<Direction>> {
        let components = vec![Component::First; block.len()];
        let seeds: Vec<_> = block.iter().map(Some).collect();
        let tangents = self.push_forward(&seeds, &components, self.graph.loss, Bends::All)?;
        let from = vec![None; block.len()];
        self.pull_back(tangents, self.graph.loss, from, &components, Bends::All)
    }

    /// G v, with G = J' (d2 loss / d outputs2) J the generalised Gauss-Newton matrix (Schraudolph 2002).
    pub fn gauss_newton_product(&self, v: &[Tensor]) -> Result<Direction> {
        single(self.gauss_newton_products(&[v.to_vec()])?)
    }

    /// G v for a block of vectors at once.
    pub fn gauss_newton_products(&self, block: &[Direction]) -> Result<Vec<Direction>> {
        if !self.graph.outputs_separate() {
            return Err(Error::Unavailable(
                "a Gauss-Newton product needs a loss that depends on the parameters through the outputs only"
                    .into(),
            ));
        }
        let components = vec![Component::First; block.len()];
        let seeds: Vec<_> = block.iter().map(Some).collect();
        let bends = Bends::After(self.graph.outputs);
        let tangents = self.push_forward(&seeds, &components, self.graph.loss, bends)?;
        let from = vec![None; block.len()];
        self.pull_back(tangents, self.graph.loss, from, &components, bends)
    }

    /// J v, with J the Jacobian of the outputs; shaped like the outputs.
    pub fn jvp(&self, v: &[Tensor]) -> Result<Tensor> {
        let seeds = [Some(&v.to_vec())];
        let mut tangents = self.push_forward(&seeds, &[Component::First], self.graph.outputs, Bends::None)?;
        match tangents[self.graph.outputs].pop().flatten() {
            Some(tangent) => Ok(tangent.contiguous()?),
            None => Ok(self.outputs()?.zeros_like()?),
        }
    }

    /// J'u for a cotangent `u` shaped like the outputs.
    pub fn vjp(&self, u: &Tensor) -> Result<Direction> {
        let outputs = self.outputs()?;
        if u.dims() != outputs.dims() {
            return Err(Error::Mismatch {
                name: "u".into(),
                found: u.dims().to_vec(),
                expected: outputs.dims().to_vec(),
            });
        }
        let u = u.to_dtype(self.dtype)?.contiguous()?;
        let none = vec![vec![]; self.graph.nodes.len()];
        single(self.pull_back(none, self.graph.outputs, vec![Some(u)], &[Component::First], Bends::None)?)
    }

    /// The third derivative of the loss applied to two directions: d/ds H(theta + s u) v at s = 0.
    ///
    /// Needs a point made by [`Graph::linearize_to`](crate::Graph::linearize_to) with order 3.
    pub fn third_product(&self, u: &[Tensor], v: &[Tensor]) -> Result<Direction> {
        let components = [Component::First, Component::First, Component::Mixed(0, 1)];
        let (u, v) = (u.to_vec(), v.to_vec());
        let seeds = [Some(&u), Some(&v), None];
        let tangents = self.push_forward(&seeds, &components, self.graph.loss, Bends::All)?;
        let from = vec![None; 3];
        let mut products = self.pull_back(tangents, self.graph.loss, from, &components, Bends::All)?;
        products.pop().ok_or_else(|| Error::Unavailable("no product was computed".into()))
    }

    /// Tangents of every node up to `last`; only those that [`pull_back`](Self::pull_back) reads are left.
    fn push_forward(
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
                .map(|seed| seed.map(|s| s[position].to_dtype(self.dtype)?.contiguous()).transpose())
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
            Kind::Named(_) | Kind::Input(_) | Kind::Constant(_) | Kind::Frozen(..) => Ok(None),
        }
    }

    /// Pulls cotangent components back from node `start` to the parameters.
    fn pull_back(
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
                    add(&mut cotangents[a][c], rule.adjoint(k, g, kept.fixed.as_ref())?)?;
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

    fn point(&self, id: Id) -> Result<&Tensor> {
        self.kept[id].point.as_ref().ok_or_else(|| {
            Error::Unavailable("third-order products need a point made by `linearize_to` with order 3".into())
        })
    }

    fn check_direction(&self, v: &[Tensor]) -> Result<()> {
        let graph = &self.graph;
        if v.len() != graph.parameters.len() {
            return Err(Error::Unavailable(format!(
                "the direction has {} tensors, but there are {} parameters",
                v.len(),
                graph.parameters.len()
            )));
        }
        for ((name, id), t) in graph.parameters.iter().zip(v) {
            if t.dims() != graph.nodes[*id].shape {
                let expected = graph.nodes[*id].shape.clone();
                return Err(Error::Mismatch { name: name.clone(), found: t.dims().to_vec(), expected });
            }
        }
        Ok(())
    }
}

fn single(mut products: Vec<Direction>) -> Result<Direction> {
    products.pop().ok_or_else(|| Error::Unavailable("no product was computed".into()))
}
