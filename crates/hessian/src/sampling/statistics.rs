//! Means of samples and how far off they may be.

use super::run::Conclusion;
use crate::lanczos::ROUNDING_UNITS;

/// An estimated number.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) value: f64,
    /// Standard error.
    pub(crate) error: f64,
    /// What each probe says by itself; none where the value is exact.
    pub(crate) samples: Vec<f64>,
}

impl Scalar {
    pub(crate) fn exact(value: f64) -> Self {
        Self { value, error: 0.0, samples: vec![] }
    }

    /// With an allowance for the rounding of products, of a matrix of that norm.
    pub(crate) fn with_rounding(self, norm: f64, unit_roundoff: f64) -> Self {
        let rounding = ROUNDING_UNITS * unit_roundoff * (norm + self.value.abs());
        Self { error: self.error.hypot(rounding), ..self }
    }
}

impl Conclusion for Scalar {
    fn value(&self) -> f64 {
        self.value
    }

    fn error(&self) -> f64 {
        self.error
    }
}

/// Mean and standard error of independent samples: sqrt(sum of (x - mean)^2 / (k (k - 1))).
pub(crate) fn independent(samples: &[f64]) -> Scalar {
    let k = samples.len() as f64;
    let value = samples.iter().sum::<f64>() / k;
    let deviations: f64 = samples.iter().map(|x| (x - value).powi(2)).sum();
    Scalar { value, error: (deviations / (k * (k - 1.0))).sqrt(), samples: samples.to_vec() }
}

/// Mean and standard error of estimates `f_i` from k probes, each of which is left out of what it tests.
///
/// The error estimate of Epperly, Tropp & Webber (2024), the root of `sum of (f_i - mean)^2 / (k (k - 1))`, treats them as
/// uncorrelated. But they share probes: the variance of their mean is the expectation of that square plus the covariance of
/// two of them. Let `f_ij` be the estimate from probe i when probe j was never there (`without`). Whatever the other probes
/// are, `f_i` and `f_ij` have the same expectation over probe i, from which follows
/// `cov(f_i, f_j) = E (f_i - f_ij)(f_j - f_ji)`. So the variance has an estimate without bias, from the same products.
pub(crate) fn exchangeable(samples: &[f64], without: &[Vec<f64>]) -> Scalar {
    let k = samples.len();
    let mut covariance = 0.0;
    for i in 0..k {
        for j in 0..i {
            covariance += (samples[i] - without[i][j]) * (samples[j] - without[j][i]);
        }
    }
    covariance /= (k * (k - 1) / 2) as f64;
    let scalar = independent(samples);
    Scalar { error: (scalar.error * scalar.error + covariance.max(0.0)).sqrt(), ..scalar }
}
