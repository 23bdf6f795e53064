//! The published data sets, where the environment variable `RELIEF_DATA` names the folder that `scripts/get-data.sh`
//! filled. Without it these tests say that they were skipped.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{labels, limited, load, singles, test, train};

/// The folder of a set.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RELIEF_DATA").map(|root| Path::new(&root).join(name));
    if folder.is_none() {
        // Not `eprintln!`, which the test harness would swallow.
        let _ = writeln!(std::io::stderr(), "skipped the published {name}: RELIEF_DATA names no folder");
    }
    folder
}

/// Mean and standard deviation (with N, not N - 1) of one channel.
fn moments(set: &relief_models::data::Dataset, channel: usize) -> (f64, f64) {
    let values = singles(&set.inputs.narrow(1, channel, 1).unwrap());
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[track_caller]
fn assert_near((mean, std): (f64, f64), published: (f64, f64)) {
    let difference = (mean - published.0).abs().max((std - published.1).abs());
    assert!(difference < 6e-5, "{mean} {std}, published {published:?}");
}

#[test]
fn mnist_is_the_published_one() {
    let Some(folder) = folder("mnist") else { return };
    let set = load(&folder, &train()).unwrap();
    assert_eq!((set.inputs.dims(), set.classes), (&[60_000, 1, 28, 28][..], Some(10)));
    assert_eq!(labels(&set)[..5], [5, 0, 4, 1, 9]);
    assert_near(moments(&set, 0), (0.1307, 0.3081));
    let set = load(&folder, &test()).unwrap();
    assert_eq!((set.examples(), &labels(&set)[..5]), (10_000, &[7, 2, 1, 0, 4][..]));
}

#[test]
fn fashion_mnist_is_the_published_one() {
    let Some(folder) = folder("fashion-mnist") else { return };
    let set = load(&folder, &train()).unwrap();
    assert_eq!((set.inputs.dims(), set.classes), (&[60_000, 1, 28, 28][..], Some(10)));
    assert_eq!(labels(&set)[..5], [9, 0, 0, 3, 0]);
    assert_near(moments(&set, 0), (0.2860, 0.3530));
}

#[test]
fn cifar_10_is_the_published_one() {
    let Some(folder) = folder("cifar-10-batches-bin") else { return };
    let set = load(&folder, &train()).unwrap();
    assert_eq!((set.inputs.dims(), labels(&set)[0]), (&[50_000, 3, 32, 32][..], 6));
    let published = [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)];
    for (channel, published) in published.into_iter().enumerate() {
        assert_near(moments(&set, channel), published);
    }
    let counts = labels(&set).iter().fold([0; 10], |mut counts, &label| {
        counts[label as usize] += 1;
        counts
    });
    assert_eq!(counts, [5000; 10]);
    assert_eq!(labels(&load(&folder, &limited(1)).unwrap()), [6]);
}
