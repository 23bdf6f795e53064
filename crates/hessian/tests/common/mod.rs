//! The three networks whose Hessians PyTorch formed explicitly in float64, as objectives.

#![allow(dead_code, reason = "every test file uses some of it")]

pub(crate) mod matrices;

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use relief_autodiff::{ConvolutionOptions, GraphBuilder, PoolOptions, Value};
use relief_hessian::{Batch, GraphObjective, Parameters};
use serde_json::Value as Json;

/// A network with its data and PyTorch's numbers.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) x: Tensor,
    pub(crate) y: Tensor,
    /// `eigenvalues`, `top5_vectors`, `gradient`.
    pub(crate) reference: BTreeMap<String, Tensor>,
    /// The entry of `reference.json`.
    pub(crate) numbers: Json,
}

pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pytorch").join(file)
}

fn load(file: &str) -> BTreeMap<String, Tensor> {
    candle_core::safetensors::load(path(file), &Device::Cpu).unwrap().into_iter().collect()
}

impl Fixture {
    pub(crate) fn new(name: &'static str) -> Self {
        let json: Json = serde_json::from_slice(&std::fs::read(path("reference.json")).unwrap()).unwrap();
        let data = load(if name.starts_with("digits") {
            "digits-1000.safetensors"
        } else {
            "fashion-64.safetensors"
        });
        Self {
            name,
            tensors: load(&format!("{name}.safetensors")),
            x: data["x"].clone(),
            y: data["y"].to_dtype(DType::U32).unwrap(),
            reference: load(&format!("{name}.reference.safetensors")),
            numbers: json[name].clone(),
        }
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.numbers[key].as_f64().unwrap()
    }

    pub(crate) fn list(&self, key: &str) -> Vec<f64> {
        self.numbers[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    /// The objective over all examples in equal batches; `batch_statistics` only matters where there are norms.
    pub(crate) fn objective(
        &self,
        dtype: DType,
        batch_size: usize,
        batch_statistics: bool,
    ) -> GraphObjective {
        let total = self.y.dim(0).unwrap();
        let batches = (0..total)
            .step_by(batch_size)
            .map(|start| {
                let examples = batch_size.min(total - start);
                let part = |t: &Tensor| t.narrow(0, start, examples).unwrap();
                Batch { tensors: vec![part(&self.x), part(&self.y)], examples }
            })
            .collect();
        self.objective_over(dtype, batches, batch_statistics)
    }

    /// The objective over given batches.
    pub(crate) fn objective_over(
        &self,
        dtype: DType,
        batches: Vec<Batch>,
        batch_statistics: bool,
    ) -> GraphObjective {
        let buffer = |name: &str| name.contains("running");
        let float = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let (buffers, parameters): (BTreeMap<_, _>, BTreeMap<_, _>) = self
            .tensors
            .iter()
            .filter(|(_, t)| t.dtype().is_float())
            .map(|(n, t)| (n.clone(), float(t)))
            .partition(|(n, _)| buffer(n));
        let network = match self.name {
            "digits-mlp-tanh" => |g: &GraphBuilder, b: &[Value], _: bool| mlp(g, b, Value::tanh),
            "digits-mlp-relu" => |g: &GraphBuilder, b: &[Value], _: bool| mlp(g, b, Value::relu),
            _ => fashion,
        };
        let parameters = Parameters::new(parameters).unwrap();
        GraphObjective::new(parameters, buffers, batches, |g, b| network(g, b, batch_statistics)).unwrap()
    }

    /// A vector in PyTorch's flat order as one in ours (by name).
    pub(crate) fn reorder(&self, flat: &[f64], parameters: &Parameters) -> Vec<f64> {
        let order: Vec<&str> =
            self.numbers["order"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let mut start = 0;
        let mut pieces = BTreeMap::new();
        for name in order {
            let n = self.tensors[name].elem_count();
            pieces.insert(name, &flat[start..start + n]);
            start += n;
        }
        parameters.names().iter().flat_map(|n| pieces[n.as_str()].iter().copied()).collect()
    }
}

type Activation = fn(&Value) -> relief_autodiff::Result<Value>;

fn mlp(g: &GraphBuilder, batch: &[Value], activation: Activation) -> relief_autodiff::Result<(Value, Value)> {
    let mut x = batch[0].clone();
    for (layer, [from, to]) in [[64, 20], [20, 16], [16, 10]].into_iter().enumerate() {
        let weight = g.parameter(&format!("{}.weight", 2 * layer), &[to, from])?;
        let bias = g.parameter(&format!("{}.bias", 2 * layer), &[to])?;
        x = x.linear(&weight, Some(&bias))?;
        if layer < 2 {
            x = activation(&x)?;
        }
    }
    let loss = x.cross_entropy(&batch[1], 0.0)?;
    Ok((x, loss))
}

fn fashion(g: &GraphBuilder, batch: &[Value], statistics: bool) -> relief_autodiff::Result<(Value, Value)> {
    let conv = |x: &Value, name: &str, shape: [usize; 4], stride: usize| {
        let options = ConvolutionOptions { stride: [stride; 2], padding: [1, 1], ..Default::default() };
        let bias = g.parameter(&format!("{name}.bias"), &[shape[0]])?;
        x.conv2d(&g.parameter(&format!("{name}.weight"), &shape)?, Some(&bias), options)
    };
    let norm = |x: &Value, name: &str, n: usize| {
        let tensor = |part: &str| g.parameter(&format!("{name}.{part}"), &[n]);
        let (weight, bias) = (tensor("weight")?, tensor("bias")?);
        if statistics {
            return x.batch_norm_train(Some(&weight), Some(&bias), 1e-5);
        }
        x.batch_norm(&tensor("running_mean")?, &tensor("running_var")?, Some(&weight), Some(&bias), 1e-5)
    };
    let x = norm(&conv(&batch[0], "features.0", [4, 1, 3, 3], 1)?, "features.1", 4)?.relu()?;
    let x = x.max_pool2d(PoolOptions::square(2))?;
    let x = norm(&conv(&x, "features.4", [8, 4, 3, 3], 2)?, "features.5", 8)?.relu()?.flatten_from(1)?;
    let x = x.linear(
        &g.parameter("classifier.weight", &[10, 392])?,
        Some(&g.parameter("classifier.bias", &[10])?),
    )?;
    let loss = x.cross_entropy(&batch[1], 0.0)?;
    Ok((x, loss))
}
