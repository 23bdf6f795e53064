//! The embedded digits, against scikit-learn's numbers.

use candle_core::{DType, Device};
use relief_models::data::{DataOptions, Dataset, Split};

use super::{assert_refused, doubles, fixture, labels, limited, singles};

fn digits(options: &DataOptions) -> Dataset {
    Dataset::load("digits", options).unwrap()
}

#[test]
fn the_first_thousand_are_scikit_learns_to_the_last_bit() {
    let reference = candle_core::safetensors::load(
        fixture("../../../../tests/fixtures/pytorch/digits-1000.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let set = digits(&DataOptions { dtype: DType::F64, ..limited(1000) });
    assert_eq!(set.inputs.dims(), [1000, 64]);
    assert_eq!(doubles(&set.inputs), doubles(&reference["x"]));
    let expected = reference["y"].to_vec1::<i64>().unwrap();
    assert_eq!(labels(&set).into_iter().map(i64::from).collect::<Vec<_>>(), expected);
}

#[test]
fn the_splits_have_the_sizes_and_class_counts_of_the_published_set() {
    let train = digits(&DataOptions::default());
    let test = digits(&DataOptions { split: Split::Test, ..DataOptions::default() });
    assert_eq!((train.examples(), test.examples()), (1437, 360));
    assert_eq!((train.classes, test.classes), (Some(10), Some(10)));
    // scikit-learn: numpy.bincount(load_digits().target), and load_digits().target[-5:].
    let mut counts = [0; 10];
    for label in labels(&train).into_iter().chain(labels(&test)) {
        counts[label as usize] += 1;
    }
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(labels(&test)[355..], [9, 0, 8, 9, 8]);
    // scikit-learn: load_digits().data.sum() = 561718, here in sixteenths, which are exact.
    let sum: f64 = [train, test].iter().flat_map(|set| singles(&set.inputs)).map(f64::from).sum();
    assert!((sum * 16.0 - 561_718.0).abs() < 1e-6, "{sum}");
}

#[test]
fn the_fingerprint_is_the_one_in_the_licence_file() {
    let licence = include_str!("../../data/digits.LICENSE.txt");
    let fingerprint = digits(&limited(5)).fingerprint().unwrap().unwrap();
    assert_eq!(fingerprint.len(), 64);
    assert!(licence.contains(&fingerprint), "{fingerprint}");
}

#[test]
fn batches_are_slices_of_inputs_and_targets() {
    let set = digits(&limited(10));
    let (inputs, targets) = set.batch(3..7).unwrap();
    assert_eq!(singles(&inputs), singles(&set.inputs)[3 * 64..7 * 64]);
    assert_eq!(targets.tensor().to_vec1::<u32>().unwrap(), labels(&set)[3..7]);
    assert_eq!(
        (set.example_shape(), set.name.as_str(), set.source.as_str()),
        (&[64][..], "digits", "digits")
    );
    assert!(set.batch(8..11).is_err());
}

#[test]
fn a_limit_of_none_or_too_many_is_refused() {
    assert_refused(
        Dataset::load("digits", &limited(1438)),
        &["1438", "the train split of digits has 1437", "1 to 1437"],
    );
    assert_refused(Dataset::load("digits", &limited(0)), &["0 examples", "1 to 1437"]);
}
