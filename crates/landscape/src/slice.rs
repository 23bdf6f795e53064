//! A grid of points around a point, along some directions.

use relief_hessian::{AffineSubspace, Error, Parameters, Result};

use crate::Points;

/// The points `origin` + sum of `axes[k][i]` * `directions[k]`, for every combination of nodes.
#[derive(Debug, Clone)]
pub struct Slice {
    origin: Parameters,
    start: Vec<f64>,
    directions: Vec<Vec<f64>>,
    axes: Vec<Vec<f64>>,
}

impl Slice {
    /// One axis of coordinates for each direction.
    pub fn new(origin: &Parameters, directions: Vec<Vec<f64>>, axes: Vec<Vec<f64>>) -> Result<Self> {
        if directions.len() != axes.len() || axes.iter().any(Vec::is_empty) {
            return Err(Error::Input(format!(
                "{} directions need as many axes, each with a coordinate or more, not {}",
                directions.len(),
                axes.len()
            )));
        }
        if let Some(direction) = directions.iter().find(|d| d.len() != origin.len()) {
            return Err(Error::Input(format!(
                "a direction has {} entries, but there are {} parameters",
                direction.len(),
                origin.len()
            )));
        }
        Ok(Self { origin: origin.clone(), start: origin.to_vec()?, directions, axes })
    }

    /// The coordinates along each direction.
    pub fn axes(&self) -> &[Vec<f64>] {
        &self.axes
    }
}

/// Each point is computed from the origin.
impl Points for Slice {
    fn count(&self) -> usize {
        self.axes.iter().map(Vec::len).product()
    }

    fn point(&self, index: usize) -> Result<Parameters> {
        let mut x = self.start.clone();
        for (step, direction) in self.coordinates(index).into_iter().zip(&self.directions) {
            if step != 0.0 {
                x.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
            }
        }
        self.origin.at(&x)
    }

    fn subspace(&self) -> Option<AffineSubspace<'_>> {
        Some(AffineSubspace { origin: &self.origin, directions: &self.directions })
    }

    /// Those of the first axis change fastest.
    fn coordinates(&self, mut index: usize) -> Vec<f64> {
        self.axes
            .iter()
            .map(|axis| {
                let coordinate = axis[index % axis.len()];
                index /= axis.len();
                coordinate
            })
            .collect()
    }
}
