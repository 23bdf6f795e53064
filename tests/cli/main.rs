//! The binary from end to end: what users type, what they get, and how it fails.

mod animations;
mod bad_input;
mod blocks;
mod defects;
mod device;
mod eigenvalues;
mod exports;
mod figures;
mod kfac;
mod landscape;
mod minima;
mod preconditioned;
#[allow(clippy::unreadable_literal, reason = "as published")]
mod published;
mod redraw;
mod refusals;
mod resume;
mod sharpness;
mod spectrum;
mod toolbox;
mod traces;
mod track;
#[cfg(unix)]
mod training;
mod verbs;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value as Json;

/// The binary, run from the project's folder.
fn relief(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("relief").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

/// A file among the PyTorch fixtures.
fn fixture(name: &str) -> String {
    format!("tests/fixtures/pytorch/{name}")
}

/// Arguments that put a digits fixture together with its data.
fn digits(name: &str) -> Vec<String> {
    let activation = if name.ends_with("tanh") { "tanh" } else { "relu" };
    [
        "eigenvalues",
        &fixture(&format!("{name}.safetensors")),
        "--model",
        &format!("mlp:activation={activation}"),
        "--data",
        &fixture("digits-1000.safetensors"),
    ]
    .map(String::from)
    .to_vec()
}

/// Runs and parses the JSON on stdout; the command must end with `code`.
#[track_caller]
fn json(arguments: &[&str], code: i32) -> Json {
    let output = relief(arguments).args(["--format", "json"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{arguments:?}: no JSON ({e}): {errors}"))
}

/// Runs a command that must fail with `code` and one sentence on stderr that contains every one of `words`.
#[track_caller]
fn refuses(arguments: &[&str], code: i32, words: &[&str]) {
    let output = relief(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    assert!(!errors.contains("panicked"), "{arguments:?} panicked: {errors}");
    for word in words {
        assert!(errors.contains(word), "{arguments:?}: `{word}` is missing in: {errors}");
    }
}

/// Runs a command and presses Ctrl-C after some milliseconds.
#[cfg(unix)]
fn interrupted_after(arguments: &[&str], delay: u64) -> std::process::Output {
    use std::process::{Command as Process, Stdio};

    let child = Process::new(assert_cmd::cargo::cargo_bin("relief"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(delay));
    Process::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    child.wait_with_output().unwrap()
}

/// Borrowed arguments.
fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// PyTorch's numbers.
fn reference() -> Json {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(fixture("reference.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The values of a list of pairs.
fn values(pairs: &Json) -> Vec<f64> {
    pairs.as_array().unwrap().iter().map(|p| p["value"].as_f64().unwrap()).collect()
}

/// Numbers of a JSON list.
fn numbers(list: &Json) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs();
        assert!(error <= tolerance, "found {found}, expected {expected}: relative error {error:e}");
    }
}

/// No file but those named may be left in a folder.
#[track_caller]
fn assert_only(folder: &Path, names: &[&str]) {
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, names);
}
