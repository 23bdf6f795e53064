//! The table of measures from the command line.

use super::*;

fn sharpness(more: &[&str], code: i32) -> Json {
    let mut all = digits("digits-mlp-tanh");
    all[0] = "sharpness".into();
    json(&[&strs(&all)[..], &["--dtype", "f64"], more].concat(), code)
}

fn row<'j>(found: &'j Json, name: &str) -> &'j Json {
    let rows = found["result"]["measures"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn value(found: &Json, name: &str) -> f64 {
    row(found, name)["value"].as_f64().unwrap()
}

#[test]
fn the_whole_table_has_every_measure_with_its_error() {
    // Another network of this shape will do for a start.
    let other = digits("digits-mlp-tanh")[1].clone();
    let found = sharpness(&["--start", &other, "--relative-error", "0.1"], 0);
    assert_eq!(found["schema"], "relief/sharpness/1");
    assert!(found["result"].get("left_out").is_none(), "{}", found["result"]["left_out"]);
    let expected = &reference()["digits-mlp-tanh"];
    let top = numbers(&expected["top10"])[0];
    assert_all_close(
        &[value(&found, "lambda-max"), value(&found, "lambda-min"), value(&found, "gradient-norm")],
        &[top, numbers(&expected["bottom5"])[0], expected["gradient_norm"].as_f64().unwrap()],
        1e-6,
    );
    for (name, truth) in [("trace", &expected["trace"]), ("frobenius", &expected["frobenius"])] {
        let size = row(&found, name)["uncertainty"]["size"].as_f64().unwrap();
        assert!((value(&found, name) - truth.as_f64().unwrap()).abs() < 4.0 * size, "{name}");
    }
    let rows = found["result"]["measures"].as_array().unwrap();
    for name in [
        "lambda-max-over-loss",
        "operator-norm",
        "lambda-ratio",
        "gradient-confinement",
        "gauss-newton-lambda-max",
        "empirical-fisher-trace",
        "sam-bound",
        "unit-flatness 4.weight",
        "effective-dimension",
        "weighted-trace",
        "weighted-lambda-max",
        "critical-sharpness",
        "sam-ascent-l1",
        "sam-ascent-l2",
        "sam-ascent-l10",
        "sam-ascent-linf",
        "adaptive-sam-ascent-l2",
        "m-sharpness-l2",
        "adaptive-m-sharpness-l2",
        "worst-case-l2",
        "worst-case-linf",
        "adaptive-worst-case-l2",
        "adaptive-worst-case-linf",
        "m-worst-case-l2",
        "adaptive-m-worst-case-linf",
        "average-case-gaussian",
        "average-case-uniform",
        "adaptive-average-case-gaussian",
        "keskar-phi",
        "keskar-phi-subspace",
        "pac-bayes-sigma",
        "pac-bayes-origin",
        "pac-bayes-start",
        "pac-bayes-flatness",
        "adaptive-pac-bayes-flatness",
        "fisher-rao",
        "relative-flatness 4.weight",
        "batch-sharpness",
        "gradient-noise-interaction",
        "gradient-noise-scale",
    ] {
        let row = row(&found, name);
        assert!(row["value"].as_f64().unwrap().is_finite(), "{name}");
        assert!(!row["definition"].as_str().unwrap().is_empty() && row["invariance"].is_string());
        assert!(row["uncertainty"]["kind"].is_string() && row["cost"].is_object());
    }
    let products: u64 = rows.iter().map(|row| row["cost"]["products"].as_u64().unwrap()).sum();
    assert_eq!(found["work"]["products"], products);
    // A minimum's curvature predicts small noise, and a search beats the single step.
    let average = row(&found, "adaptive-average-case-gaussian");
    let second = average["beside"]["second_order"].as_f64().unwrap();
    assert!((average["value"].as_f64().unwrap() / second - 1.0).abs() < 0.5);
    assert!(value(&found, "worst-case-l2") >= value(&found, "sam-ascent-l2"));
    assert!(value(&found, "m-worst-case-l2") >= value(&found, "m-sharpness-l2"));
    let tops = numbers(&expected["top10"]);
    assert_all_close(&[value(&found, "lambda-ratio")], &[tops[0] / tops[4]], 1e-6);
    // At its own weights the start is at distance 0.
    assert_eq!(row(&found, "pac-bayes-start")["beside"]["distance"], 0.0);
    assert!(value(&found, "pac-bayes-start") < value(&found, "pac-bayes-origin"));
    // eta moves along the gradient, whose curvature lies within the spectrum.
    let critical = value(&found, "critical-sharpness");
    assert!(critical > 0.0 && critical < 1.2 * top, "{critical} {top}");
}

#[test]
fn a_part_of_the_table_for_people() {
    let checkpoint = "notebooks-data/digits-sgd.safetensors";
    let output = relief(&["sharpness", checkpoint, "--only", "gradient,sam,keskar", "--norms", "2,inf"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "definition",
        "adaptive-sam-ascent-linf",
        "at least",
        "exact",
        "rescaled layers",
        "rho 0.05",
        "note: losses",
    ] {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
    assert!(!text.contains("trace") && !text.contains("sam-ascent-l10"));
}

#[test]
fn a_target_that_is_not_met_is_said() {
    let few = ["--only", "average-case", "--relative-error", "1e-6", "--max-pairs", "8"];
    let found = sharpness(&few, 1);
    let row = row(&found, "average-case-gaussian");
    assert!(row["remedy"].as_str().unwrap().contains("allow more"));
    assert_eq!(row["cost"]["evaluations"], 16);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let checkpoint = "notebooks-data/digits-sgd.safetensors";
    let with = |more: &[&'static str]| [&["sharpness", checkpoint][..], more].concat();
    refuses(&with(&["--rho", "0"]), 2, &["--rho", "above 0"]);
    refuses(&with(&["--delta", "1"]), 2, &["--delta", "below 1"]);
    refuses(&with(&["--norms", "0.5"]), 2, &["--norms", "from 1 to inf"]);
    refuses(&with(&["--only", "flatness"]), 2, &["flatness"]);
    refuses(&with(&["--only", "pac-bayes", "--start", "nowhere.pt"]), 3, &["nowhere.pt"]);
    refuses(&with(&["--only", "relative-flatness", "--layer", "head*"]), 3, &["head*"]);
    refuses(&with(&["--only", "m-sharpness", "--m", "2000"]), 3, &["2000", "1437"]);
    refuses(&with(&["--only", "pac-bayes", "--drop", "1"]), 3, &["smaller drop"]);
    refuses(&with(&["--only", "sam", "--resume", "Cargo.toml"]), 3, &["not the state"]);
}

#[test]
fn digits_do_not_depend_on_threads() {
    let only = "critical-step,sam,m-sharpness,worst-case,average-case,fisher-rao";
    let with = |threads| {
        let more = ["--only", only, "--steps", "5", "--max-pairs", "8", "--relative-error", "0.9"];
        let mut found = sharpness(&[&more[..], &["--threads", threads, "--limit", "300"]].concat(), 0);
        found["work"]["seconds"] = Json::Null;
        found
    };
    assert_eq!(with("1"), with("2"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_table_goes_on_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let state_name = state.to_str().unwrap();
    let mut arguments = digits("digits-mlp-tanh");
    arguments[0] = "sharpness".into();
    let more = "--dtype f64 --limit 300 --only eigenvalues,worst-case --steps 400 --threads 1 --no-check";
    arguments.extend(more.split(' ').map(String::from));
    // A machine may be so slow that the run has not begun, or so fast that it is over: other delays then.
    let interrupted = [500, 250, 1000, 100, 2000].into_iter().find_map(|delay| {
        let output = interrupted_after(&[strs(&arguments), vec!["--state", state_name]].concat(), delay);
        (output.status.code() == Some(130)).then_some(output)
    });
    let output = interrupted.expect("no run was interrupted");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--resume"));
    assert_only(folder.path(), &["state.json"]);
    let quiet = |mut run: Json| {
        run["work"]["seconds"] = Json::Null;
        run
    };
    refuses(&[strs(&arguments), vec!["--rho", "0.3", "--resume", state_name]].concat(), 3, &["state"]);
    let text = std::fs::read_to_string(&state).unwrap();
    let whole = quiet(json(&strs(&arguments), 0));
    assert_eq!(whole, quiet(json(&[strs(&arguments), vec!["--resume", state_name]].concat(), 0)));
    assert_only(folder.path(), &[]);
    // What was finished is taken from the state.
    let mut saved: Json = serde_json::from_str(&text).unwrap();
    saved["families"]["worst-case"] = serde_json::json!([]);
    std::fs::write(&state, saved.to_string()).unwrap();
    let shorter = json(&[strs(&arguments), vec!["--resume", state_name]].concat(), 0);
    assert_eq!(shorter["result"]["measures"].as_array().unwrap().len(), 4);
}

#[test]
fn normalized_logits_have_sharpness_of_their_own() {
    let plain = sharpness(&["--only", "gradient,worst-case", "--limit", "200"], 0);
    let normalized = sharpness(&["--only", "gradient,worst-case", "--limit", "200", "--normalize-logits"], 0);
    assert!(normalized["notes"].to_string().contains("divided by their length"));
    // Logits of length 1 cannot be confident.
    assert!(normalized["loss"].as_f64().unwrap() > plain["loss"].as_f64().unwrap());
    assert_eq!(normalized["accuracy"], plain["accuracy"]);
    assert!(value(&normalized, "worst-case-l2") > 0.0);
}
