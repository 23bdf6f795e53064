//! Everything a run knows between two products, in memory and in a file.

use std::path::Path;

use super::certify::Known;
use super::krylov::Krylov;
use super::vector::Vector;
use super::wanted::Outside;
use super::{Lanczos, MissedCopies, vectors};
use crate::spectrum::Probe;
use crate::state_file::{self, StateFile};
use crate::{Error, Result};

/// An interrupted run, from which [`Lanczos::resume`] goes on to the same digits.
#[derive(Debug, Clone)]
pub struct LanczosState {
    pub(super) settings: String,
    pub(super) n: usize,
    pub(super) seed: u64,
    pub(super) products: usize,
    pub(super) draws: u64,
    pub(super) scale: f64,
    /// The leading pair's residual after the product before this one.
    pub(super) last_residual: f64,
    pub(super) checked: bool,
    pub(super) phase: Phase,
    pub(super) krylov: Krylov,
    pub(super) outside: Option<Outside>,
    pub(super) pairs: Vec<Known>,
    /// Of random combinations of the pairs, how far their products were from what was expected.
    pub(super) discrepancies: Vec<f64>,
    /// What the random vector that the search began with sees of the spectrum.
    pub(super) probe: Option<Probe>,
    /// Whether the basis still is the Krylov space of that vector.
    pub(super) first_cycle: bool,
    /// Whether a check saw values in the complement that lie too close to the wanted ones for it.
    pub(super) crowded: bool,
}

/// What the next product is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Search,
    /// The complement of the first `kept` vectors, after so many steps from a random one.
    Check {
        kept: usize,
        steps: usize,
    },
    Certify,
}

impl LanczosState {
    pub(super) fn new(settings: &Lanczos, n: usize, start: Option<&[Vec<f64>]>) -> Result<Self> {
        let mut state = Self {
            settings: fingerprint(settings),
            n,
            seed: settings.seed,
            products: 0,
            draws: 0,
            scale: 0.0,
            last_residual: f64::INFINITY,
            checked: false,
            phase: Phase::Search,
            krylov: Krylov::default(),
            outside: None,
            pairs: vec![],
            discrepancies: vec![],
            probe: None,
            first_cycle: start.is_none(),
            crowded: false,
        };
        for v in start.unwrap_or_default() {
            state.give(v)?;
        }
        // The sum's product tells how near the vectors are, before more is spent on them.
        state.krylov.sum_first()?;
        if state.krylov.given > 0 && settings.wanted.total() == 1 && settings.check == MissedCopies::Auto {
            state.blend()?;
        }
        // What too few vectors cannot hold must come from elsewhere.
        if state.krylov.given < settings.wanted.total() {
            state.give_random()?;
        }
        Ok(state)
    }

    /// Products so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Adds what a start vector has that those before it have not.
    fn give(&mut self, v: &[f64]) -> Result<()> {
        if v.len() != self.n {
            let (found, n) = (v.len(), self.n);
            return Err(Error::Input(format!(
                "a start vector has {found} entries, but the matrix has {n} rows"
            )));
        }
        let length = vectors::norm(v);
        if !length.is_finite() || length == 0.0 {
            return Err(Error::Input("a start vector is zero or not finite".into()));
        }
        if let Some(v) = orthogonal(&self.krylov.vectors, self.krylov.place(v.to_vec())?, DEPENDENT)? {
            self.krylov.give(v);
        }
        Ok(())
    }

    /// Adds a random vector to the first given one, and drops the others: a single value that is not checked must come from
    /// a vector with something of every direction.
    fn blend(&mut self) -> Result<()> {
        let mut v = self.random(0)?;
        v.subtract(&self.krylov.vectors[..1], &[-1.0])?;
        let length = v.norm()?;
        v.scale(1.0 / length)?;
        self.krylov.clear();
        self.krylov.give(v);
        Ok(())
    }

    /// Adds a random vector orthogonal to all others.
    pub(super) fn give_random(&mut self) -> Result<()> {
        let v = self.random(self.krylov.vectors.len())?;
        self.krylov.give(v);
        Ok(())
    }

    /// Adds a random vector of the multiplied vectors' complement.
    pub(super) fn give_random_across(&mut self) -> Result<()> {
        let v = self.random(self.krylov.len())?;
        self.krylov.give_across(v)
    }

    /// A random unit vector orthogonal to so many of the first vectors.
    fn random(&mut self, count: usize) -> Result<Vector> {
        for _ in 0..8 {
            self.draws += 1;
            let v = self.krylov.place(vectors::random(self.n, self.seed, self.draws))?;
            if let Some(v) = orthogonal(&self.krylov.vectors[..count], v, NOTHING_LEFT)? {
                return Ok(v);
            }
        }
        Err(Error::Other("no vector orthogonal to the basis could be drawn".into()))
    }

    /// Whether these settings and this dimension are what the state was made with.
    pub(super) fn belongs_to(&self, settings: &Lanczos, n: usize) -> Result<()> {
        state_file::belongs_to((&self.settings, self.n), &fingerprint(settings), n)
    }

    /// Writes the state, whole or not at all: under a temporary name in the same folder, then renamed. `context` says what
    /// the operator was, so that [`load`](Self::load) can refuse another one.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let (phase, kept, steps) = match self.phase {
            Phase::Search => (0, 0, 0),
            Phase::Check { kept, steps } => (1, kept, steps),
            Phase::Certify => (2, 0, 0),
        };
        let pairs = self
            .pairs
            .iter()
            .flat_map(|p| [p.value, p.residual, p.estimate, f64::from(u8::from(p.certified))]);
        let lists = [
            ("scale", vec![self.scale, self.last_residual]),
            ("outside", self.outside.map_or(vec![], |o| vec![o.highest, o.lowest])),
            ("pairs", pairs.collect()),
            ("discrepancies", self.discrepancies.clone()),
            ("probe", self.probe.as_ref().map_or(vec![], Probe::to_list)),
        ];
        let counts = [
            self.n as u64,
            self.seed,
            self.products as u64,
            self.draws,
            u64::from(self.checked),
            phase,
            kept as u64,
            steps as u64,
            u64::from(self.first_cycle),
            u64::from(self.crowded),
        ];
        let mut file = StateFile::new(&self.settings, &counts, lists);
        file.lists.extend(self.krylov.lists()?.map(|(name, list)| (name.to_string(), list)));
        file.save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let file = StateFile::load(path, KIND, context)?;
        Self::from_file(file).ok_or_else(|| state_file::no_state(path))
    }

    /// `None` if the numbers do not fit together.
    fn from_file(mut file: StateFile) -> Option<Self> {
        let &[n, seed, products, draws, checked, phase, kept, steps, first_cycle, crowded] =
            file.counts.as_slice()
        else {
            return None;
        };
        let n = n as usize;
        let krylov = Krylov::take(&mut file, n)?;
        let probe = file.take("probe")?;
        let probe = if probe.is_empty() { None } else { Some(Probe::from_list(&probe)?) };
        let &[scale, last_residual] = file.take("scale")?.as_slice() else { return None };
        Some(Self {
            n,
            seed,
            products: products as usize,
            draws,
            scale,
            last_residual,
            checked: checked == 1,
            phase: match phase {
                0 => Phase::Search,
                1 => Phase::Check { kept: kept as usize, steps: steps as usize },
                _ => Phase::Certify,
            },
            krylov,
            outside: file
                .take("outside")?
                .first_chunk()
                .map(|&[highest, lowest]| Outside { highest, lowest }),
            pairs: file
                .take("pairs")?
                .chunks_exact(4)
                .map(|p| Known { value: p[0], residual: p[1], estimate: p[2], certified: p[3] > 0.5 })
                .collect(),
            discrepancies: file.take("discrepancies")?,
            probe,
            first_cycle: first_cycle == 1,
            crowded: crowded == 1,
            settings: file.settings,
        })
    }
}

const KIND: &str = "relief lanczos state 3";
/// Share of a random vector below which what is left of it is rounding.
const NOTHING_LEFT: f64 = 1e-8;
/// Share of a start vector that others must lack: below it a product would tell nothing new.
const DEPENDENT: f64 = 1e-3;

fn fingerprint(settings: &Lanczos) -> String {
    format!("{settings:?}")
}

/// What `v` has outside the span of orthonormal vectors, as a unit vector; `None` if that is less than a `share` of it.
fn orthogonal(basis: &[Vector], mut v: Vector, share: f64) -> Result<Option<Vector>> {
    let before = v.norm()?;
    for _ in 0..3 {
        let along = v.coefficients(basis)?;
        v.subtract(basis, &along)?;
    }
    let after = v.norm()?;
    if after > share * before {
        v.scale(1.0 / after)?;
        return Ok(Some(v));
    }
    Ok(None)
}
