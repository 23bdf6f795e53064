//! The other verbs.

use super::*;

#[test]
fn quickstart_shows_two_minima() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = ["quickstart", "--folder", folder.path().to_str().unwrap()];
    let found = json(&quickstart, 0);
    let networks = found["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 2);
    for network in networks {
        assert!(network["accuracy"].as_f64().unwrap() > 0.98);
        assert_eq!(network["result"]["pairs"].as_array().unwrap().len(), 5);
        assert_eq!(network["result"]["smallest"].as_array().unwrap().len(), 1);
    }
    // What the two checkpoints are there to show: SAM stops where the loss is flatter.
    let top = |i: usize| networks[i]["result"]["pairs"][0]["value"].as_f64().unwrap();
    assert!(top(1) < 0.7 * top(0), "SGD {}, SAM {}", top(0), top(1));
    // The trace, and the top of the spectrum, which the few random vectors have to see as well.
    let spectra = found["spectra"].as_array().unwrap();
    assert_eq!(spectra.len(), 2);
    for (i, spectrum) in spectra.iter().enumerate() {
        let largest = spectrum["result"]["inner_bounds"][1].as_f64().unwrap();
        assert!((largest - top(i)).abs() < 1e-6 * top(i));
    }
    // Gradient descent comes to its edge of stability, SAM to a lower one.
    let trainings = found["trainings"].as_array().unwrap();
    let last = |i: usize, tag: &str| trainings[i]["result"]["last"][tag].as_f64().unwrap();
    assert!((last(0, "edge/distance") - 1.0).abs() < 0.1, "{}", last(0, "edge/distance"));
    assert!((last(1, "edge/distance") - 1.0).abs() < 0.2, "{}", last(1, "edge/distance"));
    assert!(last(1, "hessian/lambda_1") < 0.7 * last(0, "hessian/lambda_1"));
    let text = String::from_utf8(relief(&quickstart).output().unwrap().stdout).unwrap();
    assert!(text.contains("relief eigenvalues"), "it says what to run next");
    for file in
        ["report.html", "training.png", "eigenvalues.png", "spectra.png", "surfaces.png", "perspective.png"]
    {
        assert!(text.contains(file), "it says where the pictures are");
        assert!(std::fs::metadata(folder.path().join(file)).unwrap().len() > 5000, "{file}");
    }
}

#[test]
fn inspect_tells_parameters_from_buffers_and_names_the_models_that_fit() {
    let found = json(&["inspect", &fixture("fashion-cnn-bn.safetensors")], 0);
    assert_eq!(found["parameters"], 4290);
    let role = |name: &str| {
        let all = found["tensors"].as_array().unwrap();
        all.iter().find(|t| t["name"] == name).unwrap()["role"].clone()
    };
    assert_eq!(role("features.1.weight"), "parameter");
    assert_eq!(role("features.1.running_mean"), "buffer");
    let mlp = json(&["inspect", &fixture("digits-mlp-tanh.safetensors")], 0);
    let models = mlp["models"].as_array().unwrap();
    assert!(models.iter().any(|m| m.as_str().unwrap().starts_with("mlp:")), "{models:?}");
}

#[test]
fn check_passes_on_every_fixture() {
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        let mut arguments = digits(name);
        arguments[0] = "check".into();
        let found = json(&strs(&arguments), 0);
        assert_eq!(found["passed"], true);
        assert!(found["findings"].as_array().unwrap().len() >= 5);
    }
    let model = "tests/fixtures/fashion-cnn-bn.toml";
    let (checkpoint, data) = (fixture("fashion-cnn-bn.safetensors"), fixture("fashion-64.safetensors"));
    for mode in ["eval", "batch"] {
        json(&["check", &checkpoint, "--model", model, "--data", &data, "--bn", mode], 0);
    }
}

#[test]
fn models_lists_every_built_in() {
    let text = String::from_utf8(relief(&["models"]).output().unwrap().stdout).unwrap();
    for name in [
        "mlp",
        "cnn",
        "lenet5",
        "resnet18",
        "resnet20",
        "resnet56",
        "wrn-28-10",
        "vgg11",
        "vgg16",
        "vit",
        "gpt",
    ] {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
}

#[test]
fn completions_and_help_work_for_every_verb() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = relief(&["completions", shell]).output().unwrap();
        assert!(output.status.success() && output.stdout.len() > 500);
    }
    for verb in [
        "quickstart",
        "eigenvalues",
        "spectrum",
        "line",
        "surface",
        "inspect",
        "check",
        "plot",
        "models",
        "completions",
    ] {
        let text = String::from_utf8(relief(&[verb, "--help"]).output().unwrap().stdout).unwrap();
        assert!(text.contains("Examples:"), "{verb} shows no examples");
    }
}
