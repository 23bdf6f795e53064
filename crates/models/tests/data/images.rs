//! Folders of images, drawn here.

use std::{fs, path::Path};

use image::ExtendedColorType;
use relief_models::data::Dataset;
use tempfile::tempdir;

use super::{assert_refused, labels, limited, load, singles, test, train};

pub(crate) fn draw(path: &Path, bytes: &[u8], width: u32, height: u32, colour: ExtendedColorType) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::save_buffer(path, bytes, width, height, colour).unwrap();
}

fn grey(path: &Path, bytes: &[u8]) {
    draw(path, bytes, 3, 2, ExtendedColorType::L8);
}

/// The first pixel of every example, as a byte.
fn first_pixels(set: &Dataset) -> Vec<u8> {
    let values = singles(&set.inputs);
    let width = set.example_shape().iter().product();
    values.iter().step_by(width).map(|value| (value * 255.0).round() as u8).collect()
}

#[test]
fn classes_are_sorted_and_take_turns() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Written in another order than sorted.
    for (name, first) in
        [("zebra/b.png", 22), ("ant/2.png", 12), ("zebra/a.png", 21), ("ant/1.png", 11), ("ant/3.png", 13)]
    {
        grey(&path(name), &[first, 1, 2, 3, 4, 255]);
    }
    fs::write(path("ant/.hidden"), "").unwrap();
    let set = load(folder.path(), &train()).unwrap();
    assert_eq!(set.inputs.dims(), [5, 1, 2, 3]);
    assert_eq!((labels(&set), first_pixels(&set)), (vec![0, 1, 0, 1, 0], vec![11, 21, 12, 22, 13]));
    assert_eq!((set.class_names.clone(), set.classes), (vec!["ant".to_owned(), "zebra".to_owned()], Some(2)));
    let expected = [11.0, 1.0, 2.0, 3.0, 4.0, 255.0].map(|byte: f64| (byte / 255.0) as f32);
    assert_eq!(singles(&set.inputs)[..6], expected);
    let set = load(folder.path(), &limited(2)).unwrap();
    assert_eq!((labels(&set), set.classes), (vec![0, 1], Some(2)));
    assert_refused(load(folder.path(), &limited(6)), &["6 examples", "has 5"]);
    assert_refused(load(folder.path(), &test()), &["no test split", "subfolder"]);
}

#[test]
fn colours_become_planes_and_splits_are_subfolders() {
    let folder = tempdir().unwrap();
    let rgb = [10, 20, 30, 11, 21, 31];
    draw(&folder.path().join("train/a/1.png"), &rgb, 2, 1, ExtendedColorType::Rgb8);
    draw(&folder.path().join("test/a/1.png"), &rgb, 2, 1, ExtendedColorType::Rgb8);
    draw(&folder.path().join("test/b/1.bmp"), &rgb.map(|byte| byte + 100), 2, 1, ExtendedColorType::Rgb8);
    let set = load(folder.path(), &train()).unwrap();
    assert_eq!(set.inputs.dims(), [1, 3, 1, 2]);
    let expected = [10.0, 11.0, 20.0, 21.0, 30.0, 31.0].map(|byte: f64| (byte / 255.0) as f32);
    assert_eq!(singles(&set.inputs), expected);
    let set = load(folder.path(), &test()).unwrap();
    assert_eq!((labels(&set), first_pixels(&set)), (vec![0, 1], vec![10, 110]));
}

#[test]
fn images_that_do_not_fit_are_named() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    grey(&path("a/1.png"), &[0; 6]);
    draw(&path("a/2.png"), &[0; 6], 2, 3, ExtendedColorType::L8);
    assert_refused(load(folder.path(), &train()), &["2.png", "2 x 3 grey", "1.png", "3 x 2 grey"]);
    draw(&path("a/2.png"), &[0; 18], 3, 2, ExtendedColorType::Rgb8);
    assert_refused(load(folder.path(), &train()), &["3 x 2 RGB", "3 x 2 grey"]);
    draw(&path("a/2.png"), &[0; 24], 3, 2, ExtendedColorType::Rgba8);
    assert_refused(load(folder.path(), &train()), &["2.png", "Rgba8", "without alpha"]);
    fs::write(path("a/2.png"), "no picture").unwrap();
    assert_refused(load(folder.path(), &train()), &["2.png", "cannot be decoded"]);
    fs::write(path("a/2.png"), "").unwrap();
    assert_refused(load(folder.path(), &train()), &["2.png", "empty file"]);
    fs::rename(path("a/2.png"), path("a/notes.doc")).unwrap();
    assert_refused(load(folder.path(), &train()), &["notes.doc", "move it away"]);
}

#[test]
fn a_folder_with_nothing_usable_is_refused() {
    let folder = tempdir().unwrap();
    assert_refused(load(folder.path(), &train()), &["an empty folder", "expected"]);
    fs::write(folder.path().join("readme.md"), "text").unwrap();
    assert_refused(load(folder.path(), &train()), &["a folder with the file readme.md"]);
    fs::create_dir(folder.path().join("class")).unwrap();
    assert_refused(load(folder.path(), &train()), &["no examples"]);
}
