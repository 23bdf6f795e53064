//! The cases against PyTorch's loss, gradient and double backward in double precision, see `make_operations.py`.

mod common;

use candle_core::{Device, Tensor};
use common::case::Case;
use common::cases::cases;
use common::devices::devices;
use common::vectors::{distance, entries, flat};
use std::collections::BTreeMap;

/// PyTorch's tensors of one case, by the rest of their names.
type Reference = BTreeMap<String, Tensor>;

fn references() -> BTreeMap<String, Reference> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/operations.safetensors");
    let mut references = BTreeMap::<String, Reference>::new();
    for (name, tensor) in candle_core::safetensors::load(path, &Device::Cpu).expect("the fixture") {
        let (case, rest) = name.split_once('/').expect("case/tensor");
        references.entry(case.into()).or_default().insert(rest.into(), tensor);
    }
    references
}

/// How far loss, gradient and H v are from PyTorch's, at PyTorch's point.
fn disagreement(case: &Case, reference: &Reference) -> [f64; 3] {
    let graph = case.graph(|_| true);
    let all = |kind: &str| -> Vec<Tensor> {
        graph.parameter_names().map(|name| reference[&format!("{kind}/{name}")].clone()).collect()
    };
    let batch: Vec<_> = (0..).map_while(|i| reference.get(&format!("input/{i}")).cloned()).collect();
    let linearized = graph
        .linearize(&case.placed(&all("parameter")), &BTreeMap::new(), &batch)
        .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let product = linearized.hessian_product(&all("direction")).expect("a product");
    [
        distance(&[linearized.loss()], &entries(&reference["loss"])),
        distance(&flat(linearized.gradient()), &flat(&all("gradient"))),
        distance(&flat(&product), &flat(&all("product"))),
    ]
}

#[test]
fn loss_gradient_and_hessian_product_are_pytorchs() {
    let references = references();
    let mut failures = vec![];
    let mut compared = 0;
    for device in devices() {
        for case in cases() {
            let Some(reference) = references.get(&case.name) else { continue };
            let case = case.on(device);
            compared += 1;
            let errors = disagreement(&case, reference);
            if errors.iter().any(|error| error > &1e-12) {
                let place = device.location();
                failures.push(format!("{place:?}: {}: loss, gradient, H v off by {errors:?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(compared, references.len() * devices().len(), "a case of the fixture is not in the list");
}
