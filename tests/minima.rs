//! Two trainings of one network from different starts (the digits experiment of the landscape literature, in small): a
//! barrier on the straight line, next to none on a trained curve, little after the units are matched.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use candle_core::{DType, Tensor};
use relief_autodiff::permuted;
use relief_hessian::{Control, Epochs, FiniteSum, Parameters, gradient};
use relief_landscape::{Barrier, Curve, CurveKind, CurveTraining, Ending, TrainingState, WeightMatching};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Minibatches, Task, TaskOptions};

struct Experiment {
    model: Architecture,
    data: Dataset,
    options: TaskOptions,
}

type Tensors = BTreeMap<String, Tensor>;

impl Experiment {
    fn new(hidden: usize) -> Self {
        let model = Architecture::parse(&format!("mlp:widths=64-{hidden}-{hidden}-10")).unwrap();
        let data = Dataset::load("digits", &DataOptions::default()).unwrap();
        Self { model, data, options: TaskOptions::default() }
    }

    fn start(&self, seed: u64) -> Tensors {
        self.model.random_parameters(self.data.example_shape(), seed, DType::F32).unwrap()
    }

    fn minibatches(&self, weight_decay: f64) -> Minibatches {
        let options = TaskOptions { weight_decay, ..self.options.clone() };
        Minibatches::new(&self.model, &self.start(0), &self.data, &options).unwrap()
    }

    /// SGD with momentum 0.9, step size 0.1 on a cosine, weight decay 5e-4, 100 epochs.
    fn trained(&self, seed: u64) -> Parameters {
        let batches = self.minibatches(5e-4);
        let mut at = Parameters::new(self.start(seed)).unwrap();
        let mut x = at.to_vec().unwrap();
        let mut velocity = vec![0.0; x.len()];
        let epochs = Epochs::new(batches.examples(), 128, seed).unwrap();
        let steps = 100 * epochs.per_epoch();
        for step in 0..steps {
            let (_, gradient) = gradient(&*batches.over(&epochs.at(step)).unwrap(), &at).unwrap();
            let eta = 0.05 * (1.0 + (PI * step as f64 / steps as f64).cos());
            for ((x, v), g) in x.iter_mut().zip(&mut velocity).zip(gradient) {
                *v = 0.9 * *v + g;
                *x -= eta * *v;
            }
            at = at.at(&x).unwrap();
        }
        at
    }

    fn loss(&self, at: &Parameters) -> f64 {
        let task = Task::new(&self.model, &self.start(0), &self.data, &self.options).unwrap();
        task.measure(at).unwrap().loss
    }

    /// The largest loss on a curve and its barrier above the straight line.
    fn measured(&self, like: &Parameters, curve: &Curve) -> (f64, f64) {
        let task = Task::new(&self.model, &self.start(0), &self.data, &self.options).unwrap();
        let t: Vec<f64> = (0..=40).map(|i| f64::from(i) / 40.0).collect();
        let loss: Vec<f64> =
            t.iter().map(|t| task.measure(&like.at(&curve.at(*t)).unwrap()).unwrap().loss).collect();
        let highest = loss.iter().copied().fold(0.0, f64::max);
        (highest, Barrier::new(&t, &loss).unwrap().above_line)
    }
}

fn two_minima(hidden: usize, seeds: [u64; 2]) {
    let experiment = Experiment::new(hidden);
    let [a, b] = seeds.map(|seed| experiment.trained(seed));
    let straight = |end: &Parameters| {
        Curve::straight(CurveKind::Chain, a.to_vec().unwrap(), end.to_vec().unwrap(), 0).unwrap()
    };
    let (_, barrier) = experiment.measured(&a, &straight(&b));
    let end = [&a, &b].map(|end| experiment.loss(end)).into_iter().fold(0.0, f64::max);
    assert!(barrier > 0.3, "{hidden} units: the straight line's barrier is {barrier}");

    let batches = experiment.minibatches(0.0);
    let epochs = Epochs::new(batches.examples(), 128, 1).unwrap();
    let bent = Curve::straight(CurveKind::Bezier, a.to_vec().unwrap(), b.to_vec().unwrap(), 1).unwrap();
    let training = CurveTraining {
        epochs: 100,
        batches_per_epoch: epochs.per_epoch(),
        eta: 0.1,
        weight_decay: 5e-4,
        ..CurveTraining::default()
    };
    let mut state = TrainingState::new(bent);
    let mut slope = |step: usize, x: &[f64]| {
        let at = batches.parameters().at(x)?;
        gradient(&*batches.over(&epochs.at(step))?, &at)
    };
    let ending = training.run(&mut state, &mut slope, &mut |_, _| Control::Continue).unwrap();
    assert_eq!(ending, Ending::Finished);
    let (highest, _) = experiment.measured(&a, &state.curve);
    assert!(
        highest < end + 0.05 * barrier,
        "{hidden} units: {highest} on the curve, {end} at its end, barrier {barrier}"
    );

    let groups = experiment.model.permutation_groups(experiment.data.example_shape()).unwrap();
    let found = WeightMatching::default().run(&a, &b, &groups, &mut |_| Control::Continue).unwrap();
    let tensors: Tensors = b.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    let aligned = Parameters::new(permuted(&tensors, &groups, &found.permutations).unwrap()).unwrap();
    let (_, matched) = experiment.measured(&a, &straight(&aligned));
    assert!(matched < 0.2 * barrier, "{hidden} units: {matched} after matching, {barrier} before");
    println!(
        "{hidden} units: straight {barrier:.4}, curve {highest:.4} (end {end:.4}), matched {matched:.4}"
    );
}

#[test]
fn sixteen_units() {
    two_minima(16, [1, 2]);
}

#[test]
fn sixty_four_units() {
    two_minima(64, [1, 2]);
}

#[test]
fn two_hundred_and_fifty_six_units() {
    two_minima(256, [1, 2]);
}
