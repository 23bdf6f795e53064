//! Measuring every point of a slice.

use rayon::prelude::*;
use relief_hessian::{Control, Parameters, Result};

use crate::Slice;

/// What a scan found so far: the measures of the first points, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// The measures of each point, such as loss and accuracy.
    pub values: Vec<Vec<f64>>,
}

impl Scan {
    /// Whether every point of a slice is measured.
    pub fn covers(&self, slice: &Slice) -> bool {
        self.values.len() == slice.len()
    }

    /// One of the measures at every point.
    pub fn measure(&self, which: usize) -> Vec<f64> {
        self.values.iter().map(|point| point[which]).collect()
    }
}

/// Measures the points of a slice that `scan` lacks, some side by side, until all are there or `told` asks to stop.
///
/// `told` hears after every few points how many are done. What is measured before a stop can be gone on from, to the same
/// digits.
pub fn scan(
    slice: &Slice,
    mut scan: Scan,
    measure: &(dyn Fn(&Parameters) -> Result<Vec<f64>> + Sync),
    told: &mut dyn FnMut(usize) -> Control,
) -> Result<Scan> {
    let together = 2 * rayon::current_num_threads();
    while !scan.covers(slice) {
        let first = scan.values.len();
        let next: Vec<usize> = (first..slice.len().min(first + together)).collect();
        let found: Vec<Result<Vec<f64>>> = next.par_iter().map(|&i| measure(&slice.point(i)?)).collect();
        for point in found {
            scan.values.push(point?);
        }
        if told(scan.values.len()) == Control::Interrupt {
            break;
        }
    }
    Ok(scan)
}
