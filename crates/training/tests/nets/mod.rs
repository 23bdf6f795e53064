//! Small networks that reach the edge of stability within seconds.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Eigen, Lanczos, Objective, Outcome, Parameters, Silent, Wanted,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};

fn options() -> TaskOptions {
    TaskOptions { dtype: DType::F64, loss: Some(Loss::HalfSquaredError), ..TaskOptions::default() }
}

/// Regression of the fifth Chebyshev polynomial at 20 points with 100 tanh units and 300 parameters (Cohen et al. 2021,
/// appendix): the hidden biases are weights of an input that is 1.
pub(crate) fn chebyshev() -> Minibatches {
    let xs: Vec<f64> = (0..20).map(|i| -1.0 + 2.0 * f64::from(i) / 19.0).collect();
    let inputs: Vec<f64> = xs.iter().flat_map(|x| [*x, 1.0]).collect();
    let targets: Vec<f64> = xs.iter().map(|x| 16.0 * x.powi(5) - 20.0 * x.powi(3) + 5.0 * x).collect();
    let tensor = |values: Vec<f64>, shape| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    let data =
        Dataset::from_tensors("chebyshev", tensor(inputs, (20, 2)), Targets::Real(tensor(targets, (20, 1))))
            .unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut normal = |deviation: f64| deviation * random.sample::<f64, _>(StandardNormal);
    let spread = (2.0_f64 / 101.0).sqrt();
    let first = (0..100).flat_map(|_| [normal(1.9 * spread), 0.0]).collect();
    let second = (0..100).map(|_| normal(spread)).collect();
    let start = [("0.weight", tensor(first, (100, 2))), ("2.weight", tensor(second, (1, 100)))];
    let start: BTreeMap<_, _> = start.map(|(name, t)| (name.to_string(), t)).into();
    let model = Architecture::parse("mlp:widths=2-100-1,activation=tanh,bias=false").unwrap();
    Minibatches::new(&model, &start, &data, &options()).unwrap()
}

/// The first digits with the mean of every pixel taken off.
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) fn digits(examples: usize, widths: &str) -> Minibatches {
    let options_of_data = DataOptions { dtype: DType::F64, limit: Some(examples), ..DataOptions::default() };
    let data = Dataset::load("digits", &options_of_data).unwrap();
    let inputs = data.inputs.broadcast_sub(&data.inputs.mean_keepdim(0).unwrap()).unwrap();
    let data = Dataset::from_tensors("digits", inputs, data.targets).unwrap();
    let model = Architecture::parse(&format!("mlp:widths={widths},activation=tanh")).unwrap();
    let start = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    Minibatches::new(&model, &start, &data, &options()).unwrap()
}

/// The k largest eigenvalues at a point.
pub(crate) fn largest(
    objective: &dyn Objective,
    at: &Parameters,
    k: usize,
    tolerance: f64,
    start: Option<&[Vec<f64>]>,
) -> Eigen {
    let curvature = Curvature::new(objective, at, DEFAULT_MEMORY).unwrap();
    let lanczos = Lanczos { wanted: Wanted::Largest { k }, tolerance, ..Lanczos::default() };
    let Outcome::Done(eigen) = lanczos.run(&curvature.hessian(), start, &mut Silent).unwrap() else {
        panic!("nothing interrupts")
    };
    eigen
}
