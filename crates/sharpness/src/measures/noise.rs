//! Random displacements of all parameters.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// How the entries of random displacements are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Normal with standard deviation 1.
    #[default]
    Gaussian,
    /// Uniform in -1..1, with variance 1/3.
    Uniform,
}

impl Noise {
    /// Draw number `number` of a seed: what that stream of `ChaCha8Rng` draws, times the scales.
    pub fn draw(self, seed: u64, number: u64, n: usize, scales: Option<&[f64]>) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let mut draw: Vec<f64> = match self {
            Self::Gaussian => (0..n).map(|_| StandardNormal.sample(&mut random)).collect(),
            Self::Uniform => (0..n).map(|_| random.random_range(-1.0..1.0)).collect(),
        };
        if let Some(scales) = scales {
            draw.iter_mut().zip(scales).for_each(|(d, t)| *d *= t);
        }
        draw
    }

    /// The variance of an entry.
    pub fn variance(self) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::Uniform => 1.0 / 3.0,
        }
    }
}
