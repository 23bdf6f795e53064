//! An orthonormal basis, and the operator projected onto it.

use candle_core::Device;
use faer::Mat;
use relief_autodiff::vectors::tensors;

use super::vector::Vector;
use super::vectors;
use crate::operator::SymmetricOperator;
use crate::state_file::StateFile;
use crate::{Error, Result};

/// Orthonormal vectors: those that have been multiplied, then those that wait for it. Together they span all products, so
/// that nothing is lost when the multiplied ones are recombined (band Lanczos with restarts; Ruhe 1979, Wu & Simon 2000).
#[derive(Debug, Clone, Default)]
pub(crate) struct Krylov {
    /// The multiplied ones; of those that wait, first the given ones, then the directions in which products leave the rest.
    pub(crate) vectors: Vec<Vector>,
    /// `v_i'A v_j` of multiplied vectors, row by row; those above the diagonal are not used.
    pub(crate) projected: Vec<Vec<f64>>,
    /// `w_i'A v_j` of every vector `w_i` that waits and every multiplied `v_j`, row by row.
    pub(crate) coupling: Vec<Vec<f64>>,
    /// How many of those that wait were given, and are to be multiplied as they are.
    pub(crate) given: usize,
    /// Where the vectors lie; `None` for the host.
    device: Option<Device>,
}

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
    /// Number of vectors that have been multiplied.
    pub(crate) fn len(&self) -> usize {
        self.projected.len()
    }

    /// The projected matrix's first entries on the diagonal.
    pub(crate) fn diagonal(&self, count: usize) -> Vec<f64> {
        (0..count).map(|i| self.projected[i][i]).collect()
    }

    /// Moves the vectors, of `n` entries, to where the operator multiplies them without copies, if so many fit into half of
    /// the memory that is free there; to the host otherwise. Those that are there stay. It changes no digit.
    pub(crate) fn settle(&mut self, operator: &dyn SymmetricOperator, n: usize, count: usize) -> Result<()> {
        let device = operator.device();
        let there = |here: &Device| device.as_ref().is_some_and(|device| device.same_device(here));
        if !self.device.as_ref().is_some_and(there) {
            let fits = |free| count.saturating_mul(n).saturating_mul(size_of::<f64>()) <= free / 2;
            self.device = device.filter(|device| tensors::free_memory(device).is_none_or(fits));
        }
        for v in std::mem::take(&mut self.vectors) {
            self.vectors.push(v.placed(self.device.as_ref())?);
        }
        Ok(())
    }

    /// Begins anew, with vectors in the same place.
    pub(crate) fn clear(&mut self) {
        *self = Self { device: self.device.take(), ..Self::default() };
    }

    /// A vector where the others are.
    pub(crate) fn place(&self, v: Vec<f64>) -> Result<Vector> {
        Vector::Host(v).placed(self.device.as_ref())
    }

    /// Adds a vector orthogonal to all others, to be multiplied as it is. Nothing that was multiplied couples to it.
    pub(crate) fn give(&mut self, v: Vector) {
        let (m, given) = (self.len(), self.given);
        self.vectors.insert(m + given, v);
        self.coupling.insert(given, vec![0.0; m]);
        self.given += 1;
    }

    /// Multiplies the first vector that waits, and orthogonalises the product against all, twice. What is left waits as the
    /// last. Returns whether the product lies among the multiplied vectors up to rounding: nothing leads on from there.
    pub(crate) fn extend(&mut self, operator: &dyn SymmetricOperator) -> Result<bool> {
        let m = self.len();
        let v =
            self.vectors.get(m).ok_or_else(|| Error::Other("the basis has no vector to multiply".into()))?;
        let mut product = v.multiplied(operator)?;
        let size = product.norm()?;
        if let Some((bad, x)) = product.not_finite(size)? {
            return Err(Error::NonFinite(format!(
                "entry {bad} of a matrix-vector product is {x}: the numbers overflow at this point; try f64"
            )));
        }
        let mut row = product.coefficients(&self.vectors)?;
        product.subtract(&self.vectors, &row)?;
        let again = product.coefficients(&self.vectors)?;
        product.subtract(&self.vectors, &again)?;
        row.iter_mut().zip(again).for_each(|(r, a)| *r += a);

        let outside = row.split_off(m + 1);
        self.coupling.remove(0);
        self.coupling.iter_mut().zip(outside).for_each(|(coupling, h)| coupling.push(h));
        self.projected.iter_mut().zip(&row).for_each(|(other, h)| other.push(*h));
        self.projected.push(row);
        self.given = self.given.saturating_sub(1);
        let beta = product.norm()?;
        let rounding = self.rounding(size);
        if beta > rounding {
            product.scale(1.0 / beta)?;
            self.vectors.push(product);
            let mut coupling = vec![0.0; m + 1];
            coupling[m] = beta;
            self.coupling.push(coupling);
        }
        Ok(self.outside(m) <= rounding)
    }

    /// Norms up to here are rounding of a product of this `size`. Relative, not absolute: the operator may be of any scale.
    fn rounding(&self, size: f64) -> f64 {
        8.0 * f64::EPSILON * (self.len() as f64).sqrt() * size.max(self.size())
    }

    /// Norm of what the product with vector `i` has outside the multiplied vectors.
    pub(crate) fn outside(&self, i: usize) -> f64 {
        self.coupling.iter().fold(0.0, |sum: f64, row| sum.hypot(row[i]))
    }

    /// Norm of what the last product has outside the multiplied and the given vectors.
    pub(crate) fn outside_given(&self) -> f64 {
        let last = self.len() - 1;
        self.coupling[self.given..].iter().fold(0.0, |sum: f64, row| sum.hypot(row[last]))
    }

    /// Norm of what the product with vector `i` has outside the first `kept` vectors, of which it is one.
    pub(crate) fn residual(&self, i: usize, kept: usize) -> f64 {
        self.projected[kept..].iter().fold(self.outside(i), |sum, row| sum.hypot(row[i]))
    }

    /// Makes the next vector the direction in which the product with the combination `column` of the multiplied vectors
    /// leaves them: that of its residual, if it is a Ritz vector. No vector that waits may have been given.
    pub(crate) fn aim(&mut self, column: &[f64]) -> Result<()> {
        let direction = self.coupling.iter().map(|row| vectors::dot(row, column)).collect();
        self.turn(direction)
    }

    /// Makes `v`, which is orthogonal to the multiplied vectors but not to those that wait, the next to be multiplied.
    pub(crate) fn give_across(&mut self, mut v: Vector) -> Result<()> {
        let m = self.len();
        let size = v.norm()?;
        let mut direction = vec![0.0; self.coupling.len()];
        for _ in 0..2 {
            let along = v.coefficients(&self.vectors[m..])?;
            v.subtract(&self.vectors[m..], &along)?;
            direction.iter_mut().zip(along).for_each(|(d, a)| *d += a);
        }
        let rest = v.norm()?;
        if rest > 1e-8 * size {
            v.scale(1.0 / rest)?;
            self.vectors.push(v);
            self.coupling.push(vec![0.0; m]);
            direction.push(rest);
        }
        self.turn(direction)?;
        self.given = 1;
        Ok(())
    }

    /// Makes the sum of the given vectors the first of them. Nothing may have been multiplied.
    pub(crate) fn sum_first(&mut self) -> Result<()> {
        self.turn(vec![1.0; self.given])
    }

    /// Forgets the given vectors after one product, which so begins a Krylov space as any would.
    pub(crate) fn forget_given(&mut self) -> Result<()> {
        self.given = 0;
        self.aim(&[1.0])?;
        self.vectors.truncate(2);
        self.coupling.truncate(1);
        Ok(())
    }

    /// Turns the vectors that wait so that the first has this direction in their space.
    fn turn(&mut self, mut direction: Vec<f64>) -> Result<()> {
        let m = self.len();
        let length = vectors::norm(&direction);
        if direction.len() < 2 || length == 0.0 {
            return Ok(());
        }
        // The Householder reflection that takes the direction to the first axis.
        direction.iter_mut().for_each(|h| *h /= length);
        direction[0] += direction[0].signum();
        let factor = 2.0 / vectors::dot(&direction, &direction);
        let waiting = &mut self.vectors[m..];
        let along = [Vector::combination(waiting, &direction)?];
        for (v, h) in waiting.iter_mut().zip(&direction) {
            v.subtract(&along, &[factor * h])?;
        }
        let negative: Vec<f64> = direction.iter().map(|h| -h).collect();
        let mut along = vec![0.0; m];
        vectors::subtract(&self.coupling, &negative, &mut along);
        for (row, h) in self.coupling.iter_mut().zip(&direction) {
            vectors::subtract(&[&along], &[factor * h], row);
        }
        Ok(())
    }

    /// The largest entry of the projected matrix.
    fn size(&self) -> f64 {
        self.projected.iter().flatten().fold(0.0, |size: f64, x| size.max(x.abs()))
    }

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

    /// Keeps the first vectors, which must be Ritz vectors, as they are, and of the other multiplied ones only the chosen of
    /// their Ritz vectors.
    pub(crate) fn keep(&mut self, first: usize, ritz: &Ritz, chosen: &[usize]) -> Result<()> {
        let columns: Vec<&[f64]> = chosen.iter().map(|&i| ritz.columns[i].as_slice()).collect();
        let others = first..self.len();
        let combined =
            columns.iter().map(|column| Vector::combination(&self.vectors[others.clone()], column));
        let combined = combined.collect::<Result<Vec<_>>>()?;
        self.vectors.splice(others, combined);
        let combined =
            |row: &[f64]| columns.iter().map(|column| vectors::dot(row, column)).collect::<Vec<_>>();
        // What the other vectors' rows have in the first columns is recombined across them.
        let across: Vec<Vec<f64>> = (0..first)
            .map(|j| combined(&self.projected[first..].iter().map(|row| row[j]).collect::<Vec<_>>()))
            .collect();
        self.projected.truncate(first);
        for (row, across) in self.projected.iter_mut().zip(&across) {
            row.truncate(first);
            row.extend(across);
        }
        for (i, &pair) in chosen.iter().enumerate() {
            let mut row: Vec<f64> = across.iter().map(|across| across[i]).collect();
            row.extend((0..chosen.len()).map(|j| if i == j { ritz.values[pair] } else { 0.0 }));
            self.projected.push(row);
        }
        for row in &mut self.coupling {
            let others = combined(&row[first..]);
            row.truncate(first);
            row.extend(others);
        }
        Ok(())
    }

    /// Counts only the first multiplied vectors as such; the others wait.
    pub(crate) fn demote(&mut self, first: usize) {
        let mut rows: Vec<Vec<f64>> = self.projected.split_off(first);
        rows.append(&mut self.coupling);
        self.coupling = rows;
        self.projected.iter_mut().chain(&mut self.coupling).for_each(|row| row.truncate(first));
        self.given = 0;
    }

    /// All numbers, as lists for a file.
    pub(crate) fn lists(&self) -> Result<[(&'static str, Vec<f64>); 4]> {
        let mut entries = vec![];
        for v in &self.vectors {
            entries.extend_from_slice(&v.entries()?);
        }
        Ok([
            ("vectors", entries),
            ("projected", self.projected.concat()),
            ("coupling", self.coupling.concat()),
            ("sizes", vec![self.len() as f64, self.given as f64]),
        ])
    }

    /// A basis of vectors of `n` entries from such lists, `None` if these do not fit together.
    pub(crate) fn take(file: &mut StateFile, n: usize) -> Option<Self> {
        let &[m, given] = file.take("sizes")?.as_slice() else { return None };
        let (m, given) = (m as usize, given as usize);
        let rows = |list: Vec<f64>, length: usize| -> Vec<Vec<f64>> {
            list.chunks(length.max(1)).map(<[f64]>::to_vec).collect()
        };
        let (vectors, projected) = (file.take("vectors")?, file.take("projected")?);
        let coupling = file.take("coupling")?;
        let count = vectors.len() / n.max(1);
        let fits = n > 0
            && vectors.len() == count * n
            && count >= m + given
            && projected.len() == m * m
            && coupling.len() == m * (count - m);
        // Before the first product the rows are empty, and a list cannot say how many they are.
        let coupling = if m == 0 { vec![vec![]; count] } else { rows(coupling, m) };
        let vectors = || rows(vectors, n).into_iter().map(Vector::Host).collect();
        fits.then(|| Self {
            vectors: vectors(),
            projected: rows(projected, m),
            coupling,
            given,
            device: None,
        })
    }
}
