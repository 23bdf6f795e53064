//! Probes of checkpoints from the command line.

use super::*;

/// Checkpoints between two fixtures' perceptrons of one architecture, as a training might leave them.
fn way(folder: &Path, steps: &[usize]) -> String {
    let device = candle_core::Device::Cpu;
    let load = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
        candle_core::safetensors::load(path, &device).unwrap()
    };
    let ends = ["sgd", "sam"].map(|name| load(&format!("notebooks-data/digits-{name}.safetensors")));
    for &step in steps {
        let share = step as f64 / 1000.0;
        let mixed = ends[0].iter().map(|(name, a)| {
            let between = ((a * (1.0 - share)).unwrap() + (&ends[1][name] * share).unwrap()).unwrap();
            (name.clone(), between)
        });
        let mixed: std::collections::HashMap<String, candle_core::Tensor> = mixed.collect();
        candle_core::safetensors::save(&mixed, folder.join(format!("step-{step}.safetensors"))).unwrap();
    }
    folder.join("step-*.safetensors").display().to_string()
}

/// A quick problem.
const PROBLEM: [&str; 10] =
    ["--model", "mlp:activation=tanh", "--data", "digits", "--limit", "60", "-k", "2", "--dtype", "f64"];

fn rows(run: &Json) -> Vec<Json> {
    run["result"]["rows"].as_array().unwrap().clone()
}

#[test]
fn every_checkpoint_has_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = way(folder.path(), &[100, 20, 3]);
    let csv = folder.path().join("rows.csv");
    let arguments = [
        &["track", &pattern][..],
        &PROBLEM,
        &[
            "--eta",
            "0.1",
            "--rho",
            "0.05",
            "--batch",
            "8",
            "--noise",
            "--noise-error",
            "0.2",
            "--third-order",
        ],
        &["--phantom", "--csv", csv.to_str().unwrap()],
    ]
    .concat();
    let run = json(&arguments, 0);
    assert_eq!(run["schema"], "relief/track/1");
    let rows = rows(&run);
    let steps: Vec<u64> = rows.iter().map(|row| row["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [3, 20, 100]);
    for row in &rows {
        for tag in
            ["loss/train", "loss/test", "accuracy/test", "edge/gd", "edge/sam", "align/sg_top", "noise/gni"]
        {
            assert!(row[tag].is_number(), "{tag}: {row}");
        }
        assert_eq!(row["edge/gd"], 20.0);
    }
    // Against the verb that has only this one checkpoint to look at.
    let one = folder.path().join("step-20.safetensors");
    let alone = json(&[&["eigenvalues", one.to_str().unwrap()][..], &PROBLEM].concat(), 0);
    let expected = values(&alone["result"]["pairs"]);
    let found = [1, 2].map(|i| rows[1][format!("hessian/lambda_{i}")].as_f64().unwrap());
    assert_all_close(&found, &expected, 1e-6);
    let text = std::fs::read_to_string(csv).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("step,checkpoint,accuracy/test,") && lines.len() == 4, "{text}");
    assert!(lines[2].starts_with("20,\"step-20\","), "{text}");
}

#[test]
fn a_run_goes_on_where_it_stopped_and_only_with_its_own_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (at, other) = (folder.path().join("run"), folder.path().join("whole"));
    let (at, other) = (at.to_str().unwrap(), other.to_str().unwrap());
    let pattern = way(folder.path(), &[10, 20]);
    let arguments = |run| [&["track", &pattern][..], &PROBLEM, &["--eta", "0.1", "--run", run]].concat();
    let quiet = |mut run: Json| {
        run["work"] = Json::Null;
        run["checkpoint"] = Json::Null;
        for key in ["loss", "accuracy"] {
            run[key] = Json::Null;
        }
        run
    };
    json(&arguments(at), 0);
    way(folder.path(), &[30]);
    // A line that was cut off is written again.
    let metrics = Path::new(at).join("metrics.jsonl");
    let whole = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(&metrics, format!("{whole}{{\"step\": 30, \"loss")).unwrap();
    let resumed = json(&arguments(at), 0);
    assert_eq!(resumed["work"]["gradients"], 1);
    let fresh = json(&arguments(other), 0);
    assert_eq!(quiet(resumed), quiet(fresh));
    assert!(std::fs::read_to_string(&metrics).unwrap().starts_with(&whole));
    let nothing = json(&arguments(at), 0);
    assert_eq!((rows(&nothing).len(), nothing["work"]["products"].as_u64()), (3, Some(0)));

    let changed = [&["track", &pattern][..], &PROBLEM, &["--eta", "0.2", "--run", at]].concat();
    refuses(&changed, 2, &["training", "--run"]);
    way(folder.path(), &[15]);
    refuses(&arguments(at), 3, &["step 15", "--run"]);
}

#[test]
fn following_sees_files_that_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = way(folder.path(), &[1]);
    let path = folder.path().to_path_buf();
    let later = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        // First a part of it, as a slow writer leaves it.
        let whole = std::fs::read(path.join("step-1.safetensors")).unwrap();
        std::fs::write(path.join("step-2.safetensors"), &whole[..whole.len() / 2]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(700));
        std::fs::write(path.join("step-2.safetensors"), &whole).unwrap();
    });
    let run = json(&[&["track", &pattern][..], &PROBLEM, &["--follow", "--idle", "6"]].concat(), 0);
    later.join().unwrap();
    assert_eq!(rows(&run).len(), 2);
}

#[test]
fn a_loss_that_explains_the_curvature_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = json(
        &[
            &["track", "notebooks-data/pair/way/*.safetensors", "--limit", "100", "-k", "1"][..],
            &["--run", folder.path().join("run").to_str().unwrap()],
        ]
        .concat(),
        0,
    );
    assert!(run["result"]["remarks"].is_array());
    let text = relief(&["track", "notebooks-data/pair/way/*.safetensors", "--limit", "100", "-k", "1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("lambda_1") && text.contains("test accuracy"), "{text}");
}

#[test]
fn what_cannot_be_tracked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refuses(&["track", "nowhere/*.safetensors"], 3, &["no file matches"]);
    refuses(&["track", "notebooks-data/digits-sgd.safetensors"], 2, &["step"]);
    let pattern = way(folder.path(), &[5]);
    let with = |more: &'static [&'static str]| [&["track", pattern.as_str()][..], &PROBLEM, more].concat();
    refuses(&with(&["--eta", "0"]), 2, &["--eta"]);
    refuses(&with(&["--eta", "0.1", "--rho", "0"]), 2, &["--rho"]);
    refuses(&with(&["--momentum", "1"]), 2, &["--momentum"]);
    refuses(&with(&["--tol", "0"]), 2, &["--tol"]);
    refuses(&with(&["--noise"]), 2, &["--batch"]);
    refuses(&with(&["--batch", "100", "--noise"]), 3, &["mini-batches of 100"]);
    let run = json(&with(&["--max-products", "3"]), 1);
    assert_eq!(run["result"]["not_converged"][0], 5);
}
