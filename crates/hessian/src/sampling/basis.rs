//! An orthonormal basis of the span of vectors that come one by one: a QR decomposition.

use faer::Mat;

use crate::lanczos::vectors;

/// Q and R with `Q R = [y_1, y_2, ...]`. A vector that depends on those before it adds a column to R and none to Q.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis {
    /// The columns of Q.
    pub(crate) vectors: Vec<Vec<f64>>,
    /// The columns of R, without the zeros at their ends.
    pub(crate) factor: Vec<Vec<f64>>,
}

impl Basis {
    /// Adds a vector; `false` where it lies in the span of the others, to within rounding of f64.
    pub(crate) fn push(&mut self, mut y: Vec<f64>) -> bool {
        let size = vectors::norm(&y);
        let mut column = vectors::coefficients(&self.vectors, &y);
        vectors::subtract(&self.vectors, &column, &mut y);
        let again = vectors::coefficients(&self.vectors, &y);
        vectors::subtract(&self.vectors, &again, &mut y);
        column.iter_mut().zip(again).for_each(|(c, a)| *c += a);
        let left = vectors::norm(&y);
        let largest = self.factor.iter().map(|c| vectors::norm(c)).fold(size, f64::max);
        let independent = left > 8.0 * f64::EPSILON * (self.factor.len() as f64 + 1.0).sqrt() * largest;
        if independent {
            vectors::scale(&mut y, 1.0 / left);
            self.vectors.push(y);
            column.push(left);
        }
        self.factor.push(column);
        independent
    }

    /// Columns of Q.
    pub(crate) fn rank(&self) -> usize {
        self.vectors.len()
    }

    /// R, divided by its largest entry, which comes with it.
    pub(crate) fn scaled_factor(&self) -> (Mat<f64>, f64) {
        let size = self.factor.iter().flatten().fold(0.0, |size: f64, x| size.max(x.abs()));
        let unit = if size > 0.0 { size } else { 1.0 };
        let entry = |i: usize, j: usize| self.factor[j].get(i).map_or(0.0, |x| x / unit);
        (Mat::from_fn(self.rank(), self.factor.len(), entry), unit)
    }
}
