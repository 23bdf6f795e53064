//! Two networks from different trainings, with a barrier between them, and paths around it.

use candle_core::DType;
use relief_hessian::{Control, Objective, Result, gradient, loss};
use relief_landscape::{
    BandLoss, BandState, Curve, CurveKind, CurveReport, CurveTraining, Cycle, ElasticBand, Insertion,
    LossAndGradient, TrainingState,
};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Task, TaskOptions};

/// The embedded digits with the network of a checkpoint in `notebooks-data`.
fn task(name: &str) -> Task {
    let path = format!("{}/notebooks-data/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = Checkpoint::load(path.as_ref()).unwrap();
    let model = Architecture::parse("mlp:activation=tanh").unwrap().infer(&checkpoint.shapes()).unwrap();
    let options = DataOptions { dtype: DType::F64, limit: Some(300), ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
    Task::new(&model, &tensors, &data, &TaskOptions { dtype: DType::F64, ..TaskOptions::default() }).unwrap()
}

/// The parameters of a network with the units of all hidden layers in reverse order: the same function, far away.
fn reversed(task: &Task) -> Vec<f64> {
    let at = task.objective.parameters();
    let layer = |name: &str| name.split('.').next().unwrap().to_string();
    let (first, last) = (layer(&at.names()[0]), layer(&at.names()[at.names().len() - 1]));
    let x = at.to_vec().unwrap();
    let mut out = vec![];
    for ((name, range), (_, tensor)) in at.ranges().into_iter().zip(at.iter()) {
        let columns = tensor.dims().get(1).copied().unwrap_or(1);
        let mut rows: Vec<Vec<f64>> = x[range].chunks(columns).map(<[f64]>::to_vec).collect();
        if layer(name) != first {
            rows.iter_mut().for_each(|row| row.reverse());
        }
        if layer(name) != last {
            rows.reverse();
        }
        out.extend(rows.concat());
    }
    out
}

struct Digits(Task);

impl Digits {
    fn report(&self, curve: &Curve) -> CurveReport {
        let t: Vec<f64> = (0..=40).map(|i| f64::from(i) / 40.0).collect();
        let losses: Vec<f64> = t.iter().map(|t| self.loss(&curve.at(*t)).unwrap()).collect();
        CurveReport::new(&t, &losses, &curve.lengths(&t)).unwrap()
    }
}

impl BandLoss for Digits {
    fn gradient(&self, _: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
        gradient(&self.0.objective, &self.0.objective.parameters().at(point)?)
    }

    fn loss(&self, point: &[f64]) -> Result<f64> {
        loss(&self.0.objective, &self.0.objective.parameters().at(point)?)
    }
}

/// The second network was trained with another optimiser from the same start, so that a straight line joins them; with its
/// units in another order there is a barrier. Curves and a band take away 95 % of it (Garipov et al. 2018; Draxler et
/// al. 2018).
#[test]
fn curves_and_a_band_lead_around_the_barrier_between_two_digit_networks() {
    let digits = Digits(task("digits-sgd"));
    let other = task("digits-sam");
    let (start, end) = (digits.0.objective.parameters().to_vec().unwrap(), reversed(&other));
    let straight = |kind, bends| Curve::straight(kind, start.clone(), end.clone(), bends).unwrap();
    let before = digits.report(&straight(CurveKind::Chain, 0));
    let of_other = loss(&other.objective, other.objective.parameters()).unwrap();
    assert!((before.loss.end / of_other - 1.0).abs() < 1e-12, "the order of units is no matter");
    let barrier = before.barrier.unwrap().above_line;
    assert!(barrier > 0.3, "{barrier}");
    let allowed = 0.05 * barrier + before.loss.start.max(before.loss.end);

    for kind in [CurveKind::Bezier, CurveKind::Chain] {
        let training = CurveTraining { epochs: 300, eta: 0.3, ..CurveTraining::default() };
        let mut state = TrainingState::new(straight(kind, 1));
        let mut slope = |step: usize, point: &[f64]| digits.gradient(step, 0, point);
        training.run(&mut state, &mut slope, &mut |_, _| Control::Continue).unwrap();
        let after = digits.report(&state.curve).loss;
        assert!(after.max < allowed && after.integral < 0.1 * barrier, "{kind:?}: {after:?}");
    }

    let mut cycles = vec![Cycle { insertion: Insertion::Equal(3), steps: 50, eta: 0.1 }];
    cycles.extend([Cycle { insertion: Insertion::Highest(2), ..cycles[0] }; 2]);
    let band = ElasticBand { cycles, ..ElasticBand::default() };
    let mut state = BandState::new(straight(CurveKind::Chain, 0)).unwrap();
    band.run(&mut state, &digits, &mut |_, _| Control::Continue).unwrap();
    assert!(state.pivots.len() > 5, "it grew where the loss was high");
    let after = digits.report(&state.chain().unwrap()).loss;
    assert!(after.max < allowed, "{after:?}");
}
