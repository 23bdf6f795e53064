//! The spectral density from a checkpoint to files.

use std::collections::HashMap;

use candle_core::Tensor;

use super::*;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";
const SAM: &str = "notebooks-data/digits-sam.safetensors";
/// Few random vectors with few steps.
const FEW: [&str; 6] = ["--dtype", "f64", "--probes", "3", "--steps", "40"];

/// `relief spectrum` of a checkpoint with few random vectors and more arguments.
fn few<'a>(checkpoint: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["spectrum", checkpoint][..], &FEW, more].concat()
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A result without the time it took.
fn quiet(mut run: Json) -> Json {
    run["work"]["seconds"] = Json::Null;
    run
}

#[test]
fn the_largest_ritz_value_is_the_largest_eigenvalue() {
    let found = json(&few(SGD, &[]), 0);
    assert_eq!(found["schema"], "relief/spectrum/1");
    assert_eq!(
        (&found["result"]["plan"]["probes"], &found["result"]["plan"]["steps"]),
        (&3.into(), &40.into())
    );
    assert_eq!(found["work"]["products"], 120);
    let top = json(&["eigenvalues", SGD, "-k", "1", "--dtype", "f64"], 0);
    let top = values(&top["result"]["pairs"])[0];
    let largest = number(&found["result"]["inner_bounds"][1]);
    assert!((largest - top).abs() <= 1e-6 * top, "{largest} and {top}");
}

#[test]
fn the_trace_is_that_of_the_explicit_matrix() {
    // With as many steps as rows, a random vector sees the whole of a small block's spectrum: no error is left but that of
    // the random vectors, which the standard error states.
    let block = ["spectrum", SGD, "--dtype", "f64", "--params", "4.bias"];
    let bias = json(&["eigenvalues", SGD, "--dtype", "f64", "--params", "4.bias", "-k", "10"], 0);
    let eigenvalues = values(&bias["result"]["pairs"]);
    let found = json(&[&block[..], &["--probes", "40"]].concat(), 0)["result"].clone();
    assert_eq!(found["n"], 10);
    let trace: f64 = eigenvalues.iter().sum();
    let (value, error) = (number(&found["trace"]["value"]), number(&found["trace"]["standard_error"]));
    assert!((value - trace).abs() <= 4.0 * error && error < 0.3 * trace, "{value} +- {error}, {trace}");
    assert!((number(&found["mean_eigenvalue"]["value"]) - value / 10.0).abs() <= 1e-12 * value);
    // All ten are known, and so is the cumulative share at every place.
    let cumulative = &found["cumulative"];
    for (x, lower, upper) in triples(cumulative, ["x", "lower", "upper"]) {
        let share = eigenvalues.iter().filter(|v| **v <= x).count() as f64 / 10.0;
        let close = eigenvalues.iter().any(|v| (v - x).abs() < 1e-9);
        let inside = lower - 1e-12 <= share && share <= upper + 1e-12;
        assert!(close || inside, "at {x}: {share} not in {lower} to {upper}");
    }
}

/// Three columns side by side.
fn triples(columns: &Json, names: [&str; 3]) -> Vec<(f64, f64, f64)> {
    let [a, b, c] = names.map(|name| numbers(&columns[name]));
    assert!(!a.is_empty() && a.len() == b.len() && b.len() == c.len());
    a.into_iter().zip(b).zip(c).map(|((a, b), c)| (a, b, c)).collect()
}

#[test]
fn the_cumulative_share_rises_between_its_bounds() {
    let result = json(&few(SGD, &[]), 0)["result"].clone();
    let cumulative = &result["cumulative"];
    let names = ["x", "value", "quadrature_lower", "quadrature_upper", "lower", "upper"];
    for name in names {
        let column = numbers(&cumulative[name]);
        assert!((150..=200).contains(&column.len()), "{name}: {}", column.len());
        assert!(column.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{name} falls");
    }
    let inside = |names: [&str; 3]| {
        for (lower, value, upper) in triples(cumulative, names) {
            assert!(lower <= value + 1e-9 && value <= upper + 1e-9, "{names:?}: {lower}, {value}, {upper}");
        }
    };
    inside(["quadrature_lower", "value", "quadrature_upper"]);
    inside(["lower", "lower", "upper"]);
    let bounds = numbers(&cumulative["upper"]);
    assert!(numbers(&cumulative["lower"])[0].abs() < 1e-12 && bounds[bounds.len() - 1] > 1.0 - 1e-12);
    // At least some large ones of the 3,466 eigenvalues stand apart from a bulk that lies around zero.
    let above = &result["outliers"]["above"];
    assert!(number(&above["at_least"]) >= 5.0 && number(&above["at_most"]) >= number(&above["at_least"]));
    let negative = &result["negative"];
    assert!(number(&negative["lower"]) > 0.0 && number(&negative["upper"]) < 1.0);
    let text = String::from_utf8(relief(&few(SGD, &[])).output().unwrap().stdout).unwrap();
    for key in ["lower", "upper", "quadrature_lower", "quadrature_upper"] {
        let share = format!("{:.4}", number(&negative[key]));
        assert!(text.contains(&share), "the share's {key} {share} is missing in: {text}");
    }
}

#[test]
fn the_digits_do_not_depend_on_threads() {
    let run = |threads: &str| quiet(json(&few(SGD, &["--threads", threads]), 0));
    assert_eq!(run("1"), run("2"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.safetensors");
    let state = state.to_str().unwrap();
    // Far more work than can be done before the signal.
    let arguments = [
        "spectrum",
        SGD,
        "--dtype",
        "f64",
        "--probes",
        "6",
        "--steps",
        "200",
        "--no-check",
        "--threads",
        "1",
    ];
    // A machine may be so slow that the run has not begun, or so fast that it is over: other delays then.
    let interrupted = [1000, 500, 250, 2000, 100].into_iter().find_map(|delay| {
        let output = interrupted_after(&[&arguments[..], &["--state", state]].concat(), delay);
        (output.status.code() == Some(130)).then_some(output)
    });
    let output = interrupted.expect("no run was interrupted");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--resume"), "{errors}");
    assert!(output.stdout.is_empty());
    assert_only(folder.path(), &["state.safetensors"]);

    let resume = ["--resume", state];
    refuses(&[&arguments[..], &["--seed", "1"], &resume].concat(), 3, &["state"]);
    refuses(&[&arguments[..], &["--operator", "residual"], &resume].concat(), 3, &["state"]);
    let whole = quiet(json(&arguments, 0));
    assert_eq!(whole, quiet(json(&[&arguments[..], &resume].concat(), 0)));
    assert_only(folder.path(), &[]);
}

#[test]
fn wrong_arguments_are_refused() {
    for (arguments, words) in [
        (["--probes", "0"], ["--probes", "at least 1"]),
        (["--steps", "0"], ["--steps", "at least 1"]),
        (["--accuracy", "2"], ["--accuracy", "between 0 and 1"]),
        (["--confidence", "1"], ["--confidence", "between 0 and 1"]),
        (["--sigma", "0"], ["--sigma", "positive"]),
        (["--sigma", "NaN"], ["--sigma", "positive"]),
        (["--operator", "jacobian"], ["jacobian", "gauss-newton"]),
        (["-o", "spectrum.vtp"], ["spectrum.vtp", ".npz and .csv"]),
        (["-o", "spectrum.bmp"], ["spectrum.bmp", ".png"]),
    ] {
        refuses(&[&["spectrum", SGD][..], &arguments].concat(), 2, &words);
    }
    refuses(&["spectrum", "nowhere.safetensors"], 3, &["nowhere.safetensors"]);
}

#[test]
fn an_accuracy_that_is_not_sure_to_be_met_is_said_with_exit_code_1() {
    let found = json(&few(SGD, &["--accuracy", "0.01"]), 1);
    let notes = found["notes"].to_string();
    assert!(notes.contains("0.01") && notes.contains("--steps"), "{notes}");
    json(&few(SGD, &["--accuracy", "0.2"]), 0);
}

#[test]
fn results_become_pictures_arrays_and_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (sgd, sam, log) = (path("sgd.json"), path("sam.json"), path("log.json"));
    relief(&few(SGD, &["-o", &sgd])).assert().success();
    relief(&few(SAM, &["-o", &sam])).assert().success();
    relief(&few(SGD, &["--log", "--sigma", "0.2", "-o", &log])).assert().success();
    let result: Json = serde_json::from_slice(&std::fs::read(&sgd).unwrap()).unwrap();
    let result = &result["result"];

    for name in ["a.npz", "a.csv", "a.png", "a.svg", "a.html"] {
        relief(&few(SGD, &["-o", &path(name)])).assert().success();
        relief(&["plot", &sgd, "-o", &path(&format!("again-{name}"))]).assert().success();
        assert!(std::fs::metadata(path(name)).unwrap().len() > 1000, "{name}");
    }
    let table = std::fs::read_to_string(path("a.csv")).unwrap();
    assert_eq!(table, std::fs::read_to_string(path("again-a.csv")).unwrap());
    let (x, density) = (numbers(&result["density"]["x"]), numbers(&result["density"]["density"]));
    let rows: Vec<String> = x.iter().zip(&density).map(|(x, d)| format!("{x:?},{d:?}\n")).collect();
    assert_eq!(table, format!("x,density\n{}", rows.concat()));
    // The curve is a density, and as narrow as it says.
    let mass: f64 = density.iter().sum::<f64>() * (x[1] - x[0]);
    assert!((mass - 1.0).abs() < 1e-6, "{mass}");

    let arrays: HashMap<String, Tensor> = Tensor::read_npz(path("a.npz")).unwrap().into_iter().collect();
    let column = |name: &str| arrays[name].to_vec1::<f64>().unwrap();
    let of_probes = |key: &str| -> Vec<f64> {
        result["probes"].as_array().unwrap().iter().flat_map(|probe| numbers(&probe[key])).collect()
    };
    for (name, expected) in [
        ("density", density),
        ("ritz_values", of_probes("values")),
        ("ritz_weights", of_probes("weights")),
        ("ritz_residuals", of_probes("residuals")),
        ("cumulative_x", numbers(&result["cumulative"]["x"])),
        ("cumulative_lower", numbers(&result["cumulative"]["lower"])),
    ] {
        let bits = |list: &[f64]| list.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        assert_eq!(bits(&column(name)), bits(&expected), "{name}");
    }
    let probe: Vec<usize> = column("probe").iter().map(|p| *p as usize).collect();
    assert_eq!(probe, (0..120).map(|i| i / 40).collect::<Vec<_>>());

    // Several in one picture, in the terminal, over the magnitude.
    let both = path("both.svg");
    relief(&["plot", &sgd, &sam, "-o", &both, "--title", "Two minima"]).assert().success();
    let text = std::fs::read_to_string(&both).unwrap();
    for word in ["Two minima", "digits-sgd", "digits-sam", "eigenvalue of the Hessian", "density"] {
        assert!(text.contains(word), "the picture lacks {word}");
    }
    let svg = path("log.svg");
    relief(&["plot", &log, "-o", &svg]).assert().success();
    let text = std::fs::read_to_string(&svg).unwrap();
    for word in ["share per decade", "positive", "negative", "0.2 decades"] {
        assert!(text.contains(word), "the picture lacks {word}");
    }
    relief(&["plot", &log, "-o", &path("log.csv")]).assert().success();
    assert!(std::fs::read_to_string(path("log.csv")).unwrap().starts_with("log10,positive,negative\n"));
    let text = String::from_utf8(relief(&["plot", &sgd, &sam]).output().unwrap().stdout).unwrap();
    assert!(text.contains("density over the eigenvalue") && text.contains("digits-sam"), "{text}");
    let text = String::from_utf8(relief(&few(SGD, &["--plot"])).output().unwrap().stdout).unwrap();
    assert!(text.contains("outliers above") && text.contains("density over the eigenvalue"), "{text}");
    refuses(&["plot", &sgd, "-o", &path("a.gif")], 2, &["a spectrum"]);
    refuses(&["plot", &sgd, &sam, "-o", &path("b.csv")], 2, &["holds one result"]);
}

#[test]
fn a_damaged_result_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json").display().to_string();
    relief(&few(SGD, &["-o", &path])).assert().success();
    let mut result: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    result["result"]["cumulative"]["lower"].as_array_mut().unwrap().pop();
    std::fs::write(&path, result.to_string()).unwrap();
    refuses(&["plot", &path], 3, &["damaged", "cumulative"]);
}
