//! `relief train`: what it leaves in its folder, and how it goes on after whatever happens.

use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use super::*;

const MODEL: [&str; 5] = ["train", "--model", "mlp:widths=64-16-10,activation=tanh", "--data", "digits"];

/// Trains into a folder of this name; the command must end with `code`.
#[track_caller]
fn train(folder: &Path, more: &[&str], code: i32) -> Json {
    json(&[&MODEL[..], more, &["--run", &folder.display().to_string()]].concat(), code)
}

fn rows(folder: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn steps(folder: &Path) -> Vec<u64> {
    rows(folder).iter().map(|row| row["step"].as_u64().unwrap()).collect()
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Metrics and checkpoints of a folder, byte by byte.
fn recorded(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("checkpoints"))
        .unwrap()
        .map(|entry| format!("checkpoints/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    names.push("metrics.jsonl".into());
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (recorded(a), recorded(b));
    let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn a_run_leaves_rows_and_checkpoints_that_speak_for_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sam");
    let more = ["--optimizer", "sam", "--rho", "0.1", "--epochs", "4", "--batch", "50", "--limit", "300"];
    let probes = ["--probe-every", "10", "--checkpoint-every", "12", "-k", "3", "--normalize", "0.3,0.4"];
    let result = train(&path, &[&more[..], &probes].concat(), 0);
    assert_eq!(result["schema"], "relief/train/1");
    assert_eq!(steps(&path), [0, 6, 10, 12, 18, 20, 24]);
    let rows = rows(&path);
    let (first, last) = (&rows[0], &rows[6]);
    assert!(number(&last["loss/train"]) < 0.7 * number(&first["loss/train"]), "{last}");
    assert!(first.get("loss/batch").is_none() && number(&last["loss/batch"]) > 0.0);
    assert_eq!(result["result"]["last"], *last);
    for tag in ["hessian/lambda_3", "edge/gd", "edge/sam", "align/eps_v1", "align/sg_top", "accuracy/test"] {
        assert!(number(&last[tag]) > 0.0, "{tag}");
    }
    assert!(number(&last["edge/sam"]) < number(&last["edge/momentum"]));
    assert!(rows[1].get("hessian/lambda_1").is_none(), "only probes have eigenvalues");
    let text = std::fs::read_to_string(path.join("run.toml")).unwrap();
    for line in ["optimizer = \"sam\"", "rho = 0.1", "examples = 300", "every = 10", "steps = 24"] {
        assert!(text.contains(line), "{text}");
    }
    let names: Vec<String> = recorded(&path).into_iter().map(|(name, _)| name).collect();
    let checkpoint = |step: &str| format!("checkpoints/step-{step}.safetensors");
    assert_eq!(names[..3], [checkpoint("000000"), checkpoint("000012"), checkpoint("000024")]);

    // Examples, shift and scale, and the loss are those of the training.
    let found = json(&["eigenvalues", &path.join(&names[2]).display().to_string()], 0);
    let pair = &found["result"]["pairs"][0];
    let bound = number(&pair["error_bound"]) + number(&last["hessian/lambda_1_bound"]);
    let apart = (number(&pair["value"]) - number(&last["hessian/lambda_1"])).abs();
    assert!(apart <= bound, "{apart} {bound}");
    assert_eq!(found["loss"], last["loss/train"]);
    assert_eq!(found["notes"].as_array().unwrap().len(), 0, "{}", found["notes"]);
    let other = path.join(&names[0]).display().to_string();
    relief(&["line", &other, "--to", &path.join(&names[2]).display().to_string(), "--points", "3"])
        .assert()
        .success();
}

#[test]
fn a_killed_run_goes_on_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let more = ["--optimizer", "sam", "--epochs", "40", "--batch", "64", "--checkpoint-every", "100"];
    let more = [&more[..], &["--probe-every", "40", "-k", "2", "--probe-examples", "200"]].concat();
    train(&whole, &more, 0);
    let path = killed.display().to_string();
    let (mut kills, mut finished) = (0, false);
    for delay in [60, 120, 200, 350, 500, 800, 100, 1200] {
        let new = !killed.join("run.toml").exists();
        let begin = [&MODEL[..], &more, &["--run", &path]].concat();
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("relief"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(if new { begin } else { vec!["train", "--resume", &path] })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if finished {
            break;
        }
        kills += 1;
    }
    assert!(kills > 0, "nothing was killed");
    if !finished {
        // As a kill in the middle of a row leaves it.
        use std::io::Write;
        let metrics = std::fs::OpenOptions::new().append(true).open(killed.join("metrics.jsonl"));
        metrics.unwrap().write_all(b"{\"accuracy/test\":0.5,\"acc").unwrap();
    }
    json(&["train", "--resume", &path], 0);
    assert_same(&whole, &killed);
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, other) = (folder.path().join("whole"), folder.path().join("other"));
    let more = ["--optimizer", "adamw", "--epochs", "150", "--threads", "1"];
    train(&whole, &more, 0);
    let text = other.display().to_string();
    let interrupted = [300, 150, 600, 80, 1200].into_iter().find_map(|delay| {
        let _ = std::fs::remove_dir_all(&other);
        let output = interrupted_after(&[&MODEL[..], &more, &["--run", &text]].concat(), delay);
        (output.status.code() == Some(130)).then_some(output)
    });
    let output = interrupted.expect("no run was interrupted");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("relief train --resume"), "{errors}");
    json(&["train", "--resume", &text], 0);
    assert_same(&whole, &other);
    // A finished run has nothing left to do.
    json(&["train", "--resume", &text], 0);
    assert_same(&whole, &other);
    refuses(&[&MODEL[..], &["--run", &text]].concat(), 2, &["holds a run already", "--resume"]);
    refuses(&["train", "--resume", &text, "--eta", "0.2"], 2, &["cannot be used with"]);
    let settings = other.join("run.toml");
    let was = std::fs::read_to_string(&settings).unwrap();
    for (from, to, words) in [
        ("version = \"", "version = \"0.0.", &["begun with version 0.0."][..]),
        ("sha256 = \"", "sha256 = \"0", &["not those any more"]),
        ("steps = ", "steps = 1", &["belongs to another"]),
        ("seed = ", "sed = ", &["run.toml", "sed"]),
    ] {
        std::fs::write(&settings, was.replacen(from, to, 1)).unwrap();
        refuses(&["train", "--resume", &text], 3, words);
    }
    refuses(&["train", "--resume", &folder.path().display().to_string()], 3, &["run.toml"]);
}

#[test]
fn batch_norm_has_the_statistics_of_the_whole_training_split() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("bn");
    let data = fixture("fashion-64.safetensors");
    let model = fixture("../fashion-cnn-bn.toml");
    let path = run.display().to_string();
    let arguments =
        ["train", "--model", &model, "--data", &data, "--batch", "16", "--epochs", "2", "--dtype", "f64"];
    json(&[&arguments[..], &["--probe-every", "8", "--run", &path]].concat(), 0);
    let last = &rows(&run)[2];
    let checkpoint = run.join("checkpoints/step-000008.safetensors").display().to_string();
    let with = |mode: &str| json(&["eigenvalues", &checkpoint, "-k", "1", "--bn", mode], 0);
    let (eval, batch) = (with("eval"), with("batch"));
    assert!((number(&eval["loss"]) - number(&last["loss/train"])).abs() < 1e-12);
    assert!((number(&batch["loss"]) - number(&last["loss/train"])).abs() < 1e-12);
    let value = number(&batch["result"]["pairs"][0]["value"]);
    assert!((value - number(&last["hessian/lambda_1"])).abs() < 1e-5 * value);
    assert!(last.get("loss/test").is_none(), "these data have no test split");
}

#[test]
fn a_training_that_diverges_keeps_its_last_point() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let path = run.display().to_string();
    let more = ["--loss", "mse", "--eta", "1e12", "--steps", "400", "--measure-every", "1", "--run", &path];
    let linear = ["train", "--model", "mlp:widths=64-10", "--data", "digits"];
    refuses(&[&linear[..], &more].concat(), 4, &["diverged at step", "last finite point"]);
    let rows = rows(&run);
    let event = rows.last().unwrap();
    assert!(event["event"].as_str().unwrap().contains("diverged"), "{event}");
    let step = event["step"].as_u64().unwrap();
    assert!(run.join(format!("checkpoints/step-{step:06}.safetensors")).exists());
    refuses(&["train", "--resume", &path], 4, &["diverged at step"]);
    assert_eq!(rows.len(), self::rows(&run).len(), "the remark is made once");
}

#[test]
fn every_optimizer_goes_on_from_its_own_memory() {
    let folder = tempfile::tempdir().unwrap();
    let names = "sgd adam adamw sam asam eigen-sam reverse-sam egr graph-sam look-sam gsam frob-sam det-sam \
                 trace-sam random unnormalised-sam";
    for name in names.split(' ') {
        let (whole, other) = (folder.path().join(name), folder.path().join(format!("{name}-again")));
        let more =
            ["--optimizer", name, "--limit", "60", "--batch", "30", "--steps", "6", "--measure-every", "3"];
        train(&whole, &more, 0);
        // As a run that was broken off after its first row.
        std::fs::create_dir(&other).unwrap();
        std::fs::copy(whole.join("run.toml"), other.join("run.toml")).unwrap();
        json(&["train", "--resume", &other.display().to_string()], 0);
        assert_same(&whole, &other);
        assert!(number(&rows(&whole)[2]["loss/train"]).is_finite(), "{name}");
    }
    let run = folder.path().join("eigen-adam");
    let more = [
        "--optimizer",
        "eigen-sam",
        "--base",
        "adam",
        "--every",
        "2",
        "--steps",
        "6",
        "--measure-every",
        "3",
    ];
    train(&run, &more, 0);
    assert!(number(&rows(&run)[2]["work/products"]) > 0.0, "its eigenvectors take products");
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run").display().to_string();
    for (more, words) in [
        (&["--optimizer", "sgd", "--rho", "0.1"][..], &["--rho", "sgd"][..]),
        (&["--optimizer", "sam", "--alpha", "0.1"], &["--alpha", "sam"]),
        (&["--optimizer", "gsam", "--draws", "3"], &["--draws", "gsam"]),
        (&["--optimizer", "sam", "--m", "0"], &["parts of 0"]),
        (&["--optimizer", "asam", "--rho=-1"], &["rho is -1"]),
        (&["--eta", "0"], &["eta is 0"]),
        (&["--optimizer", "adam", "--momentum", "0.9"], &["--momentum", "--beta1"]),
        (&["--optimizer", "adam", "--base", "sgd"], &["--base", "adam"]),
        (&["--beta2", "0.9"], &["--beta2", "SGD"]),
        (&["--schedule", "steps:3"], &["--schedule", "steps:30,60x0.1"]),
        (&["--batch", "9999"], &["mini-batch"]),
        (&["--batch", "some"], &["`full`"]),
        (&["--measure-every", "0"], &["--measure-every"]),
        (&["--probe-every", "5", "--probe-examples", "0"], &["--probe-examples"]),
        (&["--epochs", "3", "--steps", "3"], &["--steps"]),
    ] {
        refuses(&[&MODEL[..], more, &["--run", &path]].concat(), 2, words);
    }
    refuses(&["train", "--data", "digits"], 2, &["--model"]);
    refuses(&["train", "--model", "mlp", "--data", "digits", "--run", &path], 3, &["widths"]);
}
