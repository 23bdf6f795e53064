//! Directions in parameter space.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_hessian::{Error, Parameters, Result};
use serde::{Deserialize, Serialize};

/// How a random direction is scaled to the network's own sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// Every filter gets the norm of the network's filter: the entries of a tensor with one index along its first axis,
    /// which is a neuron of a linear layer and an output channel of a convolution (Li et al. 2018, section 4).
    #[default]
    Filter,
    /// Every tensor gets the norm of the network's tensor.
    Layer,
    /// Every entry is multiplied by the network's entry.
    Weight,
    /// Gaussian as drawn.
    None,
}

/// What a random direction does to tensors with one axis: biases, and scales and shifts of norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vectors {
    /// They stay as they are.
    #[default]
    Zero,
    /// They move, and are scaled as a whole.
    Move,
}

/// A Gaussian direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RandomDirection {
    /// How it is scaled.
    pub normalisation: Normalisation,
    /// What it does to biases and norms.
    pub vectors: Vectors,
    /// Seed of a family of directions.
    pub seed: u64,
    /// Which one of the family.
    pub nth: u64,
}

impl RandomDirection {
    /// Draws the direction for a network.
    pub fn draw(&self, at: &Parameters) -> Result<Vec<f64>> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.nth);
        let mut direction: Vec<f64> = (0..at.len()).map(|_| StandardNormal.sample(&mut random)).collect();
        let weights = at.to_vec()?;
        for ((_, range), (_, tensor)) in at.ranges().into_iter().zip(at.iter()) {
            let (part, weights) = (&mut direction[range.clone()], &weights[range]);
            let dims = tensor.dims();
            match (dims.len(), self.vectors, self.normalisation) {
                (0 | 1, Vectors::Zero, _) => part.fill(0.0),
                (_, _, Normalisation::None) => {}
                (_, _, Normalisation::Weight) => part.iter_mut().zip(weights).for_each(|(d, w)| *d *= w),
                (0 | 1, Vectors::Move, _) | (_, _, Normalisation::Layer) => resize(part, weights),
                (_, _, Normalisation::Filter) => {
                    let filter = (part.len() / dims[0].max(1)).max(1);
                    part.chunks_mut(filter).zip(weights.chunks(filter)).for_each(|(d, w)| resize(d, w));
                }
            }
        }
        if direction.iter().all(|d| *d == 0.0) {
            return Err(Error::Input(
                "the direction is zero: all parameters are biases or norms, or the weights are zero; let biases and norms \
                 move, or take no normalisation"
                    .into(),
            ));
        }
        Ok(direction)
    }
}

/// Gives `d` the norm of `w`.
fn resize(d: &mut [f64], w: &[f64]) {
    let (from, to) = (norm(d), norm(w));
    let factor = if from > 0.0 { to / from } else { 0.0 };
    d.iter_mut().for_each(|d| *d *= factor);
}

/// The direction in which a step of 1 leads from one point to another of the same network.
pub fn between(from: &Parameters, to: &Parameters) -> Result<Vec<f64>> {
    check_one_network(from, to)?;
    Ok(to.to_vec()?.iter().zip(&from.to_vec()?).map(|(b, a)| b - a).collect())
}

/// Whether two points have the same names and shapes.
pub(crate) fn check_one_network(a: &Parameters, b: &Parameters) -> Result<()> {
    let shapes = |p: &Parameters| -> Vec<(String, Vec<usize>)> {
        p.iter().map(|(name, t)| (name.to_string(), t.dims().to_vec())).collect()
    };
    if let Some((a, b)) = shapes(a).into_iter().zip(shapes(b)).find(|(a, b)| a != b) {
        return Err(Error::Input(format!(
            "the two points are not of one network: one has `{}` of shape {:?} where the other has `{}` of shape {:?}",
            a.0, a.1, b.0, b.1
        )));
    }
    if a.names().len() != b.names().len() {
        return Err(Error::Input(format!(
            "the two points are not of one network: they have {} and {} parameters",
            a.len(),
            b.len()
        )));
    }
    Ok(())
}

/// The cosine of the angle between two directions.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (norm(a) * norm(b))
}

/// `b` without its part along `a`, with its own norm. Twice, because once leaves rounding where the angle is small.
pub fn orthogonalised(b: &[f64], a: &[f64]) -> Vec<f64> {
    let (mut out, square) = (b.to_vec(), dot(a, a));
    for _ in 0..2 {
        let along = dot(a, &out) / square;
        out.iter_mut().zip(a).for_each(|(b, a)| *b -= along * a);
    }
    resize(&mut out, b);
    out
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
