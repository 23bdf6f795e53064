//! Everything a run knows between two products, in memory and in a file.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::certify::Known;
use super::krylov::{Krylov, Step};
use super::wanted::Outside;
use super::{Lanczos, vectors};
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
        };
        match start {
            None => state.push_random()?,
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
        let mut next = step.remainder;
        vectors::scale(&mut next, 1.0 / step.beta);
        self.krylov.vectors.push(next);
        Ok(())
    }

    /// Adds a random vector orthogonal to the basis.
    pub(super) fn push_random(&mut self) -> Result<()> {
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
        let expected = fingerprint(settings);
        if self.n != n {
            let found = self.n;
            return Err(Error::State(format!(
                "the state is of a problem with {found} parameters, this one has {n}"
            )));
        }
        if self.settings != expected {
            return Err(Error::State(format!(
                "the state was made with other settings ({} instead of {expected}): repeat the interrupted command",
                self.settings
            )));
        }
        Ok(())
    }

    /// Writes the state, whole or not at all: under a temporary name in the same folder, then renamed. `context` says what
    /// the operator was, so that [`load`](Self::load) can refuse another one.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let flat = |v: Vec<f64>| Tensor::new(v, &Device::Cpu);
        let rows = |rows: &[Vec<f64>]| flat(rows.concat());
        let (phase, kept, steps) = match self.phase {
            Phase::Search => (0, 0, 0),
            Phase::Check { kept, steps } => (1, kept, steps),
            Phase::Certify => (2, 0, 0),
        };
        let outside = self.outside.map_or(vec![], |o| vec![o.highest, o.lowest]);
        let pairs = self
            .pairs
            .iter()
            .flat_map(|p| [p.value, p.residual, p.estimate, f64::from(u8::from(p.certified))]);
        let tensors = HashMap::from([
            ("vectors".to_string(), rows(&self.krylov.vectors)?),
            ("projected".to_string(), rows(&self.krylov.projected)?),
            ("defects".to_string(), flat(self.krylov.defects.clone())?),
            ("scale".to_string(), flat(vec![self.scale, self.last_residual])?),
            ("outside".to_string(), flat(outside)?),
            ("pairs".to_string(), flat(pairs.collect())?),
        ]);
        let counts = [
            self.n,
            self.seed as usize,
            self.products,
            self.draws as usize,
            usize::from(self.checked),
            phase,
            kept,
            steps,
        ];
        let counts = counts.map(|c| c.to_string()).join(" ");
        let metadata =
            [("kind", KIND), ("settings", &self.settings), ("context", context), ("counts", &counts)];
        let metadata = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let bytes =
            safetensors::serialize(&tensors, Some(metadata)).map_err(|e| Error::State(e.to_string()))?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
            // Best effort: the state could not be written, and neither must half of it stay.
            let _ = std::fs::remove_file(&partial);
            Error::State(format!("the state cannot be written to `{}`: {e}", path.display()))
        })
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::State(format!("the state `{name}` cannot be read: {e}")))?;
        let none = || {
            Error::State(format!(
                "`{name}` is not the state of an interrupted run: give the file that it named"
            ))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|_| none())?;
        let metadata = header
            .metadata()
            .as_ref()
            .filter(|m| m.get("kind").is_some_and(|k| k == KIND))
            .ok_or_else(none)?;
        if metadata.get("context").map(String::as_str) != Some(context) {
            return Err(Error::State(format!(
                "the state `{name}` belongs to another checkpoint, data set or operator: repeat the interrupted command"
            )));
        }
        let counts: Vec<u64> =
            metadata.get("counts").ok_or_else(none)?.split(' ').map_while(|c| c.parse().ok()).collect();
        let &[n, seed, products, draws, checked, phase, kept, steps] = counts.as_slice() else {
            return Err(none());
        };
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
        let get = |key: &str| -> Result<Vec<f64>> { Ok(tensors.get(key).ok_or_else(none)?.to_vec1()?) };
        let n = n as usize;
        let projected = get("projected")?;
        let m = projected.len().isqrt();
        let pairs = get("pairs")?;
        let &[scale, last_residual] = get("scale")?.as_slice() else { return Err(none()) };
        Ok(Self {
            settings: metadata.get("settings").ok_or_else(none)?.clone(),
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
            krylov: Krylov {
                vectors: get("vectors")?.chunks(n.max(1)).map(<[f64]>::to_vec).collect(),
                projected: projected.chunks(m.max(1)).map(<[f64]>::to_vec).collect(),
                defects: get("defects")?,
            },
            outside: get("outside")?.first_chunk().map(|&[highest, lowest]| Outside { highest, lowest }),
            pairs: pairs
                .chunks_exact(4)
                .map(|p| Known { value: p[0], residual: p[1], estimate: p[2], certified: p[3] > 0.5 })
                .collect(),
        })
    }
}

const KIND: &str = "relief lanczos state 1";

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
