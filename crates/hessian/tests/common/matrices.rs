//! Matrices that are known, and what was asked of them.

use std::sync::Mutex;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Outcome, Result, SymmetricOperator};

/// Q D Q' with Q a product of Householder reflectors: any spectrum, no preferred axis, cheap products.
pub(crate) struct Rotated {
    diagonal: Vec<f64>,
    reflectors: Vec<Vec<f64>>,
    single_precision: bool,
}

impl Rotated {
    pub(crate) fn new(diagonal: &[f64]) -> Self {
        let n = diagonal.len();
        let mut random = ChaCha8Rng::seed_from_u64(99);
        let reflectors = (0..3)
            .map(|_| {
                let v: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
                let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                v.into_iter().map(|x| x / length).collect()
            })
            .collect();
        Self { diagonal: diagonal.to_vec(), reflectors, single_precision: false }
    }

    /// The same with products rounded to f32.
    pub(crate) fn in_single_precision(self) -> Self {
        Self { single_precision: true, ..self }
    }

    /// The unit eigenvector that belongs to number i of the diagonal.
    pub(crate) fn eigenvector(&self, i: usize) -> Vec<f64> {
        let mut x = vec![0.0; self.diagonal.len()];
        x[i] = 1.0;
        self.reflectors.iter().for_each(|v| Self::reflect(v, &mut x));
        x
    }

    fn reflect(v: &[f64], x: &mut [f64]) {
        let along = 2.0 * v.iter().zip(&*x).map(|(a, b)| a * b).sum::<f64>();
        x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
    }
}

impl SymmetricOperator for Rotated {
    fn dim(&self) -> usize {
        self.diagonal.len()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        y.copy_from_slice(x);
        self.reflectors.iter().rev().for_each(|v| Self::reflect(v, y));
        y.iter_mut().zip(&self.diagonal).for_each(|(y, d)| *y *= d);
        self.reflectors.iter().for_each(|v| Self::reflect(v, y));
        if self.single_precision {
            y.iter_mut().for_each(|y| *y = f64::from(*y as f32));
        }
        Ok(())
    }
}

/// An operator that remembers what it was multiplied with, and what came out.
pub(crate) struct Recorded<A> {
    pub(crate) operator: A,
    pub(crate) products: Mutex<Vec<(Vec<f64>, Vec<f64>)>>,
}

impl<A> Recorded<A> {
    pub(crate) fn new(operator: A) -> Self {
        Self { operator, products: Mutex::new(vec![]) }
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Recorded<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.operator.apply(x, y)?;
        self.products.lock().unwrap().push((x.to_vec(), y.to_vec()));
        Ok(())
    }
}

/// The matrix, row by row.
pub(crate) fn entries(operator: &dyn SymmetricOperator) -> Vec<Vec<f64>> {
    let n = operator.dim();
    let units: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    operator.apply_block(&units).unwrap()
}

pub(crate) fn done<T, S>(outcome: Outcome<T, S>) -> T {
    match outcome {
        Outcome::Done(result) => result,
        Outcome::Interrupted(_) => panic!("nobody interrupted"),
    }
}

/// How a method did over many seeds.
pub(crate) struct Record {
    /// Mean error, root mean square error and root mean square of the error estimates, relative to the exact value.
    pub(crate) bias: f64,
    pub(crate) error: f64,
    pub(crate) estimate: f64,
    /// Share of the errors that are at most twice their estimate.
    pub(crate) covered: f64,
}

impl Record {
    /// Of values and their error estimates, and printed.
    pub(crate) fn new(what: &str, exact: f64, results: &[(f64, f64)]) -> Self {
        let count = results.len() as f64;
        let mean =
            |of: &dyn Fn(f64, f64) -> f64| results.iter().map(|(v, e)| of(*v, *e)).sum::<f64>() / count;
        let size = exact.abs();
        let record = Self {
            bias: mean(&|v, _| v - exact) / size,
            error: mean(&|v, _| (v - exact).powi(2)).sqrt() / size,
            estimate: mean(&|_, e| e * e).sqrt() / size,
            covered: mean(&|v, e| f64::from(u8::from((v - exact).abs() <= 2.0 * e))),
        };
        println!(
            "{what}: rms {:.4} %, estimated {:.4} %, mean {:+.4} %, within twice the estimate {:.3} ({count} seeds)",
            100.0 * record.error,
            100.0 * record.estimate,
            100.0 * record.bias,
            record.covered
        );
        record
    }
}
