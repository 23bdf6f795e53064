//! Curves between two points in parameter space.

mod band;
mod statistics;
mod training;

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::direction::norm;

pub use band::{BandLoss, BandProfile, BandProgress, BandState, Cycle, ElasticBand, Insertion, Spacing};
pub use statistics::{CurveReport, CurveStatistics};
pub use training::{CurveTraining, Ending, TrainingState, TrainingStep};

/// A loss and its gradient, an entry for every parameter.
pub type LossAndGradient = (f64, Vec<f64>);

/// How a curve follows its control points (Garipov et al. 2018, section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveKind {
    /// Bezier curve of degree k - 1 for k control points: smooth, and through the first and the last of them only.
    #[default]
    Bezier,
    /// Straight segments from each control point to the next.
    Chain,
}

/// A curve phi(t) = `sum_j` `c_j(t)` `p_j` from its first control point at t = 0 to its last at t = 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    kind: CurveKind,
    points: Vec<Vec<f64>>,
}

impl Curve {
    /// From all control points, both ends included: two or more, as long as each other and not empty.
    pub fn new(kind: CurveKind, points: Vec<Vec<f64>>) -> Result<Self> {
        if points.len() < 2 {
            return Err(Error::Input(format!(
                "a curve has {} control points, but needs both its ends: give two or more",
                points.len()
            )));
        }
        if let Some(other) = points.iter().find(|p| p.len() != points[0].len() || p.is_empty()) {
            return Err(Error::Input(format!(
                "the control points of a curve have {} and {} entries, but must be points of one network",
                points[0].len(),
                other.len()
            )));
        }
        Ok(Self { kind, points })
    }

    /// The chord from `start` to `end`, with as many bends between them as asked, evenly spaced. Garipov et al. count
    /// both ends among the bends: their 3 is 1 here.
    pub fn straight(kind: CurveKind, start: Vec<f64>, end: Vec<f64>, bends: usize) -> Result<Self> {
        let mut points = vec![start];
        let chord = Self::new(CurveKind::Chain, vec![points[0].clone(), end])?;
        points.extend((1..=bends).map(|j| chord.at(j as f64 / (bends + 1) as f64)));
        points.extend(chord.points.into_iter().skip(1));
        Self::new(kind, points)
    }

    /// The curve of the same kind between the same ends with other bends, as many as there are.
    pub fn with_bends(mut self, bends: Vec<Vec<f64>>) -> Result<Self> {
        let end = self.points.pop();
        self.points.truncate(1);
        self.points.extend(bends);
        self.points.extend(end);
        Self::new(self.kind, self.points)
    }

    /// How it follows its control points.
    pub fn kind(&self) -> CurveKind {
        self.kind
    }

    /// All control points, both ends included.
    pub fn points(&self) -> &[Vec<f64>] {
        &self.points
    }

    /// The control points between the ends: those that training moves.
    pub fn bends(&self) -> &[Vec<f64>] {
        &self.points[1..self.points.len() - 1]
    }

    /// Degree of a Bezier curve, number of segments of a chain: control points less one.
    pub fn degree(&self) -> usize {
        self.points.len() - 1
    }

    /// Number of entries of every point.
    pub fn dim(&self) -> usize {
        self.points[0].len()
    }

    /// The coefficients `c_j(t)` of the control points, whose sum is 1.
    ///
    /// Bernstein polynomials, by raising their degree one by one: on 0..1 nothing cancels and nothing overflows. For a
    /// chain max(0, 1 - |t (k - 1) - j|). Outside of 0..1 polynomials and a chain's end segments go on.
    pub fn coefficients(&self, t: f64) -> Vec<f64> {
        match self.kind {
            CurveKind::Bezier => bernstein(self.degree(), t),
            CurveKind::Chain => {
                let (segment, along) = self.segment(t);
                let mut coefficients = vec![0.0; self.points.len()];
                coefficients[segment] = 1.0 - along;
                coefficients[segment + 1] = along;
                coefficients
            }
        }
    }

    /// The point phi(t); at t = 0 and t = 1 the ends, to the bit.
    pub fn at(&self, t: f64) -> Vec<f64> {
        self.combination(&self.coefficients(t))
    }

    /// The derivative of phi at t. At a corner of a chain that of the segment that begins there.
    pub fn tangent(&self, t: f64) -> Vec<f64> {
        let weights = match self.kind {
            CurveKind::Bezier => bernstein(self.degree() - 1, t),
            CurveKind::Chain => {
                let mut weights = vec![0.0; self.degree()];
                weights[self.segment(t).0] = 1.0;
                weights
            }
        };
        let mut tangent = vec![0.0; self.dim()];
        for (weight, pair) in weights.iter().zip(self.points.windows(2)).filter(|(weight, _)| **weight != 0.0)
        {
            let weight = weight * self.degree() as f64;
            let ends = pair[0].iter().zip(&pair[1]);
            tangent.iter_mut().zip(ends).for_each(|(out, (a, b))| *out += weight * (b - a));
        }
        tangent
    }

    /// Cumulative length of the polygon through phi(t) at the given t: 0 first. On a chain it is the length of the curve
    /// itself where all corners are among them, and below it otherwise.
    pub fn lengths(&self, t: &[f64]) -> Vec<f64> {
        let (mut sum, mut before) = (0.0, None);
        t.iter()
            .map(|t| {
                let here = self.at(*t);
                sum += before.as_deref().map_or(0.0, |before| distance(before, &here));
                before = Some(here);
                sum
            })
            .collect()
    }

    /// The mean of the points at the given t, such as weight averaging wants it (Izmailov et al. 2018). Coefficients are
    /// averaged, so that no point but the result is made.
    pub fn average(&self, t: &[f64]) -> Result<Vec<f64>> {
        if t.is_empty() {
            return Err(Error::Input("an average along a curve needs at least one t".into()));
        }
        let mut mean = vec![0.0; self.points.len()];
        for place in t {
            let coefficients = self.coefficients(*place);
            mean.iter_mut().zip(coefficients).for_each(|(mean, c)| *mean += c / t.len() as f64);
        }
        Ok(self.combination(&mean))
    }

    /// The sum of control points with coefficients. Points without a share are left out, so that an end is its own copy
    /// whatever the other points hold.
    fn combination(&self, coefficients: &[f64]) -> Vec<f64> {
        let mut shares = coefficients.iter().zip(&self.points).filter(|(c, _)| **c != 0.0);
        let Some((c, point)) = shares.next() else { return vec![0.0; self.dim()] };
        let mut out: Vec<f64> = point.iter().map(|p| c * p).collect();
        for (c, point) in shares {
            out.iter_mut().zip(point).for_each(|(out, p)| *out += c * p);
        }
        out
    }

    /// The segment of a chain that holds t, and how far along it t is.
    fn segment(&self, t: f64) -> (usize, f64) {
        let along = t * self.degree() as f64;
        let segment = (along.max(0.0) as usize).min(self.degree() - 1);
        (segment, along - segment as f64)
    }

    fn bends_mut(&mut self) -> &mut [Vec<f64>] {
        let last = self.points.len() - 1;
        &mut self.points[1..last]
    }
}

/// The Bernstein polynomials of a degree at t.
fn bernstein(degree: usize, t: f64) -> Vec<f64> {
    let mut b = vec![0.0; degree + 1];
    b[0] = 1.0;
    for raised in 1..=degree {
        for j in (1..=raised).rev() {
            b[j] = (1.0 - t) * b[j] + t * b[j - 1];
        }
        b[0] *= 1.0 - t;
    }
    b
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| b - a).collect::<Vec<_>>())
}

/// The weight decay term w/2 |x|^2: the squared norm, on the weights of the point itself.
fn weight_decay_term(weight_decay: f64, point: &[f64]) -> f64 {
    if weight_decay == 0.0 { 0.0 } else { 0.5 * weight_decay * point.iter().map(|x| x * x).sum::<f64>() }
}

/// Adds the weight decay term to a loss and its gradient.
fn add_weight_decay(weight_decay: f64, point: &[f64], loss: &mut f64, gradient: &mut [f64]) {
    if weight_decay != 0.0 {
        *loss += weight_decay_term(weight_decay, point);
        gradient.iter_mut().zip(point).for_each(|(g, x)| *g += weight_decay * x);
    }
}

/// Complains where a closure's gradient does not fit the point it was asked at.
fn check_gradient(gradient: &[f64], point: &[f64]) -> Result<()> {
    if gradient.len() == point.len() {
        return Ok(());
    }
    Err(Error::Input(format!(
        "a gradient has {} entries, but the point has {}: return one entry for every parameter",
        gradient.len(),
        point.len()
    )))
}
