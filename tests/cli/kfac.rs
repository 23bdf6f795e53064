//! `relief kfac`: KFAC's and EKFAC's blocks beside the true ones.

use super::*;

/// Arguments of a fixture in f64.
fn kfac(name: &str, more: &[&str]) -> Vec<String> {
    let mut arguments = digits(name);
    arguments[0] = "kfac".into();
    arguments.extend(["--dtype", "f64"].iter().chain(more).map(ToString::to_string));
    arguments
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is no number"))
}

fn layers(run: &Json) -> Vec<Json> {
    run["result"]["layers"].as_array().unwrap().clone()
}

#[test]
fn true_eigenvalues_are_those_of_the_layers_blocks() {
    let run = json(&strs(&kfac("digits-mlp-tanh", &["--top", "3", "--products", "30"])), 0);
    assert_eq!(run["schema"], "relief/kfac/1");
    let found = layers(&run);
    assert_eq!(found.iter().map(|l| l["name"].as_str().unwrap()).collect::<Vec<_>>(), ["0", "2", "4"]);
    for layer in &found {
        let mut block = digits("digits-mlp-tanh");
        let pattern = format!("{}.*", layer["name"].as_str().unwrap());
        block.extend(
            ["--dtype", "f64", "--operator", "gauss-newton", "-k", "3", "--params", &pattern]
                .map(String::from),
        );
        let block = json(&strs(&block), 0);
        assert_all_close(&values(&layer["pairs"]), &values(&block["result"]["pairs"]), 1e-8);
        let [kfac, ekfac] = ["kfac", "ekfac"].map(|key| &layer[key]);
        // The same products tell both, so that they compare however rough they are.
        assert!(number(&ekfac["distance"]) < number(&kfac["distance"]), "{layer}");
        // A diagonal's largest entry is not above the largest eigenvalue.
        assert!(number(&ekfac["top_error"]) < 1e-9, "{layer}");
        assert_eq!(kfac["eigenvalues"].as_array().unwrap().len(), 3);
    }
    // As many products as rows: all columns are computed.
    let last =
        json(&strs(&kfac("digits-mlp-tanh", &["--top", "1", "--params", "4.*", "--products", "170"])), 0);
    let last = &layers(&last)[0];
    assert_eq!((&last["exact"], &last["parameters"]), (&Json::Bool(true), &Json::from(170)));
    assert!(number(&last["kfac"]["distance_error"]) <= 0.0);
}

#[test]
fn kinds_of_second_moments_differ_where_they_should() {
    let trace = |more: &[&str]| {
        let arguments =
            kfac("digits-mlp-relu", &[&["--limit", "300", "--top", "1", "--products", "5"], more].concat());
        layers(&json(&strs(&arguments), 0)).iter().map(|l| number(&l["ekfac"]["trace"])).sum::<f64>()
    };
    let (exact, sampled, empirical) =
        (trace(&[]), trace(&["--kind", "sampled", "--draws", "30"]), trace(&["--kind", "empirical"]));
    assert!((sampled / exact - 1.0).abs() < 0.3, "{sampled} and {exact}");
    // A well-trained network's own labels say little.
    assert!((empirical / exact - 1.0).abs() > 0.01, "{empirical} and {exact}");
}

#[test]
fn convolutions_have_blocks_and_norms_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let arguments = |more: &[&str]| -> Vec<String> {
        let (checkpoint, data) = (fixture("fashion-cnn-bn.safetensors"), fixture("fashion-64.safetensors"));
        let fixed = ["kfac", &checkpoint, "--model", "tests/fixtures/fashion-cnn-bn.toml", "--data", &data];
        let small = ["--limit", "16", "--top", "2", "--products", "10", "--no-check"];
        fixed.iter().chain(&small).chain(more).map(ToString::to_string).collect()
    };
    let figure = path("kfac.svg");
    let run = json(&strs(&arguments(&["-o", &figure])), 0);
    let positions: Vec<u64> = layers(&run).iter().map(|l| l["positions"].as_u64().unwrap()).collect();
    assert_eq!(positions, [784, 49, 1]);
    let left_out = run["result"]["left_out"].as_object().unwrap();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    assert!(std::fs::read_to_string(&figure).unwrap().contains("EKFAC"));
    let table = path("kfac.csv");
    relief(&strs(&arguments(&["--params", "classifier.*", "-o", &table]))).assert().success();
    let table = std::fs::read_to_string(&table).unwrap();
    assert!(table.starts_with("row,layer,rank,eigenvalue,error_bound,residual,kfac,ekfac"), "{table}");
    assert_eq!(table.lines().count(), 3);
    refuses(&strs(&arguments(&["--bn", "batch"])), 2, &["--bn eval"]);
    refuses(&strs(&arguments(&["--params", "features.1.*"])), 3, &["features.1.", "linear layer"]);
    refuses(&strs(&arguments(&["--draws", "0"])), 2, &["--draws is 0"]);
    refuses(&strs(&arguments(&["-o", &path("kfac.txt")])), 2, &["kfac.txt"]);
}

#[test]
fn digits_do_not_depend_on_threads() {
    let with = |threads: &str| {
        let more = ["--limit", "200", "--top", "2", "--products", "7", "--threads", threads, "--no-check"];
        let mut run = json(&strs(&kfac("digits-mlp-tanh", &more)), 0);
        run["work"]["seconds"] = Json::Null;
        run
    };
    assert_eq!(with("1"), with("3"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_with_the_layers_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("kfac.state.safetensors");
    let state_name = state.to_str().unwrap();
    let arguments =
        kfac("digits-mlp-tanh", &["--top", "2", "--products", "1000", "--threads", "1", "--no-check"]);
    // A machine may be so slow that the run has not begun, or so fast that it is over: other delays then.
    let interrupted = [700, 350, 1400, 150, 2800].into_iter().find_map(|delay| {
        let output = interrupted_after(&[strs(&arguments), vec!["--state", state_name]].concat(), delay);
        (output.status.code() == Some(130)).then_some(output)
    });
    let output = interrupted.expect("no run was interrupted");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--resume"));
    assert!(state.exists());
    let quiet = |mut run: Json| {
        run["work"]["seconds"] = Json::Null;
        run
    };
    let whole = quiet(json(&strs(&arguments), 0));
    let resumed = [strs(&arguments), vec!["--resume", state_name]].concat();
    refuses(&[&resumed[..], &["--seed", "3"]].concat(), 3, &["state"]);
    assert_eq!(whole, quiet(json(&resumed, 0)));
    // It is not needed any more.
    assert_only(folder.path(), &[]);
}
