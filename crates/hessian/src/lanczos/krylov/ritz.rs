//! Ritz pairs of the projected matrix.

use faer::Mat;

use super::Krylov;
use crate::lanczos::vectors;
use crate::{Error, Result};

/// Ritz pairs of the projected matrix.
#[derive(Debug, Clone)]
pub(crate) struct Ritz {
    /// Ascending.
    pub(crate) values: Vec<f64>,
    /// |A y - theta y|, by the recurrence.
    pub(crate) residuals: Vec<f64>,
    /// Coefficients in the basis, one list a value.
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Ritz {
    /// The largest |Ritz value|.
    pub(crate) fn scale(&self) -> f64 {
        self.values.iter().fold(0.0, |scale: f64, v| scale.max(v.abs()))
    }
}

impl Krylov {
    /// Ritz pairs of the multiplied vectors from number `first` on.
    pub(crate) fn ritz(&self, first: usize) -> Result<Ritz> {
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
        let residual = |column: &Vec<f64>| {
            let part = |row: &Vec<f64>| vectors::dot(&row[first..], column) / unit;
            self.coupling.iter().fold(0.0, |sum: f64, row| sum.hypot(part(row))) * unit
        };
        let residuals = columns.iter().map(residual).collect();
        Ok(Ritz { values, residuals, columns })
    }
}
