//! Grids that are refined until the surface between their points is known.

use relief_landscape::{Assessment, Nested, Scan};

use crate::exit::Failure;
use crate::planes::{Refinement, Rows};
use crate::survey::Column;

/// The levels of a grid, and how far they are measured.
pub(crate) struct Refining {
    nested: Nested,
    /// Error to reach, in logarithms (base 10) of the loss.
    tolerance: Option<f64>,
    level: usize,
    assessment: Option<Assessment>,
}

impl Refining {
    pub(crate) fn new(axes: &[Vec<f64>; 2], tolerance: Option<f64>) -> Result<Self, Failure> {
        if let Some(tolerance) = tolerance.filter(|t| !t.is_finite() || *t <= 0.0) {
            return Err(Failure::Usage(format!(
                "--tolerance is {tolerance}: give an error above 0, such as 0.01"
            )));
        }
        Ok(Self { nested: Nested::new(axes.as_slice())?, tolerance, level: 0, assessment: None })
    }

    /// The order in which points are measured, coarse ones first.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.nested.levels().iter().flat_map(|level| level.new.iter().copied()).collect()
    }

    /// How many points are measured once each level is complete.
    pub(crate) fn stops(&self) -> Vec<usize> {
        let mut sum = 0;
        let counts = self.nested.levels().iter().map(|level| level.new.len());
        counts
            .map(|count| {
                sum += count;
                sum
            })
            .collect()
    }

    /// Looks at a scan that has completed a level: whether the surface is known to the tolerance.
    pub(crate) fn look(&mut self, scan: &Scan) -> Result<bool, Failure> {
        let done = scan.values().len();
        self.level = self.stops().iter().rposition(|stop| done >= *stop).unwrap_or(0);
        let Some(tolerance) = self.tolerance else { return Ok(false) };
        let assessment = self.nested.assess(&logarithms(&scan.measure(0)), self.level)?;
        self.assessment = Some(assessment);
        Ok(assessment.within(tolerance))
    }

    /// Nodes of the grid between two measured ones.
    pub(crate) fn stride(&self) -> usize {
        self.nested.levels()[self.level].stride
    }

    /// What the result says of it, where a tolerance was asked for.
    pub(crate) fn found(&self) -> Option<Refinement> {
        let (tolerance, found) = (self.tolerance?, self.assessment?);
        Some(Refinement {
            tolerance,
            stride: found.stride,
            measured: found.measured,
            error: found.error,
            holdout: found.holdout,
            order: found.order,
            converged: found.within(tolerance),
        })
    }

    /// All values of the grid, those that were not measured interpolated: losses and their errors by their logarithms.
    pub(crate) fn filled(&self, column: Column, values: Vec<f64>) -> Result<Rows, Failure> {
        let all = match column {
            _ if self.stride() == 1 => values,
            Column::Positive => {
                let filled = self.nested.fill(&logarithms(&values), self.level)?;
                let back = |(value, log): (&f64, f64)| if value.is_nan() { 10f64.powf(log) } else { *value };
                values.iter().zip(filled).map(back).collect()
            }
            Column::Signed => self.nested.fill(&values, self.level)?,
            Column::Share => {
                let filled = self.nested.fill(&values, self.level)?;
                filled.into_iter().map(|v| v.clamp(0.0, 1.0)).collect()
            }
        };
        Ok(all.chunks(self.nested.counts()[0]).map(<[f64]>::to_vec).collect())
    }

    /// The measured nodes alone, as a grid of their own.
    pub(crate) fn coarse(&self, values: &[f64]) -> Rows {
        let (stride, columns) = (self.stride(), self.nested.counts()[0]);
        let row = |row: &[f64]| row.iter().step_by(stride).copied().collect();
        values.chunks(columns).step_by(stride).map(row).collect()
    }

    /// The coordinates of the measured nodes.
    pub(crate) fn coarse_axes(&self, axes: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
        [0, 1].map(|nth| axes[nth].iter().step_by(self.stride()).copied().collect())
    }
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| if *v > 0.0 { v.log10() } else { f64::NAN }).collect()
}
