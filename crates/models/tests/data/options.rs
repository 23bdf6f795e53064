//! Options as text, sources of no known kind, and sets made in memory.

use std::fs;

use candle_core::{Device, Tensor};
use relief_models::data::{DataError, DataOptions, Dataset, Normalize, Split, Targets};
use tempfile::tempdir;

use super::{assert_refused, load, train};

#[test]
fn splits_are_parsed_and_the_nearest_is_suggested() {
    assert_eq!(["train", "test"].map(|name| name.parse::<Split>().unwrap()), [Split::Train, Split::Test]);
    assert_eq!([Split::Train, Split::Test].map(|split| split.to_string()), ["train", "test"]);
    for (found, nearest) in [("trian", "train"), ("tests", "test"), ("Train", "train"), ("tst", "test")] {
        let message = found.parse::<Split>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{found}`")), "{message}");
        assert!(message.contains(&format!("did you mean `{nearest}`")), "{message}");
    }
}

#[test]
fn normalizations_are_parsed_and_printed_back() {
    for text in ["0.1307,0.3081", "0.49,0.48,0.45/0.25,0.24,0.26"] {
        assert_eq!(Normalize::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Normalize::parse(" 1 , 2 ").unwrap(), Normalize { mean: vec![1.0], std: vec![2.0] });
    let refused = [
        ("0.5", "found 1"),
        ("1,2,3", "found 3"),
        ("a,1", "`a` is not a number"),
        ("1,0", "standard deviation 0"),
        ("1,-2", "standard deviation -2"),
        ("1,inf", "standard deviation inf"),
        ("NaN,1", "mean NaN"),
        ("1,2/3", "2 means but 1"),
        ("", "not a number"),
    ];
    for (text, reason) in refused {
        let message = Normalize::parse(text).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("`mean,std`"), "{message}");
    }
    // Made by hand, it is checked when it is used.
    let normalize = Some(Normalize { mean: vec![], std: vec![] });
    assert_refused(Dataset::load("digits", &DataOptions { normalize, ..train() }), &["no values"]);
}

#[test]
fn sources_of_no_known_kind_are_refused() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_refused(load(&path("nowhere"), &train()), &["no data at", "nowhere", "`digits`"]);
    for (name, content, parts) in [
        ("table.csv", &b"1,2,3"[..], &["table.csv", "unknown type"][..]),
        ("one.npy", b"\x93NUMPY\x01\x00", &["single NumPy array", "numpy.savez"]),
        ("empty.npz", b"", &["empty.npz", "empty file"]),
        ("no.npz", b"no archive", &["no.npz", "no complete NPZ file"]),
        ("no.safetensors", b"no tensors", &["no.safetensors", "no complete safetensors file"]),
    ] {
        fs::write(path(name), content).unwrap();
        assert_refused(load(&path(name), &train()), parts);
    }
}

#[test]
fn sets_made_in_memory_are_checked() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F64, &Device::Cpu).unwrap();
    let labels = |values: &[u32]| Targets::Classes(Tensor::new(values, &Device::Cpu).unwrap());
    let set = Dataset::from_tensors("toy", zeros(&[3, 2]), labels(&[0, 6, 1])).unwrap();
    assert_eq!((set.examples(), set.classes, set.fingerprint().unwrap()), (3, Some(7), None));
    let set = Dataset::from_tensors("toy", zeros(&[3, 2]), Targets::Real(zeros(&[3, 1]))).unwrap();
    assert_eq!(set.classes, None);
    assert_refused(
        Dataset::from_tensors("toy", zeros(&[3, 2]), labels(&[0, 1])),
        &["toy", "3 inputs but 2 targets"],
    );
    let empty = Dataset::from_tensors("toy", zeros(&[0, 2]), Targets::Real(zeros(&[0])));
    assert_refused(empty, &["toy", "no examples"]);
    let floats = Dataset::from_tensors("toy", zeros(&[3, 2]), Targets::Classes(zeros(&[3])));
    assert!(matches!(floats, Err(DataError::Tensor(_))), "{floats:?}");
}
