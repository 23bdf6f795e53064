//! Values that tensors have before training.

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

/// The distribution of a tensor's starting values.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// The same number everywhere.
    Constant(f64),
    /// Uniform in -bound..bound.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Initial {
    /// PyTorch's default for the weights of linear and convolutional layers, and for their biases when given the
    /// weight's shape: uniform within 1 / sqrt(fan in) (He et al. 2015 with gain 1 / sqrt(3)).
    pub fn fan_in(weight: &[usize]) -> Self {
        let fan_in: usize = weight.iter().skip(1).product();
        Self::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// The starting values of the tensor `name`: they depend on seed and name alone, so neither the order of tensors
    /// nor the presence of others changes them.
    pub(super) fn tensor(
        self,
        name: &str,
        shape: &[usize],
        seed: u64,
        dtype: DType,
    ) -> candle_core::Result<Tensor> {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
        let mut random = ChaCha8Rng::from_seed(digest.into());
        let mut draw = || match self {
            Self::Constant(value) => value,
            Self::Uniform(bound) => bound * (2.0 * random.random::<f64>() - 1.0),
            Self::Normal(deviation) => deviation * random.sample::<f64, _>(StandardNormal),
        };
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| draw()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
    }
}
