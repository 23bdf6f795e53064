//! Planes in parameter space, and where other points lie from them.

use faer::prelude::Solve;
use faer::{Mat, Side};
use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::direction::{dot, norm};

/// The sine of an angle below which a direction is said to be no new one. Checkpoints in f32 on one line are off it by
/// some 1e-7 of their norm.
const PARALLEL: f64 = 1e-6;

/// A point with some directions, which need be neither of length 1 nor orthogonal.
#[derive(Debug, Clone)]
pub struct Plane {
    origin: Vec<f64>,
    directions: Vec<Vec<f64>>,
    /// Lengths of the directions.
    lengths: Vec<f64>,
    /// Cosines between the directions.
    cosines: Mat<f64>,
}

/// Where a point lies from a plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Coordinates of the plane's nearest point, in units of the directions.
    pub coordinates: Vec<f64>,
    /// Distance of the point to the plane: what a picture of the plane does not show.
    pub residual: f64,
    /// The residual over the distance to the plane's origin; 0 at the origin itself.
    pub relative: f64,
}

impl Plane {
    /// Through a point along directions, none of which may lie in the span of the others (angles below 1e-6 count as 0).
    pub fn new(origin: Vec<f64>, directions: Vec<Vec<f64>>) -> Result<Self> {
        if directions.is_empty() {
            return Err(Error::Input("a plane needs a direction or more, but there is none".into()));
        }
        for (k, direction) in directions.iter().enumerate() {
            check(direction, origin.len(), &format!("direction {}", k + 1))?;
        }
        check(&origin, origin.len(), "the origin")?;
        let lengths: Vec<f64> = directions.iter().map(|d| norm(d)).collect();
        if let Some(zero) = lengths.iter().position(|length| *length <= 0.0) {
            return Err(Error::Input(format!("direction {} is zero: leave it out", zero + 1)));
        }
        let cosines = Mat::from_fn(directions.len(), directions.len(), |i, j| {
            if i == j { 1.0 } else { dot(&directions[i], &directions[j]) / (lengths[i] * lengths[j]) }
        });
        // The factor's diagonal holds the sines of the angles between a direction and the span of those before.
        let sines = cosines.llt(Side::Lower).map(|factor| {
            let diagonal = (0..directions.len()).map(|k| factor.L()[(k, k)]);
            diagonal.fold(f64::INFINITY, f64::min)
        });
        if sines.is_ok_and(|least| least >= PARALLEL) {
            return Ok(Self { origin, directions, lengths, cosines });
        }
        Err(Error::Input(format!(
            "the {} directions are not independent: one lies in the span of the others, leave it out",
            directions.len()
        )))
    }

    /// Through two checkpoints, or three, in the way of Garipov et al. 2018 (appendix A.1): the first is the origin, the
    /// second lies on the first axis, and the third in the upper half-plane. Both directions have length 1 and are
    /// orthogonal, so coordinates are distances in parameter space. With two, there is one direction.
    ///
    /// Checkpoints that are the same, and three on one line, are refused.
    pub fn through(points: &[Vec<f64>]) -> Result<Self> {
        let (2 | 3, Some(first)) = (points.len(), points.first()) else {
            return Err(Error::Input(format!(
                "a plane goes through two or three checkpoints, not {}",
                points.len()
            )));
        };
        for (k, point) in points.iter().enumerate() {
            check(point, first.len(), &format!("checkpoint {}", k + 1))?;
        }
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            if b < points.len() && same(&points[a], &points[b]) {
                return Err(Error::Input(format!(
                    "checkpoints {} and {} are the same: give different ones",
                    a + 1,
                    b + 1
                )));
            }
        }
        let mut directions: Vec<Vec<f64>> = vec![];
        for point in &points[1..] {
            let away: Vec<f64> = point.iter().zip(first).map(|(p, o)| p - o).collect();
            let rest = unit_rest(&away, &directions, PARALLEL).ok_or_else(|| {
                Error::Input(
                    "the three checkpoints lie on one line, which no single plane goes through: take another third one"
                        .into(),
                )
            })?;
            directions.push(rest);
        }
        Self::new(first.clone(), directions)
    }

    /// The point with coordinates 0.
    pub fn origin(&self) -> &[f64] {
        &self.origin
    }

    /// The directions, one for each coordinate.
    pub fn directions(&self) -> &[Vec<f64>] {
        &self.directions
    }

    /// The point with some coordinates.
    pub fn point(&self, coordinates: &[f64]) -> Result<Vec<f64>> {
        if coordinates.len() != self.directions.len() {
            return Err(Error::Input(format!(
                "a point has {} coordinates here, not {}",
                self.directions.len(),
                coordinates.len()
            )));
        }
        let mut x = self.origin.clone();
        for (step, direction) in coordinates.iter().zip(&self.directions) {
            x.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
        }
        Ok(x)
    }

    /// The nearest point of the plane to a point, by least squares.
    pub fn project(&self, point: &[f64]) -> Result<Projection> {
        check(point, self.origin.len(), "the point")?;
        let factor = self
            .cosines
            .llt(Side::Lower)
            .map_err(|e| Error::Other(format!("the directions' cosines could not be factored: {e:?}")))?;
        let mut rest: Vec<f64> = point.iter().zip(&self.origin).map(|(p, o)| p - o).collect();
        let distance = norm(&rest);
        let mut coordinates = vec![0.0; self.directions.len()];
        // The normal equations square the condition; steps of refinement on what is left give the digits back.
        for _ in 0..4 {
            let along =
                Mat::from_fn(coordinates.len(), 1, |k, _| dot(&self.directions[k], &rest) / self.lengths[k]);
            let step = factor.solve(&along);
            for (k, direction) in self.directions.iter().enumerate() {
                let step = step[(k, 0)] / self.lengths[k];
                coordinates[k] += step;
                rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= step * d);
            }
        }
        let residual = norm(&rest);
        let relative = if distance > 0.0 { residual / distance } else { 0.0 };
        Ok(Projection { coordinates, residual, relative })
    }
}

/// Ranges for the axes of a picture of some coordinates: their box with a margin on every side, in shares of its longest
/// side, and all of that length, so that a unit is as long on every axis.
pub fn ranges(coordinates: &[Vec<f64>], margin: f64) -> Result<Vec<[f64; 2]>> {
    let axes = coordinates.first().map_or(0, Vec::len);
    if axes == 0 || coordinates.iter().any(|c| c.len() != axes || c.iter().any(|x| !x.is_finite())) {
        return Err(Error::Input(
            "ranges need points with equally many finite coordinates, one point or more".into(),
        ));
    }
    if !(margin.is_finite() && margin >= 0.0) {
        return Err(Error::Input(format!(
            "the margin is {margin}, but must be a number from 0 on, such as 0.2"
        )));
    }
    let boxes: Vec<[f64; 2]> = (0..axes)
        .map(|k| {
            let along = || coordinates.iter().map(|c| c[k]);
            [along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max)]
        })
        .collect();
    let side = boxes.iter().map(|[from, to]| to - from).fold(0.0, f64::max);
    if side <= 0.0 {
        return Err(Error::Input("all points fall on one place: give ranges".into()));
    }
    let half = side * (0.5 + margin);
    Ok(boxes
        .iter()
        .map(|[from, to]| f64::midpoint(*from, *to))
        .map(|middle| [middle - half, middle + half])
        .collect())
}

/// What is left of a vector beside orthonormal ones, at length 1; none where that is less than a share of it. Twice,
/// because once leaves rounding where the angle is small.
pub(crate) fn unit_rest(vector: &[f64], orthonormal: &[Vec<f64>], least: f64) -> Option<Vec<f64>> {
    let (mut rest, whole) = (vector.to_vec(), norm(vector));
    for _ in 0..2 {
        for direction in orthonormal {
            let along = dot(direction, &rest);
            rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
        }
    }
    let length = norm(&rest);
    rest.iter_mut().for_each(|r| *r /= length);
    (length > least * whole).then_some(rest)
}

/// Whether two points are no farther apart than rounding may have put them.
fn same(a: &[f64], b: &[f64]) -> bool {
    let apart: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&apart) <= 1e-12 * norm(a)
}

/// Refuses vectors of another length, and entries that are not finite.
pub(crate) fn check(vector: &[f64], length: usize, what: &str) -> Result<()> {
    if vector.len() != length {
        return Err(Error::Input(format!(
            "{what} has {} entries where others have {length}: they are not of one network",
            vector.len()
        )));
    }
    match vector.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(Error::Input(format!("entry {at} of {what} is {}, not a finite number", vector[at]))),
        None => Ok(()),
    }
}
