//! A function sampled on a rectangular grid, and its piecewise linear interpolant.

use std::cmp::Ordering;

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

/// Axes at most: a cell of n axes has n! simplices.
const MOST_AXES: usize = 8;

/// A function sampled on a rectangular grid.
///
/// Between the grid's points it is linear on each simplex of the Freudenthal triangulation (Freudenthal 1942; Kuhn 1960),
/// which cuts every cell into simplices along its diagonal from the lowest to the highest corner: two points of the grid
/// are joined if one is reached from the other by going up by one node along some of the axes. NaN is unknown: the point,
/// and every simplex with it, does not exist. Near a point that is infinite the interpolant is the limit of ever larger
/// numbers: infinite on the whole of the simplex but the side without the point; +inf wins over -inf.
#[derive(Debug, Clone, PartialEq)]
pub struct Heights {
    axes: Vec<Vec<f64>>,
    values: Vec<f64>,
    /// By how much the index grows when some axes go up by one node, for every set of axes (bit k for axis k).
    steps: Vec<usize>,
}

/// A point of a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vertex {
    /// Its index; the first axis changes fastest.
    pub index: usize,
    /// Its coordinate along every axis.
    pub coordinates: Vec<f64>,
    /// The function there.
    pub height: f64,
}

/// A point of the interpolant: the nodes below it and how far it is to the next ones, from 0 to below 1.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) cell: Vec<usize>,
    pub(super) fraction: Vec<f64>,
}

impl Heights {
    /// The heights at every combination of nodes, those along the first axis next to each other, as [`Slice`] orders its
    /// points. Axes (1 to 8) must increase strictly; they need not be even.
    ///
    /// [`Slice`]: crate::Slice
    pub fn new(axes: Vec<Vec<f64>>, values: Vec<f64>) -> Result<Self> {
        if axes.is_empty() || axes.len() > MOST_AXES {
            let found = axes.len();
            return Err(Error::Input(format!("a grid has 1 to {MOST_AXES} axes, not {found}: take fewer")));
        }
        for (k, axis) in axes.iter().enumerate() {
            if axis.is_empty() {
                return Err(Error::Input(format!("axis {k} is empty: give it one node or more")));
            }
            let bad = (0..axis.len()).find(|&i| !axis[i].is_finite() || (i > 0 && axis[i] <= axis[i - 1]));
            if let Some(i) = bad {
                return Err(Error::Input(format!(
                    "node {i} of axis {k} is {}, but nodes must be finite and increase: sort them and leave out copies",
                    axis[i]
                )));
            }
        }
        let points = axes.iter().try_fold(1usize, |points, axis| points.checked_mul(axis.len()));
        if points != Some(values.len()) {
            let nodes: Vec<String> = axes.iter().map(|axis| axis.len().to_string()).collect();
            return Err(Error::Input(format!(
                "{} heights do not fill a grid of {} points: give one for every combination of nodes",
                values.len(),
                nodes.join(" x ")
            )));
        }
        let steps = (0..1usize << axes.len())
            .map(|set| {
                let mut stride = 1;
                let mut step = 0;
                for (k, axis) in axes.iter().enumerate() {
                    step += if set >> k & 1 == 1 { stride } else { 0 };
                    stride *= axis.len();
                }
                step
            })
            .collect();
        Ok(Self { axes, values, steps })
    }

    /// The nodes along every axis.
    pub fn axes(&self) -> &[Vec<f64>] {
        &self.axes
    }

    /// The heights, those along the first axis next to each other.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Number of points of the grid.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one point")]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// A point of the grid.
    pub fn vertex(&self, index: usize) -> Result<Vertex> {
        match self.values.get(index) {
            Some(&height) => Ok(Vertex { index, coordinates: self.coordinates(index), height }),
            None => Err(Error::Input(format!(
                "there is no point {index} on a grid of {}: the first one is 0",
                self.values.len()
            ))),
        }
    }

    /// The heights upside down: basins of these are hills of those.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { values: self.values.iter().map(|v| -v).collect(), ..self.clone() }
    }

    /// Highest minus lowest of the finite heights; 0 where there are none.
    pub fn range(&self) -> f64 {
        let finite = || self.values.iter().copied().filter(|v| v.is_finite());
        (finite().fold(f64::NEG_INFINITY, f64::max) - finite().fold(f64::INFINITY, f64::min)).max(0.0)
    }

    /// The piecewise linear interpolant at a point inside the grid; NaN where it is unknown.
    pub fn interpolated(&self, at: &[f64]) -> Result<f64> {
        Ok(self.height(&self.place(at)?))
    }

    pub(super) fn coordinates(&self, index: usize) -> Vec<f64> {
        self.nodes(index).zip(&self.axes).map(|(node, axis)| axis[node]).collect()
    }

    /// The node of a point along every axis.
    pub(super) fn nodes(&self, mut index: usize) -> impl Iterator<Item = usize> {
        self.axes.iter().map(move |axis| {
            let node = index % axis.len();
            index /= axis.len();
            node
        })
    }

    /// See the field.
    pub(super) fn steps(&self) -> &[usize] {
        &self.steps
    }

    /// The sets of axes along which a point has a node above it, and one below it, as bits.
    pub(super) fn room(&self, index: usize) -> (usize, usize) {
        self.nodes(index).zip(&self.axes).enumerate().fold((0, 0), |(up, down), (k, (node, axis))| {
            (up | usize::from(node + 1 < axis.len()) << k, down | usize::from(node > 0) << k)
        })
    }

    /// The points that an edge of the triangulation joins to a point.
    pub(super) fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> {
        let (up, down) = self.room(index);
        self.steps.iter().enumerate().skip(1).flat_map(move |(set, &step)| {
            let above = (set & !up == 0).then(|| index + step);
            let below = (set & !down == 0).then(|| index - step);
            above.into_iter().chain(below)
        })
    }

    /// The order of two known points by height; equal ones by index, as if they differed by next to nothing
    /// (simulation of simplicity, Edelsbrunner & Muecke 1990).
    pub(super) fn order(&self, a: usize, b: usize) -> Ordering {
        self.values[a].partial_cmp(&self.values[b]).unwrap_or(Ordering::Equal).then(a.cmp(&b))
    }

    pub(super) fn place(&self, at: &[f64]) -> Result<Place> {
        let (n, found) = (self.axes.len(), at.len());
        if found != n {
            return Err(Error::Input(format!(
                "the point has {found} coordinates, but the grid has {n} axes"
            )));
        }
        let mut place = Place { cell: vec![], fraction: vec![] };
        for (k, (axis, &x)) in self.axes.iter().zip(at).enumerate() {
            let (first, last) = (axis[0], axis[axis.len() - 1]);
            if !(first..=last).contains(&x) {
                return Err(Error::Input(format!(
                    "coordinate {k} of the point is {x}, but the grid goes from {first} to {last}: take a point inside"
                )));
            }
            let cell = axis.partition_point(|node| *node <= x) - 1;
            let next = axis.get(cell + 1);
            place.cell.push(cell);
            place.fraction.push(next.map_or(0.0, |next| (x - axis[cell]) / (next - axis[cell])));
        }
        Ok(place)
    }

    /// The points of the grid that the interpolant at a place is made of, with their weights, which are above zero and sum
    /// to 1.
    pub(super) fn support(&self, place: &Place) -> Vec<(usize, f64)> {
        let base: usize = place.cell.iter().enumerate().map(|(k, node)| node * self.steps[1 << k]).sum();
        let mut order: Vec<usize> = (0..self.axes.len()).filter(|&k| place.fraction[k] > 0.0).collect();
        order.sort_by(|&a, &b| place.fraction[b].total_cmp(&place.fraction[a]));
        // From the lowest corner along the axes by descending fraction: the corners of the simplex around the place.
        let (mut set, mut left, mut out) = (0, 1.0, vec![]);
        for k in order {
            out.push((base + self.steps[set], left - place.fraction[k]));
            set |= 1 << k;
            left = place.fraction[k];
        }
        out.push((base + self.steps[set], left));
        out.retain(|(_, weight)| *weight > 0.0);
        out
    }

    pub(super) fn height(&self, place: &Place) -> f64 {
        let support = self.support(place);
        let values = || support.iter().map(|(index, _)| self.values[*index]);
        if values().any(f64::is_nan) {
            return f64::NAN;
        }
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        if high == f64::INFINITY {
            return high;
        }
        // Rounding must not take it out of its corners' range.
        support.iter().map(|(index, weight)| weight * self.values[*index]).sum::<f64>().clamp(low, high)
    }
}

/// How far along an edge from a point at or below a level to one above it the interpolant crosses the level, from 0 to 1.
pub(super) fn crossing(below: f64, above: f64, level: f64) -> f64 {
    if above == f64::INFINITY {
        0.0
    } else if below == f64::NEG_INFINITY {
        1.0
    } else {
        (level - below) / (above - below)
    }
}
