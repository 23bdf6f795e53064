//! Pairs of mini-batches, and means over them.

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Curvature, DEFAULT_MEMORY, FiniteSum, Result, SymmetricOperator};

use super::Mean;
use crate::arithmetic::dot;

/// Where mini-batches are drawn.
pub(super) struct Draws<'a> {
    pub(super) sum: &'a dyn FiniteSum,
    pub(super) curvature: &'a Curvature<'a>,
    pub(super) batch: usize,
    pub(super) seed: u64,
}

/// What one mini-batch tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// `g_B`'`H_B` `g_B`.
    pub(super) curvature: f64,
    /// `g_B`'H `g_B` with the Hessian of an independent mini-batch: the same as with that of all examples on average.
    pub(super) crossed: f64,
    /// |`g_B`|^2.
    pub(super) square: f64,
    /// |`g_B` - g|^2.
    pub(super) deviation: f64,
}

impl Batch {
    /// The Rayleigh quotient; none where the gradient is zero.
    pub(super) fn sharpness(&self) -> Option<f64> {
        (self.square > 0.0).then(|| self.curvature / self.square)
    }
}

impl Draws<'_> {
    /// Two independent mini-batches from draw number `first` on; `whole` takes all examples instead.
    pub(super) fn pair(&self, first: u64, whole: bool) -> Result<[Batch; 2]> {
        let at = self.curvature.parameters();
        let objectives = [self.drawn(first, whole)?, self.drawn(first + 1, whole)?];
        let [a, b] = &objectives;
        let near = [Curvature::new(&**a, at, DEFAULT_MEMORY)?, Curvature::new(&**b, at, DEFAULT_MEMORY)?];
        let full = self.curvature.gradient();
        // Weight decay is part of the loss over all examples, and need not be of the mini-batches'.
        let decay = self.curvature.objective().weight_decay() - a.weight_decay();
        let point = at.to_vec()?;
        let one = |own: &Curvature<'_>, other: &Curvature<'_>| -> Result<Batch> {
            let gradient: Vec<f64> = own.gradient().iter().zip(&point).map(|(g, x)| g + decay * x).collect();
            let square = dot(&gradient, &gradient);
            let mut product = vec![0.0; gradient.len()];
            own.hessian().apply(&gradient, &mut product)?;
            let curvature = dot(&gradient, &product) + decay * square;
            other.hessian().apply(&gradient, &mut product)?;
            let crossed = dot(&gradient, &product) + decay * square;
            let deviation = gradient.iter().zip(full).map(|(x, y)| (x - y).powi(2)).sum();
            Ok(Batch { curvature, crossed, square, deviation })
        };
        Ok([one(&near[0], &near[1])?, one(&near[1], &near[0])?])
    }

    fn drawn(&self, number: u64, whole: bool) -> Result<Box<dyn relief_hessian::Objective>> {
        if whole {
            return self.sum.whole();
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // The first streams belong to the searches for eigenvalues with the same seed.
        random.set_stream(FIRST_STREAM + number);
        let mut chosen: Vec<u32> =
            sample(&mut random, self.sum.examples(), self.batch).into_iter().map(|i| i as u32).collect();
        chosen.sort_unstable();
        self.sum.over(&chosen)
    }
}

/// Streams of the generator below this one belong to other random numbers of the same seed.
const FIRST_STREAM: u64 = 1 << 40;

/// Mean and standard error of independent draws.
pub(super) fn mean_of(values: impl Iterator<Item = f64>) -> Mean {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - value).powi(2)).sum();
    Mean { value, standard_error: (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()) }
}

/// Mean of the first over mean of the second, with the standard error of first order (the delta method).
pub(super) fn ratio_of(pairs: impl Iterator<Item = (f64, f64)>) -> Mean {
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let n = pairs.len() as f64;
    let (top, bottom) = pairs.iter().fold((0.0, 0.0), |(t, b), (x, y)| (t + x / n, b + y / n));
    let value = top / bottom;
    let left = mean_of(pairs.iter().map(|(x, y)| (x - value * y) / bottom));
    Mean { value, standard_error: left.standard_error }
}
