//! A folder of images, one subfolder a class: `cats/1.png`, `dogs/1.png`, or the same below `train/` and `test/`.
//!
//! Labels are the positions of the subfolders' sorted names. The examples take turns: the first image (by name) of every
//! class, then the second of every class, and so on, so that a limit keeps the classes balanced.

use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageReader};

use super::{
    error::DataError,
    files::{self, unreadable},
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets},
};

const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Inputs `[N, C, H, W]` in 0..1, C = 1 for grey and 3 for colour.
pub(super) fn load(folder: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let root = split_root(folder, source, options.split)?;
    let classes: Vec<PathBuf> = files::entries(&root)?.into_iter().filter(|path| path.is_dir()).collect();
    let images = classes.iter().map(|class| images_of(class)).collect::<Result<Vec<_>, _>>()?;
    let available = images.iter().map(Vec::len).sum();
    let count = options.count(source, available)?;
    let rounds = images.iter().map(Vec::len).max().unwrap_or(0);
    let (labels, paths): (Vec<u32>, Vec<PathBuf>) = (0..rounds)
        .flat_map(|round| {
            (0..).zip(&images).filter_map(move |(label, class)| Some((label, class.get(round)?.clone())))
        })
        .take(count)
        .unzip();
    let mut values = Vec::new();
    let mut first: Option<Form> = None;
    for path in &paths {
        let image = decode(path)?;
        let form = Form::of(&image, path)?;
        if let Some(first) = first.filter(|first| *first != form) {
            return Err(DataError::ImagesDiffer {
                path: path.clone(),
                found: form.to_string(),
                first: paths[0].clone(),
                expected: first.to_string(),
            });
        }
        first = Some(form);
        // Decoders interleave the colours; networks take them plane by plane.
        let bytes = image.as_bytes();
        for channel in 0..form.channels {
            values.extend(bytes.iter().skip(channel).step_by(form.channels));
        }
    }
    let shape = first
        .map_or(vec![0; 4], |form| vec![count, form.channels, form.height as usize, form.width as usize]);
    let inputs = Inputs::Pixels { values, unit: 255.0 };
    Ok(Raw {
        classes: Some(classes.len()),
        class_names: classes.iter().map(|class| files::name(class)).collect(),
        ..Raw::new(source, paths, (shape, inputs), RawTargets::Classes(labels))
    })
}

/// `train/` or `test/` where the folder has them, else the folder itself, which is then all `train`.
fn split_root(folder: &Path, source: &str, split: Split) -> Result<PathBuf, DataError> {
    let divided = Split::ALL.iter().any(|split| folder.join(split.name()).is_dir());
    let wanted = folder.join(split.name());
    match (divided, split) {
        (true, _) if wanted.is_dir() => Ok(wanted),
        (false, Split::Train) => Ok(folder.to_path_buf()),
        _ => Err(DataError::NoSplit {
            origin: source.to_owned(),
            split,
            remedy: format!(
                "put its classes into the subfolder {}, or ask for the other split",
                wanted.display()
            ),
        }),
    }
}

/// The images of one class, sorted by name.
fn images_of(class: &Path) -> Result<Vec<PathBuf>, DataError> {
    let paths = files::entries(class)?;
    let is_image = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && EXTENSIONS.contains(&extension.as_str())
    };
    match paths.iter().find(|path| !is_image(path)) {
        Some(stranger) => Err(DataError::Unrecognised {
            path: stranger.clone(),
            found:
                "it lies in a class folder, but its name is not that of a png, jpg or bmp image: move it away"
                    .to_owned(),
        }),
        None => Ok(paths),
    }
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    if std::fs::metadata(path).map_err(unreadable(path))?.len() == 0 {
        return Err(DataError::Empty { path: path.to_path_buf() });
    }
    // By content, as files with another format's extension are common.
    let reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable(path))?;
    reader.decode().map_err(|cause| DataError::Malformed {
        path: path.to_path_buf(),
        reason: format!("it cannot be decoded as an image ({cause}), save it again as png"),
    })
}

/// Size and colour, which all images of a set share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    width: u32,
    height: u32,
    channels: usize,
}

impl Form {
    fn of(image: &DynamicImage, path: &Path) -> Result<Self, DataError> {
        let channels = match image.color() {
            ColorType::L8 => 1,
            ColorType::Rgb8 => 3,
            other => {
                return Err(DataError::Malformed {
                    path: path.to_path_buf(),
                    reason: format!(
                        "its pixels are {other:?}, expected grey or RGB of 8 bits without alpha: convert it"
                    ),
                });
            }
        };
        Ok(Self { width: image.width(), height: image.height(), channels })
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colour = if self.channels == 1 { "grey" } else { "RGB" };
        write!(f, "{} x {} {colour}", self.width, self.height)
    }
}
