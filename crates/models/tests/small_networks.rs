//! The networks of curvlinops' tests against PyTorch's explicit matrices (see `fixtures/make_second_derivatives.py`), in
//! one batch and in ragged ones, and against differences of the gradient.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Lanczos, Matrix, Objective, Outcome, Silent, Status, SymmetricOperator,
    Wanted, gradient,
};
use relief_models::architecture::Architecture;
use relief_models::data::{Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Task, TaskOptions};
use serde_json::Value as Json;

const MLP: &str = r#"
[[layers]]
type = "linear"
out_features = 5
[[layers]]
type = "relu"
[[layers]]
type = "linear"
out_features = 3
"#;

const CNN: &str = r#"
[[layers]]
type = "conv2d"
out_channels = 3
kernel_size = 5
[[layers]]
type = "relu"
[[layers]]
type = "max_pool2d"
kernel_size = 2
[[layers]]
type = "conv2d"
out_channels = 6
kernel_size = 5
[[layers]]
type = "relu"
[[layers]]
type = "max_pool2d"
kernel_size = 2
[[layers]]
type = "flatten"
[[layers]]
type = "linear"
out_features = 10
"#;

/// Name in the fixture, layers, loss and shape of the inputs.
const CASES: [(&str, &str, Loss, &[usize]); 4] = [
    ("mlp-cross-entropy", MLP, Loss::CrossEntropy, &[7, 10]),
    ("mlp-binary-cross-entropy", MLP, Loss::BinaryCrossEntropy, &[8, 10]),
    ("mlp-mse-3d", MLP, Loss::Mse, &[8, 4, 10]),
    ("cnn-cross-entropy", CNN, Loss::CrossEntropy, &[8, 1, 20, 20]),
];

/// The generator of the fixture's script: numbers in [-1, 1).
struct Numbers(u64);

impl Numbers {
    fn draw(&mut self, count: usize) -> Vec<f64> {
        let next = |_| {
            self.0 = (self.0 * 1_103_515_245 + 12_345) % (1 << 31);
            self.0 as f64 / f64::from(1 << 30) - 1.0
        };
        (0..count).map(next).collect()
    }

    fn tensor(&mut self, dims: &[usize], scale: f64) -> Tensor {
        let entries: Vec<f64> = self.draw(dims.iter().product()).iter().map(|x| scale * x).collect();
        Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
    }
}

/// A network with its data, the vector v, and PyTorch's numbers.
struct Case {
    name: &'static str,
    model: Architecture,
    tensors: BTreeMap<String, Tensor>,
    data: Dataset,
    loss: Loss,
    v: Vec<f64>,
    expected: Json,
}

impl Case {
    fn all() -> Vec<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/second_derivatives.json");
        let json: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        CASES.iter().map(|case| Self::new(case, &json)).collect()
    }

    fn new(&(name, layers, loss, shape): &(&'static str, &str, Loss, &[usize]), json: &Json) -> Self {
        let file = format!("input = {:?}\n{layers}", &shape[1..]);
        let model = Architecture::from_model_file("net.toml", &file).unwrap();
        let mut numbers = Numbers(1);
        // In the order of their names, as the script draws them.
        let mut tensors = model.random_parameters(&shape[1..], 0, DType::F64).unwrap();
        for tensor in tensors.values_mut() {
            *tensor = numbers.tensor(tensor.dims(), 0.5);
        }
        let x = numbers.tensor(shape, 1.0);
        let mut outputs = vec![shape[0]];
        outputs
            .extend(json[name]["outputs"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize));
        let targets = match loss {
            Loss::CrossEntropy => {
                let label = |t: &f64| ((t + 1.0) / 2.0 * outputs[1] as f64).floor() as u32;
                let labels: Vec<u32> = numbers.draw(outputs[0]).iter().map(label).collect();
                Targets::Classes(Tensor::new(labels, &Device::Cpu).unwrap())
            }
            Loss::BinaryCrossEntropy => {
                Targets::Real(((numbers.tensor(&outputs, 1.0) + 1.0).unwrap() / 2.0).unwrap())
            }
            _ => Targets::Real(numbers.tensor(&outputs, 1.0)),
        };
        let v = numbers.draw(tensors.values().map(Tensor::elem_count).sum());
        let data = Dataset::from_tensors(name, x, targets).unwrap();
        Self { name, model, tensors, data, loss, v, expected: json[name].clone() }
    }

    fn task(&self, batch_size: usize) -> Task {
        let options = TaskOptions {
            loss: Some(self.loss),
            dtype: DType::F64,
            batch_size: Some(batch_size),
            ..TaskOptions::default()
        };
        Task::new(&self.model, &self.tensors, &self.data, &options).unwrap()
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        self.expected[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }
}

fn at_point(task: &Task) -> Curvature<'_> {
    Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap()
}

fn unit(n: usize, i: usize) -> Vec<f64> {
    (0..n).map(|j| f64::from(u8::from(i == j))).collect()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    let (error, size) = (norm(&difference), norm(expected));
    assert!(error <= tolerance * size, "{what}: off by {error:e} of {size}");
}

#[test]
fn derivatives_are_pytorchs() {
    for case in Case::all() {
        let all = case.data.examples();
        // 7 = 4 + 3 and 8 = 6 + 2 are ragged.
        for batch_size in [all, if all == 7 { 4 } else { 6 }, 1] {
            let task = case.task(batch_size);
            let curvature = at_point(&task);
            let what = format!("{}, batches of {batch_size}", case.name);
            assert_close(&[curvature.loss()], &[case.expected["loss"].as_f64().unwrap()], 1e-13, &what);
            assert_close(curvature.gradient(), &case.numbers("gradient"), 1e-12, &what);
            for (matrix, key) in
                [(Matrix::Hessian, "hessian_product"), (Matrix::GaussNewton, "gauss_newton_product")]
            {
                let mut product = vec![0.0; case.v.len()];
                curvature.operator(matrix).apply(&case.v, &mut product).unwrap();
                assert_close(&product, &case.numbers(key), 1e-12, &format!("{what}, {key}"));
            }
        }
    }
}

#[test]
fn whole_spectra_are_pytorchs() {
    for case in Case::all() {
        let task = case.task(case.data.examples());
        let curvature = at_point(&task);
        let n = case.v.len();
        let units: Vec<Vec<f64>> = (0..n).map(|i| unit(n, i)).collect();
        for (matrix, key) in
            [(Matrix::Hessian, "hessian_eigenvalues"), (Matrix::GaussNewton, "gauss_newton_eigenvalues")]
        {
            let rows = curvature.operator(matrix).apply_block(&units).unwrap();
            let expected = case.numbers(key);
            let scale = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            let asymmetry = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
            assert!(
                asymmetry.map(|(i, j)| (rows[i][j] - rows[j][i]).abs()).fold(0.0, f64::max) < 1e-13 * scale
            );
            let found = faer::Mat::from_fn(n, n, |i, j| rows[i][j])
                .self_adjoint_eigenvalues(faer::Side::Lower)
                .unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 1e-12 * scale,
                    "{}, {key}: {found} {expected}",
                    case.name
                );
            }

            let wanted = Wanted::Both { largest: 3, smallest: 3 };
            let solver = Lanczos { wanted, tolerance: 1e-9, ..Lanczos::default() };
            let run = solver.run(&curvature.operator(matrix), None, &mut Silent).unwrap();
            let Outcome::Done(eigen) = run else { panic!() };
            assert_eq!(eigen.status, Status::Converged, "{}, {key}", case.name);
            let ends = expected.iter().rev().take(3).chain(expected.iter().take(3));
            for (pair, expected) in eigen.pairs().zip(ends) {
                let error = (pair.value - expected).abs();
                assert!(error <= pair.error_bound + 1e-13 * scale, "{}, {key}: {error:e}", case.name);
            }
        }
    }
}

/// Independent of any rule of differentiation but the gradient's, which `gradients_are_slopes_of_the_loss` holds against the
/// loss.
#[test]
fn columns_of_the_hessian_are_differences_of_the_gradient() {
    for case in Case::all() {
        let task = case.task(3);
        let (curvature, at) = (at_point(&task), task.objective.parameters());
        let n = case.v.len();
        let slope =
            |x: &[f64], step: f64| gradient(&task.objective, &at.displaced(x, step).unwrap()).unwrap().1;
        // Steps too short to reach a kink of these weights and data.
        let step = 1e-6;
        for i in (0..n).step_by(n / 73) {
            let mut column = vec![0.0; n];
            curvature.hessian().apply(&unit(n, i), &mut column).unwrap();
            let (after, before) = (slope(&unit(n, i), step), slope(&unit(n, i), -step));
            let difference: Vec<f64> =
                after.iter().zip(&before).map(|(a, b)| (a - b) / (2.0 * step)).collect();
            let error: Vec<f64> = column.iter().zip(&difference).map(|(a, b)| a - b).collect();
            assert!(
                norm(&error) <= 1e-6 * norm(&column).max(1e-2),
                "{}, column {i}: {:e}",
                case.name,
                norm(&error)
            );
        }
    }
}

/// Max-pool's above all, which other engines got wrong by the size of the window.
#[test]
fn gradients_are_slopes_of_the_loss() {
    for case in Case::all() {
        let task = case.task(3);
        let (curvature, at) = (at_point(&task), task.objective.parameters());
        let loss =
            |step: f64| relief_hessian::loss(&task.objective, &at.displaced(&case.v, step).unwrap()).unwrap();
        let slope: f64 = curvature.gradient().iter().zip(&case.v).map(|(g, v)| g * v).sum();
        let difference = (loss(1e-6) - loss(-1e-6)) / 2e-6;
        assert!((difference - slope).abs() <= 1e-7 * slope.abs(), "{}: {difference} {slope}", case.name);
    }
}
