//! How far approximations of a matrix are from it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::lanczos::{Control, Observer};
use crate::operator::SymmetricOperator;
use crate::sampling::Estimating;
use crate::{Error, Result};

/// Settings of measuring |K - G|_F / |G|_F for approximations K of a matrix G, all from the same products with G.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelativeDistance {
    /// Products with G, at random vectors of signs w: the means of |(K - G) w|^2 and |G w|^2 are the squares of the norms. With
    /// as many as G has rows, or more, its columns are computed instead, and the distances are exact.
    pub products: usize,
    /// Seed of the vectors; vector i has the signs that stream i of `ChaCha8Rng` draws.
    pub seed: u64,
}

impl Default for RelativeDistance {
    fn default() -> Self {
        Self { products: 100, seed: 0 }
    }
}

/// What [`RelativeDistance::run`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelativeDistances {
    /// |G|_F.
    pub norm: f64,
    /// Its standard error; 0 where it is exact.
    pub norm_error: f64,
    /// |K - G|_F / |G|_F with its standard error, for each approximation.
    pub distances: Vec<(f64, f64)>,
    /// Products with G.
    pub products: usize,
    /// Whether the columns of G were computed.
    pub exact: bool,
}

impl RelativeDistance {
    /// Measures the distances; `None` where the observer interrupted.
    ///
    /// Errors: fewer than two products, operators of different size, products that are not finite, a matrix that is zero.
    pub fn run(
        &self,
        matrix: &dyn SymmetricOperator,
        approximations: &[&dyn SymmetricOperator],
        observer: &mut dyn Observer<Estimating>,
    ) -> Result<Option<RelativeDistances>> {
        let n = matrix.dim();
        if self.products < 2 {
            return Err(Error::Input(format!(
                "{} products are asked for, but at least 2 are needed",
                self.products
            )));
        }
        if let Some(other) = approximations.iter().find(|k| k.dim() != n) {
            return Err(Error::Input(format!(
                "the matrix has {n} rows, but an approximation of it {}",
                other.dim()
            )));
        }
        let exact = self.products >= n;
        let products = self.products.min(n);
        let mut squares = vec![vec![]; approximations.len() + 1];
        let (mut truth, mut guess) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..products {
            let w = if exact { column(n, i) } else { signs(n, self.seed, i) };
            matrix.apply(&w, &mut truth)?;
            squares[0].push(truth.iter().map(|g| g * g).sum());
            for (k, squares) in approximations.iter().zip(&mut squares[1..]) {
                k.apply(&w, &mut guess)?;
                squares.push(guess.iter().zip(&truth).map(|(k, g)| (k - g).powi(2)).sum());
            }
            let done = Estimating {
                products: i + 1,
                planned: products,
                max_products: products,
                value: None,
                error_estimate: None,
            };
            if observer.product(&done) == Control::Interrupt && i + 1 < products {
                return Ok(None);
            }
        }
        conclude(&squares, exact).map(Some)
    }
}

fn conclude(squares: &[Vec<f64>], exact: bool) -> Result<RelativeDistances> {
    let products = squares[0].len();
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    if squares.iter().any(|of| !sum(of).is_finite()) {
        return Err(Error::NonFinite("a product with the block is not finite".into()));
    }
    let whole = sum(&squares[0]);
    if whole <= 0.0 {
        return Err(Error::Input("the block is zero, so no distance is relative to it".into()));
    }
    // The norm's square is the sum over columns, or the mean over random vectors.
    let mean = |total: f64| if exact { total } else { total / products as f64 };
    // Standard error of the mean of values that were centred.
    let spread = |values: &mut dyn Iterator<Item = f64>| {
        if exact {
            0.0
        } else {
            (values.map(|v| v * v).sum::<f64>() / (products * (products - 1)) as f64).sqrt()
        }
    };
    let norm = mean(whole).sqrt();
    let norm_error = spread(&mut squares[0].iter().map(|x| x - mean(whole))) / (2.0 * norm);
    let distances = squares[1..]
        .iter()
        .map(|of| {
            let ratio = sum(of) / whole;
            // Of a ratio of means, to first order.
            let error = spread(&mut of.iter().zip(&squares[0]).map(|(d, x)| d - ratio * x)) / mean(whole);
            let distance = ratio.sqrt();
            (distance, if distance > 0.0 { error / (2.0 * distance) } else { 0.0 })
        })
        .collect();
    Ok(RelativeDistances { norm, norm_error, distances, products, exact })
}

fn column(n: usize, i: usize) -> Vec<f64> {
    let mut unit = vec![0.0; n];
    unit[i] = 1.0;
    unit
}

fn signs(n: usize, seed: u64, i: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(i as u64);
    (0..n).map(|_| if random.random::<bool>() { 1.0 } else { -1.0 }).collect()
}
