//! Semidefinite linear complementarity on small matrices.

use relief_hessian::{Error, Result};

/// Find X with X >= 0, Y = Q + M\[X\] >= 0 and <X, Y> = 0, all symmetric k by k, >= 0 meaning positive semidefinite and M
/// a positive semidefinite map.
///
/// These are the conditions for the minimum of <X, M\[X\]>/2 + <Q, X> over X >= 0, a convex problem; a number of `k` is
/// solved in closed form, matrices by a primal-dual interior-point method with the direction of Alizadeh, Haeberly & Overton
/// (1998). Meant for k up to about 8: a step costs O(k^6).
#[derive(Debug, Clone, PartialEq)]
pub struct Complementarity {
    /// Number of rows k.
    pub k: usize,
    /// Q, row by row.
    pub constant: Vec<f64>,
    /// <`E_p`, M\[`E_q`\]> for the pairs p = (i, j) with i <= j in the order of [`pairs`](Self::pairs), `E_p` having ones at (i, j) and
    /// (j, i): one row after the other.
    pub gram: Vec<f64>,
}

/// X, the slack Y, and how far they are from the conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct ComplementarySolution {
    /// X, row by row.
    pub x: Vec<f64>,
    /// Y = Q + M\[X\], row by row.
    pub slack: Vec<f64>,
    /// The larger of <X, Y> / k and |Q + M\[X\] - Y|, relative to the sizes of Q and M: at most 1e-9.
    pub residual: f64,
}

/// Relative residual above which a problem counts as unsolved.
const ALLOWED: f64 = 1e-9;
const ITERATIONS: usize = 100;

impl Complementarity {
    /// The pairs (i, j) with i <= j < k.
    pub fn pairs(k: usize) -> Vec<(usize, usize)> {
        (0..k).flat_map(|i| (i..k).map(move |j| (i, j))).collect()
    }

    /// Solves it; an error where there is no solution, or none was found.
    pub fn solve(&self) -> Result<ComplementarySolution> {
        let (k, pairs) = (self.k, Self::pairs(self.k));
        if k == 0 || self.constant.len() != k * k || self.gram.len() != pairs.len().pow(2) {
            return Err(Error::Input(format!(
                "a complementarity problem of {k} rows has {} and {} numbers: {} and {} were expected",
                self.constant.len(),
                self.gram.len(),
                k * k,
                pairs.len().pow(2)
            )));
        }
        if cholesky(k, &self.constant).is_some() {
            let (x, slack) = (vec![0.0; k * k], self.constant.clone());
            return Ok(ComplementarySolution { x, slack, residual: 0.0 });
        }
        let largest = |x: &[f64]| x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let (size, strength) = (largest(&self.constant), largest(&self.gram));
        if size == 0.0 {
            let (x, slack) = (vec![0.0; k * k], vec![0.0; k * k]);
            return Ok(ComplementarySolution { x, slack, residual: 0.0 });
        }
        if !(strength > 0.0 && strength.is_finite() && size.is_finite()) {
            return Err(Error::NonFinite(format!(
                "a complementarity problem has no solution: Q has size {size} and is not positive, M has size {strength}"
            )));
        }
        let scaled = Self {
            k,
            constant: self.constant.iter().map(|q| q / size).collect(),
            gram: self.gram.iter().map(|m| m / strength).collect(),
        };
        let mut solution = if k == 1 { scaled.number() } else { scaled.matrices() };
        if solution.residual.is_nan() || solution.residual > ALLOWED {
            return Err(Error::Other(format!(
                "a complementarity problem of {k} rows was solved to a residual of {:.1e} only: it may have no solution",
                solution.residual
            )));
        }
        solution.x.iter_mut().for_each(|x| *x *= size / strength);
        solution.slack.iter_mut().for_each(|y| *y *= size);
        Ok(solution)
    }

    fn number(&self) -> ComplementarySolution {
        let x = (-self.constant[0] / self.gram[0]).max(0.0);
        let slack = (self.constant[0] + self.gram[0] * x).max(0.0);
        ComplementarySolution { x: vec![x], slack: vec![slack], residual: x * slack }
    }

    /// M\[X\].
    fn mapped(&self, x: &[f64]) -> Vec<f64> {
        let (k, pairs) = (self.k, Self::pairs(self.k));
        let mut out = vec![0.0; k * k];
        for (row, &(i, j)) in self.gram.chunks(pairs.len()).zip(&pairs) {
            let along: f64 = row.iter().zip(&pairs).map(|(m, &(a, b))| m * x[a * k + b]).sum();
            // <E_p, M[X]> counts both (i, j) and (j, i).
            let entry = if i == j { along } else { 0.5 * along };
            (out[i * k + j], out[j * k + i]) = (entry, entry);
        }
        out
    }

    fn matrices(&self) -> ComplementarySolution {
        let (k, pairs) = (self.k, Self::pairs(self.k));
        let identity: Vec<f64> = (0..k * k).map(|n| f64::from(u8::from(n % (k + 1) == 0))).collect();
        let (mut x, mut y) = (identity.clone(), identity.clone());
        let mut best = ComplementarySolution { x: x.clone(), slack: y.clone(), residual: f64::INFINITY };
        for _ in 0..ITERATIONS {
            let mut rest = self.mapped(&x);
            rest.iter_mut().zip(&self.constant).zip(&y).for_each(|((r, q), y)| *r += q - y);
            let mean = super::dot(&x, &y) / k as f64;
            let residual = mean.max(rest.iter().fold(0.0, |most: f64, r| most.max(r.abs())));
            if residual < best.residual {
                best = ComplementarySolution { x: x.clone(), slack: y.clone(), residual };
            }
            if residual < 1e-14 {
                break;
            }
            // XY + YX = 2 mu I, linearized, with dY = M[dX] + rest.
            let target = 0.1 * mean;
            let now = symmetric_product(k, &x, &y);
            let off = symmetric_product(k, &x, &rest);
            let right: Vec<f64> = pairs
                .iter()
                .map(|&(i, j)| 2.0 * target * identity[i * k + j] - now[i * k + j] - off[i * k + j])
                .collect();
            let mut system = vec![0.0; pairs.len() * pairs.len()];
            for (q, &(i, j)) in pairs.iter().enumerate() {
                let mut unit = vec![0.0; k * k];
                (unit[i * k + j], unit[j * k + i]) = (1.0, 1.0);
                let mut column = symmetric_product(k, &unit, &y);
                super::add(1.0, &symmetric_product(k, &x, &self.mapped(&unit)), &mut column);
                for (p, &(i, j)) in pairs.iter().enumerate() {
                    system[p * pairs.len() + q] = column[i * k + j];
                }
            }
            let Some(packed) = gauss(system, right) else { break };
            let mut dx = vec![0.0; k * k];
            for (&(i, j), d) in pairs.iter().zip(&packed) {
                (dx[i * k + j], dx[j * k + i]) = (*d, *d);
            }
            let mut dy = self.mapped(&dx);
            super::add(1.0, &rest, &mut dy);
            // One length for both, so that the slack comes nearer to Q + M[X] by the same share.
            let part = longest(k, &x, &dx).min(longest(k, &y, &dy));
            if part == 0.0 {
                break;
            }
            super::add(part, &dx, &mut x);
            super::add(part, &dy, &mut y);
        }
        best
    }
}

/// The part of a step, at most all of it, after which a positive definite matrix still is one.
fn longest(k: usize, x: &[f64], step: &[f64]) -> f64 {
    let mut part = 1.0;
    for _ in 0..60 {
        // A little further must do too, so that the matrix does not come to lie on the border.
        let ahead: Vec<f64> = x.iter().zip(step).map(|(x, d)| x + part / 0.95 * d).collect();
        if cholesky(k, &ahead).is_some() {
            return part;
        }
        part *= 0.8;
    }
    0.0
}

/// AB + BA.
fn symmetric_product(k: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let entry =
        |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * k + j] + b[i * k + l] * a[l * k + j]).sum();
    (0..k * k).map(|n| entry(n / k, n % k)).collect()
}

/// The lower factor of a positive definite matrix; none where it is not.
fn cholesky(k: usize, a: &[f64]) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..=i {
            let rest = a[i * k + j] - (0..j).map(|l| lower[i * k + l] * lower[j * k + l]).sum::<f64>();
            if i != j {
                lower[i * k + j] = rest / lower[j * k + j];
            } else if rest > 0.0 {
                lower[i * k + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// Solves a linear system by elimination with row pivoting; none where it is singular.
fn gauss(mut a: Vec<f64>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&p, &q| a[p * n + column].abs().total_cmp(&a[q * n + column].abs()))?;
        if a[pivot * n + column] == 0.0 {
            return None;
        }
        b.swap(column, pivot);
        (0..n).for_each(|j| a.swap(column * n + j, pivot * n + j));
        for row in column + 1..n {
            let factor = a[row * n + column] / a[column * n + column];
            (column..n).for_each(|j| a[row * n + j] -= factor * a[column * n + j]);
            b[row] -= factor * b[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|j| a[row * n + j] * b[j]).sum();
        b[row] = (b[row] - known) / a[row * n + row];
    }
    b.iter().all(|x| x.is_finite()).then_some(b)
}
