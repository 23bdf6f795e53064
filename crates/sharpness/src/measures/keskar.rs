//! Keskar's sharpness.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ascent::{Apgd, Ball, Chart};
use super::centre::Centre;
use super::measure::{Invariance, Measure, Uncertainty};
use super::noise::Noise;

/// phi = 100 max (L(w + A z) - L(w)) / (1 + L(w)) over the box `|z_i|` <= epsilon `(|(A^+ w)_i| + 1)` (Keskar et al. 2017,
/// metric 2.1), with A = 1 or a random orthonormal basis of a subspace, whose A^+ is A'.
///
/// The loss is maximised: its search goes up and keeps the highest point, so that phi is never negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keskar {
    /// epsilon.
    pub epsilon: f64,
    /// Dimension p of the random subspace; none for all parameters.
    pub dimensions: Option<usize>,
    /// How the maximum is searched; its seed is that of the subspace, too.
    pub search: Apgd,
}

impl Default for Keskar {
    fn default() -> Self {
        Self { epsilon: 1e-3, dimensions: None, search: Apgd::default() }
    }
}

impl Keskar {
    /// phi, with the ascent max L(w + A z) - L(w) beside it. A subspace must have at least 1 dimension and at most as many
    /// as there are parameters.
    pub fn measure(&self, centre: &Centre<'_>) -> Result<Measure> {
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::Input(format!("epsilon is {}: give a finite number above 0", self.epsilon)));
        }
        let before = centre.cost();
        let half_width = |w: &f64| self.epsilon * (w.abs() + 1.0);
        let found = if let Some(p) = self.dimensions {
            let columns = self.basis(p, centre.point().len())?;
            let widths: Vec<f64> = columns.iter().map(|a| half_width(&dot(a, centre.point()))).collect();
            let chart = Chart::Subspace { columns: &columns, scales: &widths };
            self.search.maximise(centre, &chart, Ball::Linf, 1.0)?
        } else {
            let widths: Vec<f64> = centre.point().iter().map(half_width).collect();
            self.search.maximise(centre, &Chart::Scaled(&widths), Ball::Linf, 1.0)?
        };
        let (name, box_of) = match self.dimensions {
            Some(_) => (
                "keskar-phi-subspace",
                "|z_i| <= epsilon (|(A'w)_i| + 1), A random with p orthonormal columns",
            ),
            None => ("keskar-phi", "|z_i| <= epsilon (|w_i| + 1), A = 1"),
        };
        let measure = Measure::new(
            name,
            format!("100 max (L(w + A z) - L(w)) / (1 + L(w)) over {box_of}"),
            100.0 * found.rise / (1.0 + centre.loss()),
            Uncertainty::LowerBound,
            Invariance::Nothing,
        );
        let measure = measure
            .with_setting("epsilon", self.epsilon)
            .with_beside("ascent", found.rise)
            .with_cost(centre.cost() - before);
        Ok(self.dimensions.iter().fold(measure, |measure, p| measure.with_setting("p", *p as f64)))
    }

    /// p orthonormal vectors, uniform among all such. Streams of random starts begin at 0, those of the subspace far above.
    fn basis(&self, p: usize, n: usize) -> Result<Vec<Vec<f64>>> {
        if p == 0 || p > n {
            return Err(Error::Input(format!(
                "a random subspace of {p} dimensions was asked for: give at least 1 and at most the {n} parameters"
            )));
        }
        let mut columns: Vec<Vec<f64>> = vec![];
        for number in 0..p as u64 {
            let mut column = Noise::Gaussian.draw(self.search.seed, (1 << 32) + number, n, None);
            // Twice is enough for orthogonality to rounding.
            for _ in 0..2 {
                for other in &columns {
                    let along = dot(other, &column);
                    column.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
                }
            }
            let length = dot(&column, &column).sqrt();
            column.iter_mut().for_each(|x| *x /= length);
            columns.push(column);
        }
        Ok(columns)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
