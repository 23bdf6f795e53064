//! Products with derivative tensors at a linearized point, by forward-over-reverse differentiation.
//!
//! A *component* is the coefficient of one infinitesimal in a truncated polynomial: a direction v is a first-order
//! component, and the direction pair (u, v) of a third-order product adds the mixed component uv. Pushing components
//! forward (tangents) and pulling components back (cotangents) through the four kinds of operation is all there is; the
//! gradient of the component v at the parameters is H v, of the component uv it is the third derivative applied to u and
//! v. Pearlmutter (1994) is the case of one first-order component.

use candle_core::Tensor;

use crate::graph::Id;
use crate::jet::{Bends, Component};
use crate::linearize::Linearized;
use crate::{Error, Result};

/// A vector in parameter space: one tensor per trainable parameter, in the graph's order.
pub type Direction = Vec<Tensor>;

impl Linearized {
    /// H v, with H the Hessian of the loss in the trainable parameters.
    pub fn hessian_product(&self, v: &[Tensor]) -> Result<Direction> {
        self.product(v, Bends::All)
    }

    /// H v for a block of vectors, one after the other: a product's working set is small then, which measured faster
    /// than carrying all vectors through every operation.
    pub fn hessian_products(&self, block: &[Direction]) -> Result<Vec<Direction>> {
        block.iter().map(|v| self.hessian_product(v)).collect()
    }

    /// G v, with G = J' (d2 loss / d outputs2) J the generalised Gauss-Newton matrix (Schraudolph 2002).
    pub fn gauss_newton_product(&self, v: &[Tensor]) -> Result<Direction> {
        if !self.graph.outputs_separate() {
            return Err(Error::Unavailable(
                "a Gauss-Newton product needs a loss that depends on the parameters through the outputs only"
                    .into(),
            ));
        }
        self.product(v, Bends::After(self.graph.outputs))
    }

    /// G v for a block of vectors.
    pub fn gauss_newton_products(&self, block: &[Direction]) -> Result<Vec<Direction>> {
        block.iter().map(|v| self.gauss_newton_product(v)).collect()
    }

    fn product(&self, v: &[Tensor], bends: Bends) -> Result<Direction> {
        let v = v.to_vec();
        let components = [Component::First];
        let tangents = self.push_forward(&[Some(&v)], &components, self.graph.loss, bends)?;
        single(self.pull_back(tangents, self.graph.loss, vec![None], &components, bends)?)
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
        let u = self.place(u)?;
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

    /// The argument of a curved function, kept for third derivatives.
    pub(crate) fn point(&self, id: Id) -> Result<&Tensor> {
        self.kept[id].point.as_ref().ok_or_else(|| {
            Error::Unavailable("third-order products need a point made by `linearize_to` with order 3".into())
        })
    }

    /// A seed in the run's numbers, where the run is.
    pub(crate) fn place(&self, seed: &Tensor) -> Result<Tensor> {
        let device = self.value(self.graph.loss)?.device();
        Ok(seed.to_dtype(self.dtype)?.to_device(device)?.contiguous()?)
    }

    /// Whether a direction has the parameters' shapes.
    pub(crate) fn check_direction(&self, v: &[Tensor]) -> Result<()> {
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
