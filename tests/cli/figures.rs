//! Saved results as pictures.

use super::*;

/// The eigenvalues of both quickstart networks, saved.
fn saved(folder: &Path) -> [String; 2] {
    ["sgd", "sam"].map(|name| {
        let path = folder.join(format!("{name}.json")).display().to_string();
        let checkpoint = format!("notebooks-data/digits-{name}.safetensors");
        relief(&["eigenvalues", &checkpoint, "-k", "4", "--which", "both", "-o", &path]).assert().success();
        path
    })
}

#[test]
fn a_saved_result_is_drawn_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let [sgd, sam] = saved(folder.path());
    for (name, start) in [("a.svg", "<svg"), ("a.html", "<!DOCTYPE html>")] {
        let path = folder.path().join(name);
        relief(&["plot", &sgd, &sam, "-o", path.to_str().unwrap(), "--title", "Two minima"])
            .assert()
            .success();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(start), "{name}");
        for word in ["Two minima", "digits-sgd", "digits-sam", "smallest 4", "eigenvalue of the Hessian"] {
            assert!(text.contains(word), "{name} lacks {word}");
        }
    }
    let path = folder.path().join("a.png");
    relief(&["plot", &sgd, "-o", path.to_str().unwrap()]).assert().success();
    assert_eq!(&std::fs::read(&path).unwrap()[1..4], b"PNG");
    let again = folder.path().join("b.png");
    relief(&["plot", &sgd, "-o", again.to_str().unwrap()]).assert().success();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap(), "the same bytes twice");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn eigenvalues_are_drawn_in_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let [sgd, sam] = saved(folder.path());
    let output = relief(&["plot", &sgd, &sam]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("eigenvalues by rank") && text.contains("digits-sam: min"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    let drawn = ["eigenvalues", "notebooks-data/digits-sgd.safetensors", "-k", "3", "--plot"];
    let text = String::from_utf8(relief(&drawn).output().unwrap().stdout).unwrap();
    assert!(text.contains("largest 3") && text.contains("eigenvalues by rank"), "{text}");
    // A document stays a document.
    json(&drawn, 0);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [sgd, _] = saved(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("foreign.json"), "{\"loss\": 3}").unwrap();
    std::fs::write(path("later.json"), "{\"schema\": \"relief/hologram/7\"}").unwrap();
    refuses(&["plot", &sgd, "-o", &path("a.bmp")], 2, &["a.bmp", ".svg, .png, .html"]);
    refuses(&["plot", &sgd, "-o", &path("nowhere/a.png")], 2, &["cannot be written"]);
    refuses(&["plot", &path("missing.json"), "-o", &path("a.png")], 3, &["missing.json"]);
    refuses(&["plot", "Cargo.toml", "-o", &path("a.png")], 3, &["Cargo.toml", "not a result"]);
    refuses(&["plot", &path("foreign.json"), "-o", &path("a.png")], 3, &["schema"]);
    refuses(
        &["plot", &path("later.json"), "-o", &path("a.png")],
        3,
        &["relief/hologram/7", "relief/eigenvalues/1"],
    );
    assert!(!folder.path().join("a.png").exists());
}

/// The folder of a run as training writes it, with a last row that is not complete yet.
fn run(folder: &Path, name: &str, top: f64) -> String {
    let run = folder.join(name);
    std::fs::create_dir_all(run.join("results")).unwrap();
    let mut rows: Vec<String> = (0..40)
        .map(|i| {
            let sharpness = top * (1.0 - (-f64::from(i) / 9.0).exp());
            let loss = 2.3 * (-f64::from(i) / 6.0).exp();
            format!(
                "{{\"step\": {}, \"loss/train\": {loss}, \"hessian/lambda_1\": {sharpness}, \"edge/gd\": 20, \"align/eps_v1\": {}}}",
                i * 10,
                0.9 * sharpness / top
            )
        })
        .collect();
    rows.push("{\"step\": 200, \"event\": \"eta halved\"}".into());
    rows.push("{\"step\": 400, \"loss/train\": null}".into());
    rows.push("{\"step\": 410, \"loss/tr".into());
    std::fs::write(run.join("metrics.jsonl"), rows.join("\n")).unwrap();
    run.display().to_string()
}

#[test]
fn a_run_is_drawn_and_its_page_gathers_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let (sgd, sam) = (run(folder.path(), "sgd", 19.5), run(folder.path(), "sam", 8.0));
    let [result, _] = saved(folder.path());
    std::fs::copy(result, Path::new(&sgd).join("results/at-the-end.json")).unwrap();
    let page = folder.path().join("report.html");
    relief(&["plot", &sgd, &sam, "-o", page.to_str().unwrap()]).assert().success();
    let text = std::fs::read_to_string(&page).unwrap();
    for word in ["sgd, sam", "λ₁", "2/η", "|cos|", "eta halved", "sgd, at-the-end: Eigenvalues", "largest 4"]
    {
        assert!(text.contains(word), "the page lacks {word}");
    }
    let picture = folder.path().join("run.png");
    relief(&["plot", &sgd, "-o", picture.to_str().unwrap()]).assert().success();
    assert_eq!(&std::fs::read(&picture).unwrap()[1..4], b"PNG");
    let events = folder.path().join("events");
    relief(&["plot", &sgd, "--tensorboard", events.to_str().unwrap()]).assert().success();
    let files: Vec<_> = std::fs::read_dir(events.join("sgd")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let bytes = std::fs::read(files[0].as_ref().unwrap().path()).unwrap();
    let parent = Path::new(&sgd).join("..").join("sgd").join(".").display().to_string();
    let again = folder.path().join("again");
    relief(&["plot", &parent, "--tensorboard", again.to_str().unwrap()]).assert().success();
    assert!(again.join("sgd").is_dir(), "a run has its folder's name, however it is written");
    let names = ["loss/train", "hessian/lambda_1", "figures/metrics"];
    assert!(names.iter().all(|tag| bytes.windows(tag.len()).any(|w| w == tag.as_bytes())));
}

#[test]
fn runs_that_differ_in_their_seeds_are_one_curve() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<String> =
        (1..=3).map(|i| run(folder.path(), &format!("sam-seed{i}"), 8.0 + f64::from(i))).collect();
    let sgd = run(folder.path(), "sgd", 19.5);
    let all: Vec<&str> = runs.iter().chain([&sgd]).map(String::as_str).collect();
    let path = |name: &str| folder.path().join(name).display().to_string();
    relief(&[&["plot"], &all[..], &["-o", &path("runs.svg")]].concat()).assert().success();
    let svg = std::fs::read_to_string(path("runs.svg")).unwrap();
    for word in ["sam (3 seeds): λ₁", "sgd: 2/η", "95 % confidence intervals"] {
        assert!(svg.contains(word), "the figure lacks {word}");
    }
    relief(&["plot", &runs[0], &sgd, "-o", &path("runs.csv")]).assert().success();
    let table = std::fs::read_to_string(path("runs.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "run,step,align/eps_v1,edge/gd,hessian/lambda_1,loss/train");
    assert_eq!(lines.len(), 1 + 2 * 41);
    assert!(lines[1].starts_with("sam-seed1,0,0,20,0,2.3"), "{}", lines[1]);
    assert_eq!(lines[41], "sam-seed1,400,,,,");
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let picture = folder.path().join("a.png").display().to_string();
    refuses(&["plot", &path, "-o", &picture], 3, &["metrics.jsonl"]);
    let metrics = folder.path().join("metrics.jsonl");
    std::fs::write(&metrics, "{\"loss\": 1}\n").unwrap();
    refuses(&["plot", &path, "-o", &picture], 3, &["line 1", "\"step\""]);
    std::fs::write(&metrics, "{\"step\": 1, \"loss\": \n{}\n").unwrap();
    refuses(&["plot", &path, "-o", &picture], 3, &["line 1", "JSON"]);
    std::fs::write(&metrics, "{\"step\": 1}\n").unwrap();
    refuses(&["plot", &path, "-o", &picture], 3, &["no numbers"]);
    std::fs::write(&metrics, "{\"step\": 1, \"loss\": 2}\n").unwrap();
    refuses(&["plot", &path], 2, &["-o FILE"]);
    refuses(&["plot", &path, "Cargo.toml", "-o", &picture], 2, &["run", "result"]);
}
