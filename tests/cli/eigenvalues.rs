//! Eigenvalues against PyTorch's explicit Hessians.

use super::*;

const FASHION: [&str; 6] = [
    "eigenvalues",
    "tests/fixtures/pytorch/fashion-cnn-bn.safetensors",
    "--model",
    "tests/fixtures/fashion-cnn-bn.toml",
    "--data",
    "tests/fixtures/pytorch/fashion-64.safetensors",
];

#[test]
fn both_ends_agree_with_explicit_hessians() {
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let mut arguments = digits(name);
        arguments.extend(["-k", "10", "--which", "largest", "--tol", "1e-9"].map(String::from));
        let top = json(&strs(&arguments), 0);
        let expected = reference();
        assert_all_close(&values(&top["result"]["pairs"]), &numbers(&expected[name]["top10"]), 1e-8);
        assert_all_close(
            &[top["loss"].as_f64().unwrap()],
            &[expected[name]["loss"].as_f64().unwrap()],
            1e-12,
        );
        let norm = expected[name]["gradient_norm"].as_f64().unwrap();
        assert_all_close(&[top["gradient_norm"].as_f64().unwrap()], &[norm], 1e-10);
        assert_eq!(top["parameters"], 1806);
        assert_eq!(top["data"]["examples"], 1000);

        let mut arguments = digits(name);
        arguments.extend(["-k", "5", "--which", "smallest", "--tol", "1e-11"].map(String::from));
        let bottom = json(&strs(&arguments), 0);
        assert_all_close(&values(&bottom["result"]["pairs"]), &numbers(&expected[name]["bottom5"]), 1e-8);
    }
}

#[test]
fn gauss_newton_agrees() {
    let expected = reference();
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let mut arguments = digits(name);
        arguments.extend(["--operator", "gauss-newton", "--tol", "1e-9"].map(String::from));
        let found = json(&strs(&arguments), 0);
        assert_all_close(&values(&found["result"]["pairs"]), &numbers(&expected[name]["ggn_top5"]), 1e-8);
    }
    let found = json(&[&FASHION[..], &["--operator", "gauss-newton", "--tol", "1e-9"]].concat(), 0);
    assert_all_close(
        &values(&found["result"]["pairs"]),
        &numbers(&expected["fashion-cnn-bn"]["ggn_top5"]),
        1e-8,
    );
}

#[test]
fn batch_norm_with_running_and_with_batch_statistics() {
    let expected = &reference()["fashion-cnn-bn"];
    let eval = json(&[&FASHION[..], &["-k", "10", "--tol", "1e-9"]].concat(), 0);
    assert_eq!(eval["batch_norm"], "eval");
    assert_all_close(&values(&eval["result"]["pairs"]), &numbers(&expected["top10"]), 1e-8);
    let ends = json(&[&FASHION[..], &["--which", "smallest", "--tol", "1e-11"]].concat(), 0);
    assert_all_close(&values(&ends["result"]["pairs"]), &numbers(&expected["bottom5"]), 1e-8);

    let batch = json(&[&FASHION[..], &["--bn", "batch", "--tol", "1e-9"]].concat(), 0);
    assert_eq!(batch["batch_norm"], "batch");
    assert_all_close(&values(&batch["result"]["pairs"]), &numbers(&expected["batch_mode"]["top5"]), 1e-8);
    let bottom = json(
        &[&FASHION[..], &["--bn", "batch", "--which", "smallest", "-k", "3", "--tol", "1e-11"]].concat(),
        0,
    );
    assert_all_close(&values(&bottom["result"]["pairs"]), &numbers(&expected["batch_mode"]["bottom3"]), 1e-8);
    refuses(&[&FASHION[..], &["--bn", "batch", "--batch-size", "16"]].concat(), 2, &["batch", "64", "16"]);
    json(&[&FASHION[..], &["--bn", "batch", "--batch-size", "16", "--bn-per-batch", "-k", "1"]].concat(), 0);
}

#[test]
fn single_precision_is_right_to_its_rounding() {
    let expected = reference();
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let mut arguments = digits(name);
        arguments.extend(["--dtype", "f32"].map(String::from));
        let found = json(&strs(&arguments), 0);
        assert_eq!(found["dtype"], "f32");
        assert_all_close(&values(&found["result"]["pairs"]), &numbers(&expected[name]["top10"])[..5], 1e-5);
    }
    let found = json(&[&FASHION[..], &["--dtype", "f32"]].concat(), 0);
    assert_all_close(
        &values(&found["result"]["pairs"]),
        &numbers(&expected["fashion-cnn-bn"]["top10"])[..5],
        1e-5,
    );
}

#[test]
fn a_block_of_parameters_has_its_own_eigenvalues() {
    let expected = reference();
    for (name, value) in expected["digits-mlp-tanh"]["block_top1"].as_object().unwrap() {
        let mut arguments = digits("digits-mlp-tanh");
        arguments.extend(["-k", "1", "--tol", "1e-9", "--params", name].map(String::from));
        let found = json(&strs(&arguments), 0);
        assert_all_close(&values(&found["result"]["pairs"]), &[value.as_f64().unwrap()], 1e-8);
    }
}

#[test]
fn weight_decay_shifts_the_spectrum() {
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["-k", "2", "--weight-decay", "0.25"].map(String::from));
    let found = json(&strs(&arguments), 0);
    let expected: Vec<f64> =
        numbers(&reference()["digits-mlp-tanh"]["top10"])[..2].iter().map(|x| x + 0.25).collect();
    assert_all_close(&values(&found["result"]["pairs"]), &expected, 1e-8);
}

#[test]
fn the_digits_do_not_depend_on_threads_or_repetition() {
    let run = |threads: &str| {
        let mut arguments = digits("digits-mlp-relu");
        arguments
            .extend(["--dtype", "f32", "--which", "both", "-k", "2", "--threads", threads].map(String::from));
        let mut found = json(&strs(&arguments), 0);
        found["work"]["seconds"] = Json::Null;
        found
    };
    let one = run("1");
    assert_eq!(one, run("1"));
    assert_eq!(one, run("2"));
    assert_eq!(one, run("3"));
}

#[test]
fn a_budget_too_small_is_said_with_exit_code_1() {
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["--max-products", "8"].map(String::from));
    let found = json(&strs(&arguments), 1);
    assert!(found["work"]["products"].as_u64().unwrap() <= 8);
    assert!(found["result"]["pairs"].as_array().unwrap().iter().any(|p| p["converged"] == false));
}

#[test]
fn saved_vectors_are_eigenvectors_and_start_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("top.safetensors");
    let file = file.to_str().unwrap();
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["-k", "2", "--save-vectors", file].map(String::from));
    let cold = json(&strs(&arguments), 0);
    assert_only(folder.path(), &["top.safetensors"]);
    let saved = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
    assert_eq!(saved["0.weight"].dims(), [2, 20, 64]);
    let squares: f64 = saved
        .values()
        .map(|t| t.get(0).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap())
        .sum();
    assert!((squares - 1.0).abs() < 1e-12);

    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["-k", "2", "--warm-start", file].map(String::from));
    let warm = json(&strs(&arguments), 0);
    let products = |run: &Json| run["work"]["products"].as_u64().unwrap();
    assert!(products(&warm) < products(&cold), "warm {}, cold {}", products(&warm), products(&cold));
    assert_all_close(&values(&warm["result"]["pairs"]), &values(&cold["result"]["pairs"]), 1e-10);
}
