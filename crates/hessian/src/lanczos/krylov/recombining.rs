//! Other bases of the same spaces: what waits turned towards what is to be multiplied next, and what was multiplied combined
//! into Ritz vectors.

use super::{Krylov, Ritz};
use crate::Result;
use crate::lanczos::vector::{Vector, recombine};
use crate::lanczos::vectors;

impl Krylov {
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

    /// Keeps the first vectors, which must be Ritz vectors, as they are, and of the other multiplied ones only the chosen of
    /// their Ritz vectors.
    pub(crate) fn keep(&mut self, first: usize, ritz: &Ritz, chosen: &[usize]) -> Result<()> {
        let columns: Vec<&[f64]> = chosen.iter().map(|&i| ritz.columns[i].as_slice()).collect();
        let others = first..self.len();
        recombine(&mut self.vectors[others.clone()], &columns)?;
        self.vectors.drain(first + columns.len()..others.end);
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
}
