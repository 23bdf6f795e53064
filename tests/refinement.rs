//! Nested grids on surfaces of a trained network: the estimated error against the error itself.

use candle_core::DType;
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Lanczos, Objective, Outcome, Result, Silent, Wanted,
};
use relief_landscape::{Nested, Points, RandomDirection, Scan, Slice, scan};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::{DataOptions, Dataset};
use relief_models::task::{Task, TaskOptions};

const NODES: i32 = 65;

/// The embedded network on the first 200 of its examples.
fn task() -> Task {
    let root = env!("CARGO_MANIFEST_DIR");
    let checkpoint =
        Checkpoint::load(format!("{root}/notebooks-data/digits-sgd.safetensors").as_ref()).unwrap();
    let model = Architecture::parse("mlp:activation=tanh").unwrap().infer(&checkpoint.shapes()).unwrap();
    let options = DataOptions { dtype: DType::F64, limit: Some(200), ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let tensors = checkpoint.fit_model(&model, data.example_shape()).unwrap();
    Task::new(&model, &tensors, &data, &TaskOptions { dtype: DType::F64, ..TaskOptions::default() }).unwrap()
}

/// True and estimated errors of the interpolants through 9, 17 and 33 nodes along either axis, in log10(loss).
struct Found {
    largest: [f64; 3],
    mean: [f64; 3],
    /// None for 9 nodes: the first level has nothing to be judged by.
    estimate: [Option<(f64, f64)>; 3],
}

fn found(task: &Task, directions: Vec<Vec<f64>>, reach: f64) -> Found {
    let axis = || (0..NODES).map(|i| reach * f64::from(2 * i - NODES + 1) / f64::from(NODES - 1)).collect();
    let slice = Slice::new(task.objective.parameters(), directions, vec![axis(), axis()]).unwrap();
    let measure =
        |i: usize| -> Result<Vec<f64>> { Ok(vec![task.measure(&slice.point(i)?).unwrap().loss.log10()]) };
    let mut found = Scan::new(&slice);
    scan(&mut found, Points::count(&slice), &measure, &mut |_| Control::Continue).unwrap();
    let truth = found.measure(0);
    let nested = Nested::new(slice.axes()).unwrap();
    let mut found = Found { largest: [0.0; 3], mean: [0.0; 3], estimate: [None; 3] };
    let mut known = vec![f64::NAN; truth.len()];
    for level in 0..3 {
        nested.levels()[level].new.iter().for_each(|&i| known[i] = truth[i]);
        let filled = nested.fill(&known, level).unwrap();
        let errors: Vec<f64> =
            (0..truth.len()).filter(|&i| known[i].is_nan()).map(|i| (filled[i] - truth[i]).abs()).collect();
        found.largest[level] = errors.iter().copied().fold(0.0, f64::max);
        found.mean[level] = errors.iter().sum::<f64>() / errors.len() as f64;
        let assessed = nested.assess(&known, level).unwrap();
        assert_eq!((assessed.measured, assessed.missed), ([81, 289, 1089][level], 0));
        found.estimate[level] = assessed.error.map(|error| (error.largest, error.mean));
    }
    found
}

/// Prints a plane's numbers and gives estimates over true errors: the largest and the mean for 17 and 33 nodes.
fn ratios(name: &str, found: &Found) -> [[f64; 2]; 2] {
    let Found { largest, mean, estimate } = found;
    let ratios = [1, 2].map(|level| {
        let (high, middle) = estimate[level].unwrap();
        [high / largest[level], middle / mean[level]]
    });
    println!("{name}: largest {largest:.5?}, mean {mean:.6?}, estimates {estimate:.6?}, ratios {ratios:.2?}");
    ratios
}

#[test]
fn the_error_of_a_refined_random_plane_is_known_to_a_factor_of_two() {
    let task = task();
    let at = task.objective.parameters();
    let planes: Vec<Found> = (0..3)
        .map(|seed| {
            let direction =
                |nth| RandomDirection { seed, nth, ..RandomDirection::default() }.draw(at).unwrap();
            found(&task, vec![direction(0), direction(1)], 1.0)
        })
        .collect();
    for (seed, plane) in planes.iter().enumerate() {
        for [largest, mean] in ratios(&format!("seed {seed}"), plane) {
            assert!((0.5..2.0).contains(&largest) && (0.5..2.0).contains(&mean), "seed {seed}");
        }
        assert!(plane.estimate[0].is_none());
        assert!(plane.largest[1] < 0.04 && plane.largest[2] < 0.004 && plane.mean[1] < 0.0015);
    }
    assert!(planes[1].largest[1] < 0.01, "the smoothest of the three is within 0.01 from 7% of its points");
}

#[test]
fn the_error_of_a_refined_plane_of_eigenvectors_is_known_to_a_factor_of_two() {
    let task = task();
    let at = task.objective.parameters();
    let curvature = Curvature::new(&task.objective, at, DEFAULT_MEMORY).unwrap();
    let solver = Lanczos { wanted: Wanted::Largest { k: 2 }, ..Lanczos::default() };
    let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut Silent).unwrap() else {
        panic!("nobody interrupts")
    };
    // To where the quadratic model has risen by 0.1 along the second vector.
    let reach = (2.0 * 0.1 / eigen.largest[1].value).sqrt();
    let plane = found(&task, eigen.vectors, reach);
    for [largest, mean] in ratios("eigenvectors", &plane) {
        assert!((0.5..2.0).contains(&largest) && (0.5..2.0).contains(&mean));
    }
}
