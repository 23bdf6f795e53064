//! The binary version of CIFAR-10 and CIFAR-100: records of label bytes and 3 x 32 x 32 pixel bytes, plane by plane.
//!
//! CIFAR-10 (`data_batch_1.bin` ... `data_batch_5.bin`, `test_batch.bin`) has one label byte a record; CIFAR-100
//! (`train.bin`, `test.bin`) a coarse and a fine one, of which the fine one (0..=99) is used. Training batches may be
//! missing from the end where the limit is met without them.

use std::path::{Path, PathBuf};

use super::{
    error::DataError,
    files,
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets},
};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
const TRAIN_BATCHES: usize = 5;

/// One of the two record layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One label byte, ten classes.
    Cifar10,
    /// A coarse and a fine label byte, a hundred classes.
    Cifar100,
}

impl Layout {
    /// The layout of a folder, told by the names in it.
    pub(super) fn of_folder(names: &[String]) -> Option<Self> {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        // Any training batch: where the first one is missing, the error should say so.
        let mut batches = Split::ALL.into_iter().flat_map(|split| Self::Cifar10.files(split));
        if batches.any(|name| has(&name)) {
            Some(Self::Cifar10)
        } else if has("train.bin") || has("test.bin") {
            Some(Self::Cifar100)
        } else {
            None
        }
    }

    fn label_bytes(self) -> usize {
        match self {
            Self::Cifar10 => 1,
            Self::Cifar100 => 2,
        }
    }

    fn classes(self) -> u8 {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// The files of a split, in order.
    fn files(self, split: Split) -> Vec<String> {
        match (self, split) {
            (Self::Cifar10, Split::Train) => {
                (1..=TRAIN_BATCHES).map(|batch| format!("data_batch_{batch}.bin")).collect()
            }
            (Self::Cifar10, Split::Test) => vec!["test_batch.bin".to_owned()],
            (Self::Cifar100, split) => vec![format!("{split}.bin")],
        }
    }
}

/// Records read so far.
#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u32>,
    files: Vec<PathBuf>,
}

impl Records {
    /// Append every record of a file.
    fn append(&mut self, path: PathBuf, layout: Layout) -> Result<(), DataError> {
        let content = files::read(&path)?;
        let record = layout.label_bytes() + PIXELS;
        if content.len() % record != 0 {
            return Err(DataError::WrongLength {
                path,
                found: content.len() as u64,
                expected: format!("a multiple of {record} is expected (one record)"),
            });
        }
        for (example, record) in content.chunks_exact(record).enumerate() {
            let (label_bytes, pixels) = record.split_at(layout.label_bytes());
            // CIFAR-100's fine label is the second of two.
            let label = label_bytes[label_bytes.len() - 1];
            if label >= layout.classes() {
                return Err(DataError::LabelOutOfRange {
                    origin: path.display().to_string(),
                    example,
                    label: i64::from(label),
                    expected: format!(
                        "0 to {}: it is no {layout:?} file, or is damaged",
                        layout.classes() - 1
                    ),
                });
            }
            self.labels.push(u32::from(label));
            self.pixels.extend_from_slice(pixels);
        }
        self.files.push(path);
        Ok(())
    }

    /// Cut to the limit.
    fn finish(mut self, source: &str, layout: Layout, options: &DataOptions) -> Result<Raw, DataError> {
        let count = options.count(source, self.labels.len())?;
        self.pixels.truncate(count * PIXELS);
        self.labels.truncate(count);
        let shape = [&[count], SHAPE.as_slice()].concat();
        let inputs = Inputs::Pixels { values: self.pixels, unit: 255.0 };
        let targets = RawTargets::Classes(self.labels);
        let classes = Some(usize::from(layout.classes()));
        Ok(Raw { classes, ..Raw::new(source, self.files, (shape, inputs), targets) })
    }
}

/// Load the asked split of a folder; only the files that the limit needs.
pub(super) fn load_folder(
    folder: &Path,
    source: &str,
    layout: Layout,
    options: &DataOptions,
) -> Result<Raw, DataError> {
    let mut records = Records::default();
    for name in layout.files(options.split) {
        if options.limit.is_some_and(|limit| limit <= records.labels.len() && !records.files.is_empty()) {
            break;
        }
        let path = folder.join(&name);
        if !path.is_file() {
            let there = records.labels.len();
            let remedy = if there == 0 {
                format!("the {} split is read from it, fetch it", options.split)
            } else {
                format!("fetch it, or give a limit of at most {there}, the examples of the files before it")
            };
            return Err(DataError::FileMissing { path, remedy });
        }
        records.append(path, layout)?;
    }
    records.finish(source, layout, options)
}

/// Load a single file. The file is the choice of the split: asking a training file for test examples is refused.
pub(super) fn load_file(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let name = files::name(path);
    let layout = if name == "train.bin" || name == "test.bin" { Layout::Cifar100 } else { Layout::Cifar10 };
    if options.split == Split::Test && !name.starts_with("test") {
        return Err(DataError::NoSplit {
            origin: source.to_owned(),
            split: options.split,
            remedy: "give the folder, or the path of its test file".to_owned(),
        });
    }
    let mut records = Records::default();
    records.append(path.to_path_buf(), layout)?;
    records.finish(source, layout, options)
}
