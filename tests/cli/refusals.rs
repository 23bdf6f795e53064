//! What has no Hessian, or not one: refused with its exit code and a sentence, or made harmless and said so.

use std::collections::HashMap;

use super::*;
use candle_core::{DType, Device, Tensor};

const DATA: &str = "tests/fixtures/pytorch/digits-1000.safetensors";
const TANH: &str = "mlp:activation=tanh";

fn load(name: &str) -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture(name));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn save(folder: &Path, name: &str, tensors: &HashMap<String, Tensor>) -> String {
    let path = folder.join(name);
    candle_core::safetensors::save(tensors, &path).unwrap();
    path.to_str().unwrap().to_string()
}

/// A copy with one entry changed.
fn with_entry(tensor: &Tensor, at: usize, value: f64) -> Tensor {
    let mut entries: Vec<f64> =
        tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap();
    entries[at] = value;
    Tensor::from_vec(entries, tensor.dims(), &Device::Cpu).unwrap()
}

/// The verbs that look at one checkpoint's curvature.
const VERBS: [&str; 6] = ["eigenvalues", "spectrum", "trace", "diagonal", "sharpness", "check"];

#[test]
fn weights_that_are_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = load("digits-mlp-tanh.safetensors");
    for bad in [f64::NAN, f64::NEG_INFINITY] {
        tensors
            .insert("2.weight".into(), with_entry(&load("digits-mlp-tanh.safetensors")["2.weight"], 45, bad));
        let checkpoint = save(folder.path(), "bad.safetensors", &tensors);
        for verb in VERBS {
            refuses(&[verb, &checkpoint, "--model", TANH, "--data", DATA], 4, &["2.weight", "index [2, 5]"]);
        }
    }
}

#[test]
fn data_that_are_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    let whole = load("digits-1000.safetensors");
    // The last: finite in f64 alone.
    for (bad, dtype) in [(f64::NAN, "f64"), (f64::INFINITY, "f64"), (1e300, "f32")] {
        let mut data = whole.clone();
        data.insert("x".into(), with_entry(&whole["x"], 64 * 7 + 3, bad));
        let data = save(folder.path(), "bad-data.safetensors", &data);
        let arguments = ["--model", TANH, "--data", &data, "--dtype", dtype];
        for verb in ["eigenvalues", "spectrum", "trace"] {
            let all = [&[verb, &checkpoint][..], &arguments].concat();
            refuses(&all, 4, &["bad-data", "example 7", &format!("only numbers that are finite in {dtype}")]);
        }
    }
}

#[test]
fn a_loss_that_overflows() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = load("digits-mlp-tanh.safetensors");
    tensors.insert("4.weight".into(), (&tensors["4.weight"] * 1e308).unwrap());
    let checkpoint = save(folder.path(), "huge.safetensors", &tensors);
    refuses(&["eigenvalues", &checkpoint, "--model", TANH, "--data", DATA], 4, &["the loss is", "diverged"]);
}

/// The tanh network with dropout between its layers.
fn with_dropout(p: f64) -> String {
    let linear = |name: &str, out: usize| {
        format!("[[layers]]\ntype = \"linear\"\nname = \"{name}\"\nout_features = {out}\n")
    };
    let between = format!("[[layers]]\ntype = \"tanh\"\n[[layers]]\ntype = \"dropout\"\np = {p}\n");
    ["input = [64]\n", &linear("0", 20), &between, &linear("2", 16), &between, &linear("4", 10)].concat()
}

/// A random loss has no Hessian, so dropout is off, as in evaluation, and the result says so.
#[test]
fn dropout_is_off_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.toml");
    let model = path.to_str().unwrap();
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    let expected = reference();
    for p in [0.1, 0.9] {
        std::fs::write(&path, with_dropout(p)).unwrap();
        let arguments = ["eigenvalues", &checkpoint, "--model", model, "--data", DATA, "--tol", "1e-9"];
        let found = json(&arguments, 0);
        assert_all_close(
            &values(&found["result"]["pairs"]),
            &numbers(&expected["digits-mlp-tanh"]["top10"])[..5],
            1e-8,
        );
        assert_eq!(found["notes"][0], "dropout is off");
        let text = String::from_utf8(relief(&arguments).output().unwrap().stdout).unwrap();
        assert!(text.contains("note: dropout is off"), "{text}");
    }
    json(&["check", &checkpoint, "--model", model, "--data", DATA], 0);
}

/// The loss of a batch with its own statistics depends on what else is in the batch: not a mean over examples.
#[test]
fn batch_statistics_in_several_batches() {
    let (checkpoint, data) = (fixture("fashion-cnn-bn.safetensors"), fixture("fashion-64.safetensors"));
    for verb in VERBS {
        let arguments = [
            verb,
            &checkpoint,
            "--model",
            "tests/fixtures/fashion-cnn-bn.toml",
            "--data",
            &data,
            "--limit",
            "32",
        ];
        let batches = ["--bn", "batch", "--batch-size", "16"];
        let words = ["batch statistics over 32 examples", "16", "statistics per batch"];
        refuses(&[&arguments[..], &batches].concat(), 2, &words);
    }
}

#[test]
fn a_ragged_last_batch_changes_nothing() {
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["--batch-size", "400", "--tol", "1e-9"].map(String::from));
    let expected = &reference()["digits-mlp-tanh"];
    for (operator, key) in [("hessian", "top10"), ("gauss-newton", "ggn_top5")] {
        let found = json(&[&strs(&arguments)[..], &["--operator", operator]].concat(), 0);
        assert_all_close(&values(&found["result"]["pairs"]), &numbers(&expected[key])[..5], 1e-8);
        assert_all_close(
            &[found["gradient_norm"].as_f64().unwrap()],
            &[expected["gradient_norm"].as_f64().unwrap()],
            1e-10,
        );
    }
}

/// Units that never fire cut the gradient of all that feeds them.
#[test]
fn parameters_without_a_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = load("digits-mlp-relu.safetensors");
    let off = Tensor::full(-1e3, 16, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    tensors.insert("2.bias".into(), off);
    let checkpoint = save(folder.path(), "dead.safetensors", &tensors);
    let arguments = ["check", &checkpoint, "--model", "mlp", "--data", DATA];
    let found = json(&arguments, 4);
    assert_eq!(found["passed"], false);
    let findings = found["findings"].as_array().unwrap();
    let dead = findings.iter().find(|f| f["name"] == "every parameter has a gradient").unwrap();
    let culprit = dead["culprit"].as_str().unwrap();
    assert_eq!(culprit, "the loss does not depend on 0.bias, 0.weight, 2.bias, 2.weight, 4.weight");
    let text = String::from_utf8(relief(&arguments).output().unwrap().stdout).unwrap();
    assert!(text.contains("FAILED") && text.contains(culprit), "{text}");
}

/// A tensor that the model never reads would be a parameter without a gradient.
#[test]
fn parameters_that_the_model_does_not_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = load("digits-mlp-tanh.safetensors");
    tensors.insert("head.weight".into(), Tensor::zeros((3, 16), DType::F64, &Device::Cpu).unwrap());
    let checkpoint = save(folder.path(), "more.safetensors", &tensors);
    for verb in VERBS {
        refuses(
            &[verb, &checkpoint, "--model", "mlp:widths=64-20-16-10,activation=tanh", "--data", DATA],
            3,
            &["head.weight"],
        );
    }
}
