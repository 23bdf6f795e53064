//! What an array of inputs or targets means, told by its type and shape.

use std::path::Path;

use super::{
    array::{Array, Numbers},
    error::DataError,
    options::Split,
    raw::{Inputs, RawTargets},
};

/// A file of arrays together with how to speak of it.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) origin: &'a str,
}

impl Source<'_> {
    /// What follows `x` and `y` in the names of a split's arrays.
    pub(super) fn suffix(&self, names: &[String], split: Split) -> Result<&'static str, DataError> {
        let has = |name: &str| names.iter().any(|found| found == name);
        let suffix = match split {
            Split::Train => "_train",
            Split::Test => "_test",
        };
        if has(&format!("x{suffix}")) {
            return Ok(suffix);
        }
        if has("x") && split == Split::Test {
            return Err(DataError::NoSplit {
                origin: self.origin.to_owned(),
                split,
                remedy: "its `x` and `y` are the train split; save `x_test` and `y_test` beside `x_train` and `y_train`"
                    .to_owned(),
            });
        }
        Ok(if has("x_train") || has("x_test") { suffix } else { "" })
    }

    pub(super) fn unsuitable(&self, name: &str, array: &Array, expected: &str) -> DataError {
        DataError::UnsuitableArray {
            path: self.path.to_path_buf(),
            array: name.to_owned(),
            found: array.described.clone(),
            expected: expected.to_owned(),
        }
    }

    /// The largest id of an array of integers; `None` for reals.
    pub(super) fn largest(&self, name: &str, array: &Array) -> Result<Option<u32>, DataError> {
        let integers: Box<dyn Iterator<Item = i64>> = match &array.numbers {
            Numbers::Bytes(values) => Box::new(values.iter().map(|&v| i64::from(v))),
            Numbers::Integers(values) => Box::new(values.iter().copied()),
            Numbers::Reals(_) => return Ok(None),
        };
        let width = array.shape.get(1..).map_or(1, |rest| rest.iter().product::<usize>().max(1));
        let mut largest = None;
        for (index, value) in integers.enumerate() {
            let id = u32::try_from(value).map_err(|_| DataError::LabelOutOfRange {
                origin: format!("`{name}` of {}", self.origin),
                example: index / width,
                label: value,
                expected: "an integer from 0 on that fits 32 bits".to_owned(),
            })?;
            largest = largest.max(Some(id));
        }
        Ok(largest)
    }

    /// Shape and numbers of the inputs.
    pub(super) fn inputs(&self, name: &str, array: Array) -> Result<(Vec<usize>, Inputs), DataError> {
        let numbers = match array.numbers {
            Numbers::Bytes(values) => Inputs::Pixels { values, unit: 255.0 },
            Numbers::Reals(values) => Inputs::Reals(values),
            Numbers::Integers(_) if array.shape.len() != 2 => {
                let expected = "floats, unsigned bytes (pixels), or token ids of shape [N, T]: convert it";
                return Err(self.unsuitable(name, &array, expected));
            }
            Numbers::Integers(values) => Inputs::Tokens(ids(&values)),
        };
        Ok((array.shape, numbers))
    }

    /// The targets, for inputs `x`.
    pub(super) fn targets(&self, name: &str, array: Array, x: &Array) -> Result<RawTargets, DataError> {
        let tokens = matches!(x.numbers, Numbers::Integers(_)) && array.shape == x.shape;
        let expected = if matches!(x.numbers, Numbers::Integers(_)) {
            "labels of shape [N], or the next tokens in the shape of the inputs"
        } else {
            "labels of shape [N], or floats"
        };
        let integers = match &array.numbers {
            Numbers::Reals(_) => None,
            Numbers::Bytes(values) => Some(values.iter().map(|&v| u32::from(v)).collect::<Vec<_>>()),
            Numbers::Integers(values) => Some(ids(values)),
        };
        match (integers, array.numbers) {
            (None, Numbers::Reals(values)) => Ok(RawTargets::Reals { shape: array.shape, values }),
            (Some(labels), _) if tokens => Ok(RawTargets::Tokens(labels)),
            (Some(labels), _) if array.shape.len() == 1 => Ok(RawTargets::Classes(labels)),
            (_, numbers) => {
                let array = Array { numbers, shape: array.shape, described: array.described };
                Err(self.unsuitable(name, &array, expected))
            }
        }
    }
}

/// Ids that [`Source::largest`] has found to fit.
fn ids(values: &[i64]) -> Vec<u32> {
    values.iter().map(|&v| u32::try_from(v).unwrap_or(u32::MAX)).collect()
}
