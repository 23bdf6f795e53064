//! Data sets against files written here, by NumPy, and by their publishers.

use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flate2::{Compression, write::GzEncoder};
use relief_models::data::{DataOptions, Dataset, Normalize, Split, Targets};

fn options() -> DataOptions {
    DataOptions { dtype: DType::F64, ..DataOptions::default() }
}

fn load(path: &Path, options: &DataOptions) -> Dataset {
    Dataset::load(path.to_str().unwrap(), options).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn labels(data: &Dataset) -> Vec<u32> {
    match &data.targets {
        Targets::Classes(labels) => labels.to_vec1().unwrap(),
        other => panic!("expected class labels, found {other:?}"),
    }
}

#[track_caller]
fn refuses(source: &str, options: &DataOptions, words: &[&str]) {
    let message = Dataset::load(source, options).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data")
}

#[test]
fn the_embedded_digits_are_the_published_ones() {
    let data = Dataset::load("digits", &options()).unwrap();
    assert_eq!((data.examples(), data.example_shape(), data.classes), (1437, &[64][..], Some(10)));
    let test = Dataset::load("digits", &DataOptions { split: Split::Test, ..options() }).unwrap();
    assert_eq!(test.examples(), 360);
    // The same images as scikit-learn's, by way of PyTorch's fixture.
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pytorch/digits-1000.safetensors");
    let expected = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    assert_eq!(flat(&data.inputs)[..64_000], flat(&expected["x"]));
    let expected: Vec<u32> = flat(&expected["y"]).into_iter().map(|y| y as u32).collect();
    assert_eq!(labels(&data)[..1000], expected);
    assert_eq!(data.fingerprint().unwrap().unwrap().len(), 64);
}

fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(bytes);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn idx_files_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..18).map(|i| i * 15).collect();
    let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
    put(&plain, "train-images-idx3-ubyte", &idx(&[3, 2, 3], &pixels));
    put(&plain, "train-labels-idx1-ubyte", &idx(&[3], &[7, 0, 9]));
    put(&packed, "train-images-idx3-ubyte.gz", &gzip(&idx(&[3, 2, 3], &pixels)));
    put(&packed, "train-labels-idx1-ubyte.gz", &gzip(&idx(&[3], &[7, 0, 9])));
    let expected: Vec<f64> = pixels.iter().map(|&p| f64::from(p) / 255.0).collect();
    for source in [&plain, &packed, &packed.join("train-images-idx3-ubyte.gz")] {
        let data = load(source, &options());
        assert_eq!(data.inputs.dims(), [3, 1, 2, 3]);
        assert_eq!(flat(&data.inputs), expected);
        assert_eq!(labels(&data), [7, 0, 9]);
        let two = load(source, &DataOptions { limit: Some(2), ..options() });
        assert_eq!((labels(&two), two.classes), (vec![7, 0], Some(10)));
    }
    let text = plain.to_str().unwrap();
    refuses(text, &DataOptions { split: Split::Test, ..options() }, &["t10k-images-idx3-ubyte"]);
    refuses(text, &DataOptions { limit: Some(4), ..options() }, &["4", "3"]);
    put(&plain, "train-labels-idx1-ubyte", &idx(&[2], &[7, 0]));
    refuses(text, &options(), &["3 inputs", "2 targets"]);
    put(&plain, "train-labels-idx1-ubyte", &idx(&[3], &[7, 0]));
    refuses(text, &options(), &["train-labels-idx1-ubyte", "bytes"]);
    std::fs::remove_file(plain.join("train-labels-idx1-ubyte")).unwrap();
    refuses(text, &options(), &["train-labels-idx1-ubyte", "missing"]);
    let whole = gzip(&idx(&[3, 2, 3], &pixels));
    put(&packed, "train-images-idx3-ubyte.gz", &whole[..whole.len() / 2]);
    refuses(packed.to_str().unwrap(), &options(), &["train-images-idx3-ubyte.gz"]);
}

#[test]
fn cifar_binaries() {
    let folder = tempfile::tempdir().unwrap();
    let record = |label: u8, shift: usize| -> Vec<u8> {
        std::iter::once(label).chain((0..3072).map(|i| ((i + shift) % 251) as u8)).collect()
    };
    put(folder.path(), "data_batch_1.bin", &[record(3, 0), record(9, 5)].concat());
    let data = load(folder.path(), &DataOptions { limit: Some(2), ..options() });
    assert_eq!((data.inputs.dims(), labels(&data), data.classes), (&[2, 3, 32, 32][..], vec![3, 9], Some(10)));
    assert!((flat(&data.inputs)[3072 + 1024] - f64::from(((1024 + 5) % 251) as u8) / 255.0).abs() < 1e-15);
    refuses(folder.path().to_str().unwrap(), &options(), &["data_batch_2.bin"]);
    put(folder.path(), "data_batch_1.bin", &record(10, 0));
    refuses(folder.path().join("data_batch_1.bin").to_str().unwrap(), &options(), &["10", "0 to 9"]);
    put(folder.path(), "data_batch_1.bin", &record(1, 0)[..3000]);
    refuses(folder.path().join("data_batch_1.bin").to_str().unwrap(), &options(), &["3000", "3073"]);
}

#[test]
fn arrays_written_by_numpy() {
    let eighths: Vec<f64> = (0..24).map(|i| f64::from(i) / 8.0).collect();
    for name in ["float64.npz", "float32.npz", "column_major.npz"] {
        let data = load(&fixtures().join(name), &options());
        assert_eq!((data.inputs.dims(), flat(&data.inputs)), (&[4, 6][..], eighths.clone()), "{name}");
        assert_eq!((labels(&data), data.classes), (vec![0, 2, 1, 2], Some(3)), "{name}");
    }
    let pixels = load(&fixtures().join("pixels.npz"), &options());
    assert_eq!(pixels.example_shape(), [1, 2, 3]);
    assert!((flat(&pixels.inputs)[23] - 23.0 / 255.0).abs() < 1e-16);
    let tokens = load(&fixtures().join("tokens.npz"), &options());
    assert!(matches!(tokens.targets, Targets::Tokens(_)));
    assert_eq!((tokens.inputs.dtype(), tokens.classes), (DType::U32, Some(5)));
    let regression = load(&fixtures().join("regression.npz"), &options());
    let Targets::Real(targets) = &regression.targets else { panic!() };
    assert_eq!((targets.dims(), flat(targets)), (&[4, 2][..], vec![0.0, 0.0, 1.0, -2.0, 0.5, -1.0, 1.0, -2.0]));
    let test = load(&fixtures().join("splits.npz"), &DataOptions { split: Split::Test, ..options() });
    assert_eq!((labels(&test), test.classes), (vec![4, 0], Some(5)));
    refuses(fixtures().join("complex.npz").to_str().unwrap(), &options(), &["`x`", "c16"]);
    let test = DataOptions { split: Split::Test, ..options() };
    refuses(fixtures().join("float64.npz").to_str().unwrap(), &test, &["test", "x_test"]);
}

#[test]
fn normalisation_is_per_channel_and_rounded_once() {
    let pixels = fixtures().join("pixels.npz");
    let normalized = |text: &str| DataOptions { normalize: Some(Normalize::parse(text).unwrap()), ..options() };
    let data = load(&pixels, &normalized("0.1307,0.3081"));
    assert!((flat(&data.inputs)[5] - (5.0 / 255.0 - 0.1307) / 0.3081).abs() < 1e-16);
    let single = load(&pixels, &DataOptions { dtype: DType::F32, ..normalized("0.1307,0.3081") });
    assert_eq!(flat(&single.inputs)[5], f64::from(((5.0 / 255.0 - 0.1307) / 0.3081) as f32));
    refuses(pixels.to_str().unwrap(), &normalized("0.1,0.2/0.3,0.4"), &["2 channels", "1"]);
    for bad in ["0.5", "0.5,0", "a,b", "0.1,0.2/0.3", "nan,1"] {
        assert!(Normalize::parse(bad).unwrap_err().to_string().contains("mean,std"), "{bad}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    let save = |x: Vec<f64>, y: &[i64]| {
        let x = Tensor::from_vec(x, (2, 2), &Device::Cpu).unwrap();
        let tensors = [("x", x), ("y", Tensor::new(y, &Device::Cpu).unwrap())].into_iter().collect();
        candle_core::safetensors::save(&tensors, &path).unwrap();
        path.to_str().unwrap().to_string()
    };
    refuses(&save(vec![0.0, 1.0, f64::NAN, 2.0], &[0, 1]), &options(), &["NaN", "example 1"]);
    // Finite in f64, infinite in f32.
    let single = DataOptions { dtype: DType::F32, ..options() };
    refuses(&save(vec![0.0, 1.0, 1e300, 2.0], &[0, 1]), &single, &["1e300", "f32"]);
    refuses(&save(vec![0.0; 4], &[0, -1]), &options(), &["-1", "example 1"]);
}

#[test]
fn folders_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let paint = |path: &str, colour: bool, width: u32| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if colour {
            image::RgbImage::from_fn(width, 2, |x, y| image::Rgb([x as u8, y as u8, 200])).save(path).unwrap();
        } else {
            image::GrayImage::from_fn(width, 2, |x, y| image::Luma([(10 * x + y) as u8])).save(path).unwrap();
        }
    };
    for path in ["one/train/cat/a.png", "one/train/cat/b.png", "one/train/dog/a.bmp", "one/test/cat/c.png", "one/test/dog/c.png"] {
        paint(path, true, 3);
    }
    let data = load(&folder.path().join("one"), &options());
    assert_eq!((data.inputs.dims(), labels(&data)), (&[3, 3, 2, 3][..], vec![0, 1, 0]));
    assert_eq!(data.class_names, ["cat", "dog"]);
    // Planes, not interleaved: row 0 of red is x, all of blue is 200.
    let first = &flat(&data.inputs)[..18];
    assert_eq!(first[..3], [0.0, 1.0 / 255.0, 2.0 / 255.0]);
    assert!(first[12..].iter().all(|b| (b - 200.0 / 255.0).abs() < 1e-15));
    let test = load(&folder.path().join("one"), &DataOptions { split: Split::Test, ..options() });
    assert_eq!(test.examples(), 2);

    paint("two/a/1.png", false, 3);
    paint("two/b/1.png", false, 4);
    refuses(folder.path().join("two").to_str().unwrap(), &options(), &["4", "3", "one size"]);
    put(&folder.path().join("three/a"), "1.png", b"no picture");
    refuses(folder.path().join("three").to_str().unwrap(), &options(), &["1.png", "decoded"]);
    std::fs::create_dir_all(folder.path().join("four/a")).unwrap();
    refuses(folder.path().join("four").to_str().unwrap(), &options(), &["no examples"]);
}

#[test]
fn texts_are_cut_into_blocks_of_characters() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = "hello world ".repeat(10);
    let path = put(folder.path(), "text.txt", text.as_bytes());
    let options = DataOptions { context: Some(5), ..options() };
    let data = load(&path, &options);
    // 108 training characters give 18 blocks of 6.
    assert_eq!((data.examples(), data.example_shape()), (18, &[5][..]));
    let alphabet: Vec<char> = " dehlorw".chars().collect();
    assert_eq!(data.classes, Some(alphabet.len()));
    let read = |t: &Tensor| -> String {
        t.get(1).unwrap().to_vec1::<u32>().unwrap().into_iter().map(|id| alphabet[id as usize]).collect()
    };
    assert_eq!((read(&data.inputs).as_str(), read(data.targets.tensor()).as_str()), ("world", "orld "));
    assert_eq!(load(&path, &DataOptions { split: Split::Test, ..options.clone() }).examples(), 2);
    let text = path.to_str().unwrap();
    refuses(text, &DataOptions { context: Some(500), ..options.clone() }, &["501", "108"]);
    refuses("digits", &options, &["context"]);
    let path = put(folder.path(), "latin.txt", b"caf\xe9 and more");
    refuses(path.to_str().unwrap(), &options, &["UTF-8"]);
}

#[test]
fn what_is_no_data_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refuses("no/such/place", &options(), &["no/such/place"]);
    refuses(folder.path().to_str().unwrap(), &options(), &["empty folder"]);
    let path = |name: &str, bytes: &[u8]| put(folder.path(), name, bytes).to_str().unwrap().to_string();
    refuses(&path("empty.npz", b""), &options(), &["empty"]);
    refuses(&path("notes.npz", b"not a zip archive"), &options(), &["NPZ"]);
    refuses(&path("half.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{"), &options(), &["safetensors"]);
    refuses(&path("table.csv", b"1,2\n"), &options(), &["unknown type"]);
    refuses("digits", &DataOptions { limit: Some(0), ..options() }, &["0 examples"]);
    let message = "tset".parse::<Split>().unwrap_err().to_string();
    assert!(message.contains("tset") && message.contains("`test`"));
}

/// Only where the published files are at hand (`scripts/get-data.sh` fetches them): the folder is in `RELIEF_DATA`.
#[test]
fn the_published_sets_are_read_as_published() {
    let Some(root) = std::env::var_os("RELIEF_DATA").map(PathBuf::from) else { return };
    let mnist = load(&root.join("mnist"), &DataOptions { limit: Some(5), ..options() });
    assert_eq!(labels(&mnist), [5, 0, 4, 1, 9]);
    let cifar = load(&root.join("cifar-10-batches-bin"), &DataOptions { limit: Some(1), ..options() });
    assert_eq!((labels(&cifar), cifar.example_shape()), (vec![6], &[3, 32, 32][..]));
    let fashion = flat(&load(&root.join("fashion-mnist"), &options()).inputs);
    let mean = fashion.iter().sum::<f64>() / fashion.len() as f64;
    let variance = fashion.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / fashion.len() as f64;
    assert!((mean - 0.2860).abs() < 5e-5 && (variance.sqrt() - 0.3530).abs() < 5e-5);
}
