//! Where the noise of mini-batches makes SGD diverge: the sign of kernel norm - 1 on a linear model.
//!
//! `cargo run --release --example stochastic_edge` draws linear regressions of 200 examples in 400 dimensions, finds the step size at
//! which the kernel norm is 1 for mini-batches of 1, 2, 5 and 20, runs SGD at 0.9 and 1.1 times that, and writes
//! notebooks-data/stochastic-edge/.

use std::path::Path;

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Dense, Lanczos, Outcome, Silent, Wanted};
use relief_plot::{Axis, Figure, Lines, Panel, Reference, Series};
use relief_sharpness::{Sgd, kernel_norm};
use serde_json::json;

const EXAMPLES: usize = 200;
const DIMENSIONS: usize = 400;
const BATCHES: [usize; 4] = [1, 2, 5, 20];
const FACTORS: [f64; 2] = [0.9, 1.1];
const STEPS: usize = 2000;
const EVERY: usize = 20;
const RUNS: usize = 21;
const FOLDER: &str = "notebooks-data/stochastic-edge";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let normal = rand_distr::StandardNormal;
    let inputs: Vec<Vec<f64>> =
        (0..EXAMPLES).map(|_| (0..DIMENSIONS).map(|_| random.sample(normal)).collect()).collect();
    // x'x' between examples: all that residuals need of the model.
    let gram: Vec<Vec<f64>> = inputs.iter().map(|a| inputs.iter().map(|b| dot(a, b)).collect()).collect();
    let scaled = gram.iter().flatten().map(|g| g / EXAMPLES as f64).collect();
    let solver = Lanczos { wanted: Wanted::Largest { k: EXAMPLES }, ..Lanczos::default() };
    let Outcome::Done(eigen) = solver.run(&Dense::new(EXAMPLES, scaled)?, None, &mut Silent)? else {
        unreachable!("nobody interrupts");
    };
    let values: Vec<f64> = eigen.largest.iter().map(|pair| pair.value).collect();
    let (mut panels, mut results) = (vec![], vec![]);
    for batch in BATCHES {
        let edge = edge(&values, batch);
        let mut lines = Lines::new(
            format!("mini-batches of {batch}: K = 1 at eta = {edge:.4}"),
            Axis::linear("step"),
            Axis::log("|z|²/|z₀|²"),
        );
        for factor in FACTORS {
            let curve = median_curve(&gram, batch, factor * edge);
            let steps: Vec<f64> = (0..curve.len()).map(|i| (i * EVERY) as f64).collect();
            let norm = kernel_norm(&values, sgd(factor * edge, batch), 1);
            let end = curve.last().copied().unwrap_or(1.0).log10();
            println!(
                "B = {batch}: eta = {factor} eta_c, K = {norm:.3}, log10 of |z|^2/|z_0|^2 after {STEPS} steps {end:.2}"
            );
            results
                .push(json!({ "batch": batch, "eta": factor * edge, "eta_at_1": edge, "kernel_norm": norm,
                "steps": STEPS, "runs": RUNS, "log10_median": end, "median": curve }));
            lines.series.push(Series::new(format!("{factor} of it, K = {norm:.2}"), steps, curve));
        }
        panels.push(Panel::Lines(lines.with_reference(Reference::level(1.0, ""))));
    }
    std::fs::create_dir_all(FOLDER)?;
    let all = json!({ "examples": EXAMPLES, "dimensions": DIMENSIONS, "largest": values[0],
        "edge_of_gradient_descent": 2.0 / values[0], "runs": results });
    std::fs::write(Path::new(FOLDER).join("result.json"), serde_json::to_string_pretty(&all)? + "\n")?;
    let figure = Figure { share_x: true, ..Figure::new("", panels).in_columns(2) };
    figure.save(Path::new(FOLDER).join("residuals.svg"))?;
    figure.save(Path::new(FOLDER).join("residuals.png"))?;
    Ok(())
}

fn sgd(eta: f64, batch: usize) -> Sgd {
    Sgd { eta, momentum: 0.0, nesterov: false, batch, examples: EXAMPLES }
}

/// The step size at which the kernel norm is 1, by bisection.
fn edge(values: &[f64], batch: usize) -> f64 {
    let (mut low, mut high) = (0.0, 2.0 / values[0]);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if kernel_norm(values, sgd(middle, batch), 1) < 1.0 { low = middle } else { high = middle }
    }
    low
}

/// The median over runs of |residuals|^2 relative to the start, every so many steps.
fn median_curve(gram: &[Vec<f64>], batch: usize, eta: f64) -> Vec<f64> {
    let runs: Vec<Vec<f64>> = (0..RUNS)
        .map(|run| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            random.set_stream((batch * 1000 + run) as u64);
            let mut z: Vec<f64> = (0..EXAMPLES).map(|_| random.sample(rand_distr::StandardNormal)).collect();
            let start = dot(&z, &z);
            let mut curve = vec![1.0];
            for step in 1..=STEPS {
                let chosen: Vec<(usize, f64)> =
                    sample(&mut random, EXAMPLES, batch).into_iter().map(|i| (i, z[i])).collect();
                for (i, residual) in chosen {
                    let move_by = eta / batch as f64 * residual;
                    z.iter_mut().zip(&gram[i]).for_each(|(z, g)| *z -= move_by * g);
                }
                if step % EVERY == 0 {
                    curve.push((dot(&z, &z) / start).max(1e-100));
                }
            }
            curve
        })
        .collect();
    (0..=STEPS / EVERY)
        .map(|i| {
            let mut values: Vec<f64> = runs.iter().map(|curve| curve[i]).collect();
            values.sort_by(f64::total_cmp);
            values[RUNS / 2]
        })
        .collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
