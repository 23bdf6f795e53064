//! Hutch++ (Meyer, Musco, Musco & Woodruff 2021): a third of the products finds the range, a third computes the trace
//! there, and a third samples what is outside.

use rayon::prelude::*;

use crate::Result;
use crate::lanczos::vectors::{self, dot};
use crate::sampling::packed::Packed;
use crate::sampling::probes::{Entries, Piece, Probes};
use crate::sampling::run::{BLOCK, Task};
use crate::sampling::sketch::Sketch;
use crate::sampling::statistics::{Scalar, independent};

/// Number of the first probe that samples what the sketch leaves out.
const FIRST_OUTSIDE: u64 = 1 << 32;

/// A sketch, and (I - P) A (I - P) g for further probes g, where P projects onto the sketch's basis: three vectors kept for
/// three products. When the basis grows, these products follow without new ones.
#[derive(Debug, Clone)]
pub(crate) struct HutchPlusPlus {
    pub(crate) sketch: Sketch,
    /// Further probes in all.
    pub(crate) planned: usize,
    pub(crate) outside: Vec<Vec<f64>>,
    /// Vectors of the basis that `outside` is orthogonal to.
    pub(crate) deflated: usize,
}

impl HutchPlusPlus {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        Self { sketch: Sketch::new(n, seed, Entries::Normal), planned: 0, outside: vec![], deflated: 0 }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([probes, planned, deflated], seed) = packed.counts()?;
        let (basis, images) = (packed.basis(n)?, packed.list("images", n)?);
        let outside = packed.list("outside", n)?;
        let fits = basis.factor.len() <= probes
            && images.len() <= basis.rank()
            && deflated <= images.len()
            && outside.len() <= planned;
        let sketch = Sketch { planned: probes, basis, images, ..Sketch::new(n, seed, Entries::Normal) };
        fits.then_some(Self { sketch, planned, outside, deflated })
    }

    fn probes(&self, first: usize, count: usize) -> Probes {
        Probes::new(Entries::Normal, self.sketch.seed, FIRST_OUTSIDE + first as u64, count, self.sketch.n)
    }

    /// Takes the basis vectors that are new out of the products outside.
    fn deflate(&mut self) {
        let basis = &self.sketch.basis.vectors[self.deflated..];
        let images = &self.sketch.images[self.deflated..];
        for j in 0..self.outside.len() {
            let probe = self.probes(j, 1).whole();
            let outside = &mut self.outside[j];
            vectors::subtract(images, &vectors::coefficients(basis, &probe[0]), outside);
            project(&self.sketch.basis.vectors, outside);
        }
        self.deflated = self.sketch.basis.rank();
    }

    pub(super) fn conclude(&self, unit_roundoff: f64) -> Scalar {
        let projected = self.sketch.projected();
        let inside: f64 = (0..projected.nrows()).map(|i| projected[(i, i)]).sum();
        let scalar = if self.exact() {
            Scalar::exact(inside)
        } else {
            let outside = independent(&self.samples());
            let samples = outside.samples.iter().map(|x| inside + x).collect();
            Scalar { value: inside + outside.value, samples, ..outside }
        };
        scalar.with_rounding(self.sketch.norm(), unit_roundoff)
    }

    /// For each further probe, an estimate of the trace outside: the probe's length is normalised there.
    fn samples(&self) -> Vec<f64> {
        let basis = &self.sketch.basis.vectors;
        let k = self.outside.len();
        let mut along = vec![vec![0.0; basis.len()]; k];
        let (mut squares, mut forms) = (vec![0.0; k], vec![0.0; k]);
        for Piece { rows, probes } in self.probes(0, k) {
            along.par_iter_mut().zip(&probes).for_each(|(along, g)| {
                for (along, q) in along.iter_mut().zip(basis) {
                    *along += dot(&q[rows.clone()], g);
                }
            });
            for (j, g) in probes.iter().enumerate() {
                squares[j] += dot(g, g);
                forms[j] += dot(&self.outside[j][rows.clone()], g);
            }
        }
        let rest = (self.sketch.n - basis.len()) as f64;
        (0..k).map(|j| rest * forms[j] / (squares[j] - dot(&along[j], &along[j]))).collect()
    }
}

/// x <- x - Q Q'x.
fn project(basis: &[Vec<f64>], x: &mut [f64]) {
    vectors::subtract(basis, &vectors::coefficients(basis, x), x);
}

impl Task for HutchPlusPlus {
    fn plan(&mut self, products: usize) {
        let k = products / 3;
        self.sketch.planned = k;
        self.planned = products - 2 * k;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        if self.sketch.pending() {
            return self.sketch.inputs();
        }
        if self.exact() {
            return Ok(vec![]);
        }
        let done = self.outside.len();
        let mut block = self.probes(done, BLOCK.min(self.planned - done)).whole();
        for g in &mut block {
            project(&self.sketch.basis.vectors, g);
        }
        Ok(block)
    }

    fn absorb(&mut self, inputs: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()> {
        if self.sketch.pending() {
            self.sketch.absorb(inputs, products)?;
            if !self.sketch.pending() {
                self.deflate();
            }
            return Ok(());
        }
        for mut y in products {
            project(&self.sketch.basis.vectors, &mut y);
            self.outside.push(y);
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        Packed::new("hutch++", &[self.sketch.planned, self.planned, self.deflated], self.sketch.seed)
            .with_basis(&self.sketch.basis)
            .with("images", self.sketch.images.clone())
            .with("outside", self.outside.clone())
    }

    fn exact(&self) -> bool {
        self.sketch.exhausted()
    }
}
