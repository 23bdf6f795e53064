//! Every heavy operation by itself: time and GFLOP/s of the value, the gradient and a Hessian-vector product.
//!
//! `cargo bench -p relief-autodiff [-- PART_OF_A_NAME]`; `RAYON_NUM_THREADS` sets the threads. Multiply-adds are counted as
//! the definition has them, so a faster algorithm can exceed the machine's rate, which is printed first. Nothing here is
//! a test: times on shared machines vary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use relief_autodiff::{ConvolutionOptions, Graph, GraphBuilder, PoolOptions, Result, Value};

type Operation = Box<dyn Fn(&GraphBuilder) -> Result<Value>>;

/// An operation on parameters, and the multiply-adds of its value.
struct Subject {
    name: String,
    multiply_adds: usize,
    build: Operation,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    for dtype in [DType::F32, DType::F64] {
        println!(
            "\n{dtype:?}: a product of matrices of side 2048 runs at {:.0} GFLOP/s",
            matmul_rate(dtype)?
        );
        println!("{:44} {:>10} {:>10} {:>10}   GFLOP/s", "", "value", "gradient", "product");
        for subject in subjects().iter().filter(|s| s.name.contains(&wanted)) {
            report(subject, dtype)?;
        }
    }
    Ok(())
}

fn convolution(batch: usize, [from, to]: [usize; 2], size: usize, kernel: usize, stride: usize) -> Subject {
    let out = size / stride;
    let options =
        ConvolutionOptions { stride: [stride; 2], padding: [kernel / 2; 2], ..ConvolutionOptions::default() };
    Subject {
        name: format!("conv2d {kernel}x{kernel}/{stride} {batch} x {from}->{to} x {size}x{size}"),
        multiply_adds: batch * from * to * out * out * kernel * kernel,
        build: Box::new(move |g| {
            let (x, w) = (
                g.parameter("x", &[batch, from, size, size])?,
                g.parameter("w", &[to, from, kernel, kernel])?,
            );
            x.conv2d(&w, None, options)
        }),
    }
}

fn linear(rows: usize, [from, to]: [usize; 2]) -> Subject {
    Subject {
        name: format!("linear {rows} x {from}->{to}"),
        multiply_adds: rows * from * to,
        build: Box::new(move |g| {
            g.parameter("x", &[rows, from])?.linear(&g.parameter("w", &[to, from])?, None)
        }),
    }
}

/// Operations whose time is memory's, not arithmetic's.
fn light(name: &str, shape: &'static [usize], f: impl Fn(&Value) -> Result<Value> + 'static) -> Subject {
    Subject {
        name: format!("{name} {shape:?}"),
        multiply_adds: 0,
        build: Box::new(move |g| f(&g.parameter("x", shape)?)),
    }
}

fn subjects() -> Vec<Subject> {
    vec![
        linear(128, [3072, 512]),
        linear(512, [128, 512]),
        convolution(8, [64, 64], 32, 3, 1),
        convolution(8, [256, 256], 8, 3, 1),
        convolution(32, [32, 32], 32, 3, 1),
        convolution(32, [3, 32], 32, 3, 1),
        convolution(8, [64, 128], 32, 3, 2),
        convolution(8, [64, 128], 32, 1, 2),
        convolution(8, [64, 64], 32, 5, 1),
        Subject {
            name: "attention 32 heads x 64 x 32".into(),
            multiply_adds: 2 * 32 * 64 * 64 * 32,
            build: Box::new(|g| {
                let [q, k, v] = ["q", "k", "v"].map(|name| g.parameter(name, &[32, 64, 32]));
                q?.attention(&k?, &v?, None, None)
            }),
        },
        light("relu", &[32, 32, 32, 32], Value::relu),
        light("gelu_erf", &[512, 512], Value::gelu_erf),
        light("tanh", &[512, 512], Value::tanh),
        light("softmax", &[2048, 64], |x| x.softmax(1)),
        light("layer_norm", &[512, 128], |x| x.layer_norm(1, None, None, 1e-5)),
        light("max_pool2d", &[32, 32, 32, 32], |x| x.max_pool2d(PoolOptions::square(2))),
        light("avg_pool2d", &[32, 32, 32, 32], |x| x.avg_pool2d(PoolOptions::square(2))),
    ]
}

fn report(subject: &Subject, dtype: DType) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let g = GraphBuilder::new();
    let y = (subject.build)(&g)?;
    // A curved loss, so that the product has all its terms.
    let graph: Arc<Graph> = Arc::new(g.finish(&y, &y.sqr()?.mean_all()?, |_| true)?);
    let random = || -> candle_core::Result<Vec<Tensor>> {
        (0..graph.parameter_names().count())
            .map(|i| Tensor::randn(0.0, 1.0, graph.parameter_shape(i), &Device::Cpu)?.to_dtype(dtype))
            .collect()
    };
    let (point, v, none) = (random()?, random()?, BTreeMap::new());
    let linearized = graph.linearize(&point, &none, &[])?;
    let times = [
        median(|| graph.evaluate(&point, &none, &[]).map(drop))?,
        median(|| graph.gradient(&point, &none, &[]).map(drop))?,
        median(|| linearized.hessian_product(&v).map(drop))?,
    ];
    let rates: Vec<String> = times
        .iter()
        .zip([2, 6, 12])
        .map(|(t, factor)| format!("{:.0}", (factor * subject.multiply_adds) as f64 / t / 1e9))
        .collect();
    let [value, gradient, product] = times.map(|t| format!("{:.2} ms", 1e3 * t));
    let rates = if subject.multiply_adds > 0 { rates.join(" / ") } else { String::new() };
    println!("{:44} {value:>10} {gradient:>10} {product:>10}   {rates}", subject.name);
    Ok(())
}

/// Median time of some runs, after one that warms up, in seconds.
fn median<E>(run: impl Fn() -> std::result::Result<(), E>) -> std::result::Result<f64, E> {
    run()?;
    let mut times = vec![];
    let all = Instant::now();
    while times.len() < 3 || (times.len() < 101 && all.elapsed().as_secs_f64() < 0.5) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn matmul_rate(dtype: DType) -> candle_core::Result<f64> {
    let a = Tensor::ones((2048, 2048), dtype, &Device::Cpu)?;
    let seconds = median(|| a.matmul(&a).map(drop))?;
    Ok(2.0 * 2048f64.powi(3) / seconds / 1e9)
}
