//! One workload of the comparison, timed on request: reads a command a line, answers with a line of JSON.
//!
//! Commands: `gradient`, `linearize` (keeps it), `hvp`, `ggn` and `block8` (on what is kept), `fresh` (linearize and one
//! product), `drop`, `peak`, `memory`. `compare.py` alternates them with the other tools' workers. With `RELIEF_DEVICE=cuda` it
//! works on the first card, with `cuda:0,1` or `cuda:all` on several; `RELIEF_PRECISION` is how precisely (`benches/cuda`).

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{Curvature, DEFAULT_MEMORY, Objective, SymmetricOperator};
use relief_models::architecture::Architecture;
use relief_models::checkpoint::Checkpoint;
use relief_models::data::Dataset;
use relief_models::task::{Task, TaskOptions};
use serde_json::json;

#[path = "../../crates/cli/src/allocator.rs"]
mod allocator;
#[path = "../../crates/cli/src/threads.rs"]
mod threads;

fn main() -> Result<(), Box<dyn Error>> {
    allocator::keep_memory();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, weights, data, direction, dtype, threads, rest @ ..] = arguments.as_slice() else {
        return Err(
            "give model, weights, data, direction, f32 or f64, threads and, if wanted, a batch size".into()
        );
    };
    threads::start(Some(threads.parse()?));
    let dtype = if dtype == "f64" { DType::F64 } else { DType::F32 };
    let checkpoint = Checkpoint::load(Path::new(weights))?;
    let model = Architecture::parse(model)?.infer(&checkpoint.shapes())?;
    let data = Dataset::load(data, &Default::default())?;
    let tensors = checkpoint.fit_model(&model, data.example_shape())?;
    let mut batch_size = rest.first().map(|s| s.parse()).transpose()?;
    if let Ok(precision) = std::env::var("RELIEF_PRECISION") {
        relief_autodiff::set_precision(precision.parse()?);
    }
    let devices = devices(&std::env::var("RELIEF_DEVICE").unwrap_or_default())?;
    if devices.len() > 1 {
        // Each has a share.
        batch_size = batch_size.or_else(|| Some(data.examples().div_ceil(devices.len())));
    }
    let device = devices[0].clone();
    let options = TaskOptions { dtype, batch_size, device, ..Default::default() };
    let task = Task::new(&model, &tensors, &data, &options)?;
    let direction = Checkpoint::load(Path::new(direction))?.fit_model(&model, data.example_shape())?;
    let v = vector(&task, &direction)?;
    let product = vec![0.0; v.len()];
    Worker { task: &task, product, v, there: None, block: vec![], kept: None, dtype }.serve()
}

/// The CPU, or the cards that `cuda`, `cuda:0,1` or `cuda:all` names.
fn devices(asked: &str) -> Result<Vec<Device>, Box<dyn Error>> {
    let Some(numbers) = asked.strip_prefix("cuda") else { return Ok(vec![Device::Cpu]) };
    let numbers = match numbers.strip_prefix(':') {
        None => vec![0],
        Some("all") => (0..relief_autodiff::cuda_count().max(1)).collect(),
        Some(numbers) => numbers.split(',').map(str::parse).collect::<Result<_, _>>()?,
    };
    Ok(relief_autodiff::cuda_devices(&numbers)?)
}

/// The direction's tensors as a vector in the parameters' order.
fn vector(task: &Task, direction: &BTreeMap<String, Tensor>) -> Result<Vec<f64>, Box<dyn Error>> {
    let parameters = task.objective.parameters();
    let tensors = parameters
        .names()
        .iter()
        .map(|n| direction[n].to_dtype(DType::F64))
        .collect::<Result<Vec<_>, _>>()?;
    let mut v = vec![0.0; parameters.len()];
    parameters.flatten(&tensors, &mut v)?;
    Ok(v)
}

struct Worker<'a> {
    task: &'a Task,
    v: Vec<f64>,
    product: Vec<f64>,
    /// On a card: the direction, where a solver would have it, and then the product.
    there: Option<(Tensor, Option<Tensor>)>,
    block: Vec<Vec<f64>>,
    kept: Option<Curvature<'a>>,
    dtype: DType,
}

impl Worker<'_> {
    fn serve(mut self) -> Result<(), Box<dyn Error>> {
        println!("{}", json!({"ready": true, "batch": self.task.batch_size, "parameters": self.v.len()}));
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let command = line.trim();
            if command == "block8" && self.block.is_empty() {
                self.block = vec![self.v.clone(); 8];
            }
            let start = Instant::now();
            let value = self.obey(command)?;
            let seconds = start.elapsed().as_secs_f64();
            // What the tools must agree on; its time is not counted.
            if let Some(product) = self.there.as_mut().and_then(|(_, product)| product.take()) {
                self.product = product.to_vec1()?;
            }
            let value = value.unwrap_or_else(|| dot(&self.product, &self.v));
            println!("{}", json!({"seconds": seconds, "value": value}));
        }
        Ok(())
    }

    /// Runs one command. Its answer is a number, or else the product of the direction with the vector left behind.
    fn obey(&mut self, command: &str) -> Result<Option<f64>, Box<dyn Error>> {
        let objective = &self.task.objective;
        // All of it is kept: on a card there is room for more than by default.
        let memory = if objective.parameters().device().is_cpu() { DEFAULT_MEMORY } else { usize::MAX };
        let linearized = || Curvature::new(objective, objective.parameters(), memory);
        let kept = self.kept.as_ref().ok_or("linearize first");
        match command {
            "gradient" => self.product = relief_hessian::gradient(objective, objective.parameters())?.1,
            "linearize" => {
                let curvature = linearized()?;
                let loss = curvature.loss();
                let device = curvature.hessian().device();
                let placed = device.map(|device| Tensor::new(self.v.as_slice(), &device)).transpose()?;
                self.there = placed.map(|v| (v, None));
                self.kept = Some(curvature);
                return Ok(Some(loss));
            }
            "hvp" if self.there.is_some() => {
                let (v, product) = self.there.as_mut().ok_or("linearize first")?;
                let found = kept?.hessian().apply_on_device(v)?;
                found.device().synchronize()?;
                *product = Some(found);
            }
            "hvp" => kept?.hessian().apply(&self.v, &mut self.product)?,
            "ggn" => kept?.gauss_newton().apply(&self.v, &mut self.product)?,
            "block8" => self.product = kept?.hessian().apply_block(&self.block)?.swap_remove(7),
            "fresh" => linearized()?.hessian().apply(&self.v, &mut self.product)?,
            "drop" => self.kept = None,
            "peak" => return Ok(Some(matmul_rate(self.dtype, objective.parameters().device())?)),
            "memory" => return Ok(Some(peak_memory()?)),
            other => return Err(format!("unknown command `{other}`").into()),
        }
        Ok(None)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// GFLOP/s of the product of two matrices: of side 2048, by the `gemm` crate on all threads; on a card of side 8192, by cuBLAS.
fn matmul_rate(dtype: DType, device: &Device) -> Result<f64, Box<dyn Error>> {
    let side = if device.is_cpu() { 2048 } else { 8192 };
    let a = Tensor::ones((side, side), dtype, device)?;
    device.synchronize()?;
    let start = Instant::now();
    let _product = a.matmul(&a)?;
    device.synchronize()?;
    Ok(2.0 * (side as f64).powi(3) / start.elapsed().as_secs_f64() / 1e9)
}

/// Largest resident size of this process so far, in bytes (Linux).
fn peak_memory() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).ok_or("no VmHWM line")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes * 1024.0)
}
