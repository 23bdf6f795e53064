//! Long vectors on the host, and random ones.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub(crate) use relief_autodiff::vectors::{coefficients, dot, norm, recombine, scale, subtract};

/// Random vector number `draw` of a seed, with standard normal entries.
pub(crate) fn random(n: usize, seed: u64, draw: u64) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(draw);
    (0..n).map(|_| StandardNormal.sample(&mut generator)).collect()
}
