//! Other matrices than the Hessian, blocks by layer, and the verbs that compare: diagonal, outliers, compare, subset.

use super::*;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";
const SAM: &str = "notebooks-data/digits-sam.safetensors";

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{found} is not {expected}");
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is no number"))
}

/// Eigenvalues of a fixture in f64.
fn fixture_run(more: &[&str]) -> Json {
    json(&[&strs(&digits("digits-mlp-tanh"))[..], &["--dtype", "f64"], more].concat(), 0)
}

#[test]
fn blocks_of_layers_are_pytorch_s() {
    // PyTorch's blocks are of tensors; `--params` names them, and a layer's block is not below any of its tensors'.
    let truth = &reference()["digits-mlp-tanh"]["block_top1"];
    let layers = fixture_run(&["--per-layer", "-k", "1"])["result"]["layers"].clone();
    let layers = layers.as_array().unwrap();
    assert_eq!(
        layers.iter().map(|l| l["parameters"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1300, 336, 170]
    );
    for layer in layers {
        let name = layer["name"].as_str().unwrap();
        let of_layer = number(&layer["pairs"][0]["value"]);
        for part in ["weight", "bias"] {
            let tensor = format!("{name}.{part}");
            let Some(expected) = truth[&tensor].as_f64() else { continue };
            let block = fixture_run(&["--params", &tensor, "-k", "1"]);
            close(number(&block["result"]["pairs"][0]["value"]), expected, 1e-8);
            assert!(of_layer >= expected * (1.0 - 1e-8), "{name}: {of_layer} is below {tensor}'s {expected}");
        }
    }
    let whole = number(&fixture_run(&["-k", "1"])["result"]["pairs"][0]["value"]);
    assert!(layers.iter().all(|layer| number(&layer["pairs"][0]["value"]) <= whole));
}

#[test]
fn two_hundred_eigenvalues_are_pytorch_s() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(fixture("digits-mlp-tanh.reference.safetensors"));
    let tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    let mut truth = tensors["eigenvalues"].to_vec1::<f64>().unwrap();
    truth.sort_by(|a, b| b.total_cmp(a));
    let run = fixture_run(&["-k", "200"]);
    let found = values(&run["result"]["pairs"]);
    assert_eq!(found.len(), 200);
    for (rank, (a, b)) in found.iter().zip(&truth).enumerate() {
        assert!((a - b).abs() < 1e-8 * truth[0], "eigenvalue {} is {a}, not {b}", rank + 1);
    }
}

#[test]
fn fisher_matrices_lie_around_the_gauss_newton_matrix() {
    let trace = |operator: &str, more: &[&str]| {
        let run = json(&[&["trace", SGD, "--operator", operator, "--dtype", "f64"], more].concat(), 0);
        (number(&run["result"]["value"]), number(&run["result"]["error_estimate"]))
    };
    let (exact, error) = trace("gauss-newton", &["--relative-error", "0.01"]);
    let (sampled, spread) = trace("fisher", &["--fisher-draws", "40", "--relative-error", "0.01"]);
    // The draws scatter by about a tenth; half would be a wrong factor.
    assert!((sampled - exact).abs() < 0.25 * exact + 4.0 * (error + spread), "{sampled} is not near {exact}");
    let one = trace("fisher", &["--fisher-draws", "1", "--products", "30"]);
    assert_ne!(one.0.to_bits(), sampled.to_bits());
    refuses(&["trace", SGD, "--operator", "fisher", "--fisher-draws", "0"], 2, &["--fisher-draws"]);

    // The covariance of gradients is what the empirical Fisher matrix has beyond the mean gradient's square.
    let top = |operator: &str| {
        let run = json(&["eigenvalues", SGD, "--operator", operator, "-k", "1", "--dtype", "f64"], 0);
        (number(&run["result"]["pairs"][0]["value"]), number(&run["gradient_norm"]))
    };
    let ((empirical, slope), (covariance, _)) = (top("empirical-fisher"), top("gradient-covariance"));
    assert!(covariance <= empirical && empirical <= covariance + slope * slope);
}

#[test]
fn the_tangent_kernel_has_the_eigenvalues_of_the_squared_error() {
    let shared = ["-k", "3", "--dtype", "f64", "--limit", "100"];
    let kernel = json(&[&["eigenvalues", SGD, "--operator", "tangent-kernel"], &shared[..]].concat(), 0);
    let loss = ["--operator", "gauss-newton", "--loss", "half-squared-error"];
    let squared = json(&[&["eigenvalues", SGD], &loss[..], &shared].concat(), 0);
    let pairs = |run: &Json| values(&run["result"]["pairs"]);
    for (a, b) in pairs(&kernel).into_iter().zip(pairs(&squared)) {
        close(a, b, 1e-9);
    }
    let save = ["eigenvalues", SGD, "--operator", "tangent-kernel", "--save-vectors", "target/v.safetensors"];
    refuses(&save, 2, &["outputs"]);
    refuses(&["diagonal", SGD, "--operator", "tangent-kernel"], 2, &["--operator"]);
}

#[test]
fn a_diagonal_adds_up_to_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let [file, table] = ["diagonal.safetensors", "diagonal.csv"].map(|name| folder.path().join(name));
    let all = ["--limit", "200", "--dtype", "f64", "--products", "200"];
    let found = json(
        &[&["diagonal", SGD, "--save", file.to_str().unwrap(), "-o", table.to_str().unwrap()], &all[..]]
            .concat(),
        0,
    );
    let trace = json(&["trace", SGD, "--limit", "200", "--dtype", "f64", "--relative-error", "0.01"], 0);
    let tensors = found["result"]["tensors"].as_array().unwrap();
    let sum: f64 = tensors.iter().map(|t| number(&t["sum"])).sum();
    close(sum, number(&trace["result"]["value"]), 0.05);
    let saved = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).unwrap();
    assert_eq!(saved.len(), 2 * tensors.len());
    let weight = saved["0.weight"].sum_all().unwrap().to_scalar::<f64>().unwrap();
    let listed = tensors.iter().find(|t| t["name"] == "0.weight").unwrap();
    close(weight, number(&listed["sum"]), 1e-12);
    let rows = std::fs::read_to_string(&table).unwrap();
    assert_eq!(rows.lines().count(), tensors.len() + 1);
    refuses(&["diagonal", SGD, "-o", "diagonal.vtp"], 2, &["cannot hold a diagonal"]);
}

#[test]
fn classes_explain_outliers() {
    let found = json(&["outliers", SGD, "-k", "8", "--dtype", "f64"], 0);
    let result = &found["result"];
    let traces = ["between", "cross", "own", "within"].map(|part| number(&result["traces"][part]));
    close(traces.iter().sum(), number(&result["trace"]), 1e-9);
    assert!(traces.iter().all(|t| *t > 0.0), "{traces:?}");
    let shares: Vec<f64> =
        result["eigenvalues"].as_array().unwrap().iter().map(|e| number(&e["all_means"])).collect();
    assert!(shares.iter().take(7).all(|share| *share > 0.95 && *share <= 1.0 + 1e-9), "{shares:?}");
    assert!(result["explained_by_all_means"].as_u64().unwrap() >= 7);
    refuses(&["outliers", SGD, "--loss", "half-squared-error"], 3, &["cross-entropy"]);
}

#[test]
fn a_checkpoint_compared_with_itself_does_not_differ() {
    let shared = ["--dtype", "f64", "--points", "1", "-k", "3"];
    let same = json(&[&["compare", SGD, "--to", SGD], &shared[..]].concat(), 0);
    let result = &same["result"];
    close(number(&result["overlap"]), 1.0, 1e-9);
    assert!(number(&result["segment"][1]["distance"]) < 1e-12);
    let other = json(&[&["compare", SGD, "--to", SAM], &shared[..]].concat(), 0);
    let back = json(&[&["compare", SAM, "--to", SGD], &shared[..]].concat(), 0);
    let angles = |run: &Json| -> Vec<f64> {
        run["result"]["principal_angles"].as_array().unwrap().iter().map(number).collect()
    };
    for (a, b) in angles(&other).into_iter().zip(angles(&back)) {
        close(a, b, 1e-6);
    }
    let own = json(&["eigenvalues", SAM, "-k", "3", "--dtype", "f64"], 0);
    let listed = values(&other["result"]["eigenvalues"][1]);
    for (a, b) in listed.into_iter().zip(values(&own["result"]["pairs"])) {
        close(a, b, 1e-6);
    }
    refuses(&["compare", SGD, "--to", SGD, "-k", "0"], 2, &["-k is 0"]);
}

#[test]
fn samples_of_all_examples_are_the_data_set() {
    let all = ["--limit", "60", "--sizes", "15,60", "--draws", "3", "--dtype", "f64"];
    let found = json(&[&["subset", SGD], &all[..]].concat(), 0);
    let sizes = found["result"]["sizes"].as_array().unwrap();
    for (ratio, cosine) in
        sizes[1]["ratios"].as_array().unwrap().iter().zip(sizes[1]["cosines"].as_array().unwrap())
    {
        close(number(ratio), 1.0, 1e-6);
        close(number(cosine), 1.0, 1e-4);
    }
    let spread = &sizes[0]["ratio"];
    let [least, low, mean, high, most] =
        ["min", "mean_low", "mean", "mean_high", "max"].map(|name| number(&spread[name]));
    assert!(least <= low && low <= mean && mean <= high && high <= most);
    let again = json(&[&["subset", SGD], &all[..]].concat(), 0);
    assert_eq!(found["result"], again["result"]);
    refuses(&["subset", SGD, "--limit", "60", "--sizes", "61"], 2, &["61", "60 examples"]);
}
