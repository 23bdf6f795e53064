//! A checkpoint against what a model wants.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::Tensor;

use super::{Checkpoint, CheckpointError, Result};
use crate::architecture::Architecture;

/// How names and shapes differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Wanted, but not there: name and shape.
    pub missing: Vec<(String, Vec<usize>)>,
    /// There, but not wanted: name and shape.
    pub extra: Vec<(String, Vec<usize>)>,
    /// In another shape: name, found, expected.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Misfit {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.mismatched.is_empty()
    }
}

/// Entries of each kind that a message lists.
const LISTED: usize = 8;

fn listed<T>(f: &mut fmt::Formatter<'_>, what: &str, all: &[T], one: impl Fn(&T) -> String) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = all.iter().take(LISTED).map(one).collect();
    let more = if all.len() > LISTED { format!(" and {} more", all.len() - LISTED) } else { String::new() };
    write!(f, "\n  {what}: {}{more}", shown.join(", "))
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, extra, other) = (self.missing.len(), self.extra.len(), self.mismatched.len());
        write!(f, "{missing} tensors are missing, {extra} are not the model's, {other} have another shape")?;
        listed(f, "missing", &self.missing, |(name, shape)| format!("{name} {shape:?}"))?;
        listed(f, "not the model's", &self.extra, |(name, shape)| format!("{name} {shape:?}"))?;
        listed(f, "another shape", &self.mismatched, |(name, found, expected)| {
            format!("{name} (found {found:?}, expected {expected:?})")
        })
    }
}

impl Checkpoint {
    /// Exactly the wanted tensors, or one message with all that differs.
    pub fn fit(&self, wanted: &[(String, Vec<usize>)]) -> Result<BTreeMap<String, Tensor>> {
        self.compare(wanted, |_| false)
    }

    /// The tensors that an architecture wants for examples of this shape.
    pub fn fit_model(&self, model: &Architecture, example_shape: &[usize]) -> Result<BTreeMap<String, Tensor>> {
        let wanted: Vec<_> = model.wanted(example_shape)?.into_iter().map(|(name, shape, _)| (name, shape)).collect();
        let fitted = self.compare(&wanted, |name| model.ignores(name))?;
        for (name, copy) in &self.tensors {
            if let Some(original) = model.tied(name).and_then(|tied| fitted.get(tied))
                && !same(copy, original)?
            {
                let extra = vec![(format!("{name} (differs from the tensor it is tied to)"), copy.dims().to_vec())];
                let misfit = Misfit { extra, ..Misfit::default() };
                return Err(CheckpointError::Mismatch { name: self.name.clone(), misfit });
            }
        }
        Ok(fitted)
    }

    fn compare(
        &self,
        wanted: &[(String, Vec<usize>)],
        ignores: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Tensor>> {
        let mut misfit = Misfit::default();
        let mut fitted = BTreeMap::new();
        for (name, shape) in wanted {
            match self.tensors.get(name) {
                None => misfit.missing.push((name.clone(), shape.clone())),
                Some(t) if t.dims() != shape.as_slice() => {
                    misfit.mismatched.push((name.clone(), t.dims().to_vec(), shape.clone()));
                }
                Some(t) => {
                    fitted.insert(name.clone(), t.clone());
                }
            }
        }
        let known = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        let extra = self.tensors.iter().filter(|(name, _)| !known(name) && !ignores(name));
        misfit.extra = extra.map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
        if misfit.is_empty() {
            return Ok(fitted);
        }
        Err(CheckpointError::Mismatch { name: self.name.clone(), misfit })
    }
}

fn same(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.dims() != b.dims() {
        return Ok(false);
    }
    let difference = (a.to_dtype(candle_core::DType::F64)? - b.to_dtype(candle_core::DType::F64)?)?;
    Ok(difference.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()? == 0.0)
}
