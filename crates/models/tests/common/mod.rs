//! Logits of an architecture, and those that PyTorch gave for the same tensors (see `fixtures/make_architectures.py`).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use relief_autodiff::GraphBuilder;
use relief_models::architecture::{Architecture, BatchNormMode, Net, Role, Shapes};

/// The tensors of one case, in float64 where they are real.
pub(crate) struct Case {
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) input: Tensor,
    pub(crate) eval: Tensor,
    pub(crate) train: Option<Tensor>,
}

impl Case {
    pub(crate) fn shapes(&self) -> Shapes {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect()
    }
}

/// Every case of the fixture, by name.
pub(crate) fn cases() -> BTreeMap<String, Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/architectures.safetensors");
    let mut all: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    for tensor in all.values_mut() {
        if tensor.dtype().is_float() {
            *tensor = tensor.to_dtype(DType::F64).unwrap();
        }
    }
    let names: Vec<String> = all.keys().filter_map(|k| k.strip_suffix("/in")).map(Into::into).collect();
    let case = |name: String| {
        let prefix = format!("{name}/p/");
        let tensors =
            all.iter().filter_map(|(k, t)| Some((k.strip_prefix(&prefix)?.into(), t.clone()))).collect();
        let case = Case {
            tensors,
            input: all[&format!("{name}/in")].clone(),
            eval: all[&format!("{name}/eval")].clone(),
            train: all.get(&format!("{name}/train")).cloned(),
        };
        (name, case)
    };
    names.into_iter().map(case).collect()
}

/// Logits of a batch, and the notes left on the way.
pub(crate) fn logits(
    architecture: &Architecture,
    tensors: &BTreeMap<String, Tensor>,
    input: &Tensor,
    mode: BatchNormMode,
) -> (Tensor, Vec<String>) {
    let graph = GraphBuilder::new();
    let net = Net::new(&graph, mode);
    let outputs = architecture.build(&net, &graph.input(input.dims())).unwrap();
    let roles: BTreeMap<String, Role> =
        net.tensors().into_iter().map(|(name, _, role)| (name, role)).collect();
    let trainable = |name: &str| roles[name] == Role::Parameter;
    let finished = graph.finish(&outputs, &outputs.sum_all().unwrap(), trainable).unwrap();
    let parameters: Vec<Tensor> = finished.parameter_names().map(|name| tensors[name].clone()).collect();
    let found = finished.evaluate(&parameters, tensors, std::slice::from_ref(input)).unwrap().outputs;
    (found, net.notes())
}

/// Largest difference, relative to the largest entry expected.
pub(crate) fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (found, expected) = (numbers(found), numbers(expected));
    let size = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max) / size
}
