//! Sharpness of mini-batches of linear regression, whose losses are quadratic: steps and corners of boxes in closed form.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Curvature, DEFAULT_MEMORY, Epochs, FiniteSum};
use relief_models::architecture::Architecture;
use relief_models::data::{Dataset, Targets};
use relief_models::loss::Loss;
use relief_models::task::{Minibatches, TaskOptions};
use relief_sharpness::measures::{
    Apgd, Ball, MSharpness, MWorstCase, Uncertainty, WorstCase, gradient_noise,
};
use relief_sharpness::{Noise, Perturbation, Scale};

use super::{close, error_of};

const N: usize = 14;
const THETA: [f64; 3] = [0.4, -1.2, 0.7];

/// A row (1, x) and its target.
fn example(i: usize) -> ([f64; 3], f64) {
    let number = |seed: usize| ((i * 37 + seed * 53 + i * i * 11) % 97) as f64 / 48.0 - 1.0;
    ([1.0, number(1), number(2)], number(3))
}

fn regression() -> Minibatches {
    let rows: Vec<([f64; 3], f64)> = (0..N).map(example).collect();
    let x: Vec<f64> = rows.iter().flat_map(|(row, _)| [row[1], row[2]]).collect();
    let y: Vec<f64> = rows.iter().map(|(_, y)| *y).collect();
    let x = Tensor::from_vec(x, (N, 2), &Device::Cpu).unwrap();
    let y = Tensor::from_vec(y, N, &Device::Cpu).unwrap();
    let data = Dataset::from_tensors("regression", x, Targets::Real(y)).unwrap();
    let tensors: BTreeMap<String, Tensor> = [
        ("0.bias".to_string(), Tensor::new(&THETA[..1], &Device::Cpu).unwrap()),
        ("0.weight".to_string(), Tensor::new(&[[THETA[1], THETA[2]]], &Device::Cpu).unwrap()),
    ]
    .into();
    let model = Architecture::parse("mlp:widths=2-1").unwrap();
    let options =
        TaskOptions { loss: Some(Loss::HalfSquaredError), dtype: DType::F64, ..TaskOptions::default() };
    Minibatches::new(&model, &tensors, &data, &options).unwrap()
}

/// Rise of the mean of (f - y)^2 / 2 over some examples, by hand.
fn rise(chosen: &[u32], epsilon: [f64; 3]) -> f64 {
    let half = |theta: [f64; 3]| {
        let all = chosen.iter().map(|i| example(*i as usize));
        let squares =
            all.map(|(row, y)| (row.iter().zip(theta).map(|(a, t)| a * t).sum::<f64>() - y).powi(2));
        0.5 * squares.sum::<f64>() / chosen.len() as f64
    };
    half([0, 1, 2].map(|a| THETA[a] + epsilon[a])) - half(THETA)
}

fn gradient(chosen: &[u32]) -> [f64; 3] {
    // Exact for a quadratic.
    [0, 1, 2].map(|a| {
        let unit = |sign: f64| [0, 1, 2].map(|b| if a == b { sign } else { 0.0 });
        0.5 * (rise(chosen, unit(1.0)) - rise(chosen, unit(-1.0)))
    })
}

fn mini_batches(m: usize) -> Vec<Vec<u32>> {
    let epochs = Epochs::new(N, m, 5).unwrap();
    (0..N / m).map(|step| epochs.at(step)).collect()
}

#[test]
fn the_step_and_the_worst_corner_of_every_mini_batch() {
    let sum = regression();
    let at = sum.parameters();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for m in [3, 7, N] {
        let batches = mini_batches(m);
        let steps: Vec<f64> = batches
            .iter()
            .map(|chosen| {
                let g = gradient(chosen);
                let length = g.iter().map(|x| x * x).sum::<f64>().sqrt();
                rise(chosen, g.map(|x| 0.2 * x / length))
            })
            .collect();
        let found = MSharpness { m, rho: 0.2, perturbation: Perturbation::default(), seed: 5 };
        close(found.measure(&sum, at).unwrap().value, mean(&steps), 1e-10);
        // A convex loss is highest at a corner of the box.
        for (scale, t) in [(Scale::None, [1.0; 3]), (Scale::Magnitude, THETA.map(f64::abs))] {
            let corners: Vec<f64> = batches
                .iter()
                .map(|chosen| {
                    let signs = (0..8).map(|i: i32| [1, 2, 4].map(|bit| f64::from(i / bit % 2) * 2.0 - 1.0));
                    let corner = |s: [f64; 3]| rise(chosen, [0, 1, 2].map(|a| 0.3 * s[a] * t[a]));
                    signs.map(corner).fold(f64::NEG_INFINITY, f64::max)
                })
                .collect();
            let search = Apgd { steps: 60, random_starts: 12, seed: 1 };
            let worst = WorstCase { ball: Ball::Linf, rho: 0.3, scale, search };
            let found = MWorstCase { m, worst, seed: 5 }.measure(&sum, at).unwrap();
            close(found.value, mean(&corners), 1e-9);
            assert_eq!(found.uncertainty, Uncertainty::LowerBound);
            close(found.beside["batches"], (N / m) as f64, 1e-15);
            assert_eq!(found.beside.contains_key("standard_error"), m < N);
        }
        let round = WorstCase { ball: Ball::L2, rho: 0.2, scale: Scale::None, search: Apgd::default() };
        let found = MWorstCase { m, worst: round, seed: 5 }.measure(&sum, at).unwrap();
        assert!(found.value >= mean(&steps) - 1e-12);
    }
    let worst = WorstCase { ball: Ball::L2, rho: 0.2, scale: Scale::None, search: Apgd::default() };
    for m in [0, N + 1] {
        assert!(MWorstCase { m, worst, seed: 0 }.measure(&sum, at).is_err());
    }
}

#[test]
fn gradient_noise_of_single_examples() {
    let sum = regression();
    let whole = sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, sum.parameters(), DEFAULT_MEMORY).unwrap();
    let settings = Noise { batch: Some(1), relative_error: 0.02, max_draws: 4000, kernel_norm: None };
    let found = gradient_noise(&sum, &curvature, &settings, 3).unwrap();
    let all: Vec<u32> = (0..N as u32).collect();
    let g = gradient(&all);
    let bend = |chosen: &[u32], v: [f64; 3]| rise(chosen, v) + rise(chosen, v.map(|x| -x));
    let square = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>();
    let mean = |f: &dyn Fn(u32) -> f64| all.iter().map(|i| f(*i)).sum::<f64>() / N as f64;
    let own = |i: u32| gradient(&[i]);
    let off = |i: u32| [0, 1, 2].map(|a| own(i)[a] - g[a]);
    let unbiased = N as f64 / (N - 1) as f64;
    let expected = [
        mean(&|i| bend(&[i], own(i)) / square(own(i))),
        mean(&|i| bend(&all, own(i))) / square(g),
        unbiased * mean(&|i| square(off(i))) / square(g),
        unbiased * mean(&|i| bend(&all, off(i))) / bend(&all, g),
    ];
    let names =
        ["batch-sharpness", "gradient-noise-interaction", "gradient-noise-scale", "hessian-noise-scale"];
    assert_eq!(found.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), names);
    for (row, expected) in found.iter().zip(expected) {
        assert!((row.value - expected).abs() < 4.0 * error_of(row), "{row:?} {expected}");
        assert!(row.remedy.is_none());
        close(row.settings["m"], 1.0, 1e-15);
    }
    let few = Noise { relative_error: 1e-6, max_draws: 20, ..settings };
    assert!(gradient_noise(&sum, &curvature, &few, 3).unwrap()[0].remedy.is_some());
    let exact = gradient_noise(&sum, &curvature, &Noise::default(), 3).unwrap();
    assert_eq!(exact.len(), 2, "mini-batches of all examples have no scales");
    close(exact[0].value, bend(&all, g) / square(g), 1e-10);
    assert_eq!(exact[0].uncertainty, Uncertainty::Exact);
}
