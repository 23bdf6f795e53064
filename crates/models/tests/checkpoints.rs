//! Checkpoints written by PyTorch, by candle and by this crate, and files that are none.
//!
//! `make_checkpoints.py` wrote the fixtures; `expected.json` is what PyTorch and safetensors read from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use half::bf16;
use relief_models::architecture::Architecture;
use relief_models::checkpoint::{self, Checkpoint, CheckpointError, ElementType, Format, TensorRole};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A tensor as PyTorch read it.
#[derive(Deserialize)]
struct Expected {
    dtype: String,
    shape: Vec<usize>,
    values: Vec<String>,
    norm: String,
}

impl Expected {
    fn values(&self) -> Vec<f64> {
        self.values.iter().map(|text| text.parse().unwrap()).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

fn load(name: &str) -> Checkpoint {
    Checkpoint::load(&fixture(name)).unwrap()
}

fn refusal(name: &str) -> CheckpointError {
    Checkpoint::load(&fixture(name)).unwrap_err()
}

fn expected() -> BTreeMap<String, BTreeMap<String, Expected>> {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn load_bytes(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_bytes("file", bytes)
}

fn wanted(shapes: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
    shapes.iter().map(|(name, shape)| ((*name).to_string(), shape.to_vec())).collect()
}

const SMALL: [(&str, &[usize]); 4] =
    [("conv.weight", &[2, 1, 2, 2]), ("conv.bias", &[2]), ("fc.weight", &[3, 4]), ("fc.bias", &[3])];

#[test]
fn every_file_reads_as_pytorch_reads_it() {
    let expected = expected();
    assert_eq!(expected.len(), 12);
    for (file, tensors) in &expected {
        let checkpoint = load(file);
        let names: Vec<_> = checkpoint.tensors.keys().collect();
        assert_eq!(names, tensors.keys().collect::<Vec<_>>(), "{file}");
        for (name, expected) in tensors {
            let tensor = &checkpoint.tensors[name];
            assert_eq!(tensor.dims(), expected.shape, "{file} {name}");
            assert_eq!(checkpoint.stored_dtypes[name].to_string(), expected.dtype, "{file} {name}");
            assert_eq!(values(tensor), expected.values(), "{file} {name}");
            assert!(tensor.is_contiguous(), "{file} {name}");
        }
        let format = if Path::new(file).extension().is_some_and(|it| it == "safetensors") {
            Format::Safetensors
        } else {
            Format::PyTorchZip
        };
        assert_eq!(checkpoint.format, format, "{file}");
    }
}

#[test]
fn tensors_stay_in_the_stored_precision_until_asked() {
    let checkpoint = load("mixed.pth");
    for (name, dtype) in
        [("brain", DType::BF16), ("half", DType::F16), ("double", DType::F64), ("bool", DType::U8)]
    {
        assert_eq!(checkpoint.tensors[name].dtype(), dtype, "{name}");
    }
    let brain = checkpoint.tensor_as("brain", DType::F64).unwrap().to_vec1::<f64>().unwrap();
    let rounded: Vec<f64> = (1..=3).map(|i| bf16::from_f64(f64::from(i).sin()).to_f64()).collect();
    assert_eq!(brain, rounded);

    let all = checkpoint.to_dtype(DType::F32).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["brain", "double", "empty", "half", "scalar", "single"]);
    assert!(all.values().all(|tensor| tensor.dtype() == DType::F32));

    let message = checkpoint.tensor_as("singel", DType::F32).unwrap_err().to_string();
    assert!(message.contains("no tensor `singel`; the nearest name is `single`"), "{message}");
}

#[test]
fn state_dicts_are_found_under_usual_keys() {
    let nested = load("nested.pth");
    assert_eq!(nested.nested_under.as_deref(), Some("state_dict"));
    let metadata: Vec<_> =
        nested.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("arch", "small"), ("best", "0.75"), ("epoch", "12")]);
    assert_eq!(load("nested_model.pt").nested_under.as_deref(), Some("model.state_dict"));
    assert_eq!(load("data_parallel.pth").nested_under, None);
    assert_eq!(load("brain.safetensors").metadata["model"], "small");
}

#[test]
fn prefixes_that_all_names_carry_are_stripped() {
    for (file, prefix) in [
        ("data_parallel.pth", Some("module.")),
        ("compiled.pth", Some("_orig_mod.")),
        ("compiled_data_parallel.pth", Some("module._orig_mod.module.")),
        ("nested.pth", None),
    ] {
        assert_eq!(load(file).stripped_prefix.as_deref(), prefix, "{file}");
        assert!(load(file).fit(&wanted(&SMALL)).is_ok(), "{file}");
    }

    let one = || Tensor::ones(2, DType::F32, &Device::Cpu).unwrap();
    let some = BTreeMap::from([("module.weight".to_string(), one()), ("bias".to_string(), one())]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.safetensors");
    checkpoint::save(&path, &some, &BTreeMap::new()).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.stripped_prefix, None);
    assert!(loaded.tensors.contains_key("module.weight"));
}

#[test]
fn a_fitting_model_gets_its_tensors() {
    let checkpoint = load("batch_norm.pth");
    let shapes: [(&str, &[usize]); 6] = [
        ("0.weight", &[2, 1, 2, 2]),
        ("0.bias", &[2]),
        ("1.weight", &[2]),
        ("1.bias", &[2]),
        ("1.running_mean", &[2]),
        ("1.running_var", &[2]),
    ];
    let fitting = checkpoint.fit(&wanted(&shapes)).unwrap();
    assert_eq!(fitting.len(), 6);
    assert_eq!(values(&fitting["1.bias"]), values(&checkpoint.tensors["1.bias"]));

    let integers = load("mixed.pth").tensors["long"].dims().to_vec();
    let mut all: Vec<_> = load("mixed.pth")
        .tensors
        .iter()
        .filter(|(_, tensor)| !tensor.dtype().is_int())
        .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
        .collect();
    all.push(("long".into(), integers));
    let message = load("mixed.pth").fit(&all).unwrap_err().to_string();
    assert!(message.contains("tensor `long`") && message.contains("found integers"), "{message}");
}

#[test]
fn a_copy_of_a_tied_tensor_has_to_be_equal() {
    let model = Architecture::parse("gpt:vocabulary=11,context=7,depth=1,width=64").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tied.safetensors");
    let mut tensors: BTreeMap<_, _> = model
        .wanted(&[7])
        .unwrap()
        .into_iter()
        .map(|(name, shape, _)| (name, Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap()))
        .collect();
    let mut fitted_with = |copy: Tensor| {
        tensors.insert("lm_head.weight".into(), copy);
        checkpoint::save(&path, &tensors, &BTreeMap::new()).unwrap();
        Checkpoint::load(&path).unwrap().fit_model(&model, &[7])
    };
    let table = Tensor::ones((11, 64), DType::F32, &Device::Cpu).unwrap();
    let fitting = fitted_with(table.clone()).unwrap();
    assert!(!fitting.contains_key("lm_head.weight") && fitting.contains_key("transformer.wte.weight"));
    let error = fitted_with((table * 2.0).unwrap()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::TiedDiffer { name, .. } if name == "lm_head.weight"),
        "{error}"
    );
}

#[test]
fn the_precision_to_compute_in_is_that_of_the_file() {
    assert_eq!(load("mixed.pth").dtype(), DType::F32);
    assert_eq!(load("brain.safetensors").dtype(), DType::F32);
    let double = load("mixed.pth").tensors["double"].clone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("double.safetensors");
    checkpoint::save(&path, &BTreeMap::from([("double".to_string(), double)]), &BTreeMap::new()).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap().dtype(), DType::F64);
}

#[test]
fn a_mismatch_lists_all_that_differs_in_one_message() {
    let checkpoint = load("nested.pth");
    let mut shapes = wanted(&SMALL[..3]);
    shapes[2].1 = vec![5, 4];
    shapes.extend((0..20).map(|i| (format!("head.{i:02}"), vec![1])));
    let error = checkpoint.fit(&shapes).unwrap_err();
    let message = error.to_string();
    for part in [
        "the file lacks 20 tensors (`head.00` [1], `head.01` [1]",
        "`head.07` [1] and 12 more)",
        "the model does not know 1 tensor (`fc.bias` [3])",
        "1 tensor of another shape (`fc.weight`: found [3, 4], expected [5, 4])",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("head.08"), "{message}");
    let CheckpointError::Mismatch { missing, extra, mismatched, .. } = error else { panic!("{error:?}") };
    assert_eq!((missing.len(), extra.len(), mismatched.len()), (20, 1, 1));
}

#[test]
fn numbers_that_are_not_finite_are_found() {
    assert_eq!(load("nested.pth").non_finite().unwrap(), None);
    load("nested.pth").require_finite().unwrap();
    let broken = load("non_finite.pth");
    let entry = broken.non_finite().unwrap().unwrap();
    assert_eq!((entry.name.as_str(), entry.index.as_slice()), ("fc.weight", [1, 2].as_slice()));
    assert!(entry.value.is_nan());
    let message = broken.require_finite().unwrap_err().to_string();
    assert!(message.contains("tensor `fc.weight`") && message.contains("NaN at index [1, 2]"), "{message}");

    let inspection = broken.inspect().unwrap();
    let weight = inspection.tensors.iter().find(|tensor| tensor.name == "fc.weight").unwrap();
    assert_eq!(weight.non_finite, 2);
    assert!(weight.norm.unwrap().is_finite() && weight.max.unwrap() <= 0.25);
}

#[test]
fn inspection_agrees_with_pytorch() {
    let expected = expected();
    for file in ["mixed.pth", "batch_norm.pth", "brain.safetensors"] {
        let inspection = load(file).inspect().unwrap();
        for tensor in &inspection.tensors {
            let expected = &expected[file][&tensor.name];
            let norm: f64 = expected.norm.parse().unwrap();
            assert!(
                tensor.norm.is_none_or(|found| (found - norm).abs() <= 1e-14 * norm),
                "{file} {}",
                tensor.name
            );
            assert_eq!(tensor.min, expected.values().into_iter().reduce(f64::min), "{file} {}", tensor.name);
            assert_eq!(tensor.max, expected.values().into_iter().reduce(f64::max), "{file} {}", tensor.name);
            assert_eq!((tensor.entries, tensor.non_finite), (expected.values.len(), 0));
        }
    }
    assert_eq!(load("mixed.pth").stored_dtypes["char"], ElementType::I8);
    let inspection = load("batch_norm.pth").inspect().unwrap();
    // Convolution 2*4 + 2, batch normalisation 2 + 2; its two statistics and its count.
    assert_eq!((inspection.parameters, inspection.buffers), (14, 5));
    let role = |name: &str| inspection.tensors.iter().find(|tensor| tensor.name == name).unwrap().role;
    assert_eq!(role("1.num_batches_tracked"), TensorRole::Buffer);
    assert_eq!(role("1.weight"), TensorRole::Parameter);
    let mixed = load("mixed.pth").inspect().unwrap();
    let long = mixed.tensors.iter().find(|tensor| tensor.name == "long").unwrap();
    assert_eq!((long.role, long.dtype.as_str()), (TensorRole::Integer, "i64"));

    let json = serde_json::to_value(load("brain.safetensors").inspect().unwrap()).unwrap();
    assert_eq!(json["format"], "safetensors");
    assert_eq!(json["tensors"][0]["dtype"], "bf16");
    let bytes = std::fs::read(fixture("brain.safetensors")).unwrap();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(load("brain.safetensors").sha256(), digest);
}

#[test]
fn other_files_are_refused_with_the_remedy() {
    for (file, part) in [
        ("legacy.pth", "torch.save(torch.load(old), new)"),
        ("torchscript.pt", "torch.jit.load(old).state_dict()"),
        ("arrays.npz", "found a NumPy archive"),
        ("no_tensors.pth", "found a dictionary of `epoch`"),
        ("whole_module.pth", "a whole pickled object of class `torch.nn.modules.linear.Linear`"),
        ("two_networks.pth", "has 2 state dicts (`discriminator`, `generator`)"),
        ("sparse.pth", "tensor `weight` of"),
        ("sparse.pth", "_rebuild_sparse_tensor"),
        ("complex.pth", "entries of type `ComplexFloatStorage`"),
        ("absent.pth", "no file at"),
        ("", "found a folder"),
        ("expected.json", "found text that begins with"),
    ] {
        let message = refusal(file).to_string();
        assert!(message.contains(part), "{file}: {message}");
        assert!(!message.contains('\n'), "{file}: {message}");
    }
    for (bytes, part) in [
        (b"".as_slice(), "is empty (0 bytes)"),
        (b"\x89HDF\r\n\x1a\nxxxxxxxxxx", "HDF5"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip"),
        (b"\x08\x08\x12\x07pytorch", "ONNX"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\xde\xad\xbe\xef\xde\xad\xbe\xef\xde\xad", "de ad be ef"),
        (b"\xff\xff", "cut short"),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "an empty zip archive"),
        (b"\x02\0\0\0\0\0\0\0{}", "no named tensors"),
    ] {
        let message = load_bytes(bytes).unwrap_err().to_string();
        assert!(message.contains(part), "{bytes:?}: {message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for file in ["mixed.safetensors", "compiled.pth", "protocol_5.pth"] {
        let bytes = std::fs::read(fixture(file)).unwrap();
        for length in 0..bytes.len() {
            let error = load_bytes(&bytes[..length]).unwrap_err();
            if length > 8 {
                assert!(matches!(error, CheckpointError::Truncated { .. }), "{file} {length}: {error}");
            }
        }
        let mut longer = bytes.clone();
        longer.push(0);
        let longer = load_bytes(&longer);
        // Zip archives allow a comment at the end; safetensors allows nothing.
        assert!(
            file != "mixed.safetensors" || matches!(longer, Err(CheckpointError::Damaged { .. })),
            "{file}"
        );
    }
}

/// Flips every bit of a file in turn; `check` sees what still loads.
fn flip_every_bit(file: &str, check: impl Fn(usize, Checkpoint)) {
    let bytes = std::fs::read(fixture(file)).unwrap();
    let mut changed = bytes.clone();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            changed[place] = bytes[place] ^ (1 << bit);
            if let Ok(checkpoint) = load_bytes(&changed) {
                check(place, checkpoint);
            }
        }
        changed[place] = bytes[place];
    }
}

#[test]
fn flipped_bits_never_panic_and_never_change_numbers_in_a_zip() {
    let intact = load("compiled.pth");
    flip_every_bit("compiled.pth", |place, checkpoint| {
        // Checksums guard every entry, so what still loads (a flipped date, say) has the same numbers.
        for (name, tensor) in &checkpoint.tensors {
            let before = intact.tensors.get(name).unwrap_or_else(|| panic!("byte {place} renamed `{name}`"));
            assert_eq!(values(tensor), values(before), "byte {place}");
        }
    });
    flip_every_bit("brain.safetensors", |_, checkpoint| assert!(!checkpoint.tensors.is_empty()));
}

#[test]
fn a_damaged_pickle_never_panics() {
    // Inside a zip the checksum stops a changed pickle early, so here each is packed anew with the right checksum.
    let bytes = std::fs::read(fixture("nested.pth")).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut contents).unwrap();
        entries.push((file.name().unwrap().into_owned(), contents));
    }
    let described = entries.iter().position(|(name, _)| name.ends_with("data.pkl")).unwrap();
    let pickle = entries[described].1.clone();
    let load_with = |pickle: Vec<u8>| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (index, (name, contents)) in entries.iter().enumerate() {
            writer.start_file(name.as_str(), stored).unwrap();
            let contents = if index == described { &pickle } else { contents };
            std::io::Write::write_all(&mut writer, contents).unwrap();
        }
        load_bytes(&writer.finish().unwrap().into_inner())
    };

    assert_eq!(load_with(pickle.clone()).unwrap().tensors.len(), 4);
    for length in 0..pickle.len() {
        assert!(
            matches!(load_with(pickle[..length].to_vec()), Err(CheckpointError::Damaged { .. })),
            "{length}"
        );
    }
    for place in 0..pickle.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut changed = pickle.clone();
            changed[place] ^= change;
            // Whether it still loads is chance; that it returns is the point.
            let _ = load_with(changed);
        }
    }
    // Nesting a million deep, and a text that claims to be 4 gigabytes long.
    let mut deep = b"\x80\x02N".to_vec();
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(matches!(load_with(deep), Err(CheckpointError::NoTensors { .. })));
    assert!(matches!(
        load_with(b"\x80\x02X\xff\xff\xff\xffabc.".to_vec()),
        Err(CheckpointError::Damaged { .. })
    ));
}

#[test]
fn what_is_saved_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.safetensors");
    let mixed = load("mixed.pth");
    let metadata =
        BTreeMap::from([("model".to_string(), "small \"quoted\"".to_string()), ("a".into(), "b".into())]);
    let mut tensors = mixed.tensors.clone();
    let square = Tensor::arange(0_f32, 6., &Device::Cpu).unwrap().reshape((2, 3)).unwrap();
    tensors.insert("transposed".into(), square.t().unwrap());

    checkpoint::save(&path, &tensors, &metadata).unwrap();
    let first = std::fs::read(&path).unwrap();
    checkpoint::save(&path, &tensors, &metadata).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.metadata, metadata);
    assert_eq!(loaded.tensors.len(), tensors.len());
    for (name, tensor) in &tensors {
        assert_eq!(loaded.tensors[name].dtype(), tensor.dtype(), "{name}");
        assert_eq!(loaded.tensors[name].dims(), tensor.dims(), "{name}");
        assert_eq!(values(&loaded.tensors[name]), values(tensor), "{name}");
    }
    assert_eq!(values(&loaded.tensors["transposed"]), [0., 3., 1., 4., 2., 5.]);
    // Candle's own reader agrees.
    let candle = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    assert_eq!(values(&candle["double"]), values(&tensors["double"]));
}

#[test]
fn what_cannot_be_saved_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let one = BTreeMap::from([("weight".to_string(), Tensor::ones(2, DType::F32, &Device::Cpu).unwrap())]);
    let nowhere = folder.path().join("absent").join("x.safetensors");
    let error = checkpoint::save(&nowhere, &one, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, CheckpointError::CannotWrite { .. }), "{error}");

    // A folder in the place of the file: the numbers are written, the rename fails.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(checkpoint::save(&taken, &one, &BTreeMap::new()).is_err());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["taken"]);
}

#[test]
fn what_candle_saves_loads() {
    let variables = candle_nn::VarMap::new();
    let builder = candle_nn::VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let layer = candle_nn::linear(3, 2, builder.pp("fc")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("candle.safetensors");
    variables.save(&path).unwrap();
    let fitting =
        Checkpoint::load(&path).unwrap().fit(&wanted(&[("fc.weight", &[2, 3]), ("fc.bias", &[2])])).unwrap();
    assert_eq!(values(&fitting["fc.weight"]), values(layer.weight()));
}
