//! What the verbs about curvature save is all that their figures and arrays need.

use candle_core::npy::NpzTensors;

use super::*;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";
const SAM: &str = "notebooks-data/digits-sam.safetensors";
const FEW: [&str; 4] = ["--limit", "80", "--dtype", "f64"];

/// Every verb with arguments of its own, and texts that its figure must have.
const VERBS: [(&str, &[&str], &[&str]); 11] = [
    ("trace", &["trace", SGD, "--relative-error", "0.05"], &["trace of the Hessian", "asked for: 5 %"]),
    (
        "frobenius",
        &["trace", SGD, "--of", "frobenius", "--products", "24"],
        &["Frobenius norm", "random vector"],
    ),
    (
        "dimension",
        &["trace", SGD, "--of", "effective-dimension", "--operator", "gauss-newton", "--products", "60"],
        &["effective dimension", "random vector"],
    ),
    ("diagonal", &["diagonal", SGD, "--products", "24"], &["mean diagonal entry of the Hessian", "0.weight"]),
    ("compare", &["compare", SGD, "--to", SAM, "-k", "2", "--points", "2"], &["|cos|", "digits-sam"]),
    (
        "outliers",
        &["outliers", SGD, "-k", "4", "--relative-error", "0.2"],
        &["between classes", "explained above"],
    ),
    (
        "subset",
        &["subset", SGD, "--sizes", "20,40", "--draws", "3"],
        &["examples of the sample", "single samples"],
    ),
    ("layers", &["eigenvalues", SGD, "--per-layer", "-k", "2"], &["eigenvalue of the layer", "largest 2"]),
    ("eigenvalues", &["eigenvalues", SGD, "-k", "2"], &["eigenvalue of the Hessian"]),
    ("spectrum", &["spectrum", SGD, "--probes", "1", "--steps", "12"], &["density"]),
    (
        "spectra",
        &["spectrum", SGD, "--per-layer", "--log", "--probes", "1", "--steps", "12"],
        &["layer 0", "layer 4"],
    ),
];

/// A verb's run, saved.
fn saved(folder: &Path, name: &str, extension: &str) -> String {
    let (_, arguments, _) = VERBS.iter().find(|(verb, ..)| *verb == name).unwrap();
    let path = folder.join(format!("{name}.{extension}")).display().to_string();
    let output = relief(arguments).args(FEW).args(["-o", &path]).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

/// `relief plot`.
fn plotted(inputs: &[&str], folder: &Path, name: &str) -> String {
    let path = folder.join(name).display().to_string();
    relief(&[&["plot"][..], inputs, &["-o", &path]].concat()).assert().success();
    path
}

fn read(path: &str) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_saved_result_is_drawn_as_at_first() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _, words) in VERBS {
        let drawn = std::fs::read_to_string(saved(folder.path(), name, "svg")).unwrap();
        let json = saved(folder.path(), name, "json");
        let again = std::fs::read_to_string(plotted(&[&json], folder.path(), "again.svg")).unwrap();
        assert_eq!(drawn, again, "{name} is drawn otherwise from its file");
        for word in words {
            assert!(drawn.contains(word), "{name} lacks {word}");
        }
        // Two of a kind go into one figure, all kinds onto one page, and all have a picture in characters.
        plotted(&[&json, &json], folder.path(), "two.svg");
        let characters = relief(&["plot", &json]).output().unwrap();
        assert!(characters.status.success() && characters.stdout.len() > 100, "{name} in characters");
    }
    let all: Vec<String> = VERBS
        .iter()
        .map(|(name, ..)| folder.path().join(format!("{name}.json")).display().to_string())
        .collect();
    let page = std::fs::read_to_string(plotted(&strs(&all), folder.path(), "all.html")).unwrap();
    for heading in ["Diagonals", "Outliers and classes", "Samples of the data", "Eigenvalues by layer"] {
        assert!(page.contains(heading), "the page lacks {heading}");
    }
    let mixed = folder.path().join("mixed.png").display().to_string();
    refuses(&["plot", &all[0], &all[3], "-o", &mixed], 2, &["several kinds"]);
}

/// The arrays of a saved result.
struct Arrays(NpzTensors);

impl Arrays {
    #[track_caller]
    fn assert(&self, name: &str, shape: &[usize], values: &[f64]) {
        let tensor = self.0.get(name).unwrap().unwrap_or_else(|| panic!("there is no array {name}"));
        assert_eq!(tensor.dims(), shape, "{name}");
        let found: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(found, values, "{name}");
    }
}

/// A column of a list of records.
fn column(list: &Json, key: &str) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|row| row[key].as_f64().unwrap()).collect()
}

fn flat(lists: &Json) -> Vec<f64> {
    lists.as_array().unwrap().iter().flat_map(numbers).collect()
}

#[test]
fn arrays_are_the_numbers_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let both = |name: &str| {
        let json = saved(folder.path(), name, "json");
        let npz = plotted(&[&json], folder.path(), &format!("{name}.npz"));
        // The file names itself what it is.
        assert!(std::fs::read(&npz).unwrap().windows(6).any(|w| w == b"schema"), "{name} has no metadata");
        (read(&json)["result"].clone(), Arrays(NpzTensors::new(&npz).unwrap()))
    };
    for name in ["trace", "dimension"] {
        let (result, arrays) = both(name);
        let history = &result["history"];
        let count = history.as_array().unwrap().len();
        for (array, key) in
            [("products", "products"), ("value", "value"), ("standard_error", "error_estimate")]
        {
            arrays.assert(array, &[count], &column(history, key));
        }
        let estimates = numbers(&result["estimates"]);
        arrays.assert("estimates", &[estimates.len()], &estimates);
        assert_eq!(estimates.len() as u64, result["samples"].as_u64().unwrap());
        let mean = estimates.iter().sum::<f64>() / estimates.len() as f64;
        assert_all_close(&[mean], &[result["value"].as_f64().unwrap()], 1e-9);
        let last = history.as_array().unwrap().last().unwrap();
        assert_eq!(last["value"], result["value"]);
        assert_eq!(last["products"], result["products"]);
    }
    let (result, arrays) = both("diagonal");
    for key in ["parameters", "sum", "mean", "min", "max", "standard_error"] {
        arrays.assert(key, &[6], &column(&result["tensors"], key));
    }
    let (result, arrays) = both("compare");
    for key in ["t", "loss", "norm", "norm_error", "distance", "distance_error"] {
        arrays.assert(key, &[3], &column(&result["segment"], key));
    }
    arrays.assert("eigenvalues", &[2], &column(&result["eigenvalues"][0], "value"));
    arrays.assert("eigenvalues_to", &[2], &column(&result["eigenvalues"][1], "value"));
    arrays.assert("cosines", &[2, 2], &flat(&result["cosines"]));
    let (result, arrays) = both("outliers");
    arrays.assert("eigenvalue", &[4], &column(&result["eigenvalues"], "value"));
    arrays.assert("all_means", &[4], &column(&result["eigenvalues"], "all_means"));
    let between = numbers(&result["between"]);
    arrays.assert("between_classes", &[between.len()], &between);
    let (result, arrays) = both("subset");
    let ratios: Vec<f64> =
        result["sizes"].as_array().unwrap().iter().flat_map(|size| numbers(&size["ratios"])).collect();
    arrays.assert("ratios", &[2, 3], &ratios);
    arrays.assert("examples", &[2], &[20.0, 40.0]);
    let (result, arrays) = both("spectra");
    for layer in result["layers"].as_array().unwrap() {
        let name = layer["name"].as_str().unwrap();
        let ritz = numbers(&layer["probes"][0]["values"]);
        arrays.assert(&format!("digits-sgd/{name}/ritz_values"), &[ritz.len()], &ritz);
    }
    let (result, arrays) = both("layers");
    let layers = result["layers"].as_array().unwrap();
    let values: Vec<f64> = layers.iter().flat_map(|layer| values(&layer["pairs"])).collect();
    arrays.assert("eigenvalue", &[2 * layers.len()], &values);
}

#[test]
fn a_verb_writes_its_arrays_itself() {
    let folder = tempfile::tempdir().unwrap();
    let npz = saved(folder.path(), "trace", "npz");
    let json = saved(folder.path(), "trace", "json");
    let arrays = Arrays(NpzTensors::new(&npz).unwrap());
    let history = &read(&json)["result"]["history"];
    arrays.assert("value", &[history.as_array().unwrap().len()], &column(history, "value"));
    for extension in ["png", "html", "csv"] {
        saved(folder.path(), "trace", extension);
    }
    refuses(&["trace", SGD, "-o", "trace.vtp"], 2, &["cannot hold an estimate"]);
    refuses(&["spectrum", SGD, "--per-layer", "-o", "layers.csv"], 2, &["every layer has its own"]);
}

#[cfg(unix)]
mod interrupted {
    use super::*;

    /// The result of a run that was interrupted and resumed must be that of a run that nobody disturbed.
    #[track_caller]
    fn assert_resumable(arguments: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a.state.safetensors").display().to_string();
        let arguments = [arguments, &["--threads", "1", "--state", &state]].concat();
        // A machine may be so slow that the run has not begun, or so fast that it is over: other delays then.
        let first = [700, 350, 1400, 200, 2800].into_iter().find_map(|delay| {
            let output = interrupted_after(&arguments, delay);
            let left = Path::new(&state).exists();
            (output.status.code() == Some(130) && left).then_some(output)
        });
        let errors = String::from_utf8(first.expect("no run was interrupted").stderr).unwrap();
        assert!(errors.contains(&format!("go on with --resume {state}")), "{errors}");
        let resumed = [&arguments[..], &["--resume", &state]].concat();
        let quiet = |mut run: Json| {
            run["work"]["seconds"] = Json::Null;
            run
        };
        let resumed = quiet(json(&resumed, 0));
        assert_only(folder.path(), &[]);
        assert_eq!(resumed, quiet(json(&arguments, 0)));
    }

    #[test]
    fn a_comparison_goes_on() {
        assert_resumable(&["compare", SGD, "--to", SAM, "-k", "12", "--points", "4", "--products", "60"]);
    }

    #[test]
    fn outliers_go_on() {
        assert_resumable(&["outliers", SGD, "-k", "30", "--relative-error", "0.01", "--dtype", "f64"]);
    }

    #[test]
    fn spectra_of_layers_go_on() {
        assert_resumable(&["spectrum", SGD, "--per-layer", "--probes", "4", "--steps", "50"]);
    }

    #[test]
    fn samples_go_on() {
        assert_resumable(&["subset", SGD, "--draws", "30"]);
    }

    #[test]
    fn a_state_of_another_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a.state.safetensors").display().to_string();
        let run = ["subset", SGD, "--draws", "100", "--state", &state];
        let left = [500, 250, 1000, 100, 2000].into_iter().any(|delay| {
            interrupted_after(&run, delay);
            Path::new(&state).exists()
        });
        assert!(left, "no run was interrupted");
        refuses(&["subset", SAM, "--resume", &state], 3, &["another checkpoint"]);
        refuses(
            &["subset", SGD, "--tol", "1e-5", "--resume", &state],
            3,
            &["repeat the interrupted command"],
        );
        refuses(&["compare", SGD, "--to", SAM, "--resume", &state], 3, &["belongs to another"]);
        // Fewer samples are among those that are asked for.
        json(&["subset", SGD, "--draws", "2", "--sizes", "16", "--resume", &state], 0);
    }
}
