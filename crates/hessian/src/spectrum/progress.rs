//! Being told of the probes' progress, and stopping them.

use crate::lanczos::{Control, Silent};

/// Told of every product of a spectral density.
pub trait SpectrumObserver {
    /// Called after each product.
    fn product(&mut self, progress: &SpectrumProgress) -> Control;
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpectrumProgress {
    /// Products so far, over all probes.
    pub products: usize,
    /// Products at most.
    pub max_products: usize,
    /// Number of the probe that the product was for, from 0.
    pub probe: usize,
    /// Probes in all.
    pub probes: usize,
    /// Steps of this probe so far.
    pub step: usize,
    /// Steps of a probe at most.
    pub steps: usize,
    /// Whether this probe is finished: all its steps are done, or its Krylov space is whole.
    pub finished: bool,
}

impl SpectrumObserver for Silent {
    fn product(&mut self, _: &SpectrumProgress) -> Control {
        Control::Continue
    }
}
