//! The idx files of MNIST and its kin (Fashion-MNIST, KMNIST, EMNIST), plain or gzipped.
//!
//! A big-endian header (`00 00 08 D`: unsigned bytes in D dimensions, then D sizes of four bytes), then the bytes. Images
//! are 3-D `[N, H, W]` and become `[N, 1, H, W]` in 0..1, labels are 1-D. Names are those of the originals:
//! `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, with `.` or `-` before `idx`, a prefix such as `emnist-letters-`
//! and `.gz` as they come.

use std::path::{Path, PathBuf};

use super::{
    error::DataError,
    files,
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets},
};

/// Whether a file's name is that of idx images.
pub(super) fn is_images_name(name: &str) -> bool {
    name.contains("images") && name.contains("idx3")
}

/// The split that a file's name tells.
fn split_of(name: &str) -> Option<Split> {
    if name.contains("train") {
        Some(Split::Train)
    } else if name.contains("t10k") || name.contains("test") {
        Some(Split::Test)
    } else {
        None
    }
}

/// Load the asked split of a folder.
pub(super) fn load_folder(folder: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let candidates: Vec<PathBuf> = files::entries(folder)?
        .into_iter()
        .filter(|path| {
            let name = files::name(path);
            is_images_name(&name) && split_of(&name) == Some(options.split)
        })
        .collect();
    // A plain file and its gzipped twin are one choice; sorted, the plain one comes first.
    let twins = |a: &PathBuf, b: &PathBuf| files::name(b) == format!("{}.gz", files::name(a));
    match candidates.as_slice() {
        [] => {
            let prefix = if options.split == Split::Train { "train" } else { "t10k" };
            Err(DataError::FileMissing {
                path: folder.join(format!("{prefix}-images-idx3-ubyte")),
                remedy: format!("the {} split is read from it (plain or .gz), fetch it", options.split),
            })
        }
        [images] => load_pair(images, source, options),
        [plain, packed] if twins(plain, packed) => load_pair(plain, source, options),
        [first, second, ..] => Err(DataError::Unrecognised {
            path: folder.to_path_buf(),
            found: format!(
                "a folder with several sets, such as {} and {}: give the path of one file of images",
                files::name(first),
                files::name(second)
            ),
        }),
    }
}

/// Load the images of a file; its labels lie beside it. The file is the choice of the split: asking for another one than
/// its name tells is refused.
pub(super) fn load_file(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    if options.split == Split::Test && split_of(&files::name(path)) != Some(Split::Test) {
        return Err(DataError::NoSplit {
            origin: source.to_owned(),
            split: options.split,
            remedy: "give the folder, or the path of its test images".to_owned(),
        });
    }
    load_pair(path, source, options)
}

fn load_pair(images_path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let labels_path = labels_beside(images_path)?;
    let ([available, height, width], mut images) = read(images_path)?;
    let ([labelled], labels) = read(&labels_path)?;
    if labelled != available {
        return Err(DataError::CountMismatch {
            origin: source.to_owned(),
            inputs: available,
            targets: labelled,
        });
    }
    let count = options.count(source, available)?;
    images.truncate(count * height * width);
    let inputs = (vec![count, 1, height, width], Inputs::Pixels { values: images, unit: 255.0 });
    let targets = RawTargets::Classes(labels[..count].iter().map(|&label| u32::from(label)).collect());
    // Of all labels, not only those within the limit: the number of classes is the set's.
    let classes = labels.iter().max().map(|&largest| usize::from(largest) + 1);
    Ok(Raw { classes, ..Raw::new(source, vec![images_path.to_path_buf(), labels_path], inputs, targets) })
}

/// The labels file that belongs to a file of images, gzipped or not whatever the images are.
fn labels_beside(images: &Path) -> Result<PathBuf, DataError> {
    let name = files::name(images).replace("images", "labels").replace("idx3", "idx1");
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let candidates = [
        images.with_file_name(&name),
        images.with_file_name(plain),
        images.with_file_name(format!("{plain}.gz")),
    ];
    let [first, ..] = &candidates;
    let missing = DataError::FileMissing {
        path: first.clone(),
        remedy: format!("the labels of {} are read from it, fetch it", images.display()),
    };
    // Where the name does not tell labels from images, it is the same file.
    candidates.into_iter().find(|path| path.is_file() && path != images).ok_or(missing)
}

/// Shape and bytes of an idx file of unsigned bytes in so many dimensions.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>), DataError> {
    let mut content = files::read(path)?;
    let header = 4 + 4 * D;
    let magic = [0, 0, 8, D as u8];
    if !content.starts_with(&magic) {
        let found = &content[..content.len().min(4)];
        return Err(DataError::Malformed {
            path: path.to_path_buf(),
            reason: format!(
                "an idx file of {} starts with the bytes {magic:?}, this one with {found:?}: fetch it again",
                if D == 1 { "labels" } else { "images" }
            ),
        });
    }
    let wrong_length =
        |expected| DataError::WrongLength { path: path.to_path_buf(), found: content.len() as u64, expected };
    if content.len() < header {
        return Err(wrong_length(format!("the header alone has {header}")));
    }
    let (sizes, _) = content[4..header].as_chunks::<4>();
    let mut shape = [0; D];
    for (size, bytes) in shape.iter_mut().zip(sizes) {
        *size = u32::from_be_bytes(*bytes) as usize;
    }
    // In 128 bits, as the product of three 32-bit sizes of a broken header fits.
    let expected = header as u128 + shape.iter().map(|&size| size as u128).product::<u128>();
    if content.len() as u128 != expected {
        return Err(wrong_length(format!("its header says {expected} (shape {shape:?})")));
    }
    content.drain(..header);
    Ok((shape, content))
}
