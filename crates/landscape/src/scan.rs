//! Measuring points one after another.

use rayon::prelude::*;
use relief_hessian::{AffineSubspace, Control, Parameters, Result};

/// Points in parameter space that can be had one by one.
pub trait Points: Sync {
    /// How many.
    fn count(&self) -> usize;

    /// One of them, whose digits do not depend on the others.
    fn point(&self, index: usize) -> Result<Parameters>;

    /// The affine subspace on which all of them lie, where they are given by coordinates on one.
    fn subspace(&self) -> Option<AffineSubspace<'_>> {
        None
    }

    /// The coordinates of one of them on the [`subspace`](Self::subspace); none without one.
    fn coordinates(&self, _index: usize) -> Vec<f64> {
        vec![]
    }
}

/// What was found of some points so far: their measures, in the order in which they are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    points: usize,
    order: Vec<usize>,
    values: Vec<Vec<f64>>,
}

/// The measures of one point, such as loss and accuracy, from its index: what asks for the point itself makes it.
pub type Measures<'a> = dyn Fn(usize) -> Result<Vec<f64>> + Sync + 'a;

impl Scan {
    /// Of all points, as they lie.
    pub fn new(points: &dyn Points) -> Self {
        Self::in_order(points, (0..points.count()).collect())
    }

    /// Of some or all points in an order of one's own, such as the coarse ones first; an index beyond them panics when
    /// its turn comes.
    pub fn in_order(points: &dyn Points, order: Vec<usize>) -> Self {
        Self { points: points.count(), order, values: vec![] }
    }

    /// Goes on from measures found earlier with the same points and order; no more than there are points.
    #[must_use]
    pub fn with_values(mut self, mut values: Vec<Vec<f64>>) -> Self {
        values.truncate(self.order.len());
        self.values = values;
        self
    }

    /// The measures found so far, in the order in which points are taken.
    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// Whether every point of the order is measured.
    pub fn is_complete(&self) -> bool {
        self.values.len() == self.order.len()
    }

    /// One of the measures at every point, as they lie; NaN where it is not known.
    pub fn measure(&self, which: usize) -> Vec<f64> {
        let mut all = vec![f64::NAN; self.points];
        for (&point, values) in self.order.iter().zip(&self.values) {
            all[point] = values.get(which).copied().unwrap_or(f64::NAN);
        }
        all
    }
}

/// Measures points, some side by side, until the first `until` of the scan's order are known or `told` asks to stop.
///
/// `told` hears after every few points what is known, and may save it: gone on from there, the digits are the same. Nothing
/// is changed in place, so nothing has to be restored, also after an error; what was found before one stays in the scan.
pub fn scan(
    scan: &mut Scan,
    until: usize,
    measures: &Measures<'_>,
    told: &mut dyn FnMut(&Scan) -> Control,
) -> Result<Control> {
    let together = 2 * rayon::current_num_threads();
    let until = until.min(scan.order.len());
    while scan.values.len() < until {
        let first = scan.values.len();
        let next = &scan.order[first..until.min(first + together)];
        let found: Vec<Result<Vec<f64>>> = next.par_iter().map(|&point| measures(point)).collect();
        for values in found {
            scan.values.push(values?);
        }
        if told(scan) == Control::Interrupt {
            return Ok(Control::Interrupt);
        }
    }
    Ok(Control::Continue)
}
