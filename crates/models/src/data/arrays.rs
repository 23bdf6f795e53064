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

use candle_core::{DType, Tensor};

use super::{
    array_file::{ArrayFile, describe, is_pixels, is_real},
    error::DataError,
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets, Reals},
};

/// Load the asked split.
pub(super) fn load(file: &ArrayFile, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let set = ArraySet { file, names: file.names() };
    let suffix = set.suffix(source, options.split)?;
    let [x_name, y_name] = ["x", "y"].map(|letter| format!("{letter}{suffix}"));
    let (x, y) = (set.read(&x_name)?, set.read(&y_name)?);
    if x.rank() < 2 {
        return Err(set.unsuitable(
            &x_name,
            &x,
            "at least 2 dimensions, the first of them the examples: reshape it",
        ));
    }
    let (available, targets) = (x.dims()[0], y.dims().first().copied().unwrap_or(0));
    if available != targets {
        return Err(DataError::CountMismatch { origin: source.to_owned(), inputs: available, targets });
    }
    let count = options.count(source, available)?;
    for (name, array) in [(&x_name, &x), (&y_name, &y)] {
        if array.elem_count() == 0 {
            return Err(set.unsuitable(name, array, "at least one number an example: save it anew"));
        }
    }

    let inputs = set.inputs(&x_name, &x, count)?;
    let sequences = matches!(inputs, Inputs::Tokens(_)) && y.dims() == x.dims();
    let targets = set.targets(&y_name, &y, count, sequences)?;
    let classes = match &targets {
        RawTargets::Reals { .. } => None,
        RawTargets::Classes(_) => Some(set.classes(&["y"], suffix)?),
        RawTargets::Tokens(_) => Some(set.classes(&["x", "y"], suffix)?),
    };
    let mut shape = x.dims().to_vec();
    shape[0] = count;
    Ok(Raw {
        classes,
        arrays: [x_name, y_name],
        ..Raw::new(source, vec![file.path().to_path_buf()], (shape, inputs), targets)
    })
}

/// The arrays of a file that make a data set.
struct ArraySet<'a> {
    file: &'a ArrayFile,
    names: Vec<String>,
}

impl ArraySet<'_> {
    /// What the names of the split's arrays end with.
    fn suffix(&self, source: &str, split: Split) -> Result<&'static str, DataError> {
        let has = |name: &str| self.names.iter().any(|there| there == name);
        let wanted = match split {
            Split::Train => "_train",
            Split::Test => "_test",
        };
        let divided = has("x_train") || has("x_test");
        match split {
            _ if has(&format!("x{wanted}")) => Ok(wanted),
            Split::Train if !divided => Ok(""),
            _ if !divided && !has("x") => Ok(wanted),
            _ => Err(DataError::NoSplit {
                origin: source.to_owned(),
                split,
                remedy: format!("save it as `x{wanted}` and `y{wanted}`, or ask for the other split"),
            }),
        }
    }

    fn read(&self, name: &str) -> Result<Tensor, DataError> {
        if self.names.iter().any(|there| there == name) {
            return self.file.read(name);
        }
        Err(DataError::ArrayMissing {
            path: self.file.path().to_path_buf(),
            wanted: name.to_owned(),
            found: self.names.clone(),
        })
    }

    fn unsuitable(&self, name: &str, array: &Tensor, expected: &str) -> DataError {
        DataError::UnsuitableArray {
            path: self.file.path().to_path_buf(),
            array: name.to_owned(),
            found: describe(array),
            expected: expected.to_owned(),
        }
    }

    fn inputs(&self, name: &str, x: &Tensor, count: usize) -> Result<Inputs, DataError> {
        if is_real(x) {
            return Ok(Inputs::Reals(reals(&x.narrow(0, 0, count)?)?));
        }
        if is_pixels(x) {
            // Truth values are read as bytes too, and zeros and ones divided by 255 are surely not meant.
            if x.flatten_all()?.max(0)?.to_scalar::<u8>()? <= 1 {
                let expected = "bytes of 0 to 255, but none is above 1: save zeros and ones as floats, with \
                                x.astype('float32')";
                return Err(self.unsuitable(name, x, expected));
            }
            let values = x.narrow(0, 0, count)?.flatten_all()?.to_vec1::<u8>()?;
            return Ok(Inputs::Pixels { values, unit: 255.0 });
        }
        if x.rank() != 2 {
            let expected =
                "2 dimensions where it is token ids, or floats or unsigned bytes: convert it with astype";
            return Err(self.unsuitable(name, x, expected));
        }
        Ok(Inputs::Tokens(self.ids(name, x, count)?))
    }

    fn targets(
        &self,
        name: &str,
        y: &Tensor,
        count: usize,
        sequences: bool,
    ) -> Result<RawTargets, DataError> {
        if is_real(y) {
            let y = y.narrow(0, 0, count)?;
            return Ok(RawTargets::Reals { shape: y.dims().to_vec(), values: reals(&y)? });
        }
        if sequences {
            return Ok(RawTargets::Tokens(self.ids(name, y, count)?));
        }
        if y.rank() != 1 {
            let expected = "integer class labels of shape [N], next tokens of the shape of integer inputs (which must \
                            not be unsigned bytes), or floats: convert it with reshape or astype";
            return Err(self.unsuitable(name, y, expected));
        }
        Ok(RawTargets::Classes(self.ids(name, y, count)?))
    }

    /// One more than the largest id of these arrays in all splits and over all examples: neither a limit nor the choice
    /// of a split may change the number of classes.
    fn classes(&self, letters: &[&str], suffix: &str) -> Result<usize, DataError> {
        let suffixes: &[&str] = if suffix.is_empty() { &[""] } else { &["_train", "_test"] };
        let mut classes = 0;
        for suffix in suffixes {
            for name in letters.iter().map(|letter| format!("{letter}{suffix}")) {
                if self.names.contains(&name) {
                    let array = self.file.read(&name)?;
                    let ids = self.ids(&name, &array, array.dims().first().copied().unwrap_or(0))?;
                    classes = ids.into_iter().fold(classes, |classes, id| classes.max(id as usize + 1));
                }
            }
        }
        Ok(classes)
    }

    /// Labels or tokens of the first examples, row-major.
    fn ids(&self, name: &str, array: &Tensor, count: usize) -> Result<Vec<u32>, DataError> {
        if is_real(array) {
            return Err(self.unsuitable(
                name,
                array,
                "integers, as in the other split: convert it with astype('int64')",
            ));
        }
        let width = array.dims().iter().skip(1).product::<usize>().max(1);
        let numbers = array.narrow(0, 0, count)?.to_dtype(DType::I64)?.flatten_all()?.to_vec1::<i64>()?;
        let id = |(index, number): (usize, i64)| {
            u32::try_from(number).map_err(|_| DataError::LabelOutOfRange {
                origin: format!("array `{name}` of {}", self.file.path().display()),
                example: index / width,
                label: number,
                expected: "integers counted from 0: number the classes 0, 1, 2 and so on".to_owned(),
            })
        };
        numbers.into_iter().enumerate().map(id).collect()
    }
}

/// The numbers of a float array; everything narrower than `f32` is exact in it.
fn reals(array: &Tensor) -> Result<Reals, DataError> {
    let array = array.flatten_all()?;
    Ok(match array.dtype() {
        DType::F64 => Reals::Doubles(array.to_vec1()?),
        _ => Reals::Singles(array.to_dtype(DType::F32)?.to_vec1()?),
    })
}
