//! Inputs and targets saved as named arrays in an NPZ or safetensors file.
//!
//! `x` and `y` are a whole set, which is its `train` split; `x_train`, `y_train`, `x_test` and `y_test` are two splits.
//! What an array means is told by its type and shape:
//!
//! | array | type | shape | meaning |
//! |---|---|---|---|
//! | `x` | float | `[N, ...]` | real inputs, as they are |
//! | `x` | unsigned byte | `[N, ...]` | pixels, divided by 255 |
//! | `x` | other integer | `[N, T]` | token ids |
//! | `y` | integer | `[N]` | class labels |
//! | `y` | integer | `[N, T]`, with such an `x` | the next token at each position |
//! | `y` | float | `[N]`, `[N, ...]` | real targets (one-hot rows and probabilities too) |

use std::{collections::BTreeMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors};

use super::{
    array::{Array, Element, Numbers},
    error::{DataError, unreadable},
    meaning::Source,
    npz::Npz,
    options::DataOptions,
    raw::Raw,
};

/// A file of named arrays.
pub(super) trait ArrayFile {
    /// The names, in any order.
    fn names(&self) -> Vec<String>;

    /// One array.
    fn read(&mut self, name: &str) -> Result<Array, DataError>;
}

/// Load from an NPZ file.
pub(super) fn load_npz(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    load(&mut Npz::open(path)?, path, source, options)
}

/// Load from a safetensors file.
pub(super) fn load_safetensors(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let content = fs::read(path).map_err(unreadable(path))?;
    let tensors = SafeTensors::deserialize(&content).map_err(|cause| DataError::Malformed {
        path: path.to_path_buf(),
        reason: format!("it is no complete safetensors file ({cause}), save or fetch it again"),
    })?;
    load(&mut SafetensorsFile { path, tensors }, path, source, options)
}

struct SafetensorsFile<'data> {
    path: &'data Path,
    tensors: SafeTensors<'data>,
}

impl ArrayFile for SafetensorsFile<'_> {
    fn names(&self) -> Vec<String> {
        self.tensors.names().into_iter().map(str::to_owned).collect()
    }

    fn read(&mut self, name: &str) -> Result<Array, DataError> {
        let malformed = |reason| DataError::Malformed { path: self.path.to_path_buf(), reason };
        let view = self.tensors.tensor(name).map_err(|cause| malformed(cause.to_string()))?;
        let element = match view.dtype() {
            Dtype::U8 => Element::U8,
            Dtype::I8 => Element::I8,
            Dtype::U16 => Element::U16,
            Dtype::I16 => Element::I16,
            Dtype::U32 => Element::U32,
            Dtype::I32 => Element::I32,
            Dtype::U64 => Element::U64,
            Dtype::I64 => Element::I64,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            other => {
                return Err(malformed(format!(
                    "array `{name}` has the type {other:?}, expected integers or floats of 8 to 64 bits: convert it"
                )));
            }
        };
        Ok(Array::decode(element, view.shape().to_vec(), view.data()))
    }
}

fn load(
    file: &mut dyn ArrayFile,
    path: &Path,
    origin: &str,
    options: &DataOptions,
) -> Result<Raw, DataError> {
    let source = Source { path, origin };
    let mut names = file.names();
    names.sort();
    let suffix = source.suffix(&names, options.split)?;
    let [x_name, y_name] = ["x", "y"].map(|letter| format!("{letter}{suffix}"));
    for wanted in [&x_name, &y_name] {
        if !names.contains(wanted) {
            return Err(DataError::ArrayMissing {
                path: path.to_path_buf(),
                wanted: wanted.clone(),
                found: names,
            });
        }
    }
    let (x, y) = (file.read(&x_name)?, file.read(&y_name)?);
    if x.shape.len() < 2 {
        let expected = "at least 2 dimensions, the first of them the examples: reshape it";
        return Err(source.unsuitable(&x_name, &x, expected));
    }
    let [available, targets] = [&x, &y].map(|array| array.shape.first().copied().unwrap_or(0));
    if available != targets {
        return Err(DataError::CountMismatch { origin: origin.to_owned(), inputs: available, targets });
    }
    let count = options.count(origin, available)?;

    // Counted over all examples of both splits: a limit must not change the number of classes.
    let mut classes = BTreeMap::new();
    for name in names.iter().filter(|name| name.starts_with('y') && *name != &y_name) {
        if ["y_train", "y_test"].contains(&name.as_str()) && !suffix.is_empty() {
            classes.insert(name.clone(), source.largest(name, &file.read(name)?)?);
        }
    }
    classes.insert(y_name.clone(), source.largest(&y_name, &y)?);
    if matches!(x.numbers, Numbers::Integers(_)) {
        classes.insert(x_name.clone(), source.largest(&x_name, &x)?);
    }
    let real = matches!(y.numbers, Numbers::Reals(_));
    let classes = if real { None } else { classes.into_values().flatten().max().map(|id| id as usize + 1) };

    let (x, y) = (x.truncated(count), y.truncated(count));
    let targets = source.targets(&y_name, y, &x)?;
    let inputs = source.inputs(&x_name, x)?;
    Ok(Raw {
        classes,
        arrays: [x_name, y_name],
        ..Raw::new(origin, vec![path.to_path_buf()], inputs, targets)
    })
}
