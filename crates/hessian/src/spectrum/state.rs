//! Everything a run knows between two products, in memory and in a file.

use std::path::Path;

use super::{Probe, SpectralDensity};
use crate::Result;
use crate::lanczos::krylov::Krylov;
use crate::state_file::{self, StateFile};

/// An interrupted run, from which [`SpectralDensity::resume`] goes on to the same digits: the finished probes, and the
/// basis of the one under way.
#[derive(Debug, Clone)]
pub struct SpectrumState {
    settings: String,
    n: usize,
    pub(super) products: usize,
    pub(super) probes: Vec<Probe>,
    pub(super) krylov: Krylov,
}

impl SpectrumState {
    pub(super) fn new(settings: &SpectralDensity, n: usize) -> Self {
        Self { settings: format!("{settings:?}"), n, products: 0, probes: vec![], krylov: Krylov::default() }
    }

    /// Products so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// The finished probes.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    pub(super) fn belongs_to(&self, settings: &SpectralDensity, n: usize) -> Result<()> {
        state_file::belongs_to((&self.settings, self.n), &format!("{settings:?}"), n)
    }

    /// Writes the state, whole or not at all: under a temporary name in the same folder, then renamed. `context` says what
    /// the operator was, so that [`load`](Self::load) can refuse another one.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let lists = self.krylov.lists()?;
        let mut file = StateFile::new(&self.settings, &[self.n as u64, self.products as u64], lists);
        for (i, probe) in self.probes.iter().enumerate() {
            file.lists.insert(format!("probe-{i}"), probe.to_list());
        }
        file.save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let file = StateFile::load(path, KIND, context)?;
        Self::from_file(file).ok_or_else(|| state_file::no_state(path))
    }

    /// `None` if the numbers do not fit together.
    fn from_file(mut file: StateFile) -> Option<Self> {
        let &[n, products] = file.counts.as_slice() else { return None };
        let krylov = Krylov::take(&mut file, n as usize)?;
        let probes = (0..file.lists.len())
            .map(|i| Probe::from_list(&file.take(&format!("probe-{i}"))?))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { settings: file.settings, n: n as usize, products: products as usize, probes, krylov })
    }
}

const KIND: &str = "relief spectrum state 2";
