//! Traces and other sums over eigenvalues from the command line.

use super::*;

/// The explicit Hessian's eigenvalues of a fixture, from PyTorch.
fn eigenvalues(name: &str) -> Vec<f64> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(fixture(&format!("{name}.reference.safetensors")));
    let tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    tensors["eigenvalues"].to_vec1::<f64>().unwrap()
}

fn trace(more: &[&str], code: i32) -> Json {
    let mut all = digits("digits-mlp-tanh");
    all[0] = "trace".into();
    json(&[&strs(&all)[..], &["--dtype", "f64"], more].concat(), code)
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap()
}

#[test]
fn estimates_hold_their_errors_against_the_explicit_hessian() {
    let values = eigenvalues("digits-mlp-tanh");
    let sum: f64 = values.iter().sum();
    let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    for (of, truth) in [("trace", sum), ("frobenius", norm)] {
        let run = trace(&["--of", of, "--relative-error", "0.02"], 0);
        let result = &run["result"];
        let (value, error) = (number(&result["value"]), number(&result["error_estimate"]));
        assert!(
            (value - truth).abs() < 4.0 * error && 2.0 * error <= 0.02 * value,
            "{of}: {value} {error} {truth}"
        );
        assert_eq!(result["status"], "reached");
        assert_eq!(result["products"], run["work"]["products"]);
    }
    for method in ["xtrace", "hutch++", "hutchinson"] {
        let result = &trace(&["--method", method, "--products", "30"], 0)["result"];
        let (value, error) = (number(&result["value"]), number(&result["error_estimate"]));
        assert!((value - sum).abs() < 4.0 * error, "{method}: {value} {error} {sum}");
    }
}

#[test]
fn a_budget_that_is_too_small_is_said() {
    let run = trace(&["--relative-error", "1e-6", "--max-products", "16"], 1);
    assert_eq!(run["result"]["status"], "budget-spent");
    let gauss = ["--operator", "gauss-newton"];
    let dimension = trace(
        &[&gauss[..], &["--of", "effective-dimension", "--damping", "0.1", "--products", "60"]].concat(),
        0,
    );
    let found = number(&dimension["result"]["value"]);
    assert!(found > 1.0 && found < number(&dimension["parameters"]));
    let semidefinite = trace(&[&gauss[..], &["--method", "xnystrace"]].concat(), 0);
    let other = trace(&gauss, 0);
    let [a, b] = [&semidefinite, &other]
        .map(|run| (number(&run["result"]["value"]), number(&run["result"]["error_estimate"])));
    assert!((a.0 - b.0).abs() < 4.0 * a.1.hypot(b.1), "{a:?} {b:?}");
    let mut all = digits("digits-mlp-tanh");
    all[0] = "trace".into();
    refuses(&[&strs(&all)[..], &["--of", "log-determinant", "--damping", "0"]].concat(), 3, &["damping"]);
}
