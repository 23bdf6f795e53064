//! The linear assignment problem.

use relief_hessian::{Error, Result};

/// The permutation p of 0..n that maximises the sum of `score[i n + p[i]]`: exactly, in O(n^3).
///
/// Shortest augmenting paths with dual variables (Jonker & Volgenant 1987, in the form of Crouse 2016), one row after the
/// other. Equal scores give the identity.
///
/// # Errors
/// Unless there are n^2 finite scores.
pub fn best_assignment(score: &[f64], n: usize) -> Result<Vec<usize>> {
    if n.checked_mul(n) != Some(score.len()) {
        let found = score.len();
        return Err(Error::Input(format!("an assignment of {n} units needs {n} x {n} scores, not {found}")));
    }
    if let Some(position) = score.iter().position(|score| !score.is_finite()) {
        let (row, column) = (position / n, position % n);
        return Err(Error::NonFinite(format!(
            "the score of units {row} and {column} is {}: scores must be finite",
            score[position]
        )));
    }
    let mut problem = Problem {
        score,
        n,
        row_price: vec![0.0; n],
        column_price: vec![0.0; n],
        row_of: vec![None; n],
        column_of: vec![0; n],
    };
    (0..n).for_each(|row| problem.assign(row));
    Ok(problem.column_of)
}

struct Problem<'a> {
    score: &'a [f64],
    n: usize,
    row_price: Vec<f64>,
    column_price: Vec<f64>,
    row_of: Vec<Option<usize>>,
    column_of: Vec<usize>,
}

impl Problem<'_> {
    /// Assigns one more row along the cheapest path of exchanges that ends in a free column.
    fn assign(&mut self, start: usize) {
        let n = self.n;
        let (mut distance, mut from) = (vec![f64::INFINITY; n], vec![start; n]);
        let mut left: Vec<usize> = (0..n).collect();
        let mut reached = vec![];
        let (mut row, mut shortest) = (start, 0.0);
        let end = loop {
            let scores = &self.score[row * n..(row + 1) * n];
            let offset = shortest - self.row_price[row];
            let mut nearest = 0;
            for (place, &column) in left.iter().enumerate() {
                let through = offset - scores[column] - self.column_price[column];
                if through < distance[column] {
                    (distance[column], from[column]) = (through, row);
                }
                // Among columns that are equally near, a free one ends the search.
                let best = left[nearest];
                let free = |column: usize| self.row_of[column].is_none();
                if distance[column] < distance[best]
                    || (distance[column] <= distance[best] && free(column) && !free(best))
                {
                    nearest = place;
                }
            }
            // Kept in order, for ties.
            let column = left.remove(nearest);
            shortest = distance[column];
            match self.row_of[column] {
                None => break column,
                Some(next) => {
                    reached.push(column);
                    row = next;
                }
            }
        };
        self.row_price[start] += shortest;
        for column in reached {
            let gain = shortest - distance[column];
            self.column_price[column] -= gain;
            if let Some(row) = self.row_of[column] {
                self.row_price[row] += gain;
            }
        }
        let mut column = end;
        loop {
            let row = from[column];
            self.row_of[column] = Some(row);
            let next = std::mem::replace(&mut self.column_of[row], column);
            if row == start {
                return;
            }
            column = next;
        }
    }
}
