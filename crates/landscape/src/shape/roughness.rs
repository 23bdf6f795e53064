//! How far a surface is from a smooth bowl.

use faer::Mat;
use serde::{Deserialize, Serialize};

use super::heights::Heights;

/// Share of the largest column of the fit below which another adds nothing but rounding.
const RANK_TOLERANCE: f64 = 1e-12;

/// Two measures of roughness, neither of which changes when the heights or the coordinates are scaled or shifted. Those of
/// the logarithm of a loss are found by giving its logarithms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roughness {
    /// Root mean square of what a full quadratic in the coordinates, fitted by least squares to the finite heights, leaves of
    /// them, divided by their standard deviation: 0 for any quadratic, at most 1.
    ///
    /// It is the root mean square height of surface metrology (Sq of ISO 25178-2) after and before a form of second order
    /// is removed; its square is 1 - R^2 of the fit. The roughness-to-slope ratio of fitness landscapes (Carneiro & Hartl
    /// 2010) takes a linear form and divides by its slope, which vanishes around a minimum.
    ///
    /// `None` where no more heights are finite than the fit has coefficients; 0 where all are equal.
    pub residual: Option<f64>,
    /// How many heights are finite.
    pub points: usize,
    /// The total variation of the lines along every axis.
    pub variation: Vec<Variation>,
}

/// The normalised total variation of the grid's lines along one axis, the sum of |differences| of a line divided by its
/// highest minus its lowest height (Wu et al. 2021, arXiv 2103.11069, whose roughness index is made of its mean and
/// variance over lines in random directions), less the 1 that every monotone line has.
///
/// It is 0 for a monotone or constant line, 1 for a valley whose ends are equally high and between 0 and 1 for other
/// valleys; no line exceeds the number of its turning points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// Mean over the lines; NaN without any.
    pub mean: f64,
    /// Standard deviation over the lines (of the population); NaN without any.
    pub deviation: f64,
    /// How many lines there are, those with a height that is not finite left out.
    pub lines: usize,
}

/// The roughness of a surface, in O(N) for N points. Every point of the grid counts as much as any other, also where axes
/// are not even.
pub fn roughness(heights: &Heights) -> Roughness {
    let finite: Vec<usize> = (0..heights.len()).filter(|&i| heights.values()[i].is_finite()).collect();
    Roughness {
        residual: residual(heights, &finite),
        points: finite.len(),
        variation: (0..heights.axes().len()).map(|axis| variation(heights, axis)).collect(),
    }
}

fn residual(heights: &Heights, finite: &[usize]) -> Option<f64> {
    let columns = quadratic(heights, finite);
    let fit = Mat::from_fn(finite.len(), columns.len(), |i, j| columns[j][i]).col_piv_qr();
    let (q, r) = (fit.compute_thin_Q(), fit.thin_R());
    let rank = (0..r.nrows().min(r.ncols()))
        .take_while(|&j| r[(j, j)].abs() > RANK_TOLERANCE * r[(0, 0)].abs())
        .count();
    if finite.len() <= rank {
        return None;
    }
    let mut left = centred(finite.iter().map(|&i| heights.values()[i]).collect());
    let before = norm(&left);
    if before == 0.0 {
        return Some(0.0);
    }
    // Twice, because once leaves rounding of the size of the heights.
    for _ in 0..2 {
        for j in 0..rank {
            let along: f64 = left.iter().enumerate().map(|(i, y)| y * q[(i, j)]).sum();
            left.iter_mut().enumerate().for_each(|(i, y)| *y -= along * q[(i, j)]);
        }
    }
    Some(norm(&left) / before)
}

/// 1, the coordinates and their products at some points, with every axis scaled to -1..1.
fn quadratic(heights: &Heights, points: &[usize]) -> Vec<Vec<f64>> {
    let scaled: Vec<Vec<f64>> = heights
        .axes()
        .iter()
        .map(|axis| {
            let (first, last) = (axis[0], axis[axis.len() - 1]);
            let (middle, half) = (f64::midpoint(first, last), 0.5 * last - 0.5 * first);
            axis.iter().map(|x| if half > 0.0 { (x - middle) / half } else { 0.0 }).collect()
        })
        .collect();
    let n = scaled.len();
    let mut columns = vec![vec![1.0; points.len()]];
    for (k, axis) in scaled.iter().enumerate() {
        let node = |i: &usize| heights.nodes(*i).nth(k).unwrap_or(0);
        columns.push(points.iter().map(|i| axis[node(i)]).collect());
    }
    for a in 1..=n {
        for b in a..=n {
            columns.push(columns[a].iter().zip(&columns[b]).map(|(x, y)| x * y).collect());
        }
    }
    columns
}

/// The values less their mean, divided by the largest of them. Equal values become zeros.
fn centred(values: Vec<f64>) -> Vec<f64> {
    let Some(&first) = values.first() else { return values };
    // From the first one on, so that a mean's rounding is not taken for roughness.
    let values: Vec<f64> = values.iter().map(|v| v - first).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let size = values.iter().fold(0.0, |size: f64, v| size.max((v - mean).abs()));
    values.iter().map(|v| if size > 0.0 { (v - mean) / size } else { 0.0 }).collect()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn variation(heights: &Heights, axis: usize) -> Variation {
    let (step, nodes) = (heights.steps()[1 << axis], heights.axes()[axis].len());
    let starts = (0..heights.len()).filter(|&i| heights.nodes(i).nth(axis) == Some(0));
    let lines = starts.map(|start| (0..nodes).map(move |i| heights.values()[start + i * step]));
    let excess: Vec<f64> = lines
        .filter(|line| line.clone().all(f64::is_finite))
        .map(|line| {
            let high = line.clone().fold(f64::NEG_INFINITY, f64::max);
            let low = line.clone().fold(f64::INFINITY, f64::min);
            if high <= low {
                return 0.0;
            }
            let total: f64 = line.clone().zip(line.skip(1)).map(|(a, b)| (b - a).abs() / (high - low)).sum();
            // A monotone line's differences sum to 1 but for rounding.
            (total - 1.0).max(0.0)
        })
        .collect();
    let lines = excess.len() as f64;
    let mean = excess.iter().sum::<f64>() / lines;
    let deviation = (excess.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / lines).sqrt();
    Variation { mean, deviation, lines: excess.len() }
}
