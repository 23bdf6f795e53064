//! An orthonormal basis, and the operator projected onto it.

use faer::Mat;

use super::vectors;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// Basis vectors, of which the last may still wait for its product, and the projection of the operator onto the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Krylov {
    pub(crate) vectors: Vec<Vec<f64>>,
    /// Row by row; as many rows as vectors have been multiplied.
    pub(crate) projected: Vec<Vec<f64>>,
    /// For each multiplied vector v, the norm of what A v has outside the basis (and outside the next vector).
    pub(crate) defects: Vec<f64>,
}

/// Ritz pairs of the projected matrix.
#[derive(Debug, Clone)]
pub(crate) struct Ritz {
    /// Ascending.
    pub(crate) values: Vec<f64>,
    /// Estimates of |A y - theta y|.
    pub(crate) residuals: Vec<f64>,
    /// Coefficients in the basis, one list a value.
    pub(crate) columns: Vec<Vec<f64>>,
}

/// What is left of a product after orthogonalisation.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) remainder: Vec<f64>,
    pub(crate) beta: f64,
    /// The remainder is rounding: the space is invariant.
    pub(crate) exhausted: bool,
}

impl Ritz {
    /// The largest |Ritz value|.
    pub(crate) fn scale(&self) -> f64 {
        self.values.iter().fold(0.0, |scale: f64, v| scale.max(v.abs()))
    }
}

impl Krylov {
    /// Number of vectors that have been multiplied.
    pub(crate) fn len(&self) -> usize {
        self.projected.len()
    }

    /// The projected matrix's first entries on the diagonal.
    pub(crate) fn diagonal(&self, count: usize) -> Vec<f64> {
        (0..count).map(|i| self.projected[i][i]).collect()
    }

    /// A basis of vectors of `n` entries from the lists of all their numbers, `None` if these do not fit together.
    pub(crate) fn from_lists(
        n: usize,
        vectors: &[f64],
        projected: &[f64],
        defects: Vec<f64>,
    ) -> Option<Self> {
        let m = defects.len();
        let whole = n > 0 && vectors.len().is_multiple_of(n) && projected.len() == m * m;
        let basis = Self {
            vectors: vectors.chunks(n.max(1)).map(<[f64]>::to_vec).collect(),
            projected: projected.chunks(m.max(1)).map(<[f64]>::to_vec).collect(),
            defects,
        };
        // The last vector may wait for its product.
        let fits = whole && (basis.vectors.len() == m || basis.vectors.len() == m + 1);
        fits.then_some(basis)
    }

    /// Multiplies the last vector and orthogonalises the product against all, twice.
    pub(crate) fn extend(&mut self, operator: &dyn SymmetricOperator) -> Result<Step> {
        let v = self.vectors.last().ok_or_else(|| Error::Other("the basis is empty".into()))?;
        let mut product = vec![0.0; v.len()];
        operator.apply(v, &mut product)?;
        if let Some(bad) = product.iter().position(|x| !x.is_finite()) {
            return Err(Error::NonFinite(format!(
                "entry {bad} of a matrix-vector product is {}: the numbers overflow at this point; try f64",
                product[bad]
            )));
        }
        let size = vectors::norm(&product);
        let mut row = vectors::coefficients(&self.vectors, &product);
        vectors::subtract(&self.vectors, &row, &mut product);
        let again = vectors::coefficients(&self.vectors, &product);
        vectors::subtract(&self.vectors, &again, &mut product);
        row.iter_mut().zip(again).for_each(|(r, a)| *r += a);
        let beta = vectors::norm(&product);
        for ((other, &h), defect) in self.projected.iter_mut().zip(&row).zip(&mut self.defects) {
            other.push(h);
            // What A has of v in the direction of the new vector is inside the basis now.
            *defect = (*defect * *defect - h * h).max(0.0).sqrt();
        }
        self.projected.push(row);
        self.defects.push(0.0);
        // Relative to the product, not absolute: the operator may be of any scale.
        let rounding = 8.0 * f64::EPSILON * (self.len() as f64).sqrt() * size.max(self.size());
        Ok(Step { remainder: product, beta, exhausted: beta <= rounding })
    }

    /// Adds what is left of a product, which must not be exhausted, as the next vector.
    pub(crate) fn push(&mut self, step: Step) {
        let mut next = step.remainder;
        vectors::scale(&mut next, 1.0 / step.beta);
        self.vectors.push(next);
    }

    /// The largest entry of the projected matrix.
    fn size(&self) -> f64 {
        self.projected.iter().flatten().fold(0.0, |size: f64, x| size.max(x.abs()))
    }

    /// Ritz pairs of the vectors from number `first` on, where `beta` couples the last one to what is outside.
    pub(crate) fn ritz(&self, beta: f64, first: usize) -> Result<Ritz> {
        let m = self.len() - first;
        // Scaled to about 1, so that tiny or huge operators cannot under- or overflow inside the decomposition.
        let size = self.size();
        let unit = if size > 0.0 { size } else { 1.0 };
        let matrix = Mat::from_fn(m, m, |i, j| {
            let (i, j) = (first + i.max(j), first + i.min(j));
            self.projected[i][j] / unit
        });
        let eigen = matrix
            .self_adjoint_eigen(faer::Side::Lower)
            .map_err(|e| Error::Other(format!("the projected matrix could not be diagonalised: {e:?}")))?;
        let values: Vec<f64> = (0..m).map(|i| eigen.S()[i] * unit).collect();
        let columns: Vec<Vec<f64>> = (0..m).map(|i| (0..m).map(|j| eigen.U()[(j, i)]).collect()).collect();
        let residuals = columns
            .iter()
            .map(|column| {
                let defects = &self.defects[first..];
                let defect: f64 = column.iter().zip(defects).map(|(s, d)| (s * d / unit).powi(2)).sum();
                (beta / unit * column[m - 1]).hypot(defect.sqrt()) * unit
            })
            .collect();
        Ok(Ritz { values, residuals, columns })
    }

    /// Replaces the basis by the chosen Ritz vectors.
    pub(crate) fn keep(&mut self, ritz: &Ritz, chosen: &[usize]) {
        let columns: Vec<Vec<f64>> = chosen.iter().map(|&i| ritz.columns[i].clone()).collect();
        self.recombine(&columns);
    }

    /// Keeps the first vectors as they are, and the chosen Ritz vectors of the others.
    pub(crate) fn keep_trailing(&mut self, first: usize, trailing: &Ritz, chosen: &[usize]) {
        let m = self.len();
        let unit = |i: usize| (0..m).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        let mut columns: Vec<Vec<f64>> = (0..first).map(unit).collect();
        columns.extend(chosen.iter().map(|&i| [vec![0.0; first], trailing.columns[i].clone()].concat()));
        self.recombine(&columns);
    }

    fn recombine(&mut self, columns: &[Vec<f64>]) {
        vectors::recombine(&mut self.vectors, columns);
        let full = |i: usize, j: usize| self.projected[i.max(j)][i.min(j)];
        let m = self.len();
        let image: Vec<Vec<f64>> = columns
            .iter()
            .map(|c| (0..m).map(|i| (0..m).map(|j| full(i, j) * c[j]).sum()).collect())
            .collect();
        let entry = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let p = columns.len();
        let projected =
            (0..p).map(|i| (0..p).map(|j| entry(&columns[i.max(j)], &image[i.min(j)])).collect()).collect();
        let defects = columns
            .iter()
            .map(|c| c.iter().zip(&self.defects).map(|(s, d)| (s * d).powi(2)).sum::<f64>().sqrt())
            .collect();
        self.projected = projected;
        self.defects = defects;
    }
}
