//! `--device` where there is no card that this program can use.

use super::*;

fn with<'a>(checkpoint: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let digits =
        ["--model", "mlp:activation=tanh", "--data", "tests/fixtures/pytorch/digits-1000.safetensors"];
    [&["trace", checkpoint, "--limit", "20", "--products", "8", "--format", "json"][..], &digits, more]
        .concat()
}

#[test]
fn every_result_names_the_device() {
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    let output =
        relief(&with(&checkpoint, &["--device", "cpu"])).assert().success().get_output().stdout.clone();
    let result: Json = serde_json::from_slice(&output).unwrap();
    assert_eq!(result["device"], "cpu");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_program_without_the_feature_says_what_to_do() {
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    refuses(&with(&checkpoint, &["--device", "cuda"]), 3, &["without the feature `cuda`", "--features cuda"]);
    refuses(&with(&checkpoint, &["--device", "cuda:1"]), 3, &["--features cuda"]);
    let fallen_back =
        relief(&with(&checkpoint, &["--device", "auto"])).assert().success().get_output().clone();
    let result: Json = serde_json::from_slice(&fallen_back.stdout).unwrap();
    assert_eq!(result["device"], "cpu");
    let said = String::from_utf8(fallen_back.stderr).unwrap();
    assert!(said.contains("without the feature `cuda`") && said.contains("CPU"), "{said}");
}

#[test]
fn products_on_the_cpu_are_in_full() {
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    for precision in ["tf32", "bf16"] {
        let asked = with(&checkpoint, &["--precision", precision]);
        refuses(&asked, 2, &[&format!("--precision {precision}"), "on the CPU", "--device cuda"]);
    }
    refuses(&with(&checkpoint, &["--precision", "fp8"]), 2, &["full, tf32 or bf16"]);
    let output = relief(&with(&checkpoint, &["--precision", "full"])).assert().success().get_output().clone();
    let result: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["precision"].is_null());
}

#[test]
#[cfg(not(feature = "cuda"))]
fn several_cards_are_asked_for_by_their_numbers() {
    let checkpoint = fixture("digits-mlp-tanh.safetensors");
    for several in ["cuda:0,1", "cuda:all"] {
        refuses(&with(&checkpoint, &["--device", several]), 3, &["without the feature `cuda`"]);
    }
    refuses(&with(&checkpoint, &["--device", "cuda:1,1"]), 3, &["card 1 is named twice"]);
    refuses(&with(&checkpoint, &["--device", "cuda:0;1"]), 2, &["cuda:0,1", "cuda:all"]);
}
