//! Blocks of explicit Hessians, by themselves and together, against PyTorch's numbers.

use super::*;

/// Eigenvalues of blocks and of preconditioned matrices, as `make_blocks.py` found them.
pub(crate) fn explicit() -> Json {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(fixture("blocks.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The ends of a spectrum that were asked for must be those of an explicit matrix; what is tiny, to the matrix's own rounding.
#[track_caller]
pub(crate) fn assert_ends(result: &Json, expected: &Json) {
    let scale = numbers(&expected["largest"])[0];
    let both = [("pairs", "largest"), ("smallest", "smallest")];
    for (list, name) in both.into_iter().filter(|(list, _)| result.get(list).is_some()) {
        let (found, expected) = (values(&result[list]), numbers(&expected[name]));
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(expected) {
            let allowed = (1e-8 * expected.abs()).max(1e-14 * scale);
            assert!((found - expected).abs() <= allowed, "found {found}, expected {expected}");
        }
    }
}

/// Both ends of the tanh networks' Hessians. The smallest eigenvalues of the others' are clusters at 0.
pub(crate) fn ends<'a>(name: &str, operator: &'a str) -> Vec<&'a str> {
    let which = if operator == "hessian" && name.ends_with("tanh") { "both" } else { "largest" };
    vec!["-k", "5", "--which", which, "--tol", "1e-11", "--max-products", "4000", "--operator", operator]
}

#[test]
fn every_layers_block_agrees_with_the_explicit_one() {
    let expected = explicit();
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        for operator in ["hessian", "gauss-newton"] {
            let layers = &expected[name][operator]["layers"];
            let arguments = digits(name);
            let found = json(&[&strs(&arguments)[..], &ends(name, operator), &["--per-layer"]].concat(), 0);
            assert_eq!(found["operator"], operator);
            let list = found["result"]["layers"].as_array().unwrap();
            assert_eq!(list.len(), 3);
            for layer in list {
                assert_ends(layer, &layers[layer["name"].as_str().unwrap()]);
            }
        }
    }
}

#[test]
fn block_diagonal_parts_agree_with_explicit_ones() {
    let expected = explicit();
    for name in ["digits-mlp-tanh", "digits-mlp-relu"] {
        for (operator, part, blocks) in [
            ("hessian", "by-layer", &["layer"][..]),
            ("hessian", "by-tensor", &["tensor"]),
            ("gauss-newton", "by-layer", &["0.*", "2.*", "4.*"]),
            ("hessian", "two-groups", &["[02].*", "4.weight"]),
        ] {
            let arguments = digits(name);
            let found =
                json(&[&strs(&arguments)[..], &ends(name, operator), &["--blocks"], blocks].concat(), 0);
            assert_ends(&found["result"], &expected[name][operator][part]);
            assert_eq!(found["operator"], format!("block-diagonal {operator}"));
            let counts: Vec<u64> = found["blocks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|b| b["parameters"].as_u64().unwrap())
                .collect();
            assert_eq!(counts.iter().sum::<u64>(), found["parameters"].as_u64().unwrap());
            assert_eq!(found["work"]["products"].as_u64().unwrap() % counts.len() as u64, 0);
            if part == "two-groups" {
                assert_eq!(counts, [1300 + 336, 160]);
            }
        }
    }
}

#[test]
fn blocks_serve_trace_and_spectrum_and_go_by_themselves() {
    let expected = &explicit()["digits-mlp-tanh"]["hessian"];
    let of = |verb: &'static str, more: &[&'static str]| {
        let mut arguments = digits("digits-mlp-tanh");
        arguments[0] = verb.into();
        arguments.extend(more.iter().map(ToString::to_string));
        arguments
    };
    // All columns: exact.
    let arguments = of("trace", &["--products", "336", "--blocks", "2.*"]);
    let trace = json(&strs(&arguments), 0);
    let layer = &expected["layers"]["2"];
    assert_all_close(
        &[trace["result"]["value"].as_f64().unwrap()],
        &[layer["trace"].as_f64().unwrap()],
        1e-10,
    );
    let arguments = of("spectrum", &["--blocks", "2.*", "4.*", "--probes", "1", "--steps", "90"]);
    let spectrum = json(&strs(&arguments), 0);
    let largest = ["2", "4"].map(|layer| numbers(&expected["layers"][layer]["largest"])[0]);
    let inner = numbers(&spectrum["result"]["inner_bounds"])[1];
    assert_all_close(&[inner], &[largest[0].max(largest[1])], 1e-8);
    assert_eq!(spectrum["result"]["n"], 336 + 170);

    let arguments = of("eigenvalues", &["--blocks", "0.*", "4.*", "--per-block"]);
    let each = json(&[&strs(&arguments)[..], &ends("digits-mlp-tanh", "hessian")].concat(), 0);
    let list = each["result"]["layers"].as_array().unwrap();
    assert_eq!(list.iter().map(|layer| layer["name"].as_str().unwrap()).collect::<Vec<_>>(), ["0.*", "4.*"]);
    assert_ends(&list[0], &expected["layers"]["0"]);
    assert_ends(&list[1], &expected["layers"]["4"]);
}

#[test]
fn a_layer_of_few_parameters_gives_all_its_eigenvalues() {
    let mut arguments = digits("digits-mlp-tanh");
    arguments.extend(["--blocks", "*.bias", "4.weight", "--per-block", "-k", "100"].map(String::from));
    let found = json(&strs(&arguments), 0);
    let list = found["result"]["layers"].as_array().unwrap();
    assert_eq!(list[0]["pairs"].as_array().unwrap().len(), 46);
    assert_eq!(list[1]["pairs"].as_array().unwrap().len(), 100);
    let notes = found["notes"].to_string();
    assert!(notes.contains("fewer than 100") && notes.contains("*.bias"), "{notes}");
}

#[test]
fn blocks_that_make_no_sense_are_refused() {
    let arguments = digits("digits-mlp-tanh");
    let refused =
        |more: &[&str], code, words: &[&str]| refuses(&[&strs(&arguments)[..], more].concat(), code, words);
    refused(&["--blocks", "0.*", "*.bias"], 3, &["overlap", "`0.bias`"]);
    refused(&["--blocks", "0.*", "conv*"], 3, &["conv*"]);
    refused(&["--blocks", "layer", "--operator", "tangent-kernel"], 2, &["tangent kernel", "--blocks"]);
    refused(&["--per-layer", "--blocks", "layer"], 2, &["--per-layer"]);
    refused(&["--per-block"], 2, &["--blocks"]);
    refused(&["-k", "0"], 2, &["-k 0"]);
    refused(&["-k", "0", "--per-layer"], 2, &["-k 0"]);
}
