//! Values that are computed once for all points, and what a point makes of them.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Tensor};

use super::AffineGraph;
use crate::forward::{Evaluated, Forward};
use crate::graph::{Graph, Id, Kind};
use crate::host::{Host, for_real, tensor};
use crate::kernels::combination::combination;
use crate::order::Order;
use crate::{Error, Result, device};

/// The kept values of one batch. Read-only, so that points are evaluated side by side.
#[derive(Debug)]
pub struct KeptValues {
    dtype: DType,
    values: Vec<Value>,
}

/// `base` + sum of coordinate * term.
#[derive(Debug)]
struct Value {
    /// How the tensors' axes lie in memory; their entries are contiguous.
    lies: Order,
    base: Tensor,
    /// With the places of their coordinates.
    terms: Vec<(usize, Tensor)>,
}

impl Value {
    fn at(&self, coordinates: &[f64]) -> Result<Tensor> {
        // Nothing is added along coordinates that are 0, so that the origin has its own digits.
        let terms: Vec<(f64, &Tensor)> = (self.terms.iter().map(|(k, term)| (coordinates[*k], term)))
            .filter(|(coordinate, _)| *coordinate != 0.0)
            .collect();
        if terms.is_empty() {
            return self.lies.unpack(&self.base);
        }
        for_real!("a combination", self.base, T => {
            let open = |x| Host::open("a combination", x);
            let base = open(&self.base)?;
            let hosts = terms.iter().map(|(_, term)| open(term)).collect::<Result<Vec<_>>>()?;
            let terms = (terms.iter().zip(&hosts))
                .map(|((coordinate, _), host)| Ok((*coordinate, host.slice::<T>()?)))
                .collect::<Result<Vec<_>>>()?;
            self.lies.unpack(&tensor(combination(base.slice::<T>()?, &terms), self.base.dims())?)
        })
    }
}

impl KeptValues {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let bytes = |value: &Value| {
            value.base.elem_count() * value.base.dtype().size_in_bytes() * (1 + value.terms.len())
        };
        self.values.iter().map(bytes).sum()
    }
}

impl AffineGraph {
    /// Computes what is kept of a batch: arguments as for [`Graph::linearize`] at the subspace's origin, and one tensor a
    /// parameter for every direction.
    pub fn keep(
        &self,
        origin: &[Tensor],
        directions: &[Vec<Tensor>],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<KeptValues> {
        let graph = self.whole.as_ref();
        if origin.first().is_some_and(device::holds) {
            return Err(Error::Device { operation: "an affine subspace" });
        }
        if let Some(other) = directions.iter().find(|d| d.len() != graph.parameters.len()) {
            return Err(Error::Unavailable(format!(
                "the graph has {} parameters, but a direction has {} tensors",
                graph.parameters.len(),
                other.len()
            )));
        }
        let mut forward = Forward::start(graph, origin, constants, inputs)?;
        let mut needed = vec![false; graph.nodes.len()];
        let all = vec![false; needed.len()];
        self.kept.iter().for_each(|&id| graph.mark(id, &all, &mut needed));
        for id in (0..needed.len()).filter(|&id| needed[id]) {
            forward.compute(graph, id)?;
        }
        let moved: BTreeSet<usize> = self.kept.iter().flat_map(|&id| self.motions[id].directions()).collect();
        if let Some(missing) = moved.iter().find(|&&k| k >= directions.len()) {
            return Err(Error::Unavailable(format!(
                "there are {} directions, but a parameter moves along number {missing}",
                directions.len()
            )));
        }
        let mut values: Vec<Value> = (self.kept.iter())
            .map(|&id| {
                let base = forward.argument(id)?;
                let lies = Order::of(base);
                Ok(Value { base: lies.pack(base)?, lies, terms: vec![] })
            })
            .collect::<Result<_>>()?;
        for k in moved {
            let mut tangents = vec![None; needed.len()];
            let moves = |id: Id| self.motions[id].directions().any(|direction| direction == k);
            for id in (0..needed.len()).filter(|&id| needed[id] && moves(id)) {
                tangents[id] = tangent(graph, id, &forward, &tangents, &directions[k])?;
            }
            for (&id, value) in self.kept.iter().zip(&mut values) {
                if let Some(term) = &tangents[id] {
                    value.terms.push((k, value.lies.pack(term)?));
                }
            }
        }
        Ok(KeptValues { dtype: forward.dtype, values })
    }

    /// Loss and outputs of a batch at a point: its coordinates, one for every direction, and the parameters that the rest
    /// reads ([`parameter_names`](Self::parameter_names)) there. Other arguments as for [`Graph::evaluate`].
    pub fn evaluate(
        &self,
        kept: &KeptValues,
        coordinates: &[f64],
        parameters: &[Tensor],
        constants: &BTreeMap<String, Tensor>,
        inputs: &[Tensor],
    ) -> Result<Evaluated> {
        let most = kept.values.iter().flat_map(|value| &value.terms).map(|(k, _)| k + 1).max().unwrap_or(0);
        if coordinates.len() < most {
            return Err(Error::Unavailable(format!(
                "a point has {} coordinates, but there are {most} directions or more",
                coordinates.len()
            )));
        }
        let mut forward =
            Forward::begin(&self.rest, (kept.dtype, &Device::Cpu), parameters, constants, inputs)?;
        for turn in &self.rest.turns {
            match &self.rest.nodes[turn.id].kind {
                // After the batch's tensors come the kept values.
                Kind::Input(place) if *place >= inputs.len() => {
                    forward.give(turn.id, kept.values[place - inputs.len()].at(coordinates)?);
                }
                _ => forward.take(&self.rest, turn)?,
            }
        }
        forward.evaluated(&self.rest)
    }
}

/// What a node's value changes by along a direction, given what its arguments do; none where it does not.
fn tangent(
    graph: &Graph,
    id: Id,
    forward: &Forward<'_>,
    tangents: &[Option<Tensor>],
    direction: &[Tensor],
) -> Result<Option<Tensor>> {
    Ok(match &graph.nodes[id].kind {
        Kind::Named(name) => {
            let place = graph.parameters.iter().position(|(known, _)| known == name);
            place.map(|place| Ok::<_, Error>(direction[place].contiguous()?)).transpose()?
        }
        Kind::Linear(rule, arguments) => {
            let moved: Vec<Option<&Tensor>> = arguments.iter().map(|&a| tangents[a].as_ref()).collect();
            let some = moved.iter().any(Option::is_some);
            some.then(|| rule.apply(&moved, forward.kept[id].fixed.as_ref())).transpose()?
        }
        Kind::Bilinear(rule, a, b) => match (&tangents[*a], &tangents[*b]) {
            (None, None) => None,
            (Some(moved), None) => Some(rule.apply(&[(moved, forward.argument(*b)?)])?),
            (None, Some(moved)) => Some(rule.apply(&[(forward.argument(*a)?, moved)])?),
            (Some(_), Some(_)) => {
                return Err(Error::Unavailable(format!(
                    "{} of two moving values is not affine",
                    rule.name()
                )));
            }
        },
        _ => None,
    })
}
