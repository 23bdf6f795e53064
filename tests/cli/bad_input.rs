//! Every kind of bad input: one plain sentence, the right exit code, no panic, no partial file.

use super::*;
use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

const DATA: &str = "tests/fixtures/pytorch/digits-1000.safetensors";

/// `relief eigenvalues CHECKPOINT --model mlp --data digits` with more arguments.
fn with<'a>(checkpoint: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["eigenvalues", checkpoint, "--model", "mlp:activation=tanh", "--data", DATA][..], more].concat()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

fn save(folder: &Path, name: &str, tensors: &[(&str, Tensor)]) -> String {
    let path = folder.join(name);
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path.to_str().unwrap().to_string()
}

fn mlp() -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture("digits-mlp-tanh.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

#[test]
fn checkpoints_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let whole =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture("digits-mlp-tanh.safetensors")))
            .unwrap();
    refuses(&with("no-such-file.safetensors", &[]), 3, &["no-such-file.safetensors"]);
    refuses(&with(&write(here, "empty.safetensors", b""), &[]), 3, &["empty"]);
    refuses(
        &with(&write(here, "half.safetensors", &whole[..whole.len() / 2]), &[]),
        3,
        &["half.safetensors"],
    );
    refuses(&with(&write(here, "text.pth", b"# my notes\n"), &[]), 3, &["text.pth"]);
    refuses(
        &with(&write(here, "legacy.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."), &[]),
        3,
        &["legacy"],
    );
    refuses(&with(here.to_str().unwrap(), &[]), 3, &[]);
}

#[test]
fn weights_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut tensors = mlp();
    let bias = tensors["2.bias"].to_vec1::<f64>().unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let mut entries = bias.clone();
        entries[3] = bad;
        tensors.insert("2.bias".into(), Tensor::new(entries, &Device::Cpu).unwrap());
        let path = here.join("bad.safetensors");
        candle_core::safetensors::save(&tensors, &path).unwrap();
        refuses(&with(path.to_str().unwrap(), &[]), 4, &["2.bias"]);
    }
    let mut tensors = mlp();
    tensors.remove("4.bias");
    tensors.insert("extra.thing".into(), Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap());
    tensors.insert("2.weight".into(), Tensor::zeros((16, 21), DType::F64, &Device::Cpu).unwrap());
    let path = here.join("other.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let arguments = [
        "eigenvalues",
        path.to_str().unwrap(),
        "--model",
        "mlp:widths=64-20-16-10,activation=tanh",
        "--data",
        DATA,
    ];
    refuses(&arguments, 3, &["4.bias", "extra.thing", "2.weight", "21", "20"]);
}

#[test]
fn data_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let labels = |l: &[u32]| Tensor::new(l, &Device::Cpu).unwrap();
    let run = |data: &str, code: i32, words: &[&str]| {
        refuses(&["eigenvalues", &checkpoint, "--model", "mlp:activation=tanh", "--data", data], code, words);
    };
    run("no-such-folder", 3, &["no-such-folder"]);
    run(&save(here, "range.safetensors", &[("x", zeros(&[2, 64])), ("y", labels(&[3, 12]))]), 3, &["12"]);
    run(
        &save(here, "shape.safetensors", &[("x", zeros(&[2, 65])), ("y", labels(&[3, 1]))]),
        3,
        &["65", "64"],
    );
    run(
        &save(here, "count.safetensors", &[("x", zeros(&[2, 64])), ("y", labels(&[3, 1, 2]))]),
        3,
        &["2", "3"],
    );
    run(&save(here, "none.safetensors", &[("x", zeros(&[0, 64])), ("y", labels(&[]))]), 3, &["no examples"]);
    run(&save(here, "names.safetensors", &[("images", zeros(&[2, 64]))]), 3, &["`x`"]);
    refuses(&with(&checkpoint, &["--limit", "1001"]), 2, &["1001", "1000"]);
    refuses(&with(&checkpoint, &["--limit", "0"]), 2, &[]);
}

#[test]
fn options_that_cannot_be_met() {
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    refuses(&with(&checkpoint, &["-k", "1807"]), 2, &["1807", "1806"]);
    refuses(&with(&checkpoint, &["-k", "0"]), 2, &["-k 0", "at least 1"]);
    refuses(&with(&checkpoint, &["--batch-size", "1001"]), 2, &["1001", "1000"]);
    refuses(&with(&checkpoint, &["--batch-size", "0"]), 2, &[]);
    refuses(&with(&checkpoint, &["--loss", "cross-entrpy"]), 2, &["cross-entropy"]);
    refuses(&with(&checkpoint, &["--which", "larges"]), 2, &["largest"]);
    refuses(&with(&checkpoint, &["--label-smoothing", "1.5"]), 2, &["1.5"]);
    refuses(&with(&checkpoint, &["--tol", "0"]), 2, &["--tol"]);
    refuses(&with(&checkpoint, &["--params", "layer9.*"]), 3, &["layer9.*"]);
    refuses(&with(&checkpoint, &["--normalize", "0.5"]), 2, &["0.5"]);
    refuses(&with(&checkpoint, &["--device", "gpu"]), 2, &["cuda:1", "auto"]);
    refuses(
        &["eigenvalues", &checkpoint, "--model", "resnet81", "--data", DATA],
        2,
        &["resnet81", "resnet18"],
    );
    refuses(
        &["eigenvalues", &checkpoint, "--model", "mlp:activaton=tanh", "--data", DATA],
        2,
        &["activaton", "activation"],
    );
    refuses(&["eigenvalues", &checkpoint, "--data", DATA], 2, &["--model", "mlp"]);
    refuses(&["eigenvalues", &checkpoint, "--model", "mlp"], 2, &["--data"]);
    refuses(&["eigenvaleus"], 2, &["eigenvalues"]);
}

#[test]
fn output_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere/result.json");
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    for option in ["-o", "--save-vectors"] {
        refuses(&with(&checkpoint, &[option, missing.to_str().unwrap()]), 2, &["nowhere"]);
        refuses(&with(&checkpoint, &[option, folder.path().to_str().unwrap()]), 2, &["folder"]);
    }
    // A failure leaves nothing behind, not even when the output was writable.
    let result = folder.path().join("result.json");
    refuses(&with(&checkpoint, &["-o", result.to_str().unwrap(), "--limit", "5000"]), 2, &["5000"]);
    assert_only(folder.path(), &[]);
}

#[test]
fn model_files_with_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    let run = |toml: &str, words: &[&str]| {
        let path = write(folder.path(), "net.toml", toml.as_bytes());
        refuses(&["eigenvalues", &checkpoint, "--model", &path, "--data", DATA], 3, words);
    };
    run(
        "input = [64]\n\n[[layers]]\ntype = \"liner\"\nname = \"0\"\nout_features = 20\n",
        &["line 4", "liner", "linear"],
    );
    run(
        "input = [64]\n[[layers]]\ntype = \"linear\"\nname = \"0\"\nout_fetures = 20\n",
        &["line 5", "out_fetures", "out_features"],
    );
    run("input = [64]\n[[layers]\n", &["line 2"]);
    run("[[layers]]\ntype = \"relu\"\n", &["input"]);
}
