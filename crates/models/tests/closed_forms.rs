//! Regressions, whose matrices of second derivatives are sums that can be written down: with z = (1, x) and S the second
//! derivatives of an example's loss in its outputs, H = G = (1/N) `sum_i` `S_i` (x) `z_i` `z_i'`.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Batch, Curvature, DEFAULT_MEMORY, GraphObjective, Lanczos, Matrix, Objective, Outcome, OuterProducts,
    Parameters, Silent, Status, SymmetricOperator, Wanted,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Task, TaskOptions};

const FEATURES: usize = 4;

/// Rows of numbers between -1 and 1.
fn rows(n: usize, width: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| (0..width).map(|_| random.random_range(-1.0..1.0)).collect()).collect()
}

fn tensor(rows: &[Vec<f64>]) -> Tensor {
    Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).unwrap()
}

/// One linear layer, its data, and what a loss makes of them.
struct Regression {
    loss: Loss,
    bias: Option<Vec<f64>>,
    weight: Vec<Vec<f64>>,
    inputs: Vec<Vec<f64>>,
    targets: Vec<Vec<f64>>,
    smoothing: f64,
}

impl Regression {
    fn new(loss: Loss, outputs: usize, examples: usize, bias: bool) -> Self {
        let drawn = rows(examples, outputs, 1);
        let label = |row: &Vec<f64>| (f64::midpoint(row[0], 1.0) * outputs as f64) as usize;
        let target = |row: &Vec<f64>| match loss {
            Loss::CrossEntropy => (0..outputs).map(|k| f64::from(u8::from(label(row) == k))).collect(),
            Loss::BinaryCrossEntropy => row.iter().map(|x| (x + 1.0) / 2.0).collect(),
            _ => row.clone(),
        };
        Self {
            loss,
            bias: bias.then(|| rows(1, outputs, 2).remove(0)),
            weight: rows(outputs, FEATURES, 3),
            inputs: rows(examples, FEATURES, 4),
            targets: drawn.iter().map(target).collect(),
            smoothing: 0.0,
        }
    }

    fn outputs(&self) -> usize {
        self.weight.len()
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::from([("0.weight".to_string(), tensor(&self.weight))]);
        if let Some(bias) = &self.bias {
            tensors.insert("0.bias".into(), Tensor::new(bias.as_slice(), &Device::Cpu).unwrap());
        }
        tensors
    }

    fn target_tensor(&self) -> Targets {
        if self.loss != Loss::CrossEntropy {
            return Targets::Real(tensor(&self.targets));
        }
        let label = |row: &Vec<f64>| row.iter().position(|t| *t > 0.5).unwrap() as u32;
        let labels: Vec<u32> = self.targets.iter().map(label).collect();
        Targets::Classes(Tensor::new(labels, &Device::Cpu).unwrap())
    }

    fn task(&self, batch_size: usize) -> Task {
        let (outputs, bias) = (self.outputs(), self.bias.is_some());
        let file = format!(
            "input = [{FEATURES}]\n[[layers]]\ntype = \"linear\"\nname = \"0\"\nout_features = {outputs}\nbias = {bias}\n"
        );
        let model = Architecture::from_model_file("linear.toml", &file).unwrap();
        let data = Dataset::from_tensors("made up", tensor(&self.inputs), self.target_tensor()).unwrap();
        let options = TaskOptions {
            loss: Some(self.loss),
            smoothing: self.smoothing,
            dtype: DType::F64,
            batch_size: Some(batch_size),
            ..TaskOptions::default()
        };
        Task::new(&model, &self.tensors(), &data, &options).unwrap()
    }

    /// The objective over batches of these sizes, in their order.
    fn in_batches(&self, sizes: &[usize]) -> GraphObjective {
        let (x, Targets::Classes(y)) = (tensor(&self.inputs), self.target_tensor()) else { panic!() };
        let mut start = 0;
        let batches = sizes.iter().map(|&examples| {
            let part = |t: &Tensor| t.narrow(0, start, examples).unwrap();
            let batch = Batch { tensors: vec![part(&x), part(&y)], examples };
            start += examples;
            batch
        });
        let outputs = self.outputs();
        let parameters = Parameters::new(self.tensors()).unwrap();
        GraphObjective::new(parameters, BTreeMap::new(), batches.collect(), |g, batch| {
            let weight = g.parameter("0.weight", &[outputs, FEATURES])?;
            let bias = g.parameter("0.bias", &[outputs])?;
            let logits = batch[0].linear(&weight, Some(&bias))?;
            let loss = logits.cross_entropy(&batch[1], 0.0)?;
            Ok((logits, loss))
        })
        .unwrap()
    }

    /// What the layer says of an example.
    fn prediction(&self, i: usize) -> Vec<f64> {
        let value = |k: usize| {
            let along: f64 = self.weight[k].iter().zip(&self.inputs[i]).map(|(w, x)| w * x).sum();
            along + self.bias.as_ref().map_or(0.0, |b| b[k])
        };
        (0..self.outputs()).map(value).collect()
    }

    /// Softmax or sigmoid of it.
    fn probabilities(&self, i: usize) -> Vec<f64> {
        let z = self.prediction(i);
        if self.loss == Loss::BinaryCrossEntropy {
            return z.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
        }
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        z.iter().map(|z| z.exp() / sum).collect()
    }

    /// Slope of the example's loss in its outputs.
    fn slope(&self, i: usize) -> Vec<f64> {
        let m = self.outputs() as f64;
        let difference = |p: Vec<f64>, factor: f64| -> Vec<f64> {
            p.iter().zip(&self.targets[i]).map(|(p, t)| factor * (p - t)).collect()
        };
        match self.loss {
            Loss::Mse => difference(self.prediction(i), 2.0 / m),
            Loss::HalfSquaredError => difference(self.prediction(i), 1.0),
            Loss::BinaryCrossEntropy => difference(self.probabilities(i), 1.0 / m),
            _ => {
                let smooth = |t: f64| (1.0 - self.smoothing) * t + self.smoothing / m;
                self.probabilities(i).iter().zip(&self.targets[i]).map(|(p, t)| p - smooth(*t)).collect()
            }
        }
    }

    /// Second derivative of the example's loss in outputs a and b.
    fn second(&self, i: usize, a: usize, b: usize) -> f64 {
        let (m, same) = (self.outputs() as f64, f64::from(u8::from(a == b)));
        match self.loss {
            Loss::Mse => 2.0 / m * same,
            Loss::HalfSquaredError => same,
            Loss::BinaryCrossEntropy => {
                let s = self.probabilities(i)[a];
                same * s * (1.0 - s) / m
            }
            _ => {
                let p = self.probabilities(i);
                p[a] * (same - p[b])
            }
        }
    }

    /// Every parameter's output and the feature it multiplies (`None`: the bias), in the flat order.
    fn layout(&self) -> Vec<(usize, Option<usize>)> {
        let biases = (0..self.outputs()).filter(|_| self.bias.is_some()).map(|k| (k, None));
        biases.chain((0..self.outputs()).flat_map(|k| (0..FEATURES).map(move |j| (k, Some(j))))).collect()
    }

    fn feature(&self, i: usize, feature: Option<usize>) -> f64 {
        feature.map_or(1.0, |j| self.inputs[i][j])
    }

    fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        (0..self.inputs.len()).map(of).sum::<f64>() / self.inputs.len() as f64
    }

    /// (1/N) `sum_i` `s(i, a, b)` `z_i` `z_i'`.
    fn matrix(&self, s: impl Fn(usize, usize, usize) -> f64) -> Vec<Vec<f64>> {
        let layout = self.layout();
        let entry = |&(a, f): &(usize, Option<usize>), &(b, g): &(usize, Option<usize>)| {
            self.mean(|i| s(i, a, b) * self.feature(i, f) * self.feature(i, g))
        };
        layout.iter().map(|row| layout.iter().map(|column| entry(row, column)).collect()).collect()
    }
}

/// The matrix, row by row.
fn entries(operator: &dyn SymmetricOperator) -> Vec<Vec<f64>> {
    let n = operator.dim();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    operator.apply_block(&(0..n).map(unit).collect::<Vec<_>>()).unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(error <= tolerance * size, "{what}: off by {error:e} of {size}");
}

fn regressions() -> Vec<(&'static str, Regression)> {
    let mut all = vec![];
    for bias in [false, true] {
        let new = |loss, outputs| Regression::new(loss, outputs, 7, bias);
        let smooth = Regression { smoothing: 0.1, ..new(Loss::CrossEntropy, 3) };
        all.extend([
            ("linear", new(Loss::Mse, 1)),
            ("linear, three outputs", new(Loss::Mse, 3)),
            ("linear, half squares", new(Loss::HalfSquaredError, 3)),
            ("logistic", new(Loss::BinaryCrossEntropy, 1)),
            ("logistic, three outputs", new(Loss::BinaryCrossEntropy, 3)),
            ("softmax", new(Loss::CrossEntropy, 3)),
            ("softmax, smoothed labels", smooth),
        ]);
    }
    all
}

#[test]
fn hessian_and_gauss_newton_matrix_are_the_sum_over_examples() {
    for (name, regression) in regressions() {
        let expected = regression.matrix(|i, a, b| regression.second(i, a, b)).concat();
        let slopes = |&(k, f): &(usize, Option<usize>)| {
            regression.mean(|i| regression.slope(i)[k] * regression.feature(i, f))
        };
        let gradient: Vec<f64> = regression.layout().iter().map(slopes).collect();
        // Whole, 4 + 3, 2 + 2 + 2 + 1, and one by one.
        for batch_size in [7, 4, 2, 1] {
            let task = regression.task(batch_size);
            let curvature =
                Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap();
            let what = format!("{name}, batches of {batch_size}");
            assert_close(curvature.gradient(), &gradient, 1e-13, &what);
            assert_close(&entries(&curvature.hessian()).concat(), &expected, 1e-13, &what);
            assert_close(&entries(&curvature.gauss_newton()).concat(), &expected, 1e-13, &what);
            let rest = entries(&curvature.operator(Matrix::Residual)).concat();
            assert!(rest.iter().all(|x| x.abs() < 1e-14), "{what}: the outputs are linear");
        }
    }
}

#[test]
fn fisher_matrices_are_sums_over_examples_and_labels() {
    for (name, regression) in regressions() {
        let m = regression.outputs();
        let task = regression.task(4);
        let curvature = Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap();

        let empirical = OuterProducts::empirical_fisher(&curvature).unwrap();
        let products = |i: usize, a: usize, b: usize| regression.slope(i)[a] * regression.slope(i)[b];
        assert_close(&entries(&empirical).concat(), &regression.matrix(products).concat(), 1e-13, name);

        // Over all that the model might say, each as likely as it thinks: the Gauss-Newton matrix.
        let slopes = |batch: usize, outputs: &Tensor| {
            let examples = outputs.dims()[0];
            let each = |draw: usize| -> Vec<Vec<f64>> {
                (0..examples).map(|i| likely_slope(&regression, 4 * batch + i, draw)).collect()
            };
            let draws = if regression.loss == Loss::BinaryCrossEntropy { 2 * m } else { m };
            Ok((0..draws).map(|draw| tensor(&each(draw))).collect())
        };
        let fisher = OuterProducts::new(&curvature, slopes).unwrap();
        let expected = entries(&curvature.gauss_newton()).concat();
        assert_close(&entries(&fisher).concat(), &expected, 1e-13, name);
    }
}

/// Slopes whose mean outer product over all draws is the second derivative of an example's loss in its outputs: those of
/// every label, times the root of its probability and of the number of labels.
fn likely_slope(regression: &Regression, i: usize, draw: usize) -> Vec<f64> {
    let m = regression.outputs();
    let unit = |k: usize, at: usize, value: f64| if k == at { value } else { 0.0 };
    match regression.loss {
        Loss::CrossEntropy => {
            let p = regression.probabilities(i);
            let size = (m as f64 * p[draw]).sqrt();
            (0..m).map(|k| size * (p[k] - unit(k, draw, 1.0))).collect()
        }
        Loss::BinaryCrossEntropy => {
            let (at, label) = (draw / 2, (draw % 2) as f64);
            let s = regression.probabilities(i)[at];
            let likely = label * s + (1.0 - label) * (1.0 - s);
            // 2 m draws, and the mean over m outputs.
            (0..m).map(|k| unit(k, at, (2.0 * likely).sqrt() * (s - label))).collect()
        }
        // A Gaussian of unit width for half squares; the mean over outputs is 2 / m of that.
        Loss::Mse => (0..m).map(|k| unit(k, draw, 2f64.sqrt())).collect(),
        _ => (0..m).map(|k| unit(k, draw, (m as f64).sqrt())).collect(),
    }
}

#[test]
fn batches_count_by_their_size_whatever_their_order() {
    for (examples, partitions) in
        [(7, vec![vec![3, 4], vec![4, 3], vec![1; 7], vec![5, 1, 1]]), (8, vec![vec![2, 6], vec![6, 2]])]
    {
        let regression = Regression::new(Loss::CrossEntropy, 3, examples, true);
        let whole = regression.in_batches(&[examples]);
        let whole = Curvature::new(&whole, whole.parameters(), DEFAULT_MEMORY).unwrap();
        for sizes in partitions {
            let objective = regression.in_batches(&sizes);
            let parts = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
            let what = format!("{sizes:?}");
            assert_close(&[parts.loss()], &[whole.loss()], 1e-14, &what);
            assert_close(parts.gradient(), whole.gradient(), 1e-13, &what);
            for matrix in [Matrix::Hessian, Matrix::GaussNewton] {
                let (found, expected) = (parts.operator(matrix), whole.operator(matrix));
                assert_close(&entries(&found).concat(), &entries(&expected).concat(), 1e-13, &what);
            }
            let fishers = [&parts, &whole].map(|c| OuterProducts::empirical_fisher(c).unwrap());
            let [found, expected] = fishers.map(|f| entries(&f).concat());
            assert_close(&found, &expected, 1e-13, &what);
            let [found, expected] = [&objective, &regression.in_batches(&[examples])]
                .map(|o| relief_hessian::gradient(o, o.parameters()).unwrap().1);
            assert_close(&found, &expected, 1e-13, &what);
        }
    }
}

/// A thousand examples as 400, 400 and 200: a mean of the batches' means is off by several per cent there.
#[test]
fn a_ragged_last_batch_counts_for_what_it_is() {
    let options = DataOptions { limit: Some(1000), dtype: DType::F64, ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let model = Architecture::parse("mlp:widths=64-8-10").unwrap();
    let tensors = model.random_parameters(data.example_shape(), 0, DType::F64).unwrap();
    let task = |batch_size| {
        let options =
            TaskOptions { batch_size: Some(batch_size), dtype: DType::F64, ..TaskOptions::default() };
        Task::new(&model, &tensors, &data, &options).unwrap()
    };
    let all = [1000, 400].map(task);
    let [whole, parts] = all
        .each_ref()
        .map(|t| Curvature::new(&t.objective, t.objective.parameters(), DEFAULT_MEMORY).unwrap());
    let v = rows(1, whole.parameters().len(), 9).remove(0);
    let product = |operator: &dyn SymmetricOperator| {
        let mut out = vec![0.0; v.len()];
        operator.apply(&v, &mut out).unwrap();
        out
    };
    assert_close(&[parts.loss()], &[whole.loss()], 1e-12, "loss");
    assert_close(parts.gradient(), whole.gradient(), 1e-12, "gradient");
    let [expected, found] = [&whole, &parts].map(|c| product(&c.hessian()));
    assert_close(&found, &expected, 1e-12, "Hessian");
    assert_close(&product(&parts.gauss_newton()), &product(&whole.gauss_newton()), 1e-12, "Gauss-Newton");
    let [a, b] = [&parts, &whole].map(|c| product(&OuterProducts::empirical_fisher(c).unwrap()));
    assert_close(&a, &b, 1e-12, "empirical Fisher");

    // What counting every batch alike would give.
    let at = parts.parameters();
    let mut alike = vec![0.0; v.len()];
    for batch in 0..3 {
        let linearized = all[1].objective.linearize(at, batch).unwrap();
        let part = linearized.hessian_products(&[at.unflatten(&v).unwrap()]).unwrap();
        at.accumulate(1.0 / 3.0, &part[0], &mut alike).unwrap();
    }
    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference: Vec<f64> = alike.iter().zip(&expected).map(|(a, b)| a - b).collect();
    assert!(length(&difference) > 0.005 * length(&expected), "the batches are too much alike to tell");
}

/// Double precision from end to end: some solvers work in f32 whatever they are given.
#[test]
fn eigenvalues_of_a_linear_regression_have_all_digits() {
    let regression = Regression::new(Loss::Mse, 1, 30, true);
    let task = regression.task(7);
    let curvature = Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap();
    let expected = regression.matrix(|_, _, _| 2.0);
    let n = expected.len();
    let expected =
        faer::Mat::from_fn(n, n, |i, j| expected[i][j]).self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    let solver = Lanczos { wanted: Wanted::Largest { k: n }, tolerance: 1e-13, ..Lanczos::default() };
    let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut Silent).unwrap() else { panic!() };
    assert_eq!(eigen.status, Status::Converged);
    for (pair, expected) in eigen.largest.iter().zip(expected.iter().rev()) {
        assert!((pair.value - expected).abs() <= 1e-14 * eigen.scale, "{} {expected}", pair.value);
        assert!(pair.residual <= 1e-13 * eigen.scale);
    }
}
