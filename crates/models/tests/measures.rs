//! What a forward pass tells, batch norm's statistics, and mini-batches.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Epochs, FiniteSum, Objective, gradient};
use relief_models::architecture::{Architecture, BatchNormMode};
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Measure, Minibatches, StatisticsPass, Task, TaskOptions};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

struct Given {
    model: Architecture,
    tensors: BTreeMap<String, Tensor>,
    data: Dataset,
}

impl Given {
    /// A perceptron on digits, or a CNN with batch norm on images of clothes.
    fn new(batch_norm: bool, limit: usize) -> Self {
        let (name, data, model) = if batch_norm {
            ("fashion-cnn-bn", "fashion-64", format!("{FIXTURES}/fashion-cnn-bn.toml"))
        } else {
            ("digits-mlp-tanh", "digits-1000", "mlp:activation=tanh".to_string())
        };
        let load = DataOptions { dtype: DType::F64, limit: Some(limit), ..DataOptions::default() };
        let data = Dataset::load(&format!("{FIXTURES}/pytorch/{data}.safetensors"), &load).unwrap();
        let path = format!("{FIXTURES}/pytorch/{name}.safetensors");
        let checkpoint = Checkpoint::load(path.as_ref()).unwrap();
        let model = Architecture::parse(&model).unwrap().infer(&checkpoint.shapes()).unwrap();
        let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
        Self { model, tensors, data }
    }

    fn task(&self, options: &TaskOptions) -> Task {
        Task::new(&self.model, &self.tensors, &self.data, options).unwrap()
    }
}

fn options() -> TaskOptions {
    TaskOptions { dtype: DType::F64, ..TaskOptions::default() }
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-3), "{a} {b}");
}

#[test]
fn examples_losses_have_the_loss_as_their_mean() {
    let reals = |dims: &[usize], seed: usize| {
        let n: usize = dims.iter().product();
        let entries: Vec<f64> = (0..n).map(|i| ((i * 37 + seed * 101) % 97) as f64 / 48.0 - 1.0).collect();
        Tensor::from_vec(entries, dims, &Device::Cpu).unwrap()
    };
    let model = Architecture::parse("mlp:widths=4-3").unwrap();
    let tensors: BTreeMap<String, Tensor> =
        [("0.weight", reals(&[3, 4], 1)), ("0.bias", reals(&[3], 2))].map(|(n, t)| (n.to_string(), t)).into();
    let classes = || Targets::Classes(Tensor::new(&[0u32, 2, 1, 1, 0, 2], &Device::Cpu).unwrap());
    let cases = [
        (Loss::CrossEntropy, 0.0, classes()),
        (Loss::CrossEntropy, 0.2, classes()),
        (Loss::Mse, 0.0, Targets::Real(reals(&[6, 3], 5))),
        (Loss::HalfSquaredError, 0.0, classes()),
        (Loss::BinaryCrossEntropy, 0.0, classes()),
    ];
    for (loss, smoothing, targets) in cases {
        let data = Dataset::from_tensors("made up", reals(&[6, 4], 3), targets).unwrap();
        let options = TaskOptions { loss: Some(loss), smoothing, batch_size: Some(4), ..options() };
        let task = Task::new(&model, &tensors, &data, &options).unwrap();
        let all: Vec<f64> = (0..task.objective.batches())
            .flat_map(|b| {
                let outputs =
                    task.objective.evaluate(task.objective.parameters(), b).unwrap().outputs.unwrap();
                loss.of_examples(&outputs, &task.objective.batch(b).tensors[1], smoothing).unwrap()
            })
            .collect();
        assert_eq!(all.len(), 6);
        let how = Measure { in_detail: true, ..Measure::default() };
        let measured = task.measure_as(task.objective.parameters(), &how).unwrap();
        let mean = all.iter().sum::<f64>() / 6.0;
        close(mean, measured.loss);
        let variance = all.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 5.0;
        close(measured.standard_error.unwrap(), (variance / 6.0).sqrt());
    }
}

#[test]
fn slopes_of_examples_are_differences_of_their_losses() {
    let outputs: Vec<f64> = (0..12).map(|i| f64::from((i * 37) % 23) / 9.0 - 1.0).collect();
    let direction: Vec<f64> = (0..12).map(|i| f64::from((i * 29) % 17) / 8.0 - 1.0).collect();
    let moved = |step: f64| {
        let entries: Vec<f64> = outputs.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
        Tensor::from_vec(entries, (4, 3), &Device::Cpu).unwrap()
    };
    let along = Tensor::from_vec(direction.clone(), (4, 3), &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32, 2, 1, 1], &Device::Cpu).unwrap();
    let reals = moved(0.3).affine(0.25, 0.4).unwrap();
    let cases = [
        (Loss::CrossEntropy, &labels, 0.0),
        (Loss::CrossEntropy, &labels, 0.1),
        (Loss::Mse, &reals, 0.0),
        (Loss::HalfSquaredError, &reals, 0.0),
        (Loss::BinaryCrossEntropy, &reals, 0.0),
    ];
    for (loss, targets, smoothing) in cases {
        let slopes = loss.slopes_of_examples(&moved(0.0), targets, &along, smoothing).unwrap();
        let at = |step| loss.of_examples(&moved(step), targets, smoothing).unwrap();
        let (h, above, below) = (1e-5, at(1e-5), at(-1e-5));
        assert_eq!(slopes.len(), 4);
        for (slope, (a, b)) in slopes.iter().zip(above.iter().zip(&below)) {
            assert!((slope - (a - b) / (2.0 * h)).abs() < 1e-9, "{loss}: {slope}");
        }
    }
    let wrong = Tensor::zeros((4, 2), DType::F64, &Device::Cpu).unwrap();
    let refused = Loss::CrossEntropy.slopes_of_examples(&moved(0.0), &labels, &wrong, 0.0);
    assert!(refused.unwrap_err().to_string().contains("shape"));
}

#[test]
fn text_has_a_loss_for_every_sequence() {
    let model = Architecture::parse("gpt:depth=1,width=8,heads=2,vocabulary=5,context=4").unwrap();
    let tensors = model.random_parameters(&[4], 1, DType::F64).unwrap();
    let ids = |shift: u32| {
        let entries: Vec<u32> = (0..12).map(|i| (i * 3 + shift) % 5).collect();
        Tensor::from_vec(entries, (3, 4), &Device::Cpu).unwrap()
    };
    let data = Dataset::from_tensors("text", ids(0), Targets::Tokens(ids(1))).unwrap();
    let task = Task::new(&model, &tensors, &data, &options()).unwrap();
    let at = task.objective.parameters();
    let outputs = task.objective.evaluate(at, 0).unwrap().outputs.unwrap();
    let all = Loss::NextToken.of_examples(&outputs, &task.objective.batch(0).tensors[1], 0.0).unwrap();
    assert_eq!(all.len(), 3);
    let measured = task.measure_as(at, &Measure { in_detail: true, ..Measure::default() }).unwrap();
    close(all.iter().sum::<f64>() / 3.0, measured.loss);
    assert!(measured.classes.is_empty(), "tokens are no classes of examples");
}

#[test]
fn classes_make_up_the_whole() {
    let task = Given::new(false, 500).task(&options());
    let at = task.objective.parameters();
    let measured = task.measure_as(at, &Measure { in_detail: true, ..Measure::default() }).unwrap();
    assert_eq!(measured.classes.len(), 10);
    let sum = |of: fn(&relief_models::task::ClassMeasured) -> f64| {
        measured.classes.iter().map(|c| c.examples as f64 * of(c)).sum::<f64>() / 500.0
    };
    close(sum(|c| c.loss), measured.loss);
    close(sum(|c| c.accuracy), measured.accuracy.unwrap());
    assert_eq!(measured.classes.iter().map(|c| c.examples).sum::<usize>(), 500);
}

#[test]
fn a_cap_is_reached_only_by_losses_above_it() {
    let task = Given::new(false, 500).task(&TaskOptions { batch_size: Some(50), ..options() });
    let far =
        task.objective.parameters().displaced(&vec![0.3; task.objective.parameters().len()], 1.0).unwrap();
    let whole = task.measure(&far).unwrap();
    let capped = |cap| task.measure_as(&far, &Measure { cap: Some(cap), ..Measure::default() }).unwrap();
    assert_eq!(capped(whole.loss * 1.0001), whole, "a loss below the cap is not touched");
    let below = capped(whole.loss * 0.9999);
    assert_eq!((below.loss.to_bits(), below.accuracy), ((whole.loss * 0.9999).to_bits(), None));
}

#[test]
fn recomputed_statistics_are_those_of_one_big_batch() {
    let given = Given::new(true, 64);
    let pass = StatisticsPass::new(&given.model, &given.tensors, &given.data, &options()).unwrap().unwrap();
    let eval = given.task(&options());
    let batch = given.task(&TaskOptions { batch_norm: BatchNormMode::Batch, ..options() });
    let start = eval.objective.parameters();
    let noise: Vec<f64> = (0..start.len()).map(|i| (i as f64 * 1.7).sin()).collect();
    for step in [0.0, 0.05] {
        let at = start.displaced(&noise, step).unwrap();
        let statistics = pass.at(&at).unwrap();
        assert_eq!(statistics.names(), eval.statistics().unwrap().names());
        let how = Measure { statistics: Some(&statistics), ..Measure::default() };
        let (found, truth) = (eval.measure_as(&at, &how).unwrap(), batch.measure(&at).unwrap());
        close(found.loss, truth.loss);
        let frozen = eval.measure(&at).unwrap();
        assert!((frozen.loss / truth.loss - 1.0).abs() > 1e-3, "the running statistics are others");
    }
    let single = TaskOptions { dtype: DType::F32, ..TaskOptions::default() };
    let pass = StatisticsPass::new(&given.model, &given.tensors, &given.data, &single).unwrap().unwrap();
    let at = start.to_dtype(DType::F32).unwrap();
    let statistics = pass.at(&at).unwrap();
    let how = Measure { statistics: Some(&statistics), ..Measure::default() };
    let found = given.task(&single).measure_as(&at, &how).unwrap().loss;
    assert!((found / batch.measure(start).unwrap().loss - 1.0).abs() < 1e-6, "in single precision too");
}

/// Mean and variance of the inputs themselves, where batch norm comes first.
#[test]
fn statistics_of_a_first_batch_norm_are_the_datas() {
    let text = "input = [2, 1, 2]\n[[layers]]\ntype = \"batch_norm2d\"\nname = \"norm\"\n[[layers]]\ntype = \"flatten\"\n\
                [[layers]]\ntype = \"linear\"\nname = \"out\"\nout_features = 2\n";
    let model = Architecture::from_model_file("norm.toml", text).unwrap();
    let entries: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7)).collect();
    let inputs = Tensor::from_vec(entries.clone(), (3, 2, 1, 2), &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32, 1, 1], &Device::Cpu).unwrap();
    let data = Dataset::from_tensors("made up", inputs, Targets::Classes(labels)).unwrap();
    let tensors = model.random_parameters(&[2, 1, 2], 0, DType::F64).unwrap();
    let pass = StatisticsPass::new(&model, &tensors, &data, &options()).unwrap().unwrap();
    let at = Task::new(&model, &tensors, &data, &options()).unwrap().objective.parameters().clone();
    let found = pass.at(&at).unwrap().to_vec().unwrap();
    for channel in 0..2 {
        let own: Vec<f64> = (0..12).filter(|i| i / 2 % 2 == channel).map(|i| entries[i]).collect();
        let mean = own.iter().sum::<f64>() / 6.0;
        close(found[channel], mean);
        close(found[2 + channel], own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0);
    }
    let plain = Given::new(false, 10);
    assert!(StatisticsPass::new(&plain.model, &plain.tensors, &plain.data, &options()).unwrap().is_none());
    assert!(plain.task(&options()).statistics().is_none());
}

#[test]
fn mini_batches_of_an_epoch_are_the_data_set() {
    let given = Given::new(false, 100);
    let options = TaskOptions { weight_decay: 0.01, ..options() };
    let task = given.task(&options);
    let (loss, whole) = gradient(&task.objective, task.objective.parameters()).unwrap();
    let batches = Minibatches::new(&given.model, &given.tensors, &given.data, &options).unwrap();
    let epochs = Epochs::new(batches.examples(), 32, 5).unwrap();
    assert_eq!((batches.examples(), epochs.per_epoch()), (100, 4));
    let at = batches.parameters();
    let (mut mean, mut sum, mut seen) = (0.0, vec![0.0; at.len()], vec![]);
    for step in 8..12 {
        let examples = epochs.at(step);
        assert_eq!(examples, epochs.at(step));
        let (loss, part) = gradient(&*batches.over(&examples).unwrap(), at).unwrap();
        let share = examples.len() as f64 / 100.0;
        mean += share * loss;
        sum.iter_mut().zip(part).for_each(|(s, g)| *s += share * g);
        seen.extend(examples);
    }
    assert_ne!(epochs.at(0), epochs.at(4), "every epoch has its order");
    assert_ne!(epochs.at(0), Epochs { seed: 6, ..epochs }.at(0), "every seed, too");
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..100), "every example once");
    close(mean, loss);
    let largest = whole.iter().fold(0.0, |a: f64, g| a.max(g.abs()));
    assert!(sum.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-13 * largest.max(1.0)));
    assert!(batches.over(&[1, 100]).err().unwrap().to_string().contains("no example 100"));
    assert!(Epochs::new(100, 101, 0).is_err() && Epochs::new(100, 0, 0).is_err());
}

#[test]
fn an_ensemble_averages_probabilities() {
    let task = Given::new(false, 100).task(&TaskOptions { batch_size: Some(40), ..options() });
    let at = task.objective.parameters().clone();
    let alone = task.ensemble(&[(at.clone(), None), (at.clone(), None)]).unwrap().unwrap();
    let measured = task.measure(&at).unwrap();
    close(alone.loss, measured.loss);
    assert_eq!(alone.accuracy, measured.accuracy);
    let other = at.displaced(&(0..at.len()).map(|i| (i as f64).cos()).collect::<Vec<_>>(), 0.3).unwrap();
    let found = task.ensemble(&[(at.clone(), None), (other.clone(), None)]).unwrap().unwrap();
    let Targets::Classes(labels) = Given::new(false, 100).data.targets else { unreachable!() };
    let labels = labels.to_vec1::<u32>().unwrap();
    let mut truth = 0.0;
    for (batch, labels) in labels.chunks(40).enumerate() {
        let rows = |p| task.objective.evaluate(p, batch).unwrap().outputs.unwrap().to_vec2::<f64>().unwrap();
        for ((a, b), label) in rows(&at).iter().zip(rows(&other)).zip(labels) {
            let probability =
                |row: &[f64]| row[*label as usize].exp() / row.iter().map(|z| z.exp()).sum::<f64>();
            truth -= f64::midpoint(probability(a), probability(&b)).ln() / 100.0;
        }
    }
    close(found.loss, truth);
    assert!(task.ensemble(&[]).is_err());
}
