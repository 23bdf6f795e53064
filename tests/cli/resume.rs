//! Ctrl-C leaves a state from which the run goes on to the same digits.

use super::*;

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.safetensors");
    let mut arguments = digits("digits-mlp-relu");
    // Far more work than can be done before the signal.
    arguments.extend(
        ["-k", "150", "--tol", "1e-12", "--max-products", "5000", "--threads", "1"].map(String::from),
    );
    let state_name = state.to_str().unwrap();
    // A machine may be so slow that the run has not begun, or so fast that it is over: other delays then.
    let interrupted = [500, 250, 1000, 100, 2000].into_iter().find_map(|delay| {
        let output = interrupted_after(&[strs(&arguments), vec!["--state", state_name]].concat(), delay);
        (output.status.code() == Some(130)).then_some(output)
    });
    let output = interrupted.expect("no run was interrupted");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--resume"), "{errors}");
    assert_only(folder.path(), &["state.safetensors"]);

    let quiet = |mut run: Json| {
        run["work"]["seconds"] = Json::Null;
        run
    };
    let whole = quiet(json(&strs(&arguments), 0));
    let resumed = quiet(json(&[strs(&arguments), vec!["--resume", state_name]].concat(), 0));
    assert_eq!(whole, resumed);

    let mut other = arguments.clone();
    let k = other.iter().position(|a| a == "150").unwrap();
    other[k] = "149".into();
    let other = [strs(&other), vec!["--resume", state_name]].concat();
    refuses(&other, 3, &["state"]);
}
