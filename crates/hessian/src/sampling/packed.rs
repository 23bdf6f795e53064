//! A task's memory as plain lists of numbers, for a file.

use std::collections::BTreeMap;

use super::basis::Basis;

/// Everything a task knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Packed {
    /// Which task.
    pub(crate) kind: String,
    pub(crate) counts: Vec<u64>,
    pub(crate) numbers: Vec<f64>,
    /// Lists of vectors, each of its own length.
    pub(crate) lists: BTreeMap<String, Vec<Vec<f64>>>,
}

impl Packed {
    pub(crate) fn new(kind: &str, counts: &[usize], seed: u64) -> Self {
        let counts = counts.iter().map(|c| *c as u64).chain([seed]).collect();
        Self { kind: kind.to_string(), counts, ..Self::default() }
    }

    pub(crate) fn with_numbers(self, numbers: &[f64]) -> Self {
        Self { numbers: numbers.to_vec(), ..self }
    }

    pub(crate) fn with(mut self, name: &str, list: Vec<Vec<f64>>) -> Self {
        self.lists.insert(name.to_string(), list);
        self
    }

    pub(crate) fn with_basis(self, basis: &Basis) -> Self {
        self.with("basis", basis.vectors.clone()).with("factor", basis.factor.clone())
    }

    /// The counts, and the seed that follows them.
    pub(crate) fn counts<const N: usize>(&self) -> Option<([usize; N], u64)> {
        let (seed, counts) = self.counts.split_last()?;
        let counts: Vec<usize> = counts.iter().map(|c| *c as usize).collect();
        Some((counts.try_into().ok()?, *seed))
    }

    pub(crate) fn numbers<const N: usize>(&self) -> Option<[f64; N]> {
        self.numbers.clone().try_into().ok()
    }

    /// A list whose vectors all have that length.
    pub(crate) fn list(&self, name: &str, length: usize) -> Option<Vec<Vec<f64>>> {
        self.lists.get(name).filter(|list| list.iter().all(|v| v.len() == length)).cloned()
    }

    /// A list of a single vector.
    pub(crate) fn single(&self, name: &str) -> Option<Vec<f64>> {
        self.lists.get(name).filter(|list| list.len() == 1).map(|list| list[0].clone())
    }

    /// A basis of vectors of that length.
    pub(crate) fn basis(&self, length: usize) -> Option<Basis> {
        let vectors = self.list("basis", length)?;
        let factor = self.lists.get("factor")?.clone();
        let fits = vectors.len() <= factor.len() && factor.iter().all(|c| c.len() <= vectors.len());
        fits.then_some(Basis { vectors, factor })
    }
}
