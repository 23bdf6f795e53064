//! What alignment is for: two trainings of one network, with a barrier between them that is one of naming.
//!
//! `fixtures/alignment/make.py` trained the networks. The same recipe elsewhere gave barriers of 0.653 and, matched, 0.045.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use relief_autodiff::permuted;
use relief_hessian::{Control, Objective, Parameters, Result};
use relief_landscape::{Barrier, Points, Scan, Slice, WeightMatching, between, scan};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Task, TaskOptions};

fn tensors(seed: usize, model: &Architecture, data: &Dataset) -> BTreeMap<String, Tensor> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/alignment");
    let checkpoint = Checkpoint::load(format!("{root}/digits-{seed}.safetensors").as_ref()).unwrap();
    let fitting = checkpoint.fit_model(model, data.example_shape()).unwrap();
    fitting.into_iter().map(|(name, t)| (name, t.to_dtype(DType::F64).unwrap())).collect()
}

#[test]
fn matching_takes_the_barrier_between_two_trainings_away() {
    let model = Architecture::parse("mlp:widths=64-64-64-10,activation=relu").unwrap();
    let options = DataOptions { dtype: DType::F64, limit: Some(1400), ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let of = |tensors: &BTreeMap<String, Tensor>| {
        Task::new(&model, tensors, &data, &TaskOptions { dtype: DType::F64, ..TaskOptions::default() })
            .unwrap()
    };
    let second = tensors(1, &model, &data);
    let (a, b) = (of(&tensors(0, &model, &data)), of(&second));
    let groups = model.permutation_groups(data.example_shape()).unwrap();
    let matching = WeightMatching::default();
    let found =
        matching.run(a.objective.parameters(), b.objective.parameters(), &groups, &mut |_| Control::Continue);
    let found = found.unwrap();
    let aligned = of(&permuted(&second, &groups, &found.permutations).unwrap());

    let t: Vec<f64> = (0..=24).map(|i| f64::from(i) / 24.0).collect();
    let line = |to: &Parameters| -> Vec<f64> {
        let from = a.objective.parameters();
        let slice = Slice::new(from, vec![between(from, to).unwrap()], vec![t.clone()]).unwrap();
        let measure = |i: usize| -> Result<Vec<f64>> { Ok(vec![a.measure(&slice.point(i)?).unwrap().loss]) };
        let mut found = Scan::new(&slice);
        scan(&mut found, Points::count(&slice), &measure, &mut |_| Control::Continue).unwrap();
        found.measure(0)
    };
    let (straight, matched) = (line(b.objective.parameters()), line(aligned.objective.parameters()));
    let end = (straight[24], matched[24]);
    assert!((end.0 / end.1 - 1.0).abs() < 1e-12, "the same function: {end:?}");
    let [before, after] = [&straight, &matched].map(|loss| Barrier::new(&t, loss).unwrap().above_line);
    assert!(before > 0.3, "{before}");
    assert!(after < 0.2 * before, "{after} of {before} is left");
    // NumPy and SciPy, in 40 orders of visits (`fixtures/alignment/reference.py`).
    let measures = [
        (found.similarity_before, 2.604_608_008_28),
        (found.similarity_after, 106.056_912_147_616),
        (found.distance_before, 18.954_885_344_5),
        (found.distance_after, 12.344_353_775_939),
    ];
    assert!(found.converged);
    assert!(measures.iter().all(|(found, expected)| (found / expected - 1.0).abs() < 1e-11), "{measures:?}");
}
