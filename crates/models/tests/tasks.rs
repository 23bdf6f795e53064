//! Losses and batches against their definitions.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Curvature, DEFAULT_MEMORY, Objective, Restricted, SymmetricOperator, loss};
use relief_models::architecture::{Architecture, BatchNormMode};
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Task, TaskOptions};

fn reals(dims: &[usize], seed: usize) -> Tensor {
    let n: usize = dims.iter().product();
    let entries: Vec<f64> = (0..n).map(|i| ((i * 37 + seed * 101) % 97) as f64 / 48.0 - 1.0).collect();
    Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
}

fn labels(entries: &[u32]) -> Tensor {
    Tensor::new(entries, &Device::Cpu).unwrap()
}

/// A linear map from 4 features, so that the outputs are x W' + b.
fn linear(outputs: usize) -> (Architecture, BTreeMap<String, Tensor>) {
    let model = Architecture::parse(&format!("mlp:widths=4-{outputs}")).unwrap();
    let tensors = [("0.weight", reals(&[outputs, 4], 1)), ("0.bias", reals(&[outputs], 2))];
    (model, tensors.map(|(n, t)| (n.to_string(), t)).into())
}

fn logits(tensors: &BTreeMap<String, Tensor>, x: &Tensor) -> Vec<Vec<f64>> {
    let product = x.matmul(&tensors["0.weight"].t().unwrap().contiguous().unwrap()).unwrap();
    product.broadcast_add(&tensors["0.bias"]).unwrap().to_vec2().unwrap()
}

fn options(loss: Loss) -> TaskOptions {
    TaskOptions { loss: Some(loss), dtype: DType::F64, ..TaskOptions::default() }
}

fn value(outputs: usize, targets: Targets, options: &TaskOptions) -> (f64, Vec<Vec<f64>>) {
    let (model, tensors) = linear(outputs);
    let x = reals(&[6, 4], 3);
    let data = Dataset::from_tensors("made up", x.clone(), targets).unwrap();
    let task = Task::new(&model, &tensors, &data, options).unwrap();
    (loss(&task.objective, task.objective.parameters()).unwrap(), logits(&tensors, &x))
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-14 * expected.abs().max(1.0),
        "found {found}, expected {expected}"
    );
}

const CLASSES: [u32; 6] = [0, 2, 1, 1, 0, 2];

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let partition = row.iter().map(|x| x.exp()).sum::<f64>().ln();
    row.iter().map(|x| x - partition).collect()
}

#[test]
fn cross_entropy_with_and_without_label_smoothing() {
    for smoothing in [0.0, 0.1] {
        let options = TaskOptions { smoothing, ..options(Loss::CrossEntropy) };
        let (found, rows) = value(3, Targets::Classes(labels(&CLASSES)), &options);
        let one = |(row, &label): (&Vec<f64>, &u32)| {
            let log = log_softmax(row);
            -(1.0 - smoothing) * log[label as usize] - smoothing / 3.0 * log.iter().sum::<f64>()
        };
        assert_close(found, rows.iter().zip(&CLASSES).map(one).sum::<f64>() / 6.0);
    }
}

#[test]
fn normalized_logits_are_of_length_one_and_blind_to_factors() {
    let options = TaskOptions { normalized_logits: true, ..options(Loss::CrossEntropy) };
    let (found, logits) = value(3, Targets::Classes(labels(&CLASSES)), &options);
    let expected: f64 = logits
        .iter()
        .zip(CLASSES)
        .map(|(row, class)| {
            let mean = row.iter().sum::<f64>() / 3.0;
            let length = row.iter().map(|z| (z - mean).powi(2)).sum::<f64>().sqrt();
            let unit: Vec<f64> = row.iter().map(|z| (z - mean) / length).collect();
            -log_softmax(&unit)[class as usize]
        })
        .sum();
    assert_close(found, expected / 6.0);

    let (model, tensors) = linear(3);
    let sevenfold: BTreeMap<_, _> =
        tensors.iter().map(|(name, t)| (name.clone(), t.affine(7.0, 0.0).unwrap())).collect();
    let data =
        Dataset::from_tensors("made up", reals(&[6, 4], 3), Targets::Classes(labels(&CLASSES))).unwrap();
    let task = Task::new(&model, &sevenfold, &data, &options).unwrap();
    assert_close(loss(&task.objective, task.objective.parameters()).unwrap(), expected / 6.0);
    assert!(task.notes.iter().any(|note| note.contains("divided by their length")));

    let (model, tensors) = linear(1);
    let data = Dataset::from_tensors("made up", reals(&[6, 4], 3), Targets::Real(reals(&[6, 1], 1))).unwrap();
    let one = TaskOptions { loss: None, ..options };
    let refused = Task::new(&model, &tensors, &data, &one).unwrap_err().to_string();
    assert!(refused.contains("at least 2 classes"), "{refused}");
}

#[test]
fn squared_errors_in_both_conventions() {
    let targets = reals(&[6, 3], 5);
    let expected = targets.to_vec2::<f64>().unwrap();
    let squares = |rows: &[Vec<f64>], targets: &[Vec<f64>]| -> f64 {
        rows.iter().flatten().zip(targets.iter().flatten()).map(|(a, b)| (a - b).powi(2)).sum()
    };
    let (found, rows) = value(3, Targets::Real(targets.clone()), &options(Loss::Mse));
    assert_close(found, squares(&rows, &expected) / 18.0);
    let (found, rows) = value(3, Targets::Real(targets), &options(Loss::HalfSquaredError));
    assert_close(found, squares(&rows, &expected) / 12.0);

    let one_hot: Vec<Vec<f64>> =
        CLASSES.iter().map(|&c| (0..3).map(|i| if i == c { 1.0 } else { 0.0 }).collect()).collect();
    let (found, rows) = value(3, Targets::Classes(labels(&CLASSES)), &options(Loss::HalfSquaredError));
    assert_close(found, squares(&rows, &one_hot) / 12.0);
}

#[test]
fn binary_cross_entropy_of_one_output() {
    let (found, rows) =
        value(1, Targets::Classes(labels(&[0, 1, 1, 0, 1, 0])), &options(Loss::BinaryCrossEntropy));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let one =
        |(row, t): (&Vec<f64>, f64)| -(t * sigmoid(row[0]).ln() + (1.0 - t) * (1.0 - sigmoid(row[0])).ln());
    assert_close(found, rows.iter().zip([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]).map(one).sum::<f64>() / 6.0);
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let refuse = |outputs: usize, targets: Targets, options: &TaskOptions, words: &[&str]| {
        let (model, tensors) = linear(outputs);
        let data = Dataset::from_tensors("made up", reals(&[6, 4], 3), targets).unwrap();
        let message = Task::new(&model, &tensors, &data, options).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let classes = || Targets::Classes(labels(&[0, 2, 1, 3, 0, 2]));
    refuse(3, classes(), &options(Loss::CrossEntropy), &["label 3", "3 outputs"]);
    refuse(3, classes(), &options(Loss::NextToken), &["next-token", "class labels", "cross-entropy"]);
    refuse(1, classes(), &options(Loss::BinaryCrossEntropy), &["label 2"]);
    // [n] against [n, 1] broadcasts to [n, n] in other tools, silently.
    refuse(3, Targets::Real(reals(&[6], 1)), &options(Loss::Mse), &["[6]", "[6, 3]"]);
    refuse(3, Targets::Real(reals(&[6, 3], 1)), &options(Loss::BinaryCrossEntropy), &["between 0 and 1"]);
    let smooth = TaskOptions { smoothing: 0.1, ..options(Loss::Mse) };
    refuse(3, Targets::Real(reals(&[6, 3], 1)), &smooth, &["label smoothing"]);
}

#[test]
fn next_token_loss_of_a_small_gpt() {
    let model = Architecture::parse("gpt:vocabulary=5,context=4,width=8,depth=1,heads=2").unwrap();
    let ids = Tensor::new(&[[0u32, 3, 1, 4], [2, 2, 0, 1]], &Device::Cpu).unwrap();
    let next = Tensor::new(&[[3u32, 1, 4, 0], [2, 0, 1, 3]], &Device::Cpu).unwrap();
    let data = Dataset::from_tensors("text", ids, Targets::Tokens(next)).unwrap();
    let tensors = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    let task = Task::new(&model, &tensors, &data, &options(Loss::NextToken)).unwrap();
    let found = loss(&task.objective, task.objective.parameters()).unwrap();
    // Nearly uniform predictions at the start.
    assert!((found - 5f64.ln()).abs() < 0.1, "{found}");
    assert!(relief_hessian::check(&task.objective, 0).unwrap().passed());
}

fn digits_task(options: &TaskOptions) -> Task {
    let data =
        Dataset::load("digits", &DataOptions { limit: Some(90), dtype: DType::F64, ..Default::default() })
            .unwrap();
    let model = Architecture::parse("mlp:widths=64-8-10,activation=tanh").unwrap();
    let tensors = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    Task::new(&model, &tensors, &data, options).unwrap()
}

fn product(task: &Task) -> (f64, Vec<f64>) {
    let curvature = Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap();
    let v: Vec<f64> = (0..curvature.parameters().len()).map(|i| ((i * 7 % 13) as f64 - 6.0) / 10.0).collect();
    let mut out = vec![0.0; v.len()];
    curvature.hessian().apply(&v, &mut out).unwrap();
    (curvature.loss(), out)
}

#[test]
fn batches_change_nothing_but_rounding() {
    let with = |batch_size| {
        digits_task(&TaskOptions { batch_size: Some(batch_size), ..options(Loss::CrossEntropy) })
    };
    let (loss, whole) = product(&with(90));
    for size in [1, 7, 32, 89] {
        let (found, parts) = product(&with(size));
        assert_close(found, loss);
        assert!(parts.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-13), "batch size {size}");
    }
}

#[test]
fn weight_decay_adds_to_loss_gradient_and_products() {
    let (plain_loss, plain) = product(&digits_task(&options(Loss::CrossEntropy)));
    let task = digits_task(&TaskOptions { weight_decay: 0.3, ..options(Loss::CrossEntropy) });
    let theta = task.objective.parameters().to_vec().unwrap();
    let (loss, decayed) = product(&task);
    assert_close(loss, plain_loss + 0.15 * theta.iter().map(|x| x * x).sum::<f64>());
    let v = |i: usize| ((i * 7 % 13) as f64 - 6.0) / 10.0;
    assert!(decayed.iter().zip(&plain).enumerate().all(|(i, (a, b))| (a - b - 0.3 * v(i)).abs() < 1e-13));
}

#[test]
fn chosen_parameters_give_their_block_of_the_matrix() {
    let whole = digits_task(&options(Loss::CrossEntropy));
    let part = digits_task(&TaskOptions { parameters: vec!["2.*".into()], ..options(Loss::CrossEntropy) });
    let at = whole.objective.parameters();
    let ranges =
        at.ranges().into_iter().filter(|(name, _)| name.starts_with("2.")).map(|(_, range)| range).collect();
    let all = Curvature::new(&whole.objective, at, DEFAULT_MEMORY).unwrap();
    let block = Restricted::new(all.hessian(), ranges).unwrap();
    let own = Curvature::new(&part.objective, part.objective.parameters(), DEFAULT_MEMORY).unwrap();
    let n = own.hessian().dim();
    assert_eq!(block.dim(), n);
    let v: Vec<f64> = (0..n).map(|i| (i % 5) as f64 - 2.0).collect();
    let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
    block.apply(&v, &mut a).unwrap();
    own.hessian().apply(&v, &mut b).unwrap();
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-13));
}

#[test]
fn accuracy_counts_the_largest_output() {
    let (model, tensors) = linear(3);
    let x = reals(&[6, 4], 3);
    let rows = logits(&tensors, &x);
    let best: Vec<u32> = rows
        .iter()
        .map(|row| (0..3u32).max_by(|&a, &b| row[a as usize].total_cmp(&row[b as usize])).unwrap())
        .collect();
    let mut targets = best.clone();
    targets[4] = (targets[4] + 1) % 3;
    let data = Dataset::from_tensors("made up", x, Targets::Classes(labels(&targets))).unwrap();
    let task = Task::new(&model, &tensors, &data, &options(Loss::CrossEntropy)).unwrap();
    assert_eq!(task.accuracy(task.objective.parameters()).unwrap(), Some(5.0 / 6.0));
}

#[test]
fn batch_statistics_need_all_examples_at_once() {
    let model = Architecture::from_model_file(
        "net.toml",
        "input = [4]\n[[layers]]\ntype = \"batch_norm1d\"\n[[layers]]\ntype = \"linear\"\nout_features = 3\n",
    )
    .unwrap();
    let data =
        Dataset::from_tensors("made up", reals(&[6, 4], 3), Targets::Classes(labels(&CLASSES))).unwrap();
    let tensors = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    let build = |options: &TaskOptions| Task::new(&model, &tensors, &data, options);
    let batch = TaskOptions { batch_norm: BatchNormMode::Batch, ..options(Loss::CrossEntropy) };
    assert_eq!(build(&batch).unwrap().batch_size, 6);
    let parts = TaskOptions { batch_size: Some(3), ..batch.clone() };
    assert!(build(&parts).unwrap_err().to_string().contains('6'));
    assert!(build(&TaskOptions { statistics_per_batch: true, ..parts }).is_ok());
    assert_eq!(build(&options(Loss::CrossEntropy)).unwrap().batch_norm, Some(BatchNormMode::Eval));
}
