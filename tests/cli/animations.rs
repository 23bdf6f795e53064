//! Saved results one after another.

use super::*;

/// A bowl whose losses grow with `steepness`.
fn saved(folder: &Path, name: &str, steepness: f64, reach: f64) -> String {
    let nodes: Vec<f64> = (-4..=4).map(|i| reach * f64::from(i) / 4.0).collect();
    let loss: Vec<Vec<f64>> = nodes
        .iter()
        .map(|y| nodes.iter().map(|x| 0.1 + steepness * (x * x + 2.0 * y * y)).collect())
        .collect();
    let path = folder.join(format!("{name}.json"));
    let document = serde_json::json!({
        "schema": "relief/surface/1",
        "checkpoint": {"path": format!("{name}.safetensors")},
        "model": "mlp",
        "data": {"path": "digits", "examples": 9, "split": "train"},
        "dtype": "f64",
        "result": {
            "plane": {"kind": "random", "labels": ["one", "two"], "orthonormal": false, "cosine": 0.01},
            "axes": [nodes, nodes],
            "loss": loss,
        },
    });
    std::fs::write(&path, document.to_string()).unwrap();
    path.display().to_string()
}

fn line(folder: &Path, name: &str, losses: &[f64]) -> String {
    let path = folder.join(format!("{name}.json"));
    let t: Vec<f64> = (0..losses.len()).map(|i| i as f64).collect();
    let document = serde_json::json!({
        "schema": "relief/line/1",
        "checkpoint": {"path": format!("{name}.safetensors")},
        "model": "mlp",
        "data": {"path": "digits", "examples": 9, "split": "train"},
        "dtype": "f64",
        "result": {"unit": "Gaussian units", "t": t, "loss": losses},
    });
    std::fs::write(&path, document.to_string()).unwrap();
    path.display().to_string()
}

/// The frames of a GIF: their delays in hundredths of a second, and their pixels.
fn frames(path: &Path) -> Vec<(u16, Vec<u8>)> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(std::fs::File::open(path).unwrap()).unwrap();
    let mut out = vec![];
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        out.push((frame.delay, frame.buffer.to_vec()));
    }
    out
}

fn animate(folder: &Path, inputs: &[&str], more: &[&str]) -> Vec<(u16, Vec<u8>)> {
    let output = folder.join("a.gif");
    relief(&[&["plot"], inputs, &["-o", output.to_str().unwrap()], more].concat()).assert().success();
    frames(&output)
}

#[test]
fn surfaces_follow_each_other_with_the_same_levels() {
    let folder = tempfile::tempdir().unwrap();
    let [flat, steep] = [("flat", 1.0), ("steep", 30.0)].map(|(n, s)| saved(folder.path(), n, s, 1.0));
    for more in [&[][..], &["--perspective"]] {
        let one = animate(folder.path(), &[&flat, &steep, &flat], more);
        assert_eq!(one.len(), 3);
        assert!(one.iter().all(|(delay, _)| *delay == 25), "four frames a second");
        assert_eq!(one[0], one[2], "a frame does not depend on its place");
        assert_ne!(one[0], one[1]);
        let alone = animate(folder.path(), &[&flat], more);
        assert_ne!(one[0], alone[0], "levels are those of all frames");
    }
    let slow = animate(folder.path(), &[&flat, &steep], &["--rate", "0.5"]);
    assert_eq!(slow[0].0, 200);
}

#[test]
fn surfaces_of_other_ranges_lie_on_the_same_axes() {
    let folder = tempfile::tempdir().unwrap();
    let [near, far] =
        [("near", 0.5), ("far", 1.0)].map(|(name, reach)| saved(folder.path(), name, 1.0, reach));
    let both = animate(folder.path(), &[&near, &far], &[]);
    assert_eq!(both[0].1.len(), both[1].1.len());
    let output = folder.path().join("b.gif").display().to_string();
    refuses(&["plot", &near, &far, "--perspective", "-o", &output], 2, &["different ranges", "--range"]);
    assert_only(folder.path(), &["a.gif", "far.json", "near.json"]);
}

#[test]
fn lines_follow_each_other_on_the_same_axes() {
    let folder = tempfile::tempdir().unwrap();
    let low = line(folder.path(), "low", &[1.0, 0.5, 2.0]);
    let high = line(folder.path(), "high", &[4.0, 0.5, 2.0]);
    let long = line(folder.path(), "long", &[1.0, 0.5, 2.0, 2.0]);
    let alone = animate(folder.path(), &[&low], &[]);
    for other in [&high, &long] {
        let both = animate(folder.path(), &[&low, other], &[]);
        let again = animate(folder.path(), &[other, &low], &[]);
        assert_eq!((&both[0], &both[1]), (&again[1], &again[0]));
        assert_ne!(both[0], alone[0], "axes are those of all frames");
    }
    let apng = folder.path().join("a.apng");
    relief(&["plot", &low, &high, "-o", apng.to_str().unwrap()]).assert().success();
    let bytes = std::fs::read(apng).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    let control = bytes.windows(4).position(|chunk| chunk == b"acTL").unwrap();
    assert_eq!(bytes[control + 4..control + 8], [0, 0, 0, 2]);
}

#[test]
fn what_cannot_move_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let low = line(folder.path(), "low", &[1.0, 0.5, 2.0]);
    let plane = saved(folder.path(), "plane", 1.0, 1.0);
    let spectrum = path("e.json");
    relief(&["eigenvalues", "notebooks-data/digits-sgd.safetensors", "-k", "1", "-o", &spectrum])
        .assert()
        .success();
    refuses(&["plot", &spectrum, "-o", &path("a.gif")], 2, &["a.gif", "not eigenvalues"]);
    refuses(&["plot", &low, &plane, "-o", &path("a.gif")], 2, &["several kinds"]);
    refuses(&["plot", &low, "-o", &path("a.gif"), "--rate", "0"], 2, &["--rate is 0"]);
    refuses(&["plot", &low, "-o", &path("a.gif"), "--rate", "inf"], 2, &["--rate is inf"]);
    refuses(&["plot", &low, "-o", &path("a.png"), "--rate", "3"], 2, &["animations"]);
    refuses(&["plot", &plane, "-o", &path("a.gif"), "--show", "accuracy"], 2, &["no accuracy"]);
    assert_only(folder.path(), &["e.json", "low.json", "plane.json"]);
}
