//! An objective on an affine subspace, with what is affine in the coordinates computed once.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Tensor;
use relief_autodiff::{AffineCost, AffineGraph, Graph, KeptValues, Motion, NUMBER_COST};

use super::GraphObjective;
use crate::objective::{Evaluation, side_by_side};
use crate::{Error, Parameters, Result};

/// The points origin + `sum_k` `c_k` `directions[k]`.
#[derive(Debug, Clone, Copy)]
pub struct AffineSubspace<'a> {
    /// Where all coordinates are 0.
    pub origin: &'a Parameters,
    /// Flat vectors as long as the origin.
    pub directions: &'a [Vec<f64>],
}

/// What a [`Section`] is made for.
#[derive(Debug, Clone)]
pub struct SectionOptions {
    /// Points that will be evaluated: keeping values pays where they are many.
    pub points: usize,
    /// Bytes that may be kept.
    pub memory: usize,
    /// Names of constants that have other values from point to point.
    pub varying: BTreeSet<String>,
    /// Keep whatever is affine, also where it does not pay.
    pub always: bool,
}

/// A [`GraphObjective`] on an affine subspace: what is affine in the coordinates (the first layer of a network, whatever no
/// direction moves) is kept for every batch, and a point evaluates the rest of the graph. Read-only, so that points are
/// evaluated side by side.
///
/// In f64 a loss is that of the usual evaluation to rounding. In f32 kept values carry the rounding of the products that
/// they come from, about as large as in an evaluation, times their coordinates: the error is that of the usual
/// evaluation with |`z_0`| + `sum_k` |`c_k` `z_k`| in the place of |z|, and the sum is rounded once.
#[derive(Debug)]
pub struct Section {
    objective: GraphObjective,
    batches: Vec<(Arc<AffineGraph>, KeptValues)>,
    /// Coordinates of a point.
    dimensions: usize,
    rest: Option<Rest>,
    /// Scalar products of origin and directions, for the weight decay term.
    products: Vec<Vec<f64>>,
    cost: AffineCost,
}

/// The parameters that a point still needs.
#[derive(Debug)]
struct Rest {
    origin: Parameters,
    start: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

/// A point of a [`Section`].
#[derive(Debug)]
pub struct SectionPoint {
    coordinates: Vec<f64>,
    parameters: Option<Parameters>,
    weight_decay_term: f64,
}

impl SectionPoint {
    /// The weight decay term of the loss, w/2 |theta|^2.
    pub fn weight_decay_term(&self) -> f64 {
        self.weight_decay_term
    }
}

impl GraphObjective {
    /// The objective on an affine subspace, where that saves time and fits the memory; `None` where it does not, and on
    /// devices.
    ///
    /// What is kept follows from the shapes and the options alone: multiply-adds saved against numbers read and added.
    pub fn section(&self, space: AffineSubspace<'_>, options: &SectionOptions) -> Result<Option<Section>> {
        let AffineSubspace { origin, directions } = space;
        if origin.names() != self.parameters.names() {
            return Err(Error::Input("the origin's parameters are not those of the objective".into()));
        }
        if let Some(other) = directions.iter().find(|d| d.len() != origin.len()) {
            let (found, expected) = (other.len(), origin.len());
            return Err(Error::Input(format!(
                "a direction has {found} entries, but there are {expected} parameters"
            )));
        }
        if !origin.device().is_cpu() {
            return Ok(None);
        }
        let graphs = self.affine_graphs(space, options)?;
        let of = |batch: usize| {
            let graph = &self.graphs[batch];
            let found = graphs.iter().find(|(known, _)| Arc::ptr_eq(known, graph)).map(|(_, found)| found);
            found.cloned().ok_or_else(|| Error::Input("a batch has no graph".into()))
        };
        let batches: Vec<usize> = (0..self.batches.len()).collect();
        let mut cost = AffineCost::default();
        for &batch in &batches {
            cost += of(batch)?.cost();
        }
        let bytes = cost.entries * origin.dtype().size_in_bytes();
        if !options.always && (!cost.pays(options.points) || bytes > options.memory) {
            return Ok(None);
        }
        let moved: Vec<Vec<Tensor>> =
            directions.iter().map(|d| origin.unflatten(d)).collect::<Result<_>>()?;
        let kept = side_by_side(&batches, |batch| {
            let graph = of(batch)?;
            let inputs = &self.batches[batch].tensors;
            let kept = graph.keep(origin.tensors(), &moved, &self.constants, inputs)?;
            Ok((graph, kept))
        });
        let names: BTreeSet<&str> = graphs.iter().flat_map(|(_, graph)| graph.parameter_names()).collect();
        Ok(Some(Section {
            objective: self.clone(),
            batches: kept.into_iter().collect::<Result<_>>()?,
            dimensions: directions.len(),
            rest: Rest::new(space, &names)?,
            products: if self.weight_decay == 0.0 { vec![] } else { scalar_products(space)? },
            cost,
        }))
    }

    /// Every graph of the objective on the subspace.
    fn affine_graphs(
        &self,
        space: AffineSubspace<'_>,
        options: &SectionOptions,
    ) -> Result<Vec<(Arc<Graph>, Arc<AffineGraph>)>> {
        let ranges = space.origin.ranges();
        let motion = |name: &str| match ranges.iter().find(|(known, _)| *known == name) {
            Some((_, range)) => {
                let moves = |k: &usize| space.directions[*k][range.clone()].iter().any(|d| *d != 0.0);
                Motion::Affine((0..space.directions.len()).filter(moves).collect())
            }
            None if options.varying.contains(name) => Motion::Free,
            None => Motion::Fixed,
        };
        let number = if options.always { 0 } else { NUMBER_COST };
        let one = |graph: &Arc<Graph>| Ok((graph.clone(), Arc::new(graph.on_affine(&motion, number)?)));
        self.shapes.iter().map(|(_, graph)| one(graph)).collect()
    }
}

impl Rest {
    fn new(space: AffineSubspace<'_>, names: &BTreeSet<&str>) -> Result<Option<Self>> {
        let read = |name: &str| names.contains(name);
        let named: Vec<(String, Tensor)> =
            space.origin.iter().filter(|(n, _)| read(n)).map(|(n, t)| (n.to_string(), t.clone())).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let origin = Parameters::new(named)?;
        let ranges: Vec<_> = space.origin.ranges().into_iter().filter(|(n, _)| read(n)).collect();
        let part = |whole: &Vec<f64>| -> Vec<f64> {
            ranges.iter().flat_map(|(_, range)| whole[range.clone()].iter().copied()).collect()
        };
        let directions = space.directions.iter().map(part).collect();
        Ok(Some(Self { start: origin.to_vec()?, directions, origin }))
    }

    /// The parameters at a point, to the digits of those of [`Parameters::at`].
    fn at(&self, coordinates: &[f64]) -> Result<Parameters> {
        let mut x = self.start.clone();
        for (&step, direction) in coordinates.iter().zip(&self.directions) {
            if step != 0.0 {
                x.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
            }
        }
        self.origin.at(&x)
    }
}

impl Section {
    /// The point with these coordinates, one for every direction.
    pub fn at(&self, coordinates: &[f64]) -> Result<SectionPoint> {
        if coordinates.len() != self.dimensions {
            return Err(Error::Input(format!(
                "a point has {} coordinates, but there are {} directions",
                coordinates.len(),
                self.dimensions
            )));
        }
        // |theta|^2 is quadratic in the coordinates.
        let with_origin = || std::iter::once(1.0).chain(coordinates.iter().copied());
        let square: f64 = (self.products.iter().zip(with_origin()))
            .map(|(row, c)| c * row.iter().zip(with_origin()).map(|(p, c)| p * c).sum::<f64>())
            .sum();
        Ok(SectionPoint {
            coordinates: coordinates.to_vec(),
            parameters: self.rest.as_ref().map(|rest| rest.at(coordinates)).transpose()?,
            weight_decay_term: 0.5 * self.objective.weight_decay * square,
        })
    }

    /// Loss and outputs on a batch at a point, where some constants have the given values instead of the objective's: those
    /// that were named as varying.
    pub fn evaluate(
        &self,
        at: &SectionPoint,
        constants: Option<&Parameters>,
        batch: usize,
    ) -> Result<Evaluation> {
        let (graph, kept) = &self.batches[batch];
        let replaced = constants.map(|constants| self.objective.constants_with(constants));
        let constants = replaced.as_ref().unwrap_or(&self.objective.constants);
        let tensors = match &at.parameters {
            Some(all) => {
                let read: BTreeSet<&str> = graph.parameter_names().collect();
                all.iter().filter(|(name, _)| read.contains(name)).map(|(_, t)| t.clone()).collect()
            }
            None => vec![],
        };
        let inputs = &self.objective.batches[batch].tensors;
        let found = graph.evaluate(kept, &at.coordinates, &tensors, constants, inputs)?;
        Ok(Evaluation { loss: found.loss, outputs: Some(found.outputs) })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|(_, kept)| kept.bytes()).sum()
    }

    /// Counted work over all batches.
    pub fn cost(&self) -> AffineCost {
        self.cost
    }
}

/// Scalar products of origin and directions with each other.
fn scalar_products(space: AffineSubspace<'_>) -> Result<Vec<Vec<f64>>> {
    let origin = space.origin.to_vec()?;
    let all: Vec<&[f64]> =
        std::iter::once(origin.as_slice()).chain(space.directions.iter().map(Vec::as_slice)).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    Ok(all.iter().map(|a| all.iter().map(|b| dot(a, b)).collect()).collect())
}
