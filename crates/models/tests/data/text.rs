//! Text as next-character prediction.

use std::fs;

use relief_models::data::DataOptions;
use tempfile::tempdir;

use super::{assert_refused, load, normalized, test, tokens, train};

fn context(length: usize, options: DataOptions) -> DataOptions {
    DataOptions { context: Some(length), ..options }
}

#[test]
fn characters_are_numbered_in_order_and_targets_are_one_ahead() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("poem.txt");
    // 20 characters: 18 are train, 2 test. Sorted: a b c d é
    fs::write(&path, "abcdabcdéabcdabcdéba").unwrap();
    let set = load(&path, &context(3, train())).unwrap();
    assert_eq!(set.inputs.to_vec2::<u32>().unwrap(), [[0, 1, 2], [0, 1, 2], [4, 0, 1], [3, 0, 1]]);
    assert_eq!(tokens(&set.targets), [[1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2]]);
    assert_eq!((set.class_names.concat().as_str(), set.classes), ("abcdé", Some(5)));
    let set = load(&path, &context(1, test())).unwrap();
    assert_eq!((set.inputs.to_vec2::<u32>().unwrap(), tokens(&set.targets)), (vec![vec![1]], vec![vec![0]]));
    let set = load(&path, &DataOptions { limit: Some(1), ..context(3, train()) }).unwrap();
    assert_eq!(set.inputs.to_vec2::<u32>().unwrap(), [[0, 1, 2]]);
}

#[test]
fn the_default_context_is_64_characters() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("long.txt");
    fs::write(&path, "ab".repeat(500)).unwrap();
    assert_eq!(load(&path, &train()).unwrap().inputs.dims(), [900 / 65, 64]);
}

#[test]
fn unusable_texts_and_options_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("short.txt");
    fs::write(&path, "0123456789").unwrap();
    assert_refused(
        load(&path, &context(2, test())),
        &["test split", "1 characters", "takes 3", "smaller context"],
    );
    assert_refused(load(&path, &context(usize::MAX, train())), &["train split", "9 characters"]);
    assert_refused(load(&path, &context(0, train())), &["context of 0", "at least 1"]);
    assert_refused(
        load(&path, &DataOptions { limit: Some(4), ..context(2, train()) }),
        &["4 examples", "1 to 3"],
    );
    assert_refused(
        load(&path, &DataOptions { context: Some(2), ..normalized("0,1") }),
        &["normalisation", "token ids"],
    );
    fs::write(&path, b"good until \xff").unwrap();
    assert_refused(load(&path, &train()), &["not UTF-8", "byte 11"]);
    fs::write(&path, "").unwrap();
    assert_refused(load(&path, &train()), &["short.txt", "empty file"]);
}
