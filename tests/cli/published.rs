//! A checkpoint that nobody here trained, against numbers from JAX in float64. Only where the published files are at hand:
//! the environment variable `RELIEF_DATA` names the folder that `scripts/get-data.sh` filled.

use super::*;

use std::io::Write;

/// Arguments for the checkpoint in that folder.
fn published() -> Option<Vec<String>> {
    let Some(root) = std::env::var_os("RELIEF_DATA").map(PathBuf::from) else {
        let _ = writeln!(std::io::stderr(), "skipped the published checkpoint: RELIEF_DATA names no folder");
        return None;
    };
    let path = |name: &str| root.join(name).to_str().unwrap().to_string();
    let mut arguments =
        vec!["eigenvalues".to_string(), path("ccexam/mnist.pth"), "--data".into(), path("mnist")];
    arguments.extend(
        ["--model", "examples/models/mnist-cnn.toml", "--normalize", "0.1307,0.3081"].map(String::from),
    );
    Some(arguments)
}

#[test]
fn its_eigenvalues_are_those_of_jax() {
    let Some(arguments) = published() else { return };
    for (dtype, tolerance) in [("f64", 1e-5), ("f32", 1e-3)] {
        let common = [strs(&arguments), vec!["--limit", "200", "--dtype", dtype]].concat();
        let top = json(&[common.clone(), vec!["-k", "2"]].concat(), 0);
        assert_all_close(&values(&top["result"]["pairs"]), &[14.742698, 0.464552], tolerance);
        let bottom = json(&[common, vec!["-k", "1", "--which", "smallest"]].concat(), 0);
        assert_all_close(&values(&bottom["result"]["pairs"]), &[-0.468657], tolerance);
        assert_all_close(&[top["loss"].as_f64().unwrap()], &[0.004399489265596], tolerance);
    }
}

#[test]
fn its_accuracy_on_all_test_images_is_the_published_one() {
    let Some(arguments) = published() else { return };
    // Two products are far too few for an eigenvalue, and enough to be told the accuracy.
    let few = vec!["--split", "test", "-k", "1", "--max-products", "2", "--no-check"];
    let found = json(&[strs(&arguments), few].concat(), 1);
    assert_eq!(found["data"]["examples"], 10_000);
    assert_eq!(found["accuracy"], 0.9905);
}
