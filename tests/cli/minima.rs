//! Curves, alignment, trajectories and shapes from the command line.

use super::*;
use std::path::Path;

const A: &str = "tests/fixtures/alignment/digits-0.safetensors";
const B: &str = "tests/fixtures/alignment/digits-1.safetensors";
const ON: [&str; 4] = ["--model", "mlp:activation=relu", "--data", "digits"];

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap()
}

fn connect(folder: &Path, more: &[&str], code: i32) -> Json {
    let folder = folder.display().to_string();
    json(
        &[&["connect", A, "--to", B, "--eta", "0.1", "--l2", "5e-4", "--run", &folder], &ON[..], more]
            .concat(),
        code,
    )
}

#[test]
fn a_curve_goes_round_the_barrier_and_leaves_its_bend_behind() {
    let folder = tempfile::tempdir().unwrap();
    let run = connect(folder.path(), &["--with-test", "--grid", "9"], 0);
    let result = &run["result"];
    let straight = number(&result["straight"]["report"]["barrier"]["above_line"]);
    let curve = &result["curve"]["report"]["loss"];
    let end = number(&curve["start"]).max(number(&curve["end"]));
    assert!(straight > 0.3 && number(&curve["max"]) < end + 0.05 * straight, "{straight} {curve}");
    assert!(
        number(&result["curve"]["test_report"]["loss"]["max"])
            < number(&result["straight"]["test_report"]["loss"]["max"])
    );
    assert!(number(&result["ensemble"]["accuracy"]) > 0.99);
    for name in
        ["connect.json", "curve.png", "plane.json", "plane.png", "metrics.jsonl", "bend-1.safetensors"]
    {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    assert!(!folder.path().join("state.safetensors").exists(), "a finished run needs no state");
    // The bend is a checkpoint of its own, and the curve passes where its formula says.
    let bend = folder.path().join("bend-1.safetensors").display().to_string();
    let plane = json(
        &[
            "surface",
            A,
            "--plane",
            &format!("through:{B},{bend}"),
            "--grid",
            "3",
            "--model",
            "mlp:activation=relu",
            "--data",
            "digits",
        ],
        0,
    );
    let marks = plane["result"]["marks"].as_array().unwrap();
    assert_eq!(marks.len(), 3);
    assert!(
        marks.iter().all(|mark| number(&mark["residual"]) < 1e-4),
        "three points lie on their plane: {marks:?}"
    );
    let trace: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("plane.json")).unwrap()).unwrap();
    let off = trace["result"]["trace"]["residual"].as_array().unwrap();
    assert!(off.iter().all(|r| number(r) < 1e-6), "a curve with one bend lies in the plane");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for picture in ["again.svg", "curve.html", "curve.npz", "curve.csv"] {
        relief(&["plot", &path("connect.json"), "-o", &path(picture)]).assert().success();
    }
    assert!(
        std::fs::read_to_string(path("curve.csv")).unwrap().starts_with("t,straight_loss,straight_accuracy,")
    );
    let folder = folder.path().display().to_string();
    let run = ["connect", A, "--to", B, "--run", &folder];
    refuses(&run, 2, &["--model"]);
    refuses(&[&run[..], &ON[..]].concat(), 2, &["holds a run already", "--resume"]);
}

#[test]
fn chains_and_bands_go_round_it_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [
        ("chain", &["--curve", "chain", "--bends", "3", "--epochs", "30"][..]),
        ("band", &["--curve", "band", "--band-schedule", "0.02"]),
    ] {
        let run = connect(&folder.path().join(name), &[more, &["--grid", "0"]].concat(), 0);
        let result = &run["result"];
        let straight = number(&result["straight"]["report"]["barrier"]["above_line"]);
        let curve = number(&result["curve"]["report"]["loss"]["max"]);
        assert!(curve < 0.3 * straight, "{name}: {curve} {straight}");
        assert!(result["bends"].as_u64().unwrap() >= 3, "{name}");
        assert!(!folder.path().join(name).join("plane.png").exists());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_curve_goes_on_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--grid", "0", "--epochs", "40"];
    let whole = connect(&folder.path().join("whole"), &more, 0);
    let other = folder.path().join("interrupted");
    let text = other.display().to_string();
    let interrupted = [300, 150, 600, 80, 1200].into_iter().any(|delay| {
        let _ = std::fs::remove_dir_all(&other);
        let run = ["connect", A, "--to", B, "--eta", "0.1", "--l2", "5e-4", "--run", &text];
        let output = interrupted_after(&[&run[..], &ON[..], &more[..]].concat(), delay);
        output.status.code() == Some(130) && other.join("state.safetensors").exists()
    });
    assert!(interrupted, "no training was interrupted");
    let foreign =
        [&["connect", A, "--to", B, "--run", &text, "--resume", "--epochs", "41"], &ON[..]].concat();
    refuses(&foreign, 3, &["not the state of this curve"]);
    let resumed = connect(&other, &[&more[..], &["--resume"]].concat(), 0);
    assert_eq!(whole["result"], resumed["result"]);
    let metrics = |folder: &Path| std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let steps = |text: &str| {
        text.lines().map(|l| serde_json::from_str::<Json>(l).unwrap()["step"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(steps(&metrics(&folder.path().join("whole"))), steps(&metrics(&other)));
}

#[test]
fn aligned_units_leave_little_of_the_barrier() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("aligned.safetensors").display().to_string();
    let align = [&["align", A, "--to", B, "--save", &saved, "--dtype", "f64"], &ON[..]].concat();
    let run = json(&align, 0);
    let result = &run["result"];
    let barrier = |path: &str| number(&result[path]["report"]["barrier"]["above_line"]);
    assert!(barrier("before") > 0.3 && barrier("after") < 0.2 * barrier("before"), "{result}");
    assert!(number(&result["difference"]).abs() < 1e-12, "the function is the same");
    // The saved file is what was measured.
    let line = [&["line", A, "--to", &saved, "--range", "0:1", "--points", "25", "--dtype", "f64"], &ON[..]]
        .concat();
    let found = json(&line, 0);
    let losses = |list: &Json| list.as_array().unwrap().iter().map(number).collect::<Vec<_>>();
    let pairs = losses(&found["result"]["loss"]).into_iter().zip(losses(&result["after"]["train"]["loss"]));
    assert!(pairs.into_iter().all(|(a, b)| (a / b - 1.0).abs() < 1e-12), "{found}");
    refuses(
        &[&["align", A, "--to", &fixture("fashion-cnn-bn.safetensors")], &ON[..]].concat(),
        3,
        &["fashion-cnn-bn"],
    );
}

/// Checkpoints on a straight line with a known kink, so that everything about the picture is known.
#[test]
fn a_trajectory_says_how_far_its_points_are_off_the_plane() {
    let folder = tempfile::tempdir().unwrap();
    let start = candle_core::safetensors::load(A, &candle_core::Device::Cpu).unwrap();
    let mut files = vec![];
    for step in 0..5u32 {
        // Along one tensor, then another, and a third at the third point alone.
        let moved = start.iter().map(|(name, tensor)| {
            let by = match name.as_str() {
                "0.weight" => 0.01 * f64::from(step),
                "2.weight" => 0.01 * f64::from(step * step),
                "4.bias" if step == 2 => 0.02,
                _ => 0.0,
            };
            (name.clone(), (tensor + by).unwrap())
        });
        let path = folder.path().join(format!("step-{}.safetensors", 8 + step));
        candle_core::safetensors::save(&moved.collect(), &path).unwrap();
        files.push(path.display().to_string());
    }
    let pattern = folder.path().join("step-*.safetensors").display().to_string();
    let run = json(&[&["trajectory", &pattern, "--grid", "5", "--dtype", "f64"], &ON[..]].concat(), 0);
    let (plane, trace) = (&run["result"]["plane"], &run["result"]["trace"]);
    assert_eq!(
        trace["names"],
        serde_json::json!(["step-8", "step-9", "step-10", "step-11", "step-12"]),
        "by number"
    );
    let residual: Vec<f64> = trace["residual"].as_array().unwrap().iter().map(number).collect();
    assert!(residual[2] > 0.03 && residual[4] < 1e-9, "{residual:?}");
    let explained: Vec<f64> = plane["explained"].as_array().unwrap().iter().map(number).collect();
    assert!((explained.iter().sum::<f64>() - 1.0).abs() < 1e-9 && explained[0] > explained[1]);
    // The last checkpoint is the origin: on the plane, with the loss that the plane has there.
    let last = |list: &str| number(trace[list].as_array().unwrap().last().unwrap());
    assert!(
        (last("loss") - last("plane_loss")).abs() < 1e-12
            && (last("loss") - number(&run["loss"])).abs() < 1e-12
    );
    let by_name = [&["trajectory"], &strs(&files)[..], &["--grid", "5", "--dtype", "f64"], &ON[..]].concat();
    assert_eq!(json(&by_name, 0)["result"], run["result"], "a shell's list is the pattern's");
    let picture = folder.path().join("way.svg").display().to_string();
    relief(&[&["trajectory", &pattern, "--grid", "5", "-o", &picture], &ON[..]].concat()).assert().success();
    assert!(std::fs::read_to_string(&picture).unwrap().contains("off the plane"));
    refuses(&[&["trajectory", A], &ON[..]].concat(), 2, &["two checkpoints"]);
    refuses(&[&["trajectory", "nowhere/*.safetensors"], &ON[..]].concat(), 3, &["no file matches"]);
}

#[test]
fn the_shape_of_a_saved_surface() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("surface.json").display().to_string();
    let through = ["surface", "notebooks-data/digits-sgd.safetensors", "--grid", "17", "-o", &saved];
    relief(&through).assert().success();
    let run = json(&["shape", &saved], 0);
    let shape = &run["shapes"][0];
    let minima = shape["minima"].as_array().unwrap();
    assert!(!minima.is_empty() && minima[0]["saddle"].is_null(), "the lowest has no pass to a lower one");
    assert_eq!(minima[0]["minimum"]["coordinates"], serde_json::json!([0.0, 0.0]));
    let wide = json(&["shape", &saved, "--level", "0.5"], 0);
    let area = |run: &Json| number(&run["shapes"][0]["basin"]["volume"]);
    assert!(area(&wide) > area(&run) && area(&run) > 0.0, "a higher level, a wider basin");
    refuses(&["shape", &saved, "--level", "0"], 2, &["--level"]);
    let line = folder.path().join("line.json").display().to_string();
    relief(&["line", "notebooks-data/digits-sgd.safetensors", "--points", "3", "-o", &line])
        .assert()
        .success();
    refuses(&["shape", &line], 2, &["no surface"]);
}
