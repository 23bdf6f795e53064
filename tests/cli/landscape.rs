//! Lines and surfaces from the command line.

use super::*;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";
const SAM: &str = "notebooks-data/digits-sam.safetensors";

/// A list of numbers, or the entries of a table row by row.
fn numbers(rows: &Json) -> Vec<f64> {
    match rows {
        Json::Array(rows) => rows.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn bits(v: f64) -> u64 {
    v.to_bits()
}

#[test]
fn a_surface_goes_through_its_checkpoint_and_depends_on_nothing_else() {
    let surface = ["surface", SGD, "--grid", "5", "--range", "-1:0.5", "--range-y", "-0.2:0.6"];
    let one = json(&[&surface[..], &["--threads", "1"]].concat(), 0);
    let two = json(&[&surface[..], &["--threads", "2"]].concat(), 0);
    assert_eq!(one["result"], two["result"], "the digits do not depend on the threads");
    let (x, y) = (numbers(&one["result"]["axes"][0]), numbers(&one["result"]["axes"][1]));
    assert_eq!((x[0], x[4], y[0], y[4]), (-1.0, 0.5, -0.2, 0.6));
    assert_eq!(one["work"]["evaluations"], 26);
    let odd = json(&["surface", SGD, "--grid", "3", "--seed", "7"], 0);
    let (loss, accuracy) = (numbers(&odd["result"]["loss"]), numbers(&odd["result"]["accuracy"]));
    assert_eq!(
        bits(loss[4]),
        bits(odd["loss"].as_f64().unwrap()),
        "the centre is the checkpoint, to the last bit"
    );
    assert_eq!(bits(accuracy[4]), bits(odd["accuracy"].as_f64().unwrap()));
    assert!(loss.iter().enumerate().all(|(i, l)| i == 4 || *l > 10.0 * loss[4]), "a minimum: {loss:?}");
    let other = json(&["surface", SGD, "--grid", "3", "--seed", "8"], 0);
    assert_ne!(numbers(&other["result"]["loss"]), loss, "another seed, another plane");
    let right = json(&["surface", SGD, "--grid", "3", "--orthogonal"], 0);
    assert!(right["result"]["plane"]["cosine"].as_f64().unwrap().abs() < 1e-12);
}

#[test]
fn surfaces_become_pictures_at_once_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, start) in [("a.png", &b"\x89PNG"[..]), ("a.svg", b"<svg"), ("a.html", b"<!DOCTYPE")] {
        relief(&["surface", SGD, "--grid", "9", "-o", &path(name)]).assert().success();
        assert!(std::fs::read(path(name)).unwrap().starts_with(start), "{name}");
    }
    for (checkpoint, name) in [(SGD, "sgd.json"), (SAM, "sam.json")] {
        relief(&["surface", checkpoint, "--grid", "9", "-o", &path(name)]).assert().success();
    }
    for more in [&[][..], &["--perspective"], &["--show", "accuracy"]] {
        let [sgd, sam, both] = ["sgd.json", "sam.json", "both.svg"].map(path);
        let arguments = [&["plot", &sgd, &sam, "-o", &both], more].concat();
        relief(&arguments).assert().success();
        let text = std::fs::read_to_string(path("both.svg")).unwrap();
        assert!(["digits-sgd", "digits-sam", "filter-norm units"].iter().all(|word| text.contains(word)));
    }
    let text = String::from_utf8(relief(&["surface", SGD, "--grid", "9", "--plot"]).output().unwrap().stdout)
        .unwrap();
    assert!(text.contains("lowest loss") && text.contains("digits-sgd: loss"), "{text}");
}

#[test]
fn a_line_between_checkpoints_has_both_losses_and_a_barrier() {
    let run = json(&["line", SGD, "--to", SAM, "--dtype", "f64"], 0);
    let (t, loss) = (numbers(&run["result"]["t"]), numbers(&run["result"]["loss"]));
    let at =
        |end: f64| loss[t.iter().position(|t| bits(*t) == bits(end)).expect("both ends are on the line")];
    let truth = |checkpoint: &str| {
        json(&["surface", checkpoint, "--grid", "2", "--dtype", "f64"], 0)["loss"].as_f64().unwrap()
    };
    assert_eq!(bits(at(0.0)), bits(truth(SGD)));
    assert!((at(1.0) / truth(SAM) - 1.0).abs() < 1e-9);
    let barrier = &run["result"]["barrier"];
    // The two started from the same weights and share a basin.
    assert_eq!(barrier["above_line"], 0.0);
    let mean = f64::midpoint(at(0.0), at(1.0));
    assert!((barrier["above_mean"].as_f64().unwrap() - (at(0.0) - mean)).abs() < 1e-15);
    let free = json(&["line", SGD, "--points", "3", "--range", "0.2:0.4", "--to", SAM], 0);
    assert!(free["result"]["barrier"].is_null(), "no barrier without its ends");
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("line.svg");
    relief(&["line", SGD, "--to", SAM, "-o", picture.to_str().unwrap()]).assert().success();
    let text = std::fs::read_to_string(picture).unwrap();
    assert!(["loss", "accuracy (%)", "digits-sam"].iter().all(|word| text.contains(word)));
}

/// Near the centre, the loss on the plane of two eigenvectors is what their eigenvalues say.
#[test]
fn a_plane_of_eigenvectors_has_their_curvature() {
    let near = ["surface", SGD, "--plane", "eigen", "--dtype", "f64", "--grid", "3", "--range", "-0.01:0.01"];
    let run = json(&near, 0);
    let pairs = run["result"]["plane"]["model"]["pairs"].as_array().unwrap();
    let own = json(&["eigenvalues", SGD, "-k", "2", "--dtype", "f64"], 0);
    let loss = numbers(&run["result"]["loss"]);
    let model = &run["result"]["plane"]["model"];
    for (nth, (low, high)) in [(3, 5), (1, 7)].into_iter().enumerate() {
        let value = pairs[nth]["value"].as_f64().unwrap();
        let truth = own["result"]["pairs"][nth]["value"].as_f64().unwrap();
        assert!((value / truth - 1.0).abs() < 1e-9, "{value} {truth}");
        // Central differences: their errors are of fourth and of third order in the step of 0.01.
        let curvature = (loss[low] + loss[high] - 2.0 * loss[4]) / 1e-4;
        assert!((curvature / value - 1.0).abs() < 1e-2, "{curvature} {value}");
        let slope = model["gradient"][nth].as_f64().unwrap();
        assert!(((loss[high] - loss[low]) / 0.02 - slope).abs() < 1e-3 * value, "{slope}");
    }
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("eigen.svg");
    relief(&["surface", SGD, "--plane", "eigen", "--grid", "9", "-o", picture.to_str().unwrap()])
        .assert()
        .success();
    let text = std::fs::read_to_string(picture).unwrap();
    assert!(["λ₁ = 0.357", "L2 distance", "Dashed"].iter().all(|word| text.contains(word)));
}

#[test]
fn what_cannot_be_scanned_is_refused() {
    refuses(&["surface", SGD, "--grid", "1"], 2, &["--grid", "2 points"]);
    refuses(&["surface", SGD, "--range", "1:-1"], 2, &["1:-1", "range"]);
    refuses(&["surface", SGD, "--range", "0:nan"], 2, &["range"]);
    refuses(&["surface", SGD, "-o", "surface.jpg"], 2, &["surface.jpg", ".png"]);
    refuses(&["line", SGD, "--to", SGD], 3, &["same parameters"]);
    refuses(&["line", SGD, "--to", &fixture("fashion-cnn-bn.safetensors")], 3, &["fashion-cnn-bn"]);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("foreign.state");
    std::fs::write(&state, "something else\n").unwrap();
    refuses(&["surface", SGD, "--resume", state.to_str().unwrap()], 3, &["not the state of this scan"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_surface_resumes_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("scan.state").display().to_string();
    let surface = ["surface", SGD, "--grid", "101", "--threads", "1", "--format", "json"];
    let interrupted = [400, 200, 800, 100, 1600].into_iter().any(|delay| {
        let output = interrupted_after(&[&surface[..], &["--state", &state]].concat(), delay);
        let errors = String::from_utf8_lossy(&output.stderr);
        output.status.code() == Some(130) && errors.contains("--resume")
    });
    assert!(interrupted, "no scan was interrupted");
    let text = std::fs::read_to_string(&state).unwrap();
    let damaged = folder.path().join("damaged.state").display().to_string();
    let (context, first) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
    for rest in [format!("{first}\n").repeat(101 * 101 + 1), "3ff0000000000000\n".into(), "xyz\n".into()] {
        std::fs::write(&damaged, format!("{context}\n{rest}")).unwrap();
        refuses(&[&surface[..6], &["--resume", &damaged]].concat(), 3, &["damaged"]);
    }
    let whole = json(&surface[..6], 0);
    let resumed = json(&[&surface[..6], &["--resume", &state]].concat(), 0);
    assert_eq!(whole["result"], resumed["result"]);
    refuses(&["surface", SGD, "--grid", "99", "--resume", &state], 3, &["not the state of this scan"]);
}

/// The first layer is computed once for all points; without memory for it, every point computes it.
#[test]
fn kept_layers_change_rounding_and_nothing_else() {
    let wide = digits("digits-mlp-tanh");
    let source = [&wide[1], "--model", "mlp:activation=tanh", "--data", &wide[5], "--dtype", "f64"];
    let to = fixture("digits-mlp-relu.safetensors");
    let verbs: [&[&str]; 4] = [
        &["surface", "--grid", "7", "--range=-2:1"],
        &["surface", "--grid", "5", "--plane", "along:gradient,eigen:1", "--move-vectors"],
        &["line", "--to", &to, "--points", "12", "--per-class"],
        &["line", "--along", "gradient", "--weight-decay", "0.01", "--points", "12"],
    ];
    for verb in verbs {
        let arguments = [&verb[..1], &source[..], &verb[1..]].concat();
        let kept = json(&arguments, 0);
        let usual = json(&[&arguments[..], &["--memory", "0"]].concat(), 0);
        let layers = &kept["kept_layers"];
        assert!(usual.get("kept_layers").is_none(), "there is no memory");
        assert!(layers["bytes"].as_u64().unwrap() > 0 && layers["multiply_adds"].as_f64().unwrap() < 0.9);
        assert_eq!(kept["work"]["evaluations"], usual["work"]["evaluations"]);
        let [kept, usual] = [&kept, &usual].map(|run| numbers(&run["result"]["loss"]));
        for (kept, usual) in kept.iter().zip(&usual) {
            assert!((kept - usual).abs() <= 1e-12 * usual.abs(), "{verb:?}: {kept} {usual}");
        }
    }
    let arguments = [&["surface"], &source[..], &["--grid", "5"]].concat();
    let report = relief(&arguments).output().unwrap();
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("of the multiply-adds each"), "{report}");
}
