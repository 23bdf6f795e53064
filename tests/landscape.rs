//! What filter normalisation is for: a network that computes the same function has the same surface.

use candle_core::{DType, Tensor};
use relief_hessian::{Control, Objective, Parameters, Result};
use relief_landscape::{Points, RandomDirection, Scan, Slice, scan};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Task, TaskOptions};

fn task() -> Task {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch");
    let checkpoint = Checkpoint::load(format!("{root}/digits-mlp-relu.safetensors").as_ref()).unwrap();
    let model = Architecture::parse("mlp:activation=relu").unwrap().infer(&checkpoint.shapes()).unwrap();
    let options = DataOptions { dtype: DType::F64, limit: Some(200), ..DataOptions::default() };
    let data = Dataset::load(&format!("{root}/digits-1000.safetensors"), &options).unwrap();
    let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
    Task::new(&model, &tensors, &data, &TaskOptions { dtype: DType::F64, ..TaskOptions::default() }).unwrap()
}

fn surface(task: &Task, at: &Parameters) -> Vec<f64> {
    let direction = |nth| RandomDirection { seed: 5, nth, ..RandomDirection::default() }.draw(at).unwrap();
    let axis = || (-3..=3).map(|i| f64::from(i) / 3.0).collect();
    let slice = Slice::new(at, vec![direction(0), direction(1)], vec![axis(), axis()]).unwrap();
    let measure = |i: usize| -> Result<Vec<f64>> { Ok(vec![task.measure(&slice.point(i)?).unwrap().loss]) };
    let mut found = Scan::new(&slice);
    scan(&mut found, slice.count(), &measure, &mut |_| Control::Continue).unwrap();
    found.measure(0)
}

/// Multiplying one ReLU layer by 10 and the next one's weights by 0.1 changes neither the function nor, in units of the
/// filters' norms, its surroundings.
#[test]
fn a_rescaled_network_has_the_same_surface() {
    let task = task();
    let at = task.objective.parameters();
    let names = at.names().to_vec();
    let layer = |nth: usize| names.iter().filter(|n| n.ends_with("weight")).nth(nth).unwrap().clone();
    let (first, second) = (layer(0), layer(1));
    let rescaled = at.iter().map(|(name, tensor)| {
        let factor = match name {
            n if n == first || n == first.replace("weight", "bias") => 10.0,
            n if n == second => 0.1,
            _ => 1.0,
        };
        (name.to_string(), (tensor * factor).unwrap())
    });
    let rescaled = Parameters::new(rescaled).unwrap();
    let (one, other) = (surface(&task, at), surface(&task, &rescaled));
    assert!(one.iter().zip(&other).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{one:?}\n{other:?}");
    let spread = one.iter().copied().fold(0.0, f64::max) / one[24];
    assert!(spread > 3.0, "a flat surface would prove nothing");
}

/// Every point of a scan is the loss at that point, computed on its own.
#[test]
fn a_scan_is_the_loss_at_each_of_its_points() {
    let task = task();
    let at = task.objective.parameters();
    let found = surface(&task, at);
    let [a, b] =
        [0, 1].map(|nth| RandomDirection { seed: 5, nth, ..RandomDirection::default() }.draw(at).unwrap());
    for (index, (x, y)) in [(0usize, (-1.0, -1.0)), (5, (2.0 / 3.0, -1.0)), (30, (-1.0 / 3.0, 1.0 / 3.0))] {
        let there = at.displaced(&a, x).unwrap().displaced(&b, y).unwrap();
        let truth = relief_hessian::loss(&task.objective, &there).unwrap();
        assert!((found[index] / truth - 1.0).abs() < 1e-12, "{index}");
    }
    let zero = Tensor::zeros(3, DType::F64, &candle_core::Device::Cpu).unwrap();
    assert!(RandomDirection::default().draw(&Parameters::new([("bias".into(), zero)]).unwrap()).is_err());
}
