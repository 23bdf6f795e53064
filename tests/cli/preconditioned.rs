//! Matrices in Adam's and in the weights' coordinates, against PyTorch's explicit ones.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::blocks::{assert_ends, ends, explicit};
use super::*;

/// A PyTorch checkpoint with its optimizer.
const ADAM: &str = "tests/fixtures/pytorch/adam-digits-mlp-tanh.pth";

const TASK: [&str; 6] = [
    ADAM,
    "--model",
    "mlp:activation=tanh",
    "--data",
    "tests/fixtures/pytorch/digits-1000.safetensors",
    "--no-check",
];

fn eigenvalues(operator: &str, more: &[&str]) -> Json {
    json(&[&["eigenvalues"][..], &TASK, &ends("tanh", operator), more].concat(), 0)
}

/// The second moments as the file of a user who wrote them by name.
fn second_moments(
    folder: &Path,
    change: impl FnOnce(&mut HashMap<String, Tensor>),
    metadata: &[(&str, &str)],
) -> String {
    let memory =
        relief_models::checkpoint::AdamMemory::load(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(ADAM));
    let mut tensors: HashMap<String, Tensor> = memory.unwrap().second_moments.into_iter().collect();
    change(&mut tensors);
    let metadata = metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let path = folder.join("v.safetensors");
    relief_models::checkpoint::save(&path, &tensors.into_iter().collect(), &metadata).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn the_preconditioned_hessian_agrees_with_the_explicit_one() {
    let expected = &explicit()["adam-digits-mlp-tanh"];
    let adam = format!("adam:{ADAM}");
    let whole = eigenvalues("hessian", &["--precondition", &adam]);
    assert_ends(&whole["result"], &expected["hessian"]["whole"]);
    assert_eq!(whole["operator"], "adam-preconditioned hessian");
    let said = &whole["preconditioner"];
    assert_eq!((said["kind"].as_str(), said["steps"].as_u64()), (Some("adam"), Some(30)));
    assert_all_close(
        &["beta1", "beta2", "epsilon", "eta"].map(|k| said[k].as_f64().unwrap()),
        &[0.9, 0.99, 1e-7, 2e-3],
        1e-15,
    );
    assert_all_close(&[said["edge"].as_f64().unwrap()], &[38.0 / 2e-3], 1e-12);
    let notes = whole["notes"].to_string();
    assert!(notes.contains("19000") && notes.contains("P^-1/2"), "{notes}");

    let gauss_newton = eigenvalues("gauss-newton", &["--precondition", &adam]);
    assert_ends(&gauss_newton["result"], &expected["gauss-newton"]["whole"]);
    let blocks = eigenvalues("hessian", &["--precondition", &adam, "--blocks", "layer"]);
    assert_ends(&blocks["result"], &expected["hessian"]["by-layer"]);
    assert_eq!(blocks["operator"], "block-diagonal adam-preconditioned hessian");
    let layers = eigenvalues("hessian", &["--precondition", &adam, "--per-layer"]);
    for layer in layers["result"]["layers"].as_array().unwrap() {
        assert_ends(layer, &expected["hessian"]["layers"][layer["name"].as_str().unwrap()]);
    }
    let part = eigenvalues("hessian", &["--precondition", &adam, "--params", "4.*"]);
    assert_ends(&part["result"], &expected["hessian"]["layers"]["4"]);
    let trace =
        [&["trace"][..], &TASK, &["--products", "170", "--params", "4.*", "--precondition", &adam]].concat();
    let trace = json(&trace, 0);
    let exact = expected["hessian"]["layers"]["4"]["trace"].as_f64().unwrap();
    assert_all_close(&[trace["result"]["value"].as_f64().unwrap()], &[exact], 1e-10);
}

#[test]
fn second_moments_by_name_and_sizes_of_weights() {
    let expected = &explicit()["adam-digits-mlp-tanh"];
    let folder = tempfile::tempdir().unwrap();
    let adam = format!("adam:{}", second_moments(folder.path(), |_| (), &[]));
    let settings = ["--precondition", &adam, "--adam-eps", "1e-7", "--adam-beta2", "0.99"];
    let corrected = eigenvalues("hessian", &[&settings[..], &["--adam-steps", "30"]].concat());
    assert_ends(&corrected["result"], &expected["hessian"]["whole"]);
    let uncorrected = eigenvalues("hessian", &settings);
    assert_ends(&uncorrected["result"], &expected["uncorrected"]);
    assert!(uncorrected["notes"].to_string().contains("--adam-steps"));
    let metadata = [("steps", "30"), ("beta2", "0.99"), ("epsilon", "1e-7")];
    let adam = format!("adam:{}", second_moments(folder.path(), |_| (), &metadata));
    let told = eigenvalues("hessian", &["--precondition", &adam]);
    assert_eq!(told["result"], corrected["result"]);

    let weights = eigenvalues("hessian", &["--precondition", "weights"]);
    assert_ends(&weights["result"], &expected["weights"]);
    assert_eq!(weights["operator"], "weight-scaled hessian");
    assert_eq!(weights["preconditioner"]["kind"], "weights");
    let sharpness = json(&[&["sharpness"][..], &TASK, &["--only", "weighted"]].concat(), 0);
    let measures = sharpness["result"]["measures"].as_array().unwrap();
    let largest = measures.iter().find(|m| m["name"] == "weighted-lambda-max").unwrap();
    assert_all_close(&[largest["value"].as_f64().unwrap()], &values(&weights["result"]["pairs"])[..1], 1e-6);
}

#[test]
fn a_run_with_adam_gives_its_preconditioner() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run").display().to_string();
    let train = |optimizer: &str, run: &str| {
        let start = [
            "train",
            "--model",
            "mlp:widths=64-12-10",
            "--data",
            "digits",
            "--limit",
            "200",
            "--dtype",
            "f64",
        ];
        let how =
            ["--optimizer", optimizer, "--eta", "0.002", "--steps", "40", "--batch", "full", "--run", run];
        json(&[&start[..], &how].concat(), 0);
    };
    train("adam", &run);
    let checkpoint = format!("{run}/checkpoints/step-000040.safetensors");
    let adam = format!("adam:{run}");
    let of = ["eigenvalues", &checkpoint, "-k", "1", "--tol", "1e-9"];
    let found = json(&[&of[..], &["--precondition", &adam]].concat(), 0);
    assert_eq!(found["preconditioner"]["steps"], 40);
    assert_all_close(&[found["preconditioner"]["edge"].as_f64().unwrap()], &[38.0 / 0.002], 1e-12);
    // A layer of the same network finds its part of the flat vector.
    let part = json(&[&of[..], &["--precondition", &adam, "--params", "2.*"]].concat(), 0);
    assert!(values(&part["result"]["pairs"])[0] <= values(&found["result"]["pairs"])[0]);

    let sgd = folder.path().join("sgd").display().to_string();
    train("sgd", &sgd);
    refuses(&[&of[..], &["--precondition", &format!("adam:{sgd}")]].concat(), 3, &["not with Adam", "sgd"]);
}

#[test]
fn files_that_do_not_fit_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |adam: &str, code, words: &[&str]| {
        let all = [&["eigenvalues"][..], &TASK, &["--precondition", adam]].concat();
        refuses(&all, code, words);
    };
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F64, &Device::Cpu).unwrap();
    let file = second_moments(folder.path(), |v| drop(v.remove("2.bias")), &[]);
    refused(&format!("adam:{file}"), 3, &["lacks 1 tensor", "`2.bias` [16]"]);
    let file = second_moments(folder.path(), |v| drop(v.insert("2.bias".into(), zeros(&[15]))), &[]);
    refused(&format!("adam:{file}"), 3, &["`2.bias`", "found [15]", "expected [16]"]);
    let negative = (zeros(&[16]) - 0.5).unwrap();
    let file = second_moments(folder.path(), |v| drop(v.insert("2.bias".into(), negative)), &[]);
    refused(&format!("adam:{file}"), 3, &["`2.bias`", "-0.5"]);
    let nan = (zeros(&[16]) / 0.0).unwrap();
    let file = second_moments(folder.path(), |v| drop(v.insert("2.bias".into(), nan)), &[]);
    refused(&format!("adam:{file}"), 3, &["`2.bias`", "NaN"]);
    let file = second_moments(folder.path(), |v| drop(v.insert("2.bias".into(), zeros(&[16]))), &[]);
    let adam = format!("adam:{file}");
    let zero = [&["eigenvalues"][..], &TASK, &["--adam-eps", "0", "--precondition", &adam]].concat();
    refuses(&zero, 3, &["entry 0", "--adam-eps"]);
    refused("adam:nowhere.safetensors", 3, &["nowhere.safetensors"]);
    refused("adam:README.md", 3, &["README.md", "not a checkpoint"]);
    refused("adagrad:x", 2, &["adam:FILE"]);
    let task = |more: &[&'static str]| [&["eigenvalues"][..], &TASK, more].concat();
    refuses(&task(&["--precondition", "weights", "--adam-eps", "1e-8"]), 2, &["--adam-eps", "Adam"]);
    refuses(&task(&["--adam-beta2", "0.9"]), 2, &["--precondition"]);
    refuses(&task(&["--precondition", "weights", "--operator", "tangent-kernel"]), 2, &["tangent kernel"]);
}
