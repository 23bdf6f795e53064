//! The plane in which a trajectory of checkpoints mostly lies.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};
use rayon::prelude::*;
use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Plane;
use crate::direction::{dot, norm};
use crate::plane::{check, unit_rest};

/// The point that a trajectory is seen from: rows of the matrix are checkpoints minus that point, and it is the plane's
/// origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Centre {
    /// The last checkpoint (Li et al. 2018, section 7.2): directions in which the others are far from it.
    #[default]
    Last,
    /// The mean of all checkpoints: principal component analysis proper, which the code of Li et al. computes.
    Mean,
}

/// Principal directions of checkpoints.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Orthonormal directions through the centre, in the order of what they explain. The sign of each is such that the
    /// first checkpoint that is at least half as far out along it as the farthest one has a positive coordinate.
    pub plane: Plane,
    /// Where the rows were taken from.
    pub centre: Centre,
    /// Shares of the sum of squared distances from the centre: one for every component, not only for the plane's
    /// directions, falling, with the sum 1.
    pub explained: Vec<f64>,
}

/// The principal directions of checkpoints, given as flat vectors in the order of training.
///
/// Through the Gram matrix of the checkpoints, never one of parameters by parameters. That squares the condition, so each
/// direction is found from what those before it leave, and is as accurate as if the matrix itself had been decomposed.
/// `directions` must be fewer than the checkpoints, and these must span them beyond rounding.
pub fn principal_plane(points: &[Vec<f64>], centre: Centre, directions: usize) -> Result<Principal> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(Error::Input("principal directions need checkpoints, but there are none".into()));
    };
    for (k, point) in points.iter().enumerate() {
        check(point, first.len(), &format!("checkpoint {}", k + 1))?;
    }
    if directions == 0 || directions >= points.len() {
        return Err(Error::Input(format!(
            "{directions} principal directions were asked for, but {} checkpoints have 1 to {}: give more checkpoints",
            points.len(),
            points.len() - 1
        )));
    }
    let origin = match centre {
        Centre::Last => last.clone(),
        Centre::Mean => mean(points),
    };
    let mut rows = Rows { points, origin: &origin, removed: vec![] };
    // What rounding leaves of nothing in a matrix of these rows.
    let size = points.iter().map(|p| norm(p)).fold(norm(&origin), f64::max);
    let rounding = 16.0 * f64::EPSILON * (points.len() as f64).sqrt() * size;
    let mut explained = vec![];
    for k in 0..directions {
        let (values, vector) = rows.decomposed()?;
        if k == 0 {
            let all: f64 = values.iter().sum();
            explained = values.iter().take((points.len() - 1).min(first.len())).map(|v| v / all).collect();
        }
        let found: Vec<Vec<f64>> = rows.removed.iter().map(|(direction, _)| direction.clone()).collect();
        let direction =
            unit_rest(&rows.combined(&vector), &found, 0.5).filter(|_| values[0].sqrt() > rounding);
        let Some(direction) = direction else {
            return Err(Error::Input(match k {
                0 => "all checkpoints are the same: there is no direction between them".into(),
                _ => format!(
                    "the checkpoints span {k} direction{} only, not {directions}: ask for fewer, or give others",
                    if k == 1 { "" } else { "s" }
                ),
            }));
        };
        rows.remove(direction);
    }
    let directions = rows.removed.into_iter().map(|(direction, _)| direction).collect();
    Ok(Principal { plane: Plane::new(origin, directions)?, centre, explained })
}

/// Checkpoints minus a point, without their parts along some directions.
struct Rows<'a> {
    points: &'a [Vec<f64>],
    origin: &'a [f64],
    /// Orthonormal directions with the coordinates of the rows along them.
    removed: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Entries of a row that are worked on at once.
const CHUNK: usize = 4096;
/// Sums that are made side by side and then added in their order.
const PARTS: usize = 64;

impl Rows<'_> {
    fn entry(&self, row: usize, at: usize) -> f64 {
        let whole = self.points[row][at] - self.origin[at];
        self.removed.iter().fold(whole, |rest, (direction, along)| rest - along[row] * direction[at])
    }

    /// Squares of the singular values, falling, and the first left singular vector.
    fn decomposed(&self) -> Result<(Vec<f64>, Vec<f64>)> {
        let gram = self.gram();
        let m = self.points.len();
        // Scaled, so that tiny or huge distances cannot under- or overflow inside the decomposition.
        let unit = (0..m).map(|i| gram[(i, i)]).fold(0.0, f64::max);
        let unit = if unit > 0.0 { unit } else { 1.0 };
        let eigen = Mat::from_fn(m, m, |i, j| gram[(i, j)] / unit)
            .self_adjoint_eigen(Side::Lower)
            .map_err(|e| Error::Other(format!("the Gram matrix could not be diagonalised: {e:?}")))?;
        let values = (0..m).rev().map(|k| eigen.S()[k].max(0.0) * unit).collect();
        Ok((values, (0..m).map(|i| eigen.U()[(i, m - 1)]).collect()))
    }

    fn gram(&self) -> Mat<f64> {
        let (m, n) = (self.points.len(), self.origin.len());
        let part = n.div_ceil(PARTS).max(CHUNK);
        let sums: Vec<Mat<f64>> = (0..n.div_ceil(part))
            .into_par_iter()
            .map(|p| {
                let mut sum = Mat::zeros(m, m);
                let end = n.min((p + 1) * part);
                for start in (p * part..end).step_by(CHUNK) {
                    let columns = CHUNK.min(end - start);
                    let rows = Mat::from_fn(columns, m, |k, row| self.entry(row, start + k));
                    matmul(&mut sum, Accum::Add, rows.transpose(), &rows, 1.0, Par::Seq);
                }
                sum
            })
            .collect();
        sums.into_iter().fold(Mat::zeros(m, m), |sum, part| sum + part)
    }

    /// The sum of the rows times weights.
    fn combined(&self, weights: &[f64]) -> Vec<f64> {
        let at = |k| weights.iter().enumerate().map(|(row, weight)| weight * self.entry(row, k)).sum();
        (0..self.origin.len()).into_par_iter().map(at).collect()
    }

    /// Takes a direction's part out of the rows, and settles its sign.
    fn remove(&mut self, mut direction: Vec<f64>) {
        let mut along: Vec<f64> = (0..self.points.len())
            .into_par_iter()
            .map(|row| {
                let row: Vec<f64> = (0..self.origin.len()).map(|at| self.entry(row, at)).collect();
                dot(&row, &direction)
            })
            .collect();
        let farthest = along.iter().map(|c| c.abs()).fold(0.0, f64::max);
        if along.iter().find(|c| c.abs() >= 0.5 * farthest).is_some_and(|c| *c < 0.0) {
            direction.iter_mut().chain(&mut along).for_each(|x| *x = -*x);
        }
        self.removed.push((direction, along));
    }
}

fn mean(points: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; points[0].len()];
    for point in points {
        sum.iter_mut().zip(point).for_each(|(s, p)| *s += p);
    }
    sum.iter_mut().for_each(|s| *s /= points.len() as f64);
    sum
}
