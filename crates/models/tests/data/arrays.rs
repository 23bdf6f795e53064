//! NPZ files that `NumPy` wrote (`fixtures/make_npz.py`), and both kinds of array files written here.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use half::f16;
use relief_models::data::{DataOptions, Targets};
use tempfile::{TempDir, tempdir};

use super::{
    assert_refused, doubles, fixture, labels, limited, load, normalized, singles, test, tokens, train,
};

/// Named arrays, and what a refusal of them says; without parts they are read.
type Case<'a> = (Vec<(&'a str, Tensor)>, &'a [&'a str]);

/// What storing does to a number.
type Rounding = fn(f64) -> f64;

fn sevenths() -> Vec<f64> {
    (0..15).map(|index| f64::from(index) / 7.0).collect()
}

fn double() -> DataOptions {
    DataOptions { dtype: DType::F64, ..train() }
}

#[test]
fn floats_of_every_width_and_integers_of_every_width_are_numpys() {
    let stored: [(&str, Rounding); 3] = [
        ("f64-i64.npz", |value| value),
        ("f32-i32.npz", |value| f64::from(value as f32)),
        ("f16-i16.npz", |value| f16::from_f64(value).to_f64()),
    ];
    for (name, rounded) in stored {
        let set = load(&fixture(name), &double()).unwrap();
        assert_eq!((set.inputs.dims(), set.classes), (&[5, 3][..], Some(3)));
        let expected: Vec<f64> = sevenths().into_iter().map(rounded).collect();
        assert_eq!(doubles(&set.inputs), expected, "{name}");
        assert_eq!(labels(&set), [2, 0, 1, 1, 0]);
        assert_eq!(set.name, name.strip_suffix(".npz").unwrap());
        let set = load(&fixture(name), &train()).unwrap();
        assert_eq!(singles(&set.inputs), expected.iter().map(|&value| value as f32).collect::<Vec<_>>());
    }
}

#[test]
fn features_are_channels_of_the_normalization() {
    let set =
        load(&fixture("f64-i64.npz"), &DataOptions { limit: Some(2), ..normalized("1,2,3/2,4,8") }).unwrap();
    let expected: Vec<f32> = (0..6)
        .zip([(1.0, 2.0), (2.0, 4.0), (3.0, 8.0)].into_iter().cycle())
        .map(|(index, (mean, std))| ((f64::from(index) / 7.0 - mean) / std) as f32)
        .collect();
    assert_eq!(singles(&set.inputs), expected);
}

#[test]
fn unsigned_bytes_are_pixels_and_a_file_can_have_two_splits() {
    let pixels = |range: std::ops::Range<u32>| {
        range.map(|index| f64::from(index * 7 % 256) / 255.0).collect::<Vec<_>>()
    };
    let path = fixture("u8-splits.npz");
    let set = load(&path, &double()).unwrap();
    assert_eq!((set.inputs.dims(), labels(&set)), (&[3, 1, 3, 3][..], vec![0, 1, 0]));
    assert_eq!(doubles(&set.inputs), pixels(0..27));
    // The largest label, 4, is in the other split.
    assert_eq!(set.classes, Some(5));
    let set = load(&path, &DataOptions { dtype: DType::F64, ..test() }).unwrap();
    assert_eq!((doubles(&set.inputs), labels(&set), set.classes), (pixels(27..36), vec![4], Some(5)));
}

#[test]
fn integer_inputs_are_tokens() {
    let set = load(&fixture("tokens.npz"), &limited(2)).unwrap();
    assert_eq!(set.inputs.to_vec2::<u32>().unwrap(), [[0, 1, 2, 3], [4, 5, 6, 7]]);
    assert_eq!(tokens(&set.targets), [[1, 2, 3, 4], [5, 6, 7, 8]]);
    // 8 + 1 is beyond the limit, and still a class.
    assert_eq!(set.classes, Some(10));
    assert_refused(load(&fixture("tokens.npz"), &normalized("0,1")), &["normalisation", "token ids"]);
    assert!(set.class_labels().unwrap_err().to_string().contains("next tokens"));
}

#[test]
fn float_targets_are_real_and_never_class_labels() {
    let set = load(&fixture("real-targets.npz"), &double()).unwrap();
    let Targets::Real(targets) = &set.targets else { panic!("{:?}", set.targets) };
    let expected: Vec<f64> =
        (0..5).flat_map(|row| [-f64::from(row * 3) / 7.0, -f64::from(row * 3 + 1) / 7.0]).collect();
    assert_eq!((targets.dims(), doubles(targets), set.classes), (&[5, 2][..], expected, None));
    let message = set.class_labels().unwrap_err().to_string();
    assert!(
        message.contains("real numbers of shape [5, 2]") && message.contains("integer class labels"),
        "{message}"
    );
}

#[test]
fn what_numpy_can_write_and_we_do_not_read_is_refused() {
    assert_refused(load(&fixture("fortran.npz"), &train()), &["`x`", "fortran order", "row-major"]);
    assert_refused(load(&fixture("bool.npz"), &train()), &["`x`", "none is above 1", "astype('float32')"]);
    assert_refused(load(&fixture("strings.npz"), &train()), &["`x`", "U1"]);
    assert_refused(load(&fixture("f64-i64.npz"), &test()), &["no test split", "x_test"]);
    assert_refused(
        load(&fixture("f64-i64.npz"), &DataOptions { context: Some(4), ..train() }),
        &["context", "no text"],
    );
    let dtype = DataOptions { dtype: DType::BF16, ..train() };
    assert_refused(load(&fixture("f64-i64.npz"), &dtype), &["dtype", "f32 and f64", "bf16"]);
}

/// The same arrays as a safetensors file and as an NPZ file.
fn written(arrays: &[(&str, Tensor)]) -> (TempDir, [PathBuf; 2]) {
    let folder = tempdir().unwrap();
    let paths = ["set.safetensors", "set.npz"].map(|name| folder.path().join(name));
    let by_name: HashMap<&str, Tensor> = arrays.iter().cloned().collect();
    candle_core::safetensors::save(&by_name, &paths[0]).unwrap();
    Tensor::write_npz(arrays, &paths[1]).unwrap();
    (folder, paths)
}

fn tensor<T: candle_core::WithDType>(values: &[T], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn both_formats_give_the_same_set() {
    let arrays = [("x", tensor(&sevenths(), &[3, 5])), ("y", tensor(&[1_i64, 0, 2], &[3]))];
    let (_folder, paths) = written(&arrays);
    for path in &paths {
        let set = load(path, &double()).unwrap();
        assert_eq!(
            (set.inputs.dims(), doubles(&set.inputs), labels(&set)),
            (&[3, 5][..], sevenths(), vec![1, 0, 2])
        );
    }
}

#[test]
fn arrays_that_make_no_data_set_are_refused() {
    let x = || tensor(&[0.5_f32, 1.0, 1.5, 2.0], &[2, 2]);
    let y = || tensor(&[0_i64, 1], &[2]);
    let cases: Vec<Case> = vec![
        (vec![("x", x()), ("label", y())], &["no array `y`", "label, x"]),
        (vec![("x_train", x()), ("y_train", y())], &[]),
        (vec![("x_test", x()), ("y_test", y())], &["no train split", "x_train"]),
        (vec![("inputs", x()), ("y", y())], &["no array `x`", "inputs, y"]),
        (vec![("x", x()), ("y", tensor(&[0_i64, 1, 1], &[3]))], &["2 inputs but 3 targets"]),
        (vec![("x", x()), ("y", tensor(&[0_i64, -1], &[2]))], &["label -1 at example 1", "counted from 0"]),
        (vec![("x", x()), ("y", tensor(&[0_i64, 1 << 32], &[2]))], &["label 4294967296 at example 1"]),
        (vec![("x", x()), ("y", tensor(&[0_i64, 1], &[2, 1]))], &["`y`", "i64 of shape [2, 1]", "shape [N]"]),
        (vec![("x", x()), ("y", tensor(&[0.0_f32, f32::NAN], &[2]))], &["NaN", "`y` at example 1"]),
        (
            vec![("x", tensor(&[0.5, 1.0, f64::INFINITY, 2.0], &[2, 2])), ("y", y())],
            &["inf in `x` at example 1", "counted from 0"],
        ),
        // Finite in f64, but not in the f32 of the run.
        (vec![("x", tensor(&[1e300, 1.0], &[2, 1])), ("y", y())], &["`x` at example 0", "finite in f32"]),
        (vec![("x", tensor(&[0.5_f32, 1.0], &[2])), ("y", y())], &["`x`", "at least 2 dimensions"]),
        (
            vec![("x", tensor(&[1_i64, 2], &[2, 1, 1])), ("y", y())],
            &["`x`", "i64 of shape [2, 1, 1]", "2 dimensions"],
        ),
        (vec![("x", tensor(&[1_i64, -2], &[2, 1])), ("y", y())], &["`x`", "-2 at example 1"]),
        (
            vec![("x_train", x()), ("y_train", y()), ("x_test", x()), ("y_test", tensor(&[0.5, 1.5], &[2]))],
            &["`y_test`", "as in the other split"],
        ),
    ];
    for (arrays, parts) in cases {
        let (_folder, paths) = written(&arrays);
        for path in &paths {
            match parts {
                [] => assert_eq!(load(path, &train()).unwrap().classes, Some(2)),
                parts => assert_refused(load(path, &train()), parts),
            }
        }
    }
    let (_folder, paths) = written(&[("x_train", x()), ("y_train", y())]);
    assert_refused(load(&paths[0], &test()), &["no test split", "x_test"]);
}

#[test]
fn an_empty_set_has_no_examples() {
    // candle writes no empty arrays, so the file is written by hand: a header of one line behind its length.
    let header = br#"{"x":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"y":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}}"#;
    let folder = tempdir().unwrap();
    let path = folder.path().join("none.safetensors");
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header].concat()).unwrap();
    assert_refused(load(&path, &train()), &["no examples", "at least one"]);
}
