//! Small networks in f64, built operation by operation.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_autodiff::{ConvolutionOptions, GraphBuilder, Value};
use relief_hessian::{Batch, Error, GraphObjective, OutputRoots, Parameters};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Task, TaskOptions};
use serde_json::Value as Json;

type Built = relief_autodiff::Result<(Value, Value)>;

/// Outputs from inputs.
type Outputs = fn(&GraphBuilder, &Value) -> relief_autodiff::Result<Value>;

/// The networks of `fixtures/make_kronecker.py`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Net {
    Convolutional,
    Shared,
}

impl Net {
    fn build(self, g: &GraphBuilder, batch: &[Value]) -> Built {
        let bias = |name: &str, n: usize| g.parameter(&format!("{name}.bias"), &[n]);
        let weight = |name: &str, shape: &[usize]| g.parameter(&format!("{name}.weight"), shape);
        let linear = |x: &Value, name: &str, [from, to]: [usize; 2]| {
            x.linear(&weight(name, &[to, from])?, Some(&bias(name, to)?))
        };
        if self == Self::Shared {
            let x = linear(&batch[0], "first", [4, 3])?.tanh()?.flatten_from(1)?;
            let x = linear(&x, "last", [9, 2])?;
            let loss = x.mse(&batch[1])?;
            return Ok((x, loss));
        }
        let options = ConvolutionOptions { padding: [1, 1], ..Default::default() };
        let x =
            batch[0].conv2d(&weight("conv1", &[3, 2, 3, 3])?, Some(&bias("conv1", 3)?), options)?.tanh()?;
        let options = ConvolutionOptions { stride: [2, 2], ..options };
        let x = x.conv2d(&weight("conv2", &[4, 3, 3, 2])?, None, options)?.tanh()?.flatten_from(1)?;
        let x = linear(&linear(&x, "fc1", [36, 5])?.tanh()?, "fc2", [5, 3])?;
        let loss = x.cross_entropy(&batch[1], 0.0)?;
        Ok((x, loss))
    }

    fn shapes(self) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::Shared => vec![
                ("first.weight", vec![3, 4]),
                ("first.bias", vec![3]),
                ("last.weight", vec![2, 9]),
                ("last.bias", vec![2]),
            ],
            Self::Convolutional => vec![
                ("conv1.weight", vec![3, 2, 3, 3]),
                ("conv1.bias", vec![3]),
                ("conv2.weight", vec![4, 3, 3, 2]),
                ("fc1.weight", vec![5, 36]),
                ("fc1.bias", vec![5]),
                ("fc2.weight", vec![3, 5]),
                ("fc2.bias", vec![3]),
            ],
        }
    }
}

/// Standard normal entries.
fn normal(dims: &[usize], seed: u64) -> Tensor {
    use rand_distr::{Distribution, StandardNormal};
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let entries: Vec<f64> = (0..dims.iter().product()).map(|_| StandardNormal.sample(&mut random)).collect();
    Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
}

fn classes(n: usize, of: usize) -> Tensor {
    Tensor::from_vec((0..n).map(|i| (i * i % of) as u32).collect::<Vec<_>>(), n, &Device::Cpu).unwrap()
}

/// Named tensors drawn from a seed, each a normal one over the root of its columns.
fn parameters(shapes: &[(&str, Vec<usize>)], seed: u64) -> Parameters {
    let draw = |(i, (name, shape)): (usize, &(&str, Vec<usize>))| {
        let columns = shape[1..].iter().product::<usize>() as f64;
        let tensor = (normal(shape, seed * 100 + i as u64) / columns.sqrt()).unwrap();
        ((*name).to_string(), tensor)
    };
    Parameters::new(shapes.iter().enumerate().map(draw)).unwrap()
}

/// In batches of four and what is left.
fn batches(x: &Tensor, y: &Tensor) -> Vec<Batch> {
    let n = x.dim(0).unwrap();
    (0..n)
        .step_by(4)
        .map(|start| {
            let examples = 4.min(n - start);
            let part = |t: &Tensor| t.narrow(0, start, examples).unwrap();
            Batch { tensors: vec![part(x), part(y)], examples }
        })
        .collect()
}

fn objective(
    parameters: Parameters,
    x: &Tensor,
    y: &Tensor,
    build: impl Fn(&GraphBuilder, &[Value]) -> Built,
) -> GraphObjective {
    GraphObjective::new(parameters, BTreeMap::new(), batches(x, y), build).unwrap()
}

fn tensor(json: &Json, shape: &[usize]) -> Tensor {
    Tensor::from_vec(super::numbers(json), shape, &Device::Cpu).unwrap()
}

/// A case of the fixture, in its batches of four and two.
pub(crate) fn from_json(net: Net, case: &Json) -> GraphObjective {
    let named = net
        .shapes()
        .into_iter()
        .map(|(name, shape)| (name.to_string(), tensor(&case["parameters"][name], &shape)));
    let parameters = Parameters::new(named).unwrap();
    let (x, y) = match net {
        Net::Shared => (tensor(&case["x"], &[6, 3, 4]), tensor(&case["y"], &[6, 2])),
        Net::Convolutional => {
            (tensor(&case["x"], &[6, 2, 5, 5]), tensor(&case["y"], &[6]).to_dtype(DType::U32).unwrap())
        }
    };
    objective(parameters, &x, &y, |g, b| net.build(g, b))
}

/// A vector in PyTorch's order as one in the parameters'.
pub(crate) fn reorder(case: &Json, flat: &[f64], at: &Parameters) -> Vec<f64> {
    let mut start = 0;
    let mut pieces = BTreeMap::new();
    for name in case["order"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let n = at.iter().find(|(known, _)| *known == name).unwrap().1.elem_count();
        pieces.insert(name, &flat[start..start + n]);
        start += n;
    }
    at.names().iter().flat_map(|name| pieces[name.as_str()].iter().copied()).collect()
}

/// A network and data drawn from a seed, with its loss.
pub(crate) fn random(net: Net, seed: u64) -> (GraphObjective, Loss) {
    let at = parameters(&net.shapes(), seed);
    let (x, y, loss) = match net {
        Net::Shared => (normal(&[5, 3, 4], seed + 50), normal(&[5, 2], seed + 60), Loss::Mse),
        Net::Convolutional => (normal(&[7, 2, 5, 5], seed + 50), classes(7, 3), Loss::CrossEntropy),
    };
    (objective(at, &x, &y, |g, b| net.build(g, b)), loss)
}

/// Linear layers `1`, `2`, ... with biases and an activation between them.
fn layers(
    g: &GraphBuilder,
    x: &Value,
    widths: &[usize],
    activation: impl Fn(&Value) -> relief_autodiff::Result<Value>,
) -> relief_autodiff::Result<Value> {
    let mut x = x.clone();
    for (i, pair) in widths.windows(2).enumerate() {
        let weight = g.parameter(&format!("{}.weight", i + 1), &[pair[1], pair[0]])?;
        let bias = g.parameter(&format!("{}.bias", i + 1), &[pair[1]])?;
        x = if i > 0 { activation(&x)? } else { x };
        x = x.linear(&weight, Some(&bias))?;
    }
    Ok(x)
}

fn of_layers(widths: &[usize], seed: u64) -> Parameters {
    let names: Vec<[String; 2]> =
        (1..widths.len()).map(|i| [format!("{i}.weight"), format!("{i}.bias")]).collect();
    let shapes: Vec<(&str, Vec<usize>)> = names
        .iter()
        .zip(widths.windows(2))
        .flat_map(|([weight, bias], pair)| {
            [(weight.as_str(), vec![pair[1], pair[0]]), (bias.as_str(), vec![pair[1]])]
        })
        .collect();
    parameters(&shapes, seed)
}

/// A perceptron with tanh and half a squared error, in one batch.
pub(crate) fn perceptron(n: usize, widths: [usize; 3], seed: u64) -> GraphObjective {
    let tensors = vec![normal(&[n, widths[0]], seed + 1), normal(&[n, widths[2]], seed + 2)];
    let batches = vec![Batch { tensors, examples: n }];
    GraphObjective::new(of_layers(&widths, seed), BTreeMap::new(), batches, |g, b| {
        let x = layers(g, &b[0], &widths, Value::tanh)?;
        let loss = x.half_squared_error(&b[1])?;
        Ok((x, loss))
    })
    .unwrap()
}

/// The inputs of a batch.
pub(crate) fn inputs(objective: &GraphObjective, batch: usize) -> Vec<f64> {
    objective.batch(batch).tensors[0].flatten_all().unwrap().to_vec1().unwrap()
}

/// The entries of a parameter.
pub(crate) fn rows(at: &Parameters, name: &str) -> Vec<f64> {
    at.iter().find(|(known, _)| *known == name).unwrap().1.flatten_all().unwrap().to_vec1().unwrap()
}

/// A linear map of `n` examples to three outputs.
pub(crate) fn regression(n: usize, loss: Loss, seed: u64) -> GraphObjective {
    let y = match loss {
        Loss::CrossEntropy => classes(n, 3),
        _ => normal(&[n, 3], seed + 2).abs().unwrap().clamp(0.0, 1.0).unwrap(),
    };
    objective(of_layers(&[4, 3], seed), &normal(&[n, 4], seed + 1), &y, move |g, b| {
        let x = layers(g, &b[0], &[4, 3], Value::tanh)?;
        let value = loss.value(&x, &b[1], 0.0)?;
        Ok((x, value))
    })
}

/// Linear layers one after the other with a mean squared error.
pub(crate) fn deep_linear(n: usize, widths: [usize; 4]) -> GraphObjective {
    objective(of_layers(&widths, 1), &normal(&[n, widths[0]], 2), &normal(&[n, widths[3]], 3), |g, b| {
        let x = layers(g, &b[0], &widths, |x| Ok(x.clone()))?;
        let loss = x.mse(&b[1])?;
        Ok((x, loss))
    })
}

/// A convolution whose kernel covers the image, and the linear layer that it is.
pub(crate) fn image_and_vector(n: usize) -> [GraphObjective; 2] {
    let (x, y) = (normal(&[n, 2, 3, 4], 5), classes(n, 3));
    let weight = normal(&[3, 2, 3, 4], 6);
    let with = |weight: &Tensor| {
        let named = [("w".to_string(), (weight / 4.0).unwrap()), ("bias".to_string(), normal(&[3], 7))];
        Parameters::new(named).unwrap()
    };
    let image = objective(with(&weight), &x, &y, |g, b| {
        let (weight, bias) = (g.parameter("w", &[3, 2, 3, 4])?, g.parameter("bias", &[3])?);
        let x = b[0].conv2d(&weight, Some(&bias), ConvolutionOptions::default())?.flatten_from(1)?;
        let loss = x.cross_entropy(&b[1], 0.0)?;
        Ok((x, loss))
    });
    let flat = weight.reshape((3, 24)).unwrap();
    let vector = objective(with(&flat), &x.reshape((n, 24)).unwrap(), &y, |g, b| {
        // A weight that is stored the other way round is a layer, too, but not PyTorch's.
        let x = b[0].linear(&g.parameter("w", &[3, 24])?, None)?.add(&g.parameter("bias", &[3])?)?;
        let loss = x.cross_entropy(&b[1], 0.0)?;
        Ok((x, loss))
    });
    [image, vector]
}

/// A recurrent-free text model: every position predicts a token from all positions. The weight `w` is stored [inputs, outputs].
pub(crate) fn sequence() -> (GraphObjective, usize) {
    let shapes = [("w", vec![4, 5]), ("mix.weight", vec![12, 12])];
    let y = Tensor::from_vec((0..9).map(|i| i % 5).collect::<Vec<u32>>(), (3, 3), &Device::Cpu).unwrap();
    let objective = objective(parameters(&shapes, 3), &normal(&[3, 3, 4], 4), &y, |g, b| {
        let n = b[0].dim(0)?;
        let x = b[0].flatten_from(1)?.linear(&g.parameter("mix.weight", &[12, 12])?, None)?.tanh()?;
        let x = x.reshape(&[n, 3, 4])?.matmul(&g.parameter("w", &[4, 5])?)?;
        let loss = x.token_cross_entropy(&b[1], 0.0)?;
        Ok((x, loss))
    });
    (objective, 3)
}

/// Exact roots of a loss for outputs of a shape.
pub(crate) fn roots(loss: Loss, outputs: &[usize]) -> OutputRoots<'static> {
    OutputRoots::new(loss.root_columns(outputs), move |_, linearization, k| {
        loss.root_column(&linearization.outputs()?, k).map_err(|e| Error::Other(e.to_string()))
    })
}

/// Roots of so many drawn targets.
pub(crate) fn sampled(loss: Loss, draws: usize) -> OutputRoots<'static> {
    OutputRoots::new(draws, move |batch, linearization, k| {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        random.set_stream((batch * draws + k) as u64);
        let slopes = loss.sampled_slopes(&linearization.outputs()?, &mut random);
        Ok((slopes.map_err(|e| Error::Other(e.to_string()))? / (draws as f64).sqrt())?)
    })
}

pub(crate) fn options(batch_size: Option<usize>) -> TaskOptions {
    TaskOptions { dtype: DType::F64, batch_size, ..TaskOptions::default() }
}

/// Some digits and a network for them.
pub(crate) fn data(examples: usize) -> (Dataset, Architecture, BTreeMap<String, Tensor>) {
    let model = Architecture::parse("mlp:widths=64-5-10,activation=tanh").unwrap();
    let options = DataOptions { limit: Some(examples), dtype: DType::F64, ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let tensors = model.random_parameters(data.example_shape(), 4, DType::F64).unwrap();
    (data, model, tensors)
}

/// The trained network of PyTorch's fixtures on a part of its digits.
pub(crate) fn trained() -> Task {
    let file = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pytorch");
        let found = candle_core::safetensors::load(format!("{folder}/{name}"), &Device::Cpu).unwrap();
        found.into_iter().collect::<BTreeMap<String, Tensor>>()
    };
    let (tensors, digits) = (file("digits-mlp-tanh.safetensors"), file("digits-1000.safetensors"));
    let model = Architecture::parse("mlp:widths=64-20-16-10,activation=tanh").unwrap();
    let part = |name: &str| digits[name].narrow(0, 0, 1000).unwrap();
    let labels = part("y").to_dtype(DType::U32).unwrap();
    let data = Dataset::from_tensors("digits", part("x"), Targets::Classes(labels)).unwrap();
    Task::new(&model, &tensors, &data, &options(None)).unwrap()
}

/// Built-in architectures, and how many layers they have.
pub(crate) const KINDS: [(&str, usize); 4] = [
    // The last layer's weight is the embedding's too.
    ("gpt:depth=1,width=8,heads=2,vocabulary=5,context=4", 4),
    ("vit:width=12,depth=1,heads=3,patch=4,image=8,classes=5", 6),
    ("resnet20:width=2,classes=4", 20),
    ("cnn:channels=4-3,classes=3", 3),
];

/// Two examples for a network drawn at random.
pub(crate) fn of_kind(spec: &str) -> Task {
    let model = Architecture::parse(spec).unwrap();
    let tokens = |first: u32| {
        let entries: Vec<u32> = (first..first + 8).map(|i| i * i % 5).collect();
        Tensor::from_vec(entries, (2, 4), &Device::Cpu).unwrap()
    };
    let (inputs, targets) = if spec.starts_with("gpt") {
        (tokens(1), Targets::Tokens(tokens(2)))
    } else {
        (normal(&[2, 3, 8, 8], 1), Targets::Classes(classes(2, 3)))
    };
    let data = Dataset::from_tensors("made up", inputs, targets).unwrap();
    let tensors = model.random_parameters(data.example_shape(), 1, DType::F64).unwrap();
    Task::new(&model, &tensors, &data, &options(None)).unwrap()
}

/// A tensor with zeros for all examples but one.
pub(crate) fn of_example(x: &Tensor, example: usize) -> Tensor {
    let n = x.dim(0).unwrap();
    let part = |i: usize| {
        let part = x.narrow(0, i, 1).unwrap();
        if i == example { part } else { part.zeros_like().unwrap() }
    };
    Tensor::cat(&(0..n).map(part).collect::<Vec<_>>(), 0).unwrap()
}

/// Networks in which `w` is no layer's weight, with a word of the reason.
pub(crate) fn refused() -> Vec<(Outputs, &'static str)> {
    vec![
        (
            |g, x| {
                let w = g.parameter("w", &[4, 4])?;
                x.linear(&w, None)?.tanh()?.linear(&w, None)
            },
            "2 times",
        ),
        (|g, x| x.mul(&g.parameter("w", &[4])?), "entry by entry"),
        (|g, x| x.add(&g.parameter("w", &[4])?), "`add`"),
        (|g, x| x.linear(&g.parameter("w", &[8, 4])?.narrow(0, 0, 4)?, None), "`narrow`"),
        (|g, x| g.parameter("w", &[4, 4])?.matmul(&x.t()?)?.t(), "left"),
    ]
}

/// A network of that kind on five examples of four numbers.
pub(crate) fn small(build: Outputs) -> GraphObjective {
    let probe = GraphBuilder::new();
    build(&probe, &probe.input(&[5, 4])).unwrap();
    let named = probe.named().into_iter().map(|(name, shape)| (name, normal(&shape, 1)));
    let tensors = vec![normal(&[5, 4], 2), normal(&[5, 4], 3)];
    let batches = vec![Batch { tensors, examples: 5 }];
    GraphObjective::new(Parameters::new(named).unwrap(), BTreeMap::new(), batches, |g, b| {
        let x = build(g, &b[0])?;
        let loss = x.mse(&b[1])?;
        Ok((x, loss))
    })
    .unwrap()
}
