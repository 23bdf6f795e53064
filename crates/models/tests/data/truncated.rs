//! A file cut anywhere is refused, and nothing panics.

use std::{fs, path::PathBuf};

use image::ExtendedColorType;
use relief_models::data::{DataError, Dataset};
use tempfile::tempdir;

use super::{
    assert_refused,
    cifar::record,
    fixture,
    idx::{TRAIN_PIXELS, gzipped, images, labels_file},
    images::draw,
    load, train,
};

#[test]
fn every_cut_of_every_format_is_refused() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("train-labels-idx1-ubyte"), labels_file(&[0, 1, 2])).unwrap();
    draw(&path("pictures/class/1.png"), &[7; 48], 4, 4, ExtendedColorType::Rgb8);
    let npz = fs::read(fixture("f64-i64.npz")).unwrap();
    let safetensors =
        fs::read(fixture("../../../../tests/fixtures/pytorch/digits-1000.safetensors")).unwrap();
    let picture = fs::read(path("pictures/class/1.png")).unwrap();
    // PNG ends with a chunk of 12 bytes that holds nothing, and the decoder does not ask for it.
    let picture_needed = picture.len() - 12;
    // The file to cut, the source to load, the whole content, how much of it is needed.
    let cases: [(PathBuf, PathBuf, Vec<u8>, usize); 6] = [
        (path("train-images-idx3-ubyte"), path("train-images-idx3-ubyte"), images(3, &TRAIN_PIXELS), 28),
        (
            path("train-images-idx3-ubyte.gz"),
            path("train-images-idx3-ubyte.gz"),
            gzipped(&images(3, &TRAIN_PIXELS)),
            0,
        ),
        (path("data_batch_1.bin"), path("data_batch_1.bin"), record(&[1], 5), 0),
        (path("a.npz"), path("a.npz"), npz, 0),
        (path("a.safetensors"), path("a.safetensors"), safetensors, 0),
        (path("pictures/class/1.png"), path("pictures"), picture, picture_needed),
    ];
    for (file, source, content, needed) in cases {
        fs::write(&file, &content).unwrap();
        load(&source, &train()).unwrap();
        let needed = if needed == 0 { content.len() } else { needed };
        // All cuts of a small file, some forty of a large one.
        for length in (0..needed).step_by(needed.div_ceil(1000).max(needed / 40 * usize::from(needed > 1000)))
        {
            fs::write(&file, &content[..length]).unwrap();
            assert!(load(&source, &train()).is_err(), "{} of {length} bytes", file.display());
        }
    }
}

/// An NPZ file in which some bytes were replaced. It is an uncompressed one, so that they lie open.
fn load_altered(find: &[u8], replacement: &[u8], repair: bool) -> Result<Dataset, DataError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("altered.npz");
    let mut content = fs::read(fixture("f32-i32.npz")).unwrap();
    let at = content.windows(find.len()).position(|bytes| bytes == find).unwrap();
    let array = content.windows(6).position(|bytes| bytes == b"\x93NUMPY").unwrap()..;
    let honest = crc(&content[array.clone()][..ARRAY_BYTES]);
    content[at..at + replacement.len()].copy_from_slice(replacement);
    if repair {
        let altered = crc(&content[array][..ARRAY_BYTES]);
        while let Some(at) = content.windows(4).position(|bytes| bytes == honest) {
            content[at..at + 4].copy_from_slice(&altered);
        }
    }
    fs::write(&path, content).unwrap();
    load(&path, &train())
}

/// The first array, `x`: a header of 128 bytes and 15 floats of 4 bytes.
const ARRAY_BYTES: usize = 128 + 60;

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[test]
fn altered_npz_files_are_refused() {
    let one = 1.0_f32.to_le_bytes();
    assert_refused(load_altered(&one, &2.0_f32.to_le_bytes(), false), &["`x`", "checksum"]);
    // With its checksum repaired it is another file, as good as any.
    assert_eq!(
        super::singles(&load_altered(&one, &2.0_f32.to_le_bytes(), true).unwrap().inputs)[7..8],
        [2.0]
    );
    // A header that claims more than the file holds must not have memory set aside for it.
    let (honest, claim) = (b"'shape': (5, 3), }         ", b"'shape': (5, 999999999999), }");
    assert_refused(load_altered(honest, claim, true), &["`x`", "999999999999", "188 bytes"]);
}
