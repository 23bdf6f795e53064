//! Everything a run knows between two products, in memory and in a file.

use std::path::Path;

use super::certify::Known;
use super::krylov::{Krylov, Step};
use super::wanted::Outside;
use super::{Lanczos, vectors};
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
    /// What the random vector that the search began with sees of the spectrum.
    pub(super) probe: Option<Probe>,
    /// Whether the basis still is the Krylov space of that vector.
    pub(super) first_cycle: bool,
}

/// What the next product is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Search,
    Check { kept: usize, steps: usize },
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
            probe: None,
            first_cycle: false,
        };
        match start {
            None => {
                state.push_random()?;
                state.first_cycle = true;
            }
            Some(vectors) => state.krylov.vectors.push(normalised_sum(vectors, n)?),
        }
        Ok(state)
    }

    /// Products so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Adds what is left of a product, or a random vector where nothing is.
    pub(super) fn push(&mut self, step: Step) -> Result<()> {
        if step.exhausted {
            return self.push_random();
        }
        self.krylov.push(step);
        Ok(())
    }

    /// Adds a random vector orthogonal to the basis.
    pub(super) fn push_random(&mut self) -> Result<()> {
        self.first_cycle = false;
        for _ in 0..8 {
            self.draws += 1;
            let mut v = vectors::random(self.n, self.seed, self.draws);
            let before = vectors::norm(&v);
            for _ in 0..3 {
                let along = vectors::coefficients(&self.krylov.vectors, &v);
                vectors::subtract(&self.krylov.vectors, &along, &mut v);
            }
            let after = vectors::norm(&v);
            if after > 1e-8 * before {
                vectors::scale(&mut v, 1.0 / after);
                self.krylov.vectors.push(v);
                return Ok(());
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
            ("vectors", self.krylov.vectors.concat()),
            ("projected", self.krylov.projected.concat()),
            ("defects", self.krylov.defects.clone()),
            ("scale", vec![self.scale, self.last_residual]),
            ("outside", self.outside.map_or(vec![], |o| vec![o.highest, o.lowest])),
            ("pairs", pairs.collect()),
            ("probe", self.probe.as_ref().map_or(vec![], Probe::to_list)),
        ];
        let (n, products) = (self.n as u64, self.products as u64);
        let (checked, first_cycle) = (u64::from(self.checked), u64::from(self.first_cycle));
        let counts =
            [n, self.seed, products, self.draws, checked, phase, kept as u64, steps as u64, first_cycle];
        StateFile::new(&self.settings, &counts, lists).save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let file = StateFile::load(path, KIND, context)?;
        Self::from_file(file).ok_or_else(|| state_file::no_state(path))
    }

    /// `None` if the numbers do not fit together.
    fn from_file(mut file: StateFile) -> Option<Self> {
        let &[n, seed, products, draws, checked, phase, kept, steps, first_cycle] = file.counts.as_slice()
        else {
            return None;
        };
        let n = n as usize;
        let vectors = file.take("vectors")?;
        let krylov = Krylov::from_lists(n, &vectors, &file.take("projected")?, file.take("defects")?)?;
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
            probe,
            first_cycle: first_cycle == 1,
            settings: file.settings,
        })
    }
}

const KIND: &str = "relief lanczos state 2";

fn fingerprint(settings: &Lanczos) -> String {
    format!("{settings:?}")
}

fn normalised_sum(given: &[Vec<f64>], n: usize) -> Result<Vec<f64>> {
    let mut sum = vec![0.0; n];
    for v in given {
        if v.len() != n {
            let found = v.len();
            return Err(Error::Input(format!(
                "a start vector has {found} entries, but the matrix has {n} rows"
            )));
        }
        let length = vectors::norm(v);
        if !length.is_finite() || length == 0.0 {
            return Err(Error::Input("a start vector is zero or not finite".into()));
        }
        sum.iter_mut().zip(v).for_each(|(s, x)| *s += x / length);
    }
    let length = vectors::norm(&sum);
    if length < 1e-8 {
        return Err(Error::Input("the start vectors cancel, or there are none".into()));
    }
    vectors::scale(&mut sum, 1.0 / length);
    Ok(sum)
}
