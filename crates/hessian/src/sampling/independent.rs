//! Probes that do not know of each other: running sums and no vectors kept but theirs.

use super::packed::Packed;
use super::probes::{Entries, Probes};
use super::run::{BLOCK, Task};
use crate::Result;
use crate::lanczos::vectors;

/// For each normal probe w, scaled to length sqrt(n): w'Aw and |Aw|^2.
#[derive(Debug, Clone)]
pub(crate) struct Forms {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) planned: usize,
    pub(crate) quadratic: Vec<f64>,
    pub(crate) squares: Vec<f64>,
}

impl Forms {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        Self { n, seed, planned: 0, quadratic: vec![], squares: vec![] }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([planned], seed) = packed.counts()?;
        let [quadratic, squares] = [packed.single("quadratic")?, packed.single("squares")?];
        let fits = quadratic.len() == squares.len() && squares.len() <= planned;
        fits.then_some(Self { n, seed, planned, quadratic, squares })
    }
}

impl Task for Forms {
    fn plan(&mut self, products: usize) {
        self.planned = products;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        let done = self.quadratic.len();
        let count = BLOCK.min(self.planned - done);
        Ok(Probes::new(Entries::Normal, self.seed, done as u64, count, self.n).whole())
    }

    fn absorb(&mut self, inputs: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        for (w, y) in inputs.iter().zip(&products) {
            let scale = self.n as f64 / vectors::norm(w).powi(2);
            self.quadratic.push(scale * vectors::dot(w, y));
            self.squares.push(scale * vectors::norm(y).powi(2));
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        Packed::new("forms", &[self.planned], self.seed)
            .with("quadratic", vec![self.quadratic.clone()])
            .with("squares", vec![self.squares.clone()])
    }
}

/// Mean of w * Aw, entry by entry, over probes w of signs, and the sum of squared deviations from it.
#[derive(Debug, Clone)]
pub(crate) struct SignProducts {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) planned: usize,
    pub(crate) done: usize,
    pub(crate) mean: Vec<f64>,
    pub(crate) deviations: Vec<f64>,
    /// Sum of |Aw|^2.
    pub(crate) squares: f64,
}

impl SignProducts {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        Self { n, seed, planned: 0, done: 0, mean: vec![0.0; n], deviations: vec![0.0; n], squares: 0.0 }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([planned, done], seed) = packed.counts()?;
        let [squares] = packed.numbers()?;
        let [mean, deviations] = [packed.single("mean")?, packed.single("deviations")?];
        let fits = mean.len() == n && deviations.len() == n && done <= planned;
        fits.then_some(Self { n, seed, planned, done, mean, deviations, squares })
    }

    /// The estimate of the diagonal and its standard errors.
    pub(crate) fn mean_and_errors(&self) -> (Vec<f64>, Vec<f64>) {
        let share = 1.0 / (self.done * (self.done - 1)) as f64;
        (self.mean.clone(), self.deviations.iter().map(|d| (share * d).sqrt()).collect())
    }

    /// An estimate of |A|_F.
    pub(crate) fn norm(&self) -> f64 {
        (self.squares / self.done as f64).sqrt()
    }
}

impl Task for SignProducts {
    fn plan(&mut self, products: usize) {
        self.planned = products;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        let count = BLOCK.min(self.planned - self.done);
        Ok(Probes::new(Entries::Sign, self.seed, self.done as u64, count, self.n).whole())
    }

    fn absorb(&mut self, inputs: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        for (w, y) in inputs.iter().zip(&products) {
            self.done += 1;
            self.squares += vectors::norm(y).powi(2);
            let share = 1.0 / self.done as f64;
            let sums = self.mean.iter_mut().zip(&mut self.deviations);
            for ((mean, deviation), (w, y)) in sums.zip(w.iter().zip(y)) {
                let sample = w * y;
                let before = sample - *mean;
                *mean += share * before;
                *deviation += before * (sample - *mean);
            }
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        Packed::new("sign products", &[self.planned, self.done], self.seed)
            .with_numbers(&[self.squares])
            .with("mean", vec![self.mean.clone()])
            .with("deviations", vec![self.deviations.clone()])
    }
}
