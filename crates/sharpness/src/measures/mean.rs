//! Means of samples with their standard errors.

use relief_hessian::Result;

/// A mean of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    /// Standard deviation / sqrt(samples); infinite for a single sample.
    pub(crate) standard_error: f64,
    pub(crate) samples: usize,
}

impl Mean {
    /// At least one sample.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let n = samples.len() as f64;
        let value = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|x| (x - value).powi(2)).sum();
        let standard_error = if samples.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { f64::INFINITY };
        Self { value, standard_error, samples: samples.len() }
    }

    /// Samples number 0, 1, .. until two standard errors are at most this share of the mean. Their number doubles from 8 up
    /// to the `most`, so that stopping at a good mean is hardly stopping by chance.
    pub(crate) fn until(
        share: f64,
        most: usize,
        mut sample: impl FnMut(u64) -> Result<f64>,
    ) -> Result<(Self, bool)> {
        let mut samples = vec![];
        let mut planned = 8.min(most.max(2));
        loop {
            for number in samples.len()..planned {
                samples.push(sample(number as u64)?);
            }
            let mean = Self::of(&samples);
            let reached = 2.0 * mean.standard_error <= share * mean.value.abs();
            if reached || planned >= most {
                return Ok((mean, reached));
            }
            planned = (2 * planned).min(most);
        }
    }
}
