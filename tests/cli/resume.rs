//! Ctrl-C and kills leave a state from which the run goes on to the same digits.

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

    let mut other = arguments.clone();
    let k = other.iter().position(|a| a == "150").unwrap();
    other[k] = "149".into();
    let other = [strs(&other), vec!["--resume", state_name]].concat();
    refuses(&other, 3, &["state", "other settings"]);

    let whole = quiet(json(&strs(&arguments), 0));
    let resumed = quiet(json(&[strs(&arguments), vec!["--resume", state_name]].concat(), 0));
    assert_eq!(whole, resumed);
    assert_only(folder.path(), &[]);
}

fn quiet(mut run: Json) -> Json {
    run["work"]["seconds"] = Json::Null;
    run
}

/// Kills a run soon after a state was saved, and goes on from there, three times; then lets it end, and holds its digits against
/// those of a run that nobody disturbed.
#[cfg(unix)]
#[track_caller]
fn survives_kills(arguments: &[&str]) {
    use std::process::{Command as Process, Stdio};
    use std::time::{Duration, Instant};

    let whole = quiet(json(arguments, 0));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("work.state");
    let name = state.to_str().unwrap();
    let saving = [arguments, &["--state", name, "--save-every", "0"]].concat();
    let mut kills = 0;
    for delay in [0, 40, 15] {
        let before = state.metadata().and_then(|file| file.modified()).ok();
        let resume: &[&str] = if before.is_some() { &["--resume", name] } else { &[] };
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("relief"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([&saving[..], resume].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while state.metadata().and_then(|file| file.modified()).ok() == before
            && child.try_wait().unwrap().is_none()
        {
            assert!(begun.elapsed() < Duration::from_secs(100), "no state was saved");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        kills += u32::from(!child.wait().unwrap().success());
        if !state.exists() {
            break;
        }
    }
    assert!(kills > 0, "nothing was killed");
    let resume: &[&str] = if state.exists() { &["--resume", name] } else { &[] };
    let output = relief(&[&saving[..], resume, &["--format", "json"]].concat()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let resumed: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"));
    assert_eq!(whole, quiet(resumed));
    if state.exists() || !resume.is_empty() {
        let done = errors.split("going on after ").nth(1).and_then(|rest| rest.split(' ').next());
        assert!(done.unwrap().parse::<usize>().unwrap() > 0, "{errors}");
    }
    // Neither the state nor half of one is left.
    assert_only(folder.path(), &[]);
}

#[cfg(unix)]
#[test]
fn searches_for_eigenvalues_survive_kills() {
    let mut arguments = digits("digits-mlp-relu");
    arguments.extend(["--no-check", "--threads", "1", "--tol", "1e-10"].map(String::from));
    survives_kills(&[&strs(&arguments)[..], &["-k", "40", "--max-products", "2000"]].concat());
    survives_kills(&[&strs(&arguments)[..], &["-k", "12", "--per-layer", "--max-products", "2000"]].concat());
    survives_kills(
        &[&strs(&arguments)[..], &["-k", "3", "--blocks", "layer", "--precondition", "weights"]].concat(),
    );
}

#[cfg(unix)]
#[test]
fn estimates_survive_kills() {
    let of = |verb: &'static str, more: &[&'static str]| {
        let mut arguments = digits("digits-mlp-tanh");
        arguments[0] = verb.into();
        arguments.extend(["--threads", "1"].into_iter().chain(more.iter().copied()).map(String::from));
        arguments
    };
    for (verb, more) in [
        ("spectrum", &["--probes", "4", "--steps", "60"][..]),
        ("trace", &["--products", "200"]),
        ("trace", &["--of", "log-determinant", "--operator", "gauss-newton", "--products", "200"]),
        ("diagonal", &["--products", "200"]),
    ] {
        survives_kills(&strs(&of(verb, more)));
    }
}

/// What somebody else left under the same name stays, and a folder that cannot be written to does not end the work.
#[test]
fn states_are_nobody_elses_and_no_condition() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("work.state");
    std::fs::write(&state, "something").unwrap();
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["--no-check", "-k", "3", "--state"].map(String::from));
    let run = |state: &Path| {
        let output =
            relief(&[&strs(&arguments)[..], &[state.to_str().unwrap(), "--save-every", "0"]].concat())
                .output()
                .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let errors = run(&state);
    assert!(errors.contains("is there already"), "{errors}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "something");
    assert_only(folder.path(), &["work.state"]);
    let errors = run(&folder.path().join("nowhere").join("work.state"));
    assert!(errors.contains("no state is saved before Ctrl-C"), "{errors}");
    let name = state.to_str().unwrap();
    arguments.extend([name, "--save-every=-1"].map(String::from));
    refuses(&strs(&arguments), 2, &["--save-every", "-1"]);
}
