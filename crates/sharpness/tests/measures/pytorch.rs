//! Against explicit Hessians, themselves held against PyTorch's numbers.

use candle_core::DType;
use relief_hessian::{
    Curvature, DEFAULT_MEMORY, Dense, Error, FiniteSum, Lanczos, Objective, OuterProducts, Sampling,
    SymmetricOperator, Target, gradient,
};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Minibatches, Task, TaskOptions};
use relief_sharpness::measures::{
    Centre, RelativeFlatness, Uncertainty, eigenvalues, fisher_rao, stand_in, trace, unit_flatness,
    weighted_lambda_max, weighted_trace,
};

use super::{close, dot, error_of};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pytorch");

fn fixture(name: &str, activation: &str, limit: Option<usize>) -> (Task, Minibatches) {
    let load = DataOptions { dtype: DType::F64, limit, ..DataOptions::default() };
    let data = Dataset::load(&format!("{FIXTURES}/digits-1000.safetensors"), &load).unwrap();
    let checkpoint = Checkpoint::load(format!("{FIXTURES}/{name}.safetensors").as_ref()).unwrap();
    let model = Architecture::parse(&format!("mlp:activation={activation}")).unwrap();
    let model = model.infer(&checkpoint.shapes()).unwrap();
    let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
    let options = TaskOptions { dtype: DType::F64, ..TaskOptions::default() };
    let task = Task::new(&model, &tensors, &data, &options).unwrap();
    (task, Minibatches::new(&model, &tensors, &data, &options).unwrap())
}

#[test]
fn weighted_measures_and_relative_flatness_are_those_of_the_explicit_matrix() {
    let (task, _) = fixture("digits-mlp-tanh", "tanh", None);
    let at = task.objective.parameters();
    let n = at.len();
    let curvature = Curvature::new(&task.objective, at, DEFAULT_MEMORY).unwrap();
    let hessian = curvature.hessian();
    let mut columns: Vec<Vec<f64>> = vec![];
    for start in (0..n).step_by(64) {
        let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
        let block: Vec<Vec<f64>> = (start..n.min(start + 64)).map(unit).collect();
        columns.extend(hessian.apply_block(&block).unwrap());
    }
    // PyTorch's numbers, from the fixture's reference.json.
    close((0..n).map(|i| columns[i][i]).sum(), 22.680_741_432_851_16, 1e-10);
    close(columns.iter().flatten().map(|x| x * x).sum::<f64>().sqrt(), 6.382_032_993_892_49, 1e-10);

    let w = at.to_vec().unwrap();
    let sampling = Sampling::default();
    let weighted: f64 = (0..n).map(|i| w[i] * w[i] * columns[i][i]).sum();
    let found = weighted_trace(&hessian, at, &sampling).unwrap();
    assert!((found.value - weighted).abs() < 4.0 * error_of(&found), "{} {weighted}", found.value);
    let plain = trace(&hessian, &sampling).unwrap();
    assert!((plain.value - 22.680_741_432_851_16).abs() < 4.0 * error_of(&plain));

    let entries = (0..n * n).map(|k| w[k / n].abs() * columns[k / n][k % n] * w[k % n].abs());
    let symmetric: Vec<f64> = entries.collect();
    let symmetric = (0..n * n).map(|k| 0.5 * (symmetric[k] + symmetric[k % n * n + k / n])).collect();
    let [top, _] = eigenvalues(&Dense::new(n, symmetric).unwrap(), &Lanczos::default()).unwrap();
    let found = weighted_lambda_max(&hessian, at, &Lanczos::default()).unwrap();
    assert!((found.value - top.value).abs() <= error_of(&found) + error_of(&top));

    for (name, range) in at.ranges().into_iter().filter(|(name, _)| name.ends_with("weight")) {
        let tensor = at.iter().find(|(other, _)| *other == name).unwrap().1;
        let (rows, width) = tensor.dims2().unwrap();
        let weights = &w[range.clone()];
        let mut kappa = 0.0;
        for s in 0..rows {
            for t in 0..rows {
                let block: f64 = (0..width)
                    .map(|j| columns[range.start + s * width + j][range.start + t * width + j])
                    .sum();
                kappa +=
                    dot(&weights[s * width..(s + 1) * width], &weights[t * width..(t + 1) * width]) * block;
            }
        }
        let settings = RelativeFlatness { layer: name.into(), sampling: sampling.clone() };
        let found = settings.measure(&hessian, at).unwrap();
        assert!((found.value - kappa).abs() < 4.0 * error_of(&found), "{name}: {} {kappa}", found.value);
        if rows == 10 {
            let all = Sampling { target: Target::Products(rows * width), ..Sampling::default() };
            let exact = RelativeFlatness { layer: name.into(), sampling: all }.measure(&hessian, at).unwrap();
            assert_eq!(exact.uncertainty, Uncertainty::Exact);
            close(exact.value, kappa, 1e-10);
            let by_unit: f64 = (0..rows)
                .map(|s| {
                    let begin = range.start + s * width;
                    let entry = |k: usize| {
                        let (i, j) = (begin + k / width, begin + k % width);
                        0.5 * (columns[i][j] + columns[j][i])
                    };
                    let block = Dense::new(width, (0..width * width).map(entry).collect()).unwrap();
                    let row = &weights[s * width..(s + 1) * width];
                    dot(row, row) * eigenvalues(&block, &Lanczos::default()).unwrap()[0].value
                })
                .sum();
            let found = unit_flatness(name, &hessian, at, &Lanczos::default()).unwrap();
            assert!((found.value - by_unit).abs() <= 2.0 * error_of(&found), "{} {by_unit}", found.value);
        }
    }
}

#[test]
fn matrices_that_stand_in_for_the_hessian() {
    let (task, examples) = fixture("digits-mlp-tanh", "tanh", Some(60));
    let at = task.objective.parameters();
    let curvature = Curvature::new(&task.objective, at, DEFAULT_MEMORY).unwrap();
    let gradients: Vec<Vec<f64>> =
        (0..60).map(|i| gradient(examples.over(&[i]).unwrap().as_ref(), at).unwrap().1).collect();
    // The empirical Fisher matrix has the eigenvalues of the gradients' Gram matrix.
    let gram = (0..3600).map(|k| dot(&gradients[k / 60], &gradients[k % 60]) / 60.0).collect();
    let gram = Dense::new(60, gram).unwrap();
    let fisher = OuterProducts::empirical_fisher(&curvature).unwrap();
    let [top, _] = eigenvalues(&gram, &Lanczos::default()).unwrap();
    let [found, trace] =
        stand_in(("F", "empirical Fisher"), &fisher, &Lanczos::default(), &Sampling::default()).unwrap();
    assert_eq!((&*found.name, &*trace.name), ("empirical-fisher-lambda-max", "empirical-fisher-trace"));
    assert!((found.value - top.value).abs() <= error_of(&found) + error_of(&top));
    let squares = gradients.iter().map(|g| dot(g, g)).sum::<f64>() / 60.0;
    assert!((trace.value - squares).abs() < 4.0 * error_of(&trace), "{} {squares}", trace.value);
}

#[test]
fn the_fisher_rao_norm_is_made_of_the_examples_gradients() {
    let (task, examples) = fixture("digits-mlp-relu", "relu", Some(60));
    let at = task.objective.parameters();
    let centre = Centre::new(&task.objective, at).unwrap();
    let slopes = |batch, outputs: &candle_core::Tensor, direction: &candle_core::Tensor| {
        task.slopes(batch, outputs, direction).map_err(|e| Error::Other(e.to_string()))
    };
    let found = fisher_rao(&centre, 3, &slopes).unwrap();
    let w = at.to_vec().unwrap();
    let squares = (0..60).map(|i| {
        let one = examples.over(&[i]).unwrap();
        dot(&gradient(one.as_ref(), at).unwrap().1, &w).powi(2)
    });
    close(found.value, (squares.sum::<f64>() / 60.0).sqrt(), 1e-11);

    // Without biases the outputs are homogeneous in the weights, and both forms agree.
    let flat: Vec<f64> = at
        .ranges()
        .into_iter()
        .flat_map(|(name, range)| {
            let bias = name.ends_with("bias");
            w[range].iter().map(move |x| if bias { 0.0 } else { *x }).collect::<Vec<_>>()
        })
        .collect();
    let centre = Centre::new(&task.objective, &at.at(&flat).unwrap()).unwrap();
    let found = fisher_rao(&centre, 3, &slopes).unwrap();
    close(found.value, found.beside["homogeneous"], 1e-11);
}
