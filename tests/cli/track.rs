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
    refuses(&with(&["--batch", "8", "--noise", "--kernel-norm"]), 2, &["--eta"]);
    refuses(&with(&["--phantom"]), 2, &["--rho"]);
    refuses(&with(&["--batch", "100", "--noise"]), 3, &["mini-batches of 100"]);
    let run = json(&with(&["--max-products", "3"]), 1);
    assert_eq!(run["result"]["not_converged"][0], 5);
}

/// A short training of a small network, as its folder has it.
fn train(folder: &Path, more: &[&str]) -> (String, Vec<Json>) {
    let run = folder.display().to_string();
    let start = ["train", "--model", "mlp:widths=64-10,activation=tanh", "--data", "digits", "--limit", "60"];
    json(&[&start[..], &["--dtype", "f64", "--run", &run], more].concat(), 0);
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    (run, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What a probe is asked for every number that it can give.
const ALL: [&str; 13] = [
    "-k",
    "3",
    "--tol",
    "1e-9",
    "--trace",
    "0.3",
    "--noise",
    "--noise-error",
    "0.3",
    "--kernel-norm",
    "--third-order",
    "--phantom",
    "--max-draws=40",
];

#[test]
fn probes_on_the_way_and_afterwards_say_the_same_by_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let sam = ["--optimizer", "sam", "--rho", "0.05", "--eta", "0.1", "--batch", "20", "--steps", "6"];
    let every = ["--probe-every", "3", "--checkpoint-every", "3"];
    let (run, recorded) = train(&folder.path().join("sam"), &[&sam[..], &every, &ALL].concat());
    let pattern = format!("{run}/checkpoints/*.safetensors");
    let again = folder.path().join("again").display().to_string();
    let csv = folder.path().join("rows.csv").display().to_string();
    let setting = ["--eta", "0.1", "--rho", "0.05", "--momentum", "0.9", "--batch", "20"];
    let tracked =
        json(&[&["track", &pattern][..], &setting, &ALL, &["--run", &again, "--csv", &csv]].concat(), 0);
    let tracked = rows(&tracked);
    let own = |tag: &str| {
        let groups =
            ["hessian/", "edge/", "align/", "third/", "noise/", "phantom/", "gradient/", "accuracy/"];
        groups.iter().any(|group| tag.starts_with(group))
    };
    let tags = |row: &Json| -> Vec<String> {
        row.as_object().unwrap().keys().filter(|tag| own(tag)).cloned().collect()
    };
    assert_eq!((recorded.len(), tracked.len()), (3, 3));
    let all = tags(&recorded[1]);
    for tag in [
        "hessian/trace",
        "hessian/lambda_1_over_loss",
        "edge/momentum",
        "edge/sam",
        "edge/distance",
        "align/g_v1_bound",
        "align/eps_top",
        "align/sg_v1",
        "align/hessian_gradient",
        "third/perturbation",
        "third/lambda_1_along_gradient",
        "noise/batch_sharpness",
        "noise/gni",
        "noise/scale",
        "noise/hessian_scale",
        "noise/kernel_norm",
        "phantom/gini_at_point",
        "phantom/gini_at_phantom",
    ] {
        assert!(all.iter().any(|known| known == tag), "{tag} is missing among {all:?}");
    }
    for (a, b) in recorded.iter().zip(&tracked) {
        assert_eq!((&a["step"], tags(a)), (&b["step"], tags(b)));
        for tag in tags(a).iter().filter(|tag| !tag.ends_with("_bound")) {
            // K is infinite beyond the edge, which JSON has no number for.
            let (Some(x), Some(y)) = (a[tag].as_f64(), b[tag].as_f64()) else {
                assert_eq!(a[tag], b[tag], "{tag}");
                continue;
            };
            assert!((x - y).abs() <= 1e-6 * x.abs().max(1e-3), "{tag}: {x} {y}");
        }
        assert_eq!(a["loss/probe"], b["loss/train"]);
    }

    // The same names in tables and event files.
    let table = folder.path().join("run.csv").display().to_string();
    let events = folder.path().join("events");
    relief(&["plot", &run, "-o", &table]).assert().success();
    relief(&["plot", &run, "--tensorboard", events.to_str().unwrap()]).assert().success();
    let head = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().next().unwrap().split(',').map(String::from).collect::<Vec<_>>()
    };
    let bytes = bytes_below(&events);
    for tag in all.iter().filter(|tag| recorded[1][*tag].is_number()) {
        assert!(head(&table).contains(tag) && head(&csv).contains(tag), "{tag}");
        assert!(bytes.windows(tag.len()).any(|w| w == tag.as_bytes()), "{tag}");
    }
}

/// All bytes of the files below a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let bytes =
        entries.map(|path| if path.is_dir() { bytes_below(&path) } else { std::fs::read(path).unwrap() });
    bytes.flatten().collect()
}

#[test]
fn adam_is_found_in_the_folder_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let adam = ["--optimizer", "adam", "--eta", "0.01", "--batch", "full", "--steps", "6", "--save-moments"];
    let every = ["--probe-every", "3", "--checkpoint-every", "3", "-k", "2", "--tol", "1e-9"];
    let (run, recorded) = train(&folder.path().join("adam"), &[&adam[..], &every].concat());
    let pattern = format!("{run}/checkpoints/*.safetensors");
    let track = |pattern: &str, more: &[&str]| {
        json(&[&["track", pattern, "-k", "2", "--tol", "1e-9", "--no-check"][..], more].concat(), 0)
    };
    let preconditioned = |row: &Json| row["hessian/preconditioned_lambda_1"].as_f64();
    let found = track(&pattern, &[]);
    let probed = recorded.iter().filter(|row| row.get("hessian/lambda_1").is_some());
    for (row, own) in rows(&found).iter().zip(probed).skip(1) {
        assert_eq!(row["step"], own["step"]);
        let (value, expected) = (preconditioned(row).unwrap(), preconditioned(own).unwrap());
        assert!((value / expected - 1.0).abs() < 1e-8, "{value} {expected}");
        for tag in ["edge/adam", "edge/distance"] {
            assert_all_close(&[row[tag].as_f64().unwrap()], &[own[tag].as_f64().unwrap()], 1e-8);
        }
        assert!(row.get("edge/gd").is_none(), "2/eta is no edge of Adam");
    }
    assert_all_close(&[rows(&found)[2]["edge/adam"].as_f64().unwrap()], &[38.0 / 0.01], 1e-12);
    let remarks = found["result"]["remarks"].to_string();
    assert!(remarks.contains("step 0:") && remarks.contains("--adam-state"), "{remarks}");

    // Without what was kept, what the run goes on with is that of the last step.
    let kept = folder.path().join("kept");
    std::fs::rename(Path::new(&run).join("moments"), &kept).unwrap();
    let last = track(&pattern, &["--eta", "0.02"]);
    let known: Vec<bool> = rows(&last).iter().map(|row| preconditioned(row).is_some()).collect();
    assert_eq!(known, [false, false, true]);
    assert!(rows(&last)[1].get("edge/gd").is_none());
    assert_all_close(&[rows(&last)[2]["edge/adam"].as_f64().unwrap()], &[38.0 / 0.02], 1e-12);
    assert!(last["result"]["remarks"].to_string().contains("step 0, 3:"));

    // Files by their steps, wherever they lie.
    std::fs::rename(Path::new(&run).join("checkpoints"), folder.path().join("points")).unwrap();
    let moved = folder.path().join("points/*.safetensors").display().to_string();
    assert!(preconditioned(&rows(&track(&moved, &[]))[2]).is_none());
    let states = kept.join("*.safetensors").display().to_string();
    let named = track(&moved, &["--adam-state", &states]);
    assert_eq!(preconditioned(&rows(&named)[1]), preconditioned(&rows(&found)[1]));
    refuses(&["track", &moved, "--adam-state", "nowhere/*.pt"], 3, &["nowhere/*.pt"]);
    refuses(&["track", &moved, "--adam-beta1", "1"], 2, &["--adam-beta1"]);
}

#[test]
fn a_pytorch_checkpoint_brings_its_own_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("epoch30.pth").display().to_string();
    std::fs::copy(fixture("adam-digits-mlp-tanh.pth"), &file).unwrap();
    let data = fixture("digits-1000.safetensors");
    let problem =
        ["--model", "mlp:activation=tanh", "--data", &data, "-k", "1", "--tol", "1e-9", "--no-check"];
    let found = json(&[&["track", &file][..], &problem, &["--adam-state", &file]].concat(), 0);
    let row = &rows(&found)[0];
    let top = &super::blocks::explicit()["adam-digits-mlp-tanh"]["hessian"]["whole"];
    let expected = numbers(&top["largest"])[0];
    assert_all_close(&[row["hessian/preconditioned_lambda_1"].as_f64().unwrap()], &[expected], 1e-8);
    assert_all_close(&[row["edge/adam"].as_f64().unwrap()], &[38.0 / 2e-3], 1e-12);
}

#[test]
fn what_training_cannot_be_asked_is_refused() {
    let start = ["train", "--model", "mlp:widths=64-10", "--data", "digits", "--run", "never"];
    for (more, words) in [
        (&["--noise"][..], &["--probe-every"][..]),
        (&["--save-moments"], &["--save-moments", "Adam"]),
        (&["--probe-every", "5", "--phantom"], &["--phantom"]),
        (&["--probe-every", "5", "--tol", "2"], &["--tol"]),
        (
            &["--probe-every", "5", "--noise", "--batch", "50", "--probe-examples", "40"],
            &["--probe-examples"],
        ),
        (&["--probe-every", "5", "--noise", "--kernel-norm", "--optimizer", "adam"], &["--kernel-norm"]),
    ] {
        refuses(&[&start[..], more].concat(), 2, words);
    }
}
