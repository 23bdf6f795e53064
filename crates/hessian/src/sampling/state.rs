//! An interrupted estimation, in memory and in a file.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::packed::Packed;
use super::work::Work;
use crate::{Error, Result};

/// An interrupted estimation, from which the estimator's `resume` goes on to the same digits.
#[derive(Debug, Clone)]
pub struct EstimateState {
    pub(super) settings: String,
    pub(super) n: usize,
    pub(super) products: usize,
    pub(super) planned: usize,
    pub(super) work: Work,
}

const KIND: &str = "relief estimate state 1";

impl EstimateState {
    pub(super) fn new(settings: String, n: usize, planned: usize, work: Work) -> Self {
        Self { settings, n, products: 0, planned, work }
    }

    /// Products so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Whether these settings and this dimension are what the state was made with.
    pub(crate) fn belongs_to(&self, settings: &str, n: usize) -> Result<()> {
        if self.n != n {
            let found = self.n;
            return Err(Error::State(format!(
                "the state is of a matrix with {found} rows, this one has {n}: repeat the interrupted command"
            )));
        }
        if self.settings != settings {
            return Err(Error::State(format!(
                "the state was made with other settings ({} instead of {settings}): repeat the interrupted command",
                self.settings
            )));
        }
        Ok(())
    }

    /// Writes the state, whole or not at all: under a temporary name in the same folder, then renamed. `context` says what
    /// the operator was, so that [`load`](Self::load) can refuse another one.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let packed = self.work.task().pack();
        let flat = |v: Vec<f64>| Tensor::new(v, &Device::Cpu);
        let mut tensors = HashMap::from([("numbers".to_string(), flat(packed.numbers)?)]);
        for (name, list) in packed.lists {
            let lengths: Vec<i64> = list.iter().map(|v| v.len() as i64).collect();
            tensors.insert(format!("{name}.lengths"), Tensor::new(lengths, &Device::Cpu)?);
            tensors.insert(name, flat(list.concat())?);
        }
        let own = [self.n, self.products, self.planned].map(|c| c as u64);
        let counts: Vec<String> = own.iter().chain(&packed.counts).map(u64::to_string).collect();
        let counts = counts.join(" ");
        let metadata = [
            ("kind", KIND),
            ("settings", &self.settings),
            ("context", context),
            ("work", &packed.kind),
            ("counts", &counts),
        ];
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

    /// Reads a state that was saved with the same `context`. What is no such state, or a damaged one, is refused.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::State(format!("the state `{name}` cannot be read: {e}")))?;
        let none = || {
            Error::State(format!(
                "`{name}` is not the state of an interrupted estimate: give the file that it named"
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
        let (own, counts) = counts.split_first_chunk::<3>().ok_or_else(none)?;
        let [n, products, planned] = own.map(|c| c as usize);
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
        let mut packed = Packed {
            kind: metadata.get("work").ok_or_else(none)?.clone(),
            counts: counts.to_vec(),
            numbers: tensors.remove("numbers").ok_or_else(none)?.to_vec1()?,
            lists: [].into(),
        };
        for (list, flat) in tensors.iter().filter(|(list, _)| !list.ends_with(".lengths")) {
            let lengths: Vec<i64> = tensors.get(&format!("{list}.lengths")).ok_or_else(none)?.to_vec1()?;
            let flat: Vec<f64> = flat.to_vec1()?;
            let mut rest = flat.as_slice();
            let mut vectors = vec![];
            for length in lengths {
                let length = usize::try_from(length).map_err(|_| none())?;
                let (vector, tail) = rest.split_at_checked(length).ok_or_else(none)?;
                vectors.push(vector.to_vec());
                rest = tail;
            }
            packed.lists.insert(list.clone(), vectors);
        }
        let work = Work::unpack(&packed, n).ok_or_else(none)?;
        let settings = metadata.get("settings").ok_or_else(none)?.clone();
        Ok(Self { settings, n, products, planned, work })
    }
}
