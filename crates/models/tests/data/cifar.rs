//! CIFAR's binary version, written here record by record.

use std::{fs, path::Path};

use candle_core::DType;
use relief_models::data::DataOptions;
use tempfile::tempdir;

use super::{assert_refused, doubles, labels, limited, load, normalized, singles, test, train};

const PLANE: usize = 1024;

/// A pixel of an example: its position, its colour and its file all count.
fn pixel(example: usize, channel: usize, position: usize) -> u8 {
    (example * 31 + channel * 97 + position * 7) as u8
}

/// One record; `label` is one byte, or two for CIFAR-100.
pub(crate) fn record(label: &[u8], example: usize) -> Vec<u8> {
    let pixels = (0..3).flat_map(|channel| (0..PLANE).map(move |position| pixel(example, channel, position)));
    label.iter().copied().chain(pixels).collect()
}

/// Five batches of two examples and a test batch of one.
fn write_cifar10(folder: &Path) {
    for batch in 0..5 {
        let records = [record(&[batch as u8], 2 * batch), record(&[9 - batch as u8], 2 * batch + 1)].concat();
        fs::write(folder.join(format!("data_batch_{}.bin", batch + 1)), records).unwrap();
    }
    fs::write(folder.join("test_batch.bin"), record(&[8], 99)).unwrap();
}

#[test]
fn a_folder_has_its_batches_in_order_and_its_planes_as_channels() {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    let set = load(folder.path(), &DataOptions { dtype: DType::F64, ..train() }).unwrap();
    assert_eq!((set.inputs.dims(), set.classes), (&[10, 3, 32, 32][..], Some(10)));
    assert_eq!(labels(&set), [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
    let values = doubles(&set.inputs);
    let pixels = (0..10).flat_map(|example| (0..3).map(move |channel| (example, channel)));
    let expected =
        pixels.flat_map(|(example, channel)| (0..PLANE).map(move |at| pixel(example, channel, at)));
    assert_eq!(values, expected.map(|byte| f64::from(byte) / 255.0).collect::<Vec<_>>());
    assert_eq!(labels(&load(folder.path(), &test()).unwrap()), [8]);
}

#[test]
fn every_channel_has_its_own_normalization() {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    let set = load(folder.path(), &normalized("0.49,0.48,0.45/0.25,0.24,0.26")).unwrap();
    let (mean, std) = ([0.49, 0.48, 0.45], [0.25, 0.24, 0.26]);
    for channel in 0..3 {
        let row = set.inputs.narrow(0, 4, 1).unwrap().narrow(1, channel, 1).unwrap();
        let exact =
            (0..PLANE).map(|at| (f64::from(pixel(4, channel, at)) / 255.0 - mean[channel]) / std[channel]);
        assert_eq!(singles(&row), exact.map(|value| value as f32).collect::<Vec<_>>());
    }
    assert_refused(load(folder.path(), &normalized("0.4,0.4/0.2,0.2")), &["2 means", "3 channels", "1 or 3"]);
}

#[test]
fn batches_beyond_the_limit_may_be_missing() {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    fs::remove_file(folder.path().join("data_batch_3.bin")).unwrap();
    assert_eq!(labels(&load(folder.path(), &limited(4)).unwrap()), [0, 9, 1, 8]);
    assert_refused(load(folder.path(), &limited(5)), &["data_batch_3.bin is missing", "limit of at most 4"]);
    fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
    assert_refused(load(folder.path(), &test()), &["test_batch.bin is missing"]);
}

#[test]
fn single_files_and_cifar_100_are_read() {
    let folder = tempdir().unwrap();
    write_cifar10(folder.path());
    let batch = folder.path().join("data_batch_2.bin");
    assert_eq!(labels(&load(&batch, &train()).unwrap()), [1, 8]);
    assert_refused(load(&batch, &test()), &["no test split"]);
    assert_eq!(labels(&load(&folder.path().join("test_batch.bin"), &test()).unwrap()), [8]);

    let folder = tempdir().unwrap();
    fs::write(folder.path().join("train.bin"), [record(&[19, 99], 0), record(&[3, 42], 1)].concat()).unwrap();
    let set = load(folder.path(), &train()).unwrap();
    assert_eq!((labels(&set), set.classes), (vec![99, 42], Some(100)));
}

#[test]
fn damaged_files_are_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("test_batch.bin");
    fs::write(&file, &record(&[1], 0)[..3000]).unwrap();
    assert_refused(load(folder.path(), &test()), &["test_batch.bin", "3000 bytes", "3073"]);
    fs::write(&file, record(&[10], 0)).unwrap();
    assert_refused(load(folder.path(), &test()), &["label 10 at example 0", "0 to 9"]);

    let python = tempdir().unwrap();
    fs::write(python.path().join("data_batch_1"), b"pickle").unwrap();
    assert_refused(load(python.path(), &train()), &["Python version", "binary version"]);
}
