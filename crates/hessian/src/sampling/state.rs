//! An interrupted estimation, in memory and in a file.

use std::path::Path;

use super::Interim;
use super::packed::Packed;
use super::work::{KINDS, Work};
use crate::Result;
use crate::state_file::{self, StateFile};

/// An interrupted estimation, from which the estimator's `resume` goes on to the same digits.
#[derive(Debug, Clone)]
pub struct EstimateState {
    pub(super) settings: String,
    pub(super) n: usize,
    pub(super) products: usize,
    pub(super) planned: usize,
    pub(super) work: Work,
    /// All conclusions so far.
    pub(super) history: Vec<Interim>,
}

const KIND: &str = "relief estimate state 2";

/// The list of all conclusions: products, value, error estimate.
const HISTORY: &str = "history";

/// What the name of a list has appended for the lengths of its vectors.
const LENGTHS: &str = ".lengths";

impl EstimateState {
    pub(super) fn new(settings: String, n: usize, planned: usize, work: Work) -> Self {
        Self { settings, n, products: 0, planned, work, history: vec![] }
    }

    /// Products so far.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Refuses other settings and other dimensions than the state was made with.
    pub(crate) fn belongs_to(&self, settings: &str, n: usize) -> Result<()> {
        state_file::belongs_to((&self.settings, self.n), settings, n)
    }

    /// Writes the state, whole or not at all: under a temporary name in the same folder, then renamed. `context` says what
    /// the operator was, so that [`load`](Self::load) can refuse another one.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let packed = self.work.task().pack();
        let kind = KINDS.iter().position(|kind| *kind == packed.kind).unwrap_or(KINDS.len());
        let own = [self.n, self.products, self.planned, kind].map(|c| c as u64);
        let counts: Vec<u64> = own.into_iter().chain(packed.counts).collect();
        let mut file = StateFile::new(&self.settings, &counts, [("numbers", packed.numbers)]);
        let history = self.history.iter().flat_map(|h| [h.products as f64, h.value, h.error_estimate]);
        file.lists.insert(HISTORY.to_string(), history.collect());
        for (name, list) in packed.lists {
            let lengths = list.iter().map(|v| v.len() as f64).collect();
            file.lists.insert(format!("{name}{LENGTHS}"), lengths);
            file.lists.insert(name, list.concat());
        }
        file.save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`. What is no such state, or a damaged one, is refused.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let file = StateFile::load(path, KIND, context)?;
        Self::from_file(file).ok_or_else(|| state_file::no_state(path))
    }

    /// `None` if the numbers do not fit together.
    fn from_file(mut file: StateFile) -> Option<Self> {
        let (own, counts) = file.counts.split_first_chunk::<4>()?;
        let [n, products, planned, kind] = own.map(|c| c as usize);
        let mut packed = Packed {
            kind: KINDS.get(kind)?,
            counts: counts.to_vec(),
            numbers: file.take("numbers")?,
            ..Packed::default()
        };
        let history = file.take(HISTORY)?;
        let (rows, []) = history.as_chunks::<3>() else { return None };
        let history = rows.iter().map(|&[products, value, error_estimate]| Interim {
            products: products as usize,
            value,
            error_estimate,
        });
        let history = history.collect();
        let names: Vec<String> = file.lists.keys().filter(|name| !name.ends_with(LENGTHS)).cloned().collect();
        for name in names {
            let (flat, lengths) = (file.take(&name)?, file.take(&format!("{name}{LENGTHS}"))?);
            let mut rest = flat.as_slice();
            let mut list = vec![];
            for length in lengths {
                let (vector, tail) = rest.split_at_checked(length as usize)?;
                list.push(vector.to_vec());
                rest = tail;
            }
            packed.lists.insert(name, list);
        }
        let work = Work::unpack(&packed, n)?;
        Some(Self { settings: file.settings, n, products, planned, work, history })
    }
}
