//! XNysTrace (Epperly, Tropp & Webber 2024): for positive semidefinite matrices, each product serves
//! both a Nystrom approximation and, left out of it, a sample of what the approximation misses.

use faer::{Mat, MatRef, Side};
use rayon::prelude::*;

use crate::lanczos::vectors::{self, dot};
use crate::sampling::basis::Basis;
use crate::sampling::packed::Packed;
use crate::sampling::probes::{Entries, Piece, Probes};
use crate::sampling::run::{BLOCK, Task};
use crate::sampling::statistics::{Scalar, exchangeable};
use crate::{Error, Result};

/// The shift that keeps the small matrices positive definite, times n and relative to the probes' products, in units of the
/// products' rounding, which adds up as the root of the number of probes.
const PRODUCT_UNITS: f64 = 512.0;

/// The same in units of n times the rounding of f64: that of the small matrices, and of what counts as dependent in the basis.
const SUM_UNITS: f64 = 256.0;

/// Q R = (A + shift I) W with k normal probes as the columns of W: one vector kept for each product.
#[derive(Debug, Clone)]
pub(crate) struct Nystrom {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) unit_roundoff: f64,
    /// Probes in all.
    pub(crate) planned: usize,
    /// Products that looked for negative eigenvalues.
    pub(crate) checks: usize,
    /// Whether that was done for the probes planned.
    pub(crate) checked: bool,
    pub(crate) shift: f64,
    pub(crate) basis: Basis,
}

/// The small matrices of a Nystrom approximation. R and X are divided by the same number.
struct Small {
    unit: f64,
    factor: Mat<f64>,
    /// X = W'Y.
    x: Mat<f64>,
    /// W'W.
    gram: Mat<f64>,
}

/// What leaving probes out is made of, one column a probe.
struct Columns {
    unit: f64,
    whole: f64,
    /// V with V'V = X^-1.
    v: Vec<Vec<f64>>,
    /// B = Y X^-1 in the coordinates of Q.
    b: Vec<Vec<f64>>,
    /// L with L'L = (W'W)^-1.
    l: Vec<Vec<f64>>,
}

impl Nystrom {
    pub(crate) fn new(n: usize, seed: u64, unit_roundoff: f64) -> Self {
        Self {
            n,
            seed,
            unit_roundoff,
            planned: 0,
            checks: 0,
            checked: false,
            shift: 0.0,
            basis: Basis::default(),
        }
    }

    pub(crate) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        let ([planned, checks, checked], seed) = packed.counts()?;
        let [unit_roundoff, shift] = packed.numbers()?;
        let basis = packed.basis(n)?;
        let fits = basis.factor.len() <= planned;
        fits.then_some(Self { n, seed, unit_roundoff, planned, checks, checked: checked == 1, shift, basis })
    }

    fn probes(&self) -> usize {
        self.basis.factor.len()
    }

    /// The size of the probes' products, an estimate of |A|_F.
    fn norm(&self) -> f64 {
        let squares: f64 = self.basis.factor.iter().map(|c| dot(c, c)).sum();
        (squares / self.probes() as f64).sqrt()
    }

    fn small(&self) -> Small {
        let k = self.probes();
        let basis = &self.basis.vectors;
        let r = basis.len();
        let mut along = vec![vec![0.0; r]; k];
        let mut gram = vec![vec![0.0; k]; k];
        for Piece { rows, probes } in Probes::new(Entries::Normal, self.seed, 0, k, self.n) {
            along.par_iter_mut().zip(&mut gram).zip(&probes).for_each(|((along, gram), w)| {
                for (along, q) in along.iter_mut().zip(basis) {
                    *along += dot(&q[rows.clone()], w);
                }
                for (gram, other) in gram.iter_mut().zip(&probes) {
                    *gram += dot(other, w);
                }
            });
        }
        let (factor, unit) = self.basis.scaled_factor();
        let x = Mat::from_fn(k, r, |i, j| along[i][j]) * &factor;
        Small {
            unit,
            factor,
            x: Mat::from_fn(k, k, |i, j| 0.5 * (x[(i, j)] + x[(j, i)])),
            gram: Mat::from_fn(k, k, |i, j| gram[i.max(j)][i.min(j)]),
        }
    }

    /// A unit vector u and the number that u'(A + shift I)u must not fall below if A is positive semidefinite.
    ///
    /// For any x, (u'Ax)^2 <= u'Au x'Ax then. The probes' combination x with the smallest x'Ax, and u = Ax / |Ax|, are the
    /// most doubtful: negative eigenvalues make x'Ax small by cancellation, not because Ax is small.
    fn doubtful(&self) -> Result<(Vec<f64>, f64)> {
        let small = self.small();
        let eigen = small
            .x
            .self_adjoint_eigen(Side::Lower)
            .map_err(|e| Error::Other(format!("the probes' matrix could not be diagonalised: {e:?}")))?;
        let (least, x) = (eigen.S()[0], eigen.U().col(0));
        if least <= 0.0 {
            let length = (x.transpose() * &small.gram) * x;
            return Err(not_semidefinite(least * small.unit / length - self.shift));
        }
        // As much as the shift adds may be rounding.
        let rounding = self.shift * self.n as f64 / small.unit;
        let image: Vec<f64> = (&small.factor * x).iter().copied().collect();
        let length = vectors::norm(&image);
        let mut u = vec![0.0; self.n];
        let negative: Vec<f64> = image.iter().map(|c| -c / length).collect();
        vectors::subtract(&self.basis.vectors, &negative, &mut u);
        Ok((u, small.unit * length * length / (least + rounding)))
    }

    /// The estimate, once the doubtful direction was looked at.
    pub(super) fn conclude(&self) -> Result<Scalar> {
        if self.exact() {
            return Ok(Scalar::exact(0.0));
        }
        let (own, without) = self.samples()?;
        Ok(exchangeable(&own, &without).with_rounding(self.norm(), self.unit_roundoff))
    }

    /// One estimate of the trace for each probe left out, and in row i and column j that from probe i had probe j never
    /// been there.
    ///
    /// Let Y = A W, X = W'Y, and v, b and l the probe's columns of V, B and L. The approximation without probe w is
    /// Y X^-1 Y' - b b' / |v|^2, and what it misses has the form w'(A - ...)w = 1 / |v|^2. It misses nothing of the other
    /// probes' span, outside of which w has the squared length 1 / |l|^2. Another probe is left out by making v and l
    /// orthogonal to its columns, and changing b as v.
    fn samples(&self) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
        let k = self.probes();
        let columns = self.small().columns().map_err(|()| not_semidefinite(f64::NAN))?;
        let shifted = self.shift * self.n as f64;
        let all: Vec<(f64, Vec<f64>)> = (0..k)
            .into_par_iter()
            .map(|i| {
                let own = columns.estimate(i, None, self.n - (k - 1)) - shifted;
                let without = |j: usize| {
                    if i == j { own } else { columns.estimate(i, Some(j), self.n - (k - 2)) - shifted }
                };
                (own, (0..k).map(without).collect())
            })
            .collect();
        Ok(all.into_iter().unzip())
    }
}

impl Small {
    fn columns(&self) -> Result<Columns, ()> {
        let k = self.x.nrows();
        let root = |matrix: &Mat<f64>| {
            let lower = matrix.llt(Side::Lower).map_err(|_| ())?;
            let mut inverse = Mat::<f64>::identity(k, k);
            lower.L().solve_lower_triangular_in_place(&mut inverse);
            Ok(inverse)
        };
        let (v, l) = (root(&self.x)?, root(&self.gram)?);
        let n = &self.factor * v.transpose();
        let b = &n * &v;
        let columns = |m: MatRef<'_, f64>| (0..k).map(|i| m.col(i).iter().copied().collect()).collect();
        Ok(Columns {
            unit: self.unit,
            whole: n.squared_norm_l2(),
            v: columns(v.as_ref()),
            b: columns(b.as_ref()),
            l: columns(l.as_ref()),
        })
    }
}

impl Columns {
    /// The estimate from probe i, where the other probes (without j) leave `rest` dimensions.
    fn estimate(&self, i: usize, without: Option<usize>, rest: usize) -> f64 {
        let mut inside = self.whole;
        let (mut v, mut b, mut l) = (self.v[i].clone(), self.b[i].clone(), self.l[i].clone());
        if let Some(j) = without {
            let square = dot(&self.v[j], &self.v[j]);
            let share = dot(&v, &self.v[j]) / square;
            subtract(&mut v, share, &self.v[j]);
            subtract(&mut b, share, &self.b[j]);
            let share = dot(&l, &self.l[j]) / dot(&self.l[j], &self.l[j]);
            subtract(&mut l, share, &self.l[j]);
            inside -= dot(&self.b[j], &self.b[j]) / square;
        }
        let missed = rest as f64 * dot(&l, &l);
        self.unit * (inside + (missed - dot(&b, &b)) / dot(&v, &v))
    }
}

fn subtract(x: &mut [f64], factor: f64, y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x -= factor * y);
}

fn not_semidefinite(value: f64) -> Error {
    let found = if value < 0.0 { format!(" (x'Ax / x'x = {value:.3e} for some x)") } else { String::new() };
    Error::Input(format!(
        "XNysTrace needs a positive semidefinite matrix, and this one has negative eigenvalues{found}: use XTrace, or the \
         Gauss-Newton matrix"
    ))
}

impl Task for Nystrom {
    fn plan(&mut self, products: usize) {
        self.planned = products - self.checks - 1;
        self.checked = false;
    }

    fn inputs(&self) -> Result<Vec<Vec<f64>>> {
        let done = self.probes();
        if self.exact() || self.checked {
            return Ok(vec![]);
        }
        if done == self.planned {
            return Ok(vec![self.doubtful()?.0]);
        }
        Ok(Probes::new(Entries::Normal, self.seed, done as u64, BLOCK.min(self.planned - done), self.n)
            .whole())
    }

    fn absorb(&mut self, inputs: &[Vec<f64>], mut products: Vec<Vec<f64>>) -> Result<()> {
        if self.probes() == self.planned {
            let (_, least) = self.doubtful()?;
            let found = vectors::coefficients(inputs, &products[0])[0] + self.shift;
            if found < least {
                return Err(not_semidefinite(found - self.shift));
            }
            self.checks += 1;
            self.checked = true;
            return Ok(());
        }
        if self.probes() == 0 {
            let squares: f64 = products.iter().map(|y| vectors::norm(y).powi(2)).sum();
            let size = (squares / products.len() as f64).sqrt();
            let n = self.n as f64;
            let units = PRODUCT_UNITS * self.unit_roundoff + SUM_UNITS * n * (0.5 * f64::EPSILON);
            self.shift = units * size / n;
        }
        for (y, w) in products.iter_mut().zip(inputs) {
            y.iter_mut().zip(w).for_each(|(y, w)| *y += self.shift * w);
        }
        for y in products {
            self.basis.push(y);
        }
        Ok(())
    }

    fn pack(&self) -> Packed {
        Packed::new("nystrom", &[self.planned, self.checks, usize::from(self.checked)], self.seed)
            .with_numbers(&[self.unit_roundoff, self.shift])
            .with_basis(&self.basis)
    }

    /// A matrix whose random products are all zero is zero.
    fn exact(&self) -> bool {
        self.probes() > 0 && self.shift == 0.0
    }
}
