//! The embedded data set: 1,797 handwritten digits of 8 x 8 pixels, in scikit-learn's order.
//!
//! The file is scikit-learn's own copy of UCI's "Optical Recognition of Handwritten Digits"; origin and licence stand in
//! `data/digits.LICENSE.txt`. The set has no official split: the first 1,437 examples (80 %) are `train`, the last 360
//! `test`.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{
    error::DataError,
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets},
};

/// What the set is called in place of a path.
pub(super) const NAME: &str = "digits";

/// The file: gzipped comma-separated values, 64 pixels and a label a line.
pub(super) const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");

const PIXELS: usize = 64;
const TRAIN_EXAMPLES: usize = 1437;
/// Pixels are 0..=16: how many of 16 dots of the scan were on.
const FULL_PIXEL: f64 = 16.0;

/// Inputs `[N, 64]` in 0..1, labels 0..=9.
pub(super) fn load(options: &DataOptions) -> Result<Raw, DataError> {
    let malformed = |reason: String| DataError::Malformed { path: NAME.into(), reason };
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text).map_err(|cause| malformed(cause.to_string()))?;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split(',').map(str::parse::<u8>).collect::<Result<Vec<u8>, _>>();
        match numbers.as_mut().map(|numbers| (numbers.pop(), numbers)) {
            Ok((Some(label), row)) if row.len() == PIXELS => {
                pixels.extend_from_slice(row);
                labels.push(u32::from(label));
            }
            _ => return Err(malformed(format!("expected {PIXELS} pixels and a label, found `{line}`"))),
        }
    }
    let (pixels, labels) = match options.split {
        Split::Train => (&pixels[..TRAIN_EXAMPLES * PIXELS], &labels[..TRAIN_EXAMPLES]),
        Split::Test => (&pixels[TRAIN_EXAMPLES * PIXELS..], &labels[TRAIN_EXAMPLES..]),
    };
    let origin = format!("the {} split of {NAME}", options.split);
    let count = options.count(&origin, labels.len())?;
    let inputs = Inputs::Pixels { values: pixels[..count * PIXELS].to_vec(), unit: FULL_PIXEL };
    let targets = RawTargets::Classes(labels[..count].to_vec());
    Ok(Raw { classes: Some(10), ..Raw::new(NAME, Vec::new(), (vec![count, PIXELS], inputs), targets) })
}
