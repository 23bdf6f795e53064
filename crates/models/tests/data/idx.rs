//! idx files written here byte by byte.

use std::{fs, io::Write, path::Path};

use candle_core::DType;
use flate2::{Compression, write::GzEncoder};
use relief_models::data::DataOptions;
use tempfile::{TempDir, tempdir};

use super::{assert_refused, doubles, labels, limited, load, normalized, singles, test, train};

pub(crate) const TRAIN_PIXELS: [u8; 12] = [0, 51, 102, 255, 1, 2, 3, 4, 200, 150, 100, 50];
const TEST_PIXELS: [u8; 4] = [9, 8, 7, 6];

/// What to do with a file's bytes before they are written.
type Packing = fn(&[u8]) -> Vec<u8>;

pub(crate) fn images(count: u8, pixels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2], pixels].concat()
}

pub(crate) fn labels_file(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

pub(crate) fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The four files of a set of 3 + 1 images of 2 x 2 pixels. `dot`: before `idx`; `pack`: what to do with the bytes.
fn write_set(folder: &Path, dot: char, suffix: &str, pack: Packing) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), pack(content)).unwrap();
    write(&format!("train-images{dot}idx3-ubyte{suffix}"), &images(3, &TRAIN_PIXELS));
    write(&format!("train-labels{dot}idx1-ubyte{suffix}"), &labels_file(&[5, 0, 4]));
    write(&format!("t10k-images{dot}idx3-ubyte{suffix}"), &images(1, &TEST_PIXELS));
    write(&format!("t10k-labels{dot}idx1-ubyte{suffix}"), &labels_file(&[7]));
}

fn plain_set() -> TempDir {
    let folder = tempdir().unwrap();
    write_set(folder.path(), '-', "", <[u8]>::to_vec);
    folder
}

#[test]
fn a_folder_has_both_splits_with_either_spelling_plain_or_gzipped() {
    let spellings: [(char, &str, Packing); 4] =
        [('-', "", <[u8]>::to_vec), ('.', "", <[u8]>::to_vec), ('-', ".gz", gzipped), ('.', ".gz", gzipped)];
    for (dot, suffix, pack) in spellings {
        let folder = tempdir().unwrap();
        write_set(folder.path(), dot, suffix, pack);
        let set = load(folder.path(), &DataOptions { dtype: DType::F64, ..train() }).unwrap();
        assert_eq!(set.inputs.dims(), [3, 1, 2, 2]);
        assert_eq!(doubles(&set.inputs), TRAIN_PIXELS.map(|pixel| f64::from(pixel) / 255.0));
        assert_eq!((labels(&set), set.classes), (vec![5, 0, 4], Some(6)));
        let set = load(folder.path(), &test()).unwrap();
        assert_eq!((set.inputs.dims(), labels(&set)), (&[1, 1, 2, 2][..], vec![7]));

        // One file of images finds its labels, whatever its split.
        let file = folder.path().join(format!("t10k-images{dot}idx3-ubyte{suffix}"));
        assert_eq!(labels(&load(&file, &train()).unwrap()), [7]);
        assert_eq!(labels(&load(&file, &test()).unwrap()), [7]);
    }
}

#[test]
fn pixels_are_normalized_in_double_precision_and_rounded_once() {
    let folder = plain_set();
    let exact = TRAIN_PIXELS.map(|pixel| (f64::from(pixel) / 255.0 - 0.1307) / 0.3081);
    let set = load(folder.path(), &normalized("0.1307,0.3081")).unwrap();
    assert_eq!(singles(&set.inputs), exact.map(|value| value as f32));
    let set = load(folder.path(), &DataOptions { dtype: DType::F64, ..normalized("0.1307,0.3081") }).unwrap();
    assert_eq!(doubles(&set.inputs), exact);
}

#[test]
fn a_limit_keeps_the_first_examples_and_all_classes() {
    let folder = plain_set();
    fs::write(folder.path().join("train-labels-idx1-ubyte"), labels_file(&[3, 0, 5])).unwrap();
    let set = load(folder.path(), &limited(2)).unwrap();
    assert_eq!((labels(&set), set.classes), (vec![3, 0], Some(6)));
    assert_eq!(singles(&set.inputs), TRAIN_PIXELS.map(|pixel| (f64::from(pixel) / 255.0) as f32)[..8]);
    assert_refused(load(folder.path(), &limited(4)), &["4 examples", "has 3", "1 to 3"]);
}

#[test]
fn the_fingerprint_is_that_of_the_list_of_hashes() {
    // sha256sum train-images-idx3-ubyte train-labels-idx1-ubyte | sha256sum
    let folder = plain_set();
    let set = load(folder.path(), &train()).unwrap();
    assert_eq!(
        set.fingerprint().unwrap().unwrap(),
        "103dd2db071966de3723647c4cbf7953fa3e5aa11effda47767eb4ed75904fc7"
    );
}

#[test]
fn damaged_and_missing_files_are_named() {
    let folder = plain_set();
    let path = |name: &str| folder.path().join(name);
    let images_path = path("train-images-idx3-ubyte");

    fs::write(&images_path, labels_file(&[1, 2, 3])).unwrap();
    assert_refused(
        load(folder.path(), &train()),
        &["train-images-idx3-ubyte", "[0, 0, 8, 3]", "[0, 0, 8, 1]"],
    );
    fs::write(&images_path, &images(3, &TRAIN_PIXELS)[..20]).unwrap();
    assert_refused(
        load(folder.path(), &train()),
        &["train-images-idx3-ubyte", "20 bytes", "28", "[3, 2, 2]"],
    );
    fs::write(&images_path, [images(3, &TRAIN_PIXELS), vec![0]].concat()).unwrap();
    assert_refused(load(folder.path(), &train()), &["29 bytes", "28"]);
    // Sizes whose product does not fit 64 bits.
    fs::write(&images_path, [&[0, 0, 8, 3][..], &[255; 12]].concat()).unwrap();
    assert_refused(load(folder.path(), &train()), &["16 bytes", "4294967295"]);
    fs::write(&images_path, []).unwrap();
    assert_refused(load(folder.path(), &train()), &["train-images-idx3-ubyte", "empty file"]);
    fs::write(&images_path, images(2, &TRAIN_PIXELS[..8])).unwrap();
    assert_refused(load(folder.path(), &train()), &["2 inputs but 3 targets"]);
    fs::write(&images_path, images(0, &[])).unwrap();
    fs::write(path("train-labels-idx1-ubyte"), labels_file(&[])).unwrap();
    assert_refused(load(folder.path(), &train()), &["no examples"]);

    fs::remove_file(path("t10k-labels-idx1-ubyte")).unwrap();
    assert_refused(load(folder.path(), &test()), &["t10k-labels-idx1-ubyte is missing"]);
    fs::remove_file(path("t10k-images-idx3-ubyte")).unwrap();
    assert_refused(load(folder.path(), &test()), &["t10k-images-idx3-ubyte is missing", "test split"]);
}

#[test]
fn one_file_is_not_guessed_into_something_else() {
    let folder = plain_set();
    let labels = folder.path().join("train-labels-idx1-ubyte");
    assert_refused(load(&labels, &train()), &["idx file of labels", "file of images"]);
    let images = folder.path().join("train-images-idx3-ubyte");
    assert_refused(load(&images, &test()), &["no test split", "give the folder"]);
    fs::write(folder.path().join("other-train-images-idx3-ubyte"), super::idx::images(1, &TEST_PIXELS))
        .unwrap();
    assert_refused(load(folder.path(), &train()), &["several sets", "other-train-images-idx3-ubyte"]);
}
