//! Known defects of other landscape tools that no other test rules out here.
//!
//! Elsewhere: directions that are parallel, uniform, or rescaled along the wrong axis, grids that are transposed,
//! mislabelled or not square, restarts that measure twice (`crates/landscape/tests/scans.rs`, `landscape.rs`); curves with
//! one number of bends, or with a norm that is not squared (`crates/landscape/tests/curves.rs`, `minima.rs`); rows that are
//! centred while projections are not (`crates/landscape/tests/trajectories.rs`); files of square grids alone (`exports.rs`);
//! eigenvectors a step ahead of their values (`eigenvalues.rs`).

use super::*;
use std::collections::HashMap;

use candle_core::Tensor;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";
/// A CNN with batch norm, its model and data.
fn clothes(verb: &str) -> Vec<String> {
    let [checkpoint, data] = ["fashion-cnn-bn.safetensors", "fashion-64.safetensors"].map(fixture);
    [verb, &checkpoint, "--model", "tests/fixtures/fashion-cnn-bn.toml", "--data", &data, "--dtype", "f64"]
        .map(String::from)
        .to_vec()
}

fn losses(run: &Json) -> Vec<Option<f64>> {
    fn all(json: &Json) -> Vec<Option<f64>> {
        match json {
            Json::Array(rows) => rows.iter().flat_map(all).collect(),
            number => vec![number.as_f64()],
        }
    }
    all(&run["result"]["loss"])
}

/// Others replace NaN by means and infinities by maxima.
#[test]
fn what_is_not_known_stays_unknown() {
    let run = json(&["surface", SGD, "--grid", "3", "--range", "-1e38:1e38", "--dtype", "f32"], 0);
    let found = losses(&run);
    assert!(found[4].is_some() && found.iter().filter(|loss| loss.is_none()).count() >= 4, "{found:?}");
    let human = String::from_utf8(
        relief(&["surface", SGD, "--grid", "3", "--range", "-1e38:1e38"]).output().unwrap().stdout,
    )
    .unwrap();
    assert!(human.contains("have no finite loss"), "{human}");
}

/// Others rescale eigenvectors like random directions, so that they are none.
#[test]
fn eigenvectors_keep_their_length_whatever_the_normalisation() {
    let plane = |more: &[&str]| {
        json(&[&["surface", SGD, "--plane", "eigen", "--grid", "3", "--dtype", "f64"], more].concat(), 0)
    };
    assert_eq!(plane(&[])["result"], plane(&["--normalisation", "layer"])["result"]);
}

/// Others refuse a range that begins at 0.
#[test]
fn ranges_may_begin_or_end_at_zero() {
    let run =
        json(&["surface", SGD, "--grid", "3", "--grid-y", "2", "--range", "0:1", "--range-y", "-1:0"], 0);
    assert_eq!(run["result"]["axes"], serde_json::json!([[0.0, 0.5, 1.0], [-1.0, 0.0]]));
    assert_eq!(losses(&run)[3].unwrap().to_bits(), run["loss"].as_f64().unwrap().to_bits());
}

/// Others measure the training split only, or crash on the test split.
#[test]
fn both_splits_all_classes_and_samples_are_measured() {
    let run = json(&["line", SGD, "--points", "3", "--with-test", "--per-class"], 0);
    let test = json(&["line", SGD, "--points", "3", "--split", "test"], 0);
    assert_eq!(run["result"]["test"]["loss"], test["result"]["loss"]);
    assert_eq!(run["result"]["test"]["accuracy"], test["result"]["accuracy"]);
    let classes = run["result"]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 10);
    let mean = |i: usize| classes.iter().map(|class| class["loss"][i].as_f64().unwrap()).sum::<f64>() / 10.0;
    let loss = losses(&run);
    assert!(
        (0..3).all(|i| (mean(i) / loss[i].unwrap() - 1.0).abs() < 0.2),
        "classes are about equally frequent"
    );
    // A sample's mean is within some standard errors of the whole set's.
    let sampled = json(&["line", SGD, "--points", "3", "--sample", "300", "--seed", "3"], 0);
    assert_eq!(sampled["data"]["examples"], 300);
    for i in [0, 2] {
        let error = sampled["result"]["standard_error"][i].as_f64().unwrap();
        let off = (losses(&sampled)[i].unwrap() - loss_with_seed(3)[i].unwrap()).abs();
        assert!(error > 0.0 && off < 4.0 * error, "{off} {error}");
    }
    refuses(&["line", SGD, "--with-test", "--split", "test"], 2, &["--with-test"]);
    refuses(&["line", SGD, "--sample", "5000"], 3, &["5000", "1437"]);
}

fn loss_with_seed(seed: u32) -> Vec<Option<f64>> {
    losses(&json(&["line", SGD, "--points", "3", "--seed", &seed.to_string()], 0))
}

#[test]
fn a_cap_is_a_floor_for_what_is_above_it() {
    let whole = json(&["surface", SGD, "--grid", "5"], 0);
    let capped = json(&["surface", SGD, "--grid", "5", "--cap", "1"], 0);
    for (whole, capped) in losses(&whole).into_iter().zip(losses(&capped)) {
        let (whole, capped) = (whole.unwrap(), capped.unwrap());
        assert_eq!(capped.to_bits(), whole.min(1.0).to_bits());
    }
    refuses(&["surface", SGD, "--cap", "-1"], 2, &["--cap"]);
}

/// Others let running statistics drift during a scan, perturb them with the weights, or keep those of the wrong network.
#[test]
fn running_statistics_are_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.safetensors").display().to_string();
    let tensors =
        candle_core::safetensors::load(fixture("fashion-cnn-bn.safetensors"), &candle_core::Device::Cpu)
            .unwrap();
    let moved: HashMap<String, Tensor> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let by = if name.ends_with("running_var") { 0.3 } else { 0.02 };
            let tensor = if tensor.dtype().is_float() { (&tensor + by).unwrap() } else { tensor };
            (name, tensor)
        })
        .collect();
    candle_core::safetensors::save(&moved, &other).unwrap();
    let line = |more: &[&str]| {
        let all = clothes("line");
        json(&[&strs(&all)[..], &["--to", &other, "--points", "3", "--range", "0:1"], more].concat(), 0)
    };
    let own = |checkpoint: &str, more: &[&str]| {
        let mut all = clothes("line");
        all[1] = checkpoint.to_string();
        json(&[&strs(&all)[..], &["--points", "3"], more].concat(), 0)["loss"].as_f64().unwrap()
    };
    let start = fixture("fashion-cnn-bn.safetensors");
    let end = |run: &Json, which: usize| losses(run)[which].unwrap();
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
    let interpolated = line(&["--statistics", "interpolate"]);
    assert!(close(end(&interpolated, 0), own(&start, &[])) && close(end(&interpolated, 2), own(&other, &[])));
    let recomputed = line(&[]);
    assert!(
        close(end(&recomputed, 0), own(&start, &["--bn", "batch"])),
        "recomputed is the default between checkpoints"
    );
    assert!(close(end(&recomputed, 2), own(&other, &["--bn", "batch"])));
    let frozen = line(&["--statistics", "freeze"]);
    assert!(close(end(&frozen, 0), own(&start, &[])) && !close(end(&frozen, 2), own(&other, &[])));
    // A random direction moves what is trained and nothing else, and a scan leaves no traces.
    let surface = |more: &[&str]| {
        let all = clothes("surface");
        json(&[&strs(&all)[..], &["--grid", "3", "--move-vectors"], more].concat(), 0)
    };
    let one = surface(&[]);
    assert_eq!(losses(&one)[4].unwrap().to_bits(), one["loss"].as_f64().unwrap().to_bits());
    assert_eq!(one["result"], surface(&["--threads", "1"])["result"]);
    let all = clothes("surface");
    refuses(&[&strs(&all)[..], &["--statistics", "interpolate"]].concat(), 2, &["between checkpoints"]);
    refuses(&[&strs(&all)[..], &["--statistics", "freeze", "--bn", "batch"]].concat(), 2, &["--bn batch"]);
}

/// A file's direction is followed as it is.
#[test]
fn directions_come_from_names_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("direction.safetensors").display().to_string();
    let tensors = candle_core::safetensors::load(SGD, &candle_core::Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, &file).unwrap();
    // Along the weights themselves, -1 is the network of zeros: ln 10.
    let run = json(&["line", SGD, "--along", &file, "--points", "3", "--range", "-1:1", "--dtype", "f64"], 0);
    assert!((losses(&run)[0].unwrap() - 10f64.ln()).abs() < 1e-12);
    for name in ["gradient", "sam", "sam-inf", "asam", "adam", "eigen:2"] {
        let run = json(&["line", SGD, "--along", name, "--points", "5"], 0);
        let found = losses(&run);
        assert!(found[2].unwrap() <= found[4].unwrap().max(found[0].unwrap()), "{name}");
    }
    refuses(&["line", SGD, "--along", "sideways"], 2, &["sideways", "gradient"]);
    refuses(&["surface", SGD, "--plane", "along:gradient,sam"], 2, &["parallel"]);
    refuses(&["surface", SGD, "--plane", "along:gradient"], 2, &["two directions"]);
    refuses(&["surface", SGD, "--plane", "pca:nowhere/*"], 3, &["no file matches"]);
    refuses(&["surface", SGD, "--plane", "pca"], 2, &["pca:'PATTERN'"]);
}

/// Fewer points, the same surface; and not met is said.
#[test]
fn a_refined_surface_is_the_whole_one_to_its_tolerance() {
    let surface = ["surface", SGD, "--grid", "33", "--range", "-0.5:0.5", "--dtype", "f64"];
    let whole = json(&surface, 0);
    let refined = json(&[&surface[..], &["--tolerance", "0.05"]].concat(), 0);
    let found = &refined["result"]["refinement"];
    assert!(found["measured"].as_u64().unwrap() < 1089 && found["converged"] == true, "{found}");
    let worst = losses(&whole)
        .iter()
        .zip(losses(&refined))
        .fold(0.0, |worst: f64, (a, b)| worst.max((a.unwrap().log10() - b.unwrap().log10()).abs()));
    assert!(worst < 0.1 && worst > 0.0, "{worst}");
    let all = json(&[&surface[..], &["--tolerance", "1e-9"]].concat(), 0);
    assert_eq!(all["result"]["loss"], whole["result"]["loss"], "refined to the end, it is the whole one");
}

#[test]
fn convexity_is_that_of_the_hessian() {
    let at = ["--limit", "200", "--dtype", "f64"];
    let run =
        json(&[&["surface", SGD, "--grid", "3", "--range", "-0.1:0.1", "--convexity"], &at[..]].concat(), 0);
    let both = json(&[&["eigenvalues", SGD, "--which", "both", "-k", "1"], &at[..]].concat(), 0);
    let curvature = &run["result"]["curvature"];
    for (list, pairs) in [("largest", "pairs"), ("smallest", "smallest")] {
        let found = curvature[list][1][1].as_f64().unwrap();
        let truth = both["result"][pairs][0]["value"].as_f64().unwrap();
        assert!((found - truth).abs() < 1e-6 * truth.abs().max(1e-3), "{list}: {found} {truth}");
    }
    assert!(run["work"]["products"].as_u64().unwrap() > 9);
}

/// Killed again and again, a scan goes on from what was saved, to the same bits.
#[cfg(unix)]
#[test]
fn a_scan_that_is_killed_resumes_to_the_same_bits() {
    use std::process::{Command as Process, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("scan.state");
    let surface = ["surface", SGD, "--grid", "129", "--grid-y", "65", "--threads", "1"];
    let whole = json(&surface, 0);
    let text = state.display().to_string();
    let saving = ["--state", &text, "--save-every", "0.01"];
    let mut killed = 0;
    for round in 0u64..40 {
        let resume: &[&str] = if state.exists() { &["--resume", &text] } else { &[] };
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("relief"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([&surface[..], &saving, resume].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(60 + round * 37 % 90));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        if killed == 20 {
            break;
        }
    }
    assert!(killed == 20 && state.exists(), "killed {killed} times");
    let resumed = json(&[&surface[..], &saving, &["--resume", &text]].concat(), 0);
    assert_eq!(whole["result"], resumed["result"]);
    assert!(!state.exists(), "a complete scan leaves no state");
}
