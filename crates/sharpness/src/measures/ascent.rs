//! The highest loss within a ball, searched for by projected gradient ascent.
//!
//! A ball of any shape is the image of a round one or of a cube, epsilon = C u, and the search goes on in u: there the
//! projection is exact and cheap (one division, or clipping), and where C follows a rescaling of the weights, so does the
//! whole search.

use relief_hessian::Result;
use serde::{Deserialize, Serialize};

use super::centre::Centre;
use super::noise::Noise;

/// Settings of the search: APGD (Croce & Hein 2020, algorithm 1), as Andriushchenko et al. 2023 use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Apgd {
    /// Steps from every start, each one gradient.
    pub steps: usize,
    /// Random starts on the border, after the one in the direction of steepest ascent. Where the gradient is zero, the first
    /// start is random too.
    pub random_starts: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for Apgd {
    fn default() -> Self {
        Self { steps: 20, random_starts: 1, seed: 0 }
    }
}

/// The norm whose ball is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ball {
    /// |u|_2.
    L2,
    /// The largest entry's magnitude.
    Linf,
}

/// What a search found: at least this high the loss rises within the ball.
#[derive(Debug, Clone, PartialEq)]
pub struct Ascent {
    /// L(w + epsilon) - L(w); not below 0, because the point itself lies in the ball.
    pub rise: f64,
    /// epsilon, one number a parameter.
    pub displacement: Vec<f64>,
}

/// Share of the steps between two checkpoints that must go up, else the step is halved.
const IMPROVING: f64 = 0.75;
/// Share of the new step; the rest is that of the step before.
const MOMENTUM: f64 = 0.75;

/// C of epsilon = C u.
pub(crate) enum Chart<'c> {
    /// 1.
    Whole,
    /// diag(c).
    Scaled(&'c [f64]),
    /// Columns, each times its scale.
    Subspace { columns: &'c [Vec<f64>], scales: &'c [f64] },
}

impl Chart<'_> {
    fn dim(&self, n: usize) -> usize {
        if let Self::Subspace { columns, .. } = self { columns.len() } else { n }
    }

    fn displacement(&self, u: &[f64], n: usize) -> Vec<f64> {
        match self {
            Self::Whole => u.to_vec(),
            Self::Scaled(scales) => u.iter().zip(*scales).map(|(u, c)| u * c).collect(),
            Self::Subspace { columns, scales } => {
                let mut out = vec![0.0; n];
                for ((u, column), scale) in u.iter().zip(*columns).zip(*scales) {
                    out.iter_mut().zip(column).for_each(|(o, a)| *o += scale * u * a);
                }
                out
            }
        }
    }

    /// C' g: the gradient in u.
    fn pull(&self, gradient: &[f64]) -> Vec<f64> {
        match self {
            Self::Whole => gradient.to_vec(),
            Self::Scaled(scales) => gradient.iter().zip(*scales).map(|(g, c)| g * c).collect(),
            Self::Subspace { columns, scales } => {
                let along = |a: &[f64]| a.iter().zip(gradient).map(|(a, g)| a * g).sum::<f64>();
                columns.iter().zip(*scales).map(|(a, scale)| scale * along(a)).collect()
            }
        }
    }

    /// Entries of u that move nothing must not use up the ball.
    fn drop_idle(&self, u: &mut [f64]) {
        if let Self::Scaled(scales) = self {
            u.iter_mut().zip(*scales).filter(|(_, c)| **c == 0.0).for_each(|(u, _)| *u = 0.0);
        }
    }
}

impl Ball {
    /// The direction of steepest ascent with norm 1; none where the slope is zero.
    fn steepest(self, slope: &[f64]) -> Option<Vec<f64>> {
        let most = slope.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
        if most == 0.0 {
            return None;
        }
        Some(match self {
            // Relative to the largest entry, so that no square underflows.
            Self::L2 => {
                let length = slope.iter().map(|s| (s / most).powi(2)).sum::<f64>().sqrt();
                slope.iter().map(|s| s / most / length).collect()
            }
            Self::Linf => slope.iter().map(|s| if *s == 0.0 { 0.0 } else { s.signum() }).collect(),
        })
    }

    /// The nearest point of the ball.
    fn project(self, u: &mut [f64], radius: f64) {
        match self {
            Self::L2 => {
                let length = u.iter().map(|x| x * x).sum::<f64>().sqrt();
                if length > radius {
                    u.iter_mut().for_each(|x| *x *= radius / length);
                }
            }
            Self::Linf => u.iter_mut().for_each(|x| *x = x.clamp(-radius, radius)),
        }
    }

    /// A random point of the border (of the cube, a corner).
    fn random(self, seed: u64, number: u64, chart: &Chart<'_>, n: usize) -> Option<Vec<f64>> {
        let mut u = Noise::Gaussian.draw(seed, number, chart.dim(n), None);
        chart.drop_idle(&mut u);
        self.steepest(&u)
    }
}

impl Apgd {
    /// The highest rise that was met for |u| <= radius.
    pub(crate) fn maximise(
        &self,
        centre: &Centre<'_>,
        chart: &Chart<'_>,
        ball: Ball,
        radius: f64,
    ) -> Result<Ascent> {
        let n = centre.point().len();
        let first = ball.steepest(&chart.pull(centre.gradient()));
        let random = (0..).map_while(|number| ball.random(self.seed, number, chart, n));
        let mut best = (0.0, vec![0.0; chart.dim(n)]);
        for start in first.into_iter().chain(random).take(1 + self.random_starts) {
            let start: Vec<f64> = start.iter().map(|u| radius * u).collect();
            let found = self.climb(start, ball, radius, |u| {
                let (rise, gradient) = centre.slope(&chart.displacement(u, n))?;
                Ok((rise, chart.pull(&gradient)))
            })?;
            if found.0 > best.0 {
                best = found;
            }
        }
        Ok(Ascent { rise: best.0, displacement: chart.displacement(&best.1, n) })
    }

    /// The highest value of `f` (value and slope) on the way up from a start, and where.
    fn climb(
        &self,
        start: Vec<f64>,
        ball: Ball,
        radius: f64,
        mut f: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
    ) -> Result<(f64, Vec<f64>)> {
        let checkpoints = checkpoints(self.steps);
        let (mut value, mut slope) = f(&start)?;
        let (mut u, mut before) = (start.clone(), start.clone());
        let mut best = (value, start, slope.clone());
        let mut step = 2.0 * radius;
        let (mut improved, mut last, mut halved, mut best_then) = (0, 0, true, value);
        for k in 1..=self.steps {
            let Some(direction) = ball.steepest(&slope) else { break };
            let mut next: Vec<f64> = u.iter().zip(&direction).map(|(u, d)| u + step * d).collect();
            ball.project(&mut next, radius);
            if k > 1 {
                for (next, (u, before)) in next.iter_mut().zip(u.iter().zip(&before)) {
                    *next = u + MOMENTUM * (*next - u) + (1.0 - MOMENTUM) * (u - before);
                }
                ball.project(&mut next, radius);
            }
            before = std::mem::replace(&mut u, next);
            let found = f(&u)?;
            improved += usize::from(found.0 > value);
            (value, slope) = found;
            if value > best.0 {
                best = (value, u.clone(), slope.clone());
            }
            if checkpoints.contains(&k) {
                let rarely = (improved as f64) < IMPROVING * (k - last) as f64;
                halved = rarely || (!halved && best.0 <= best_then);
                if halved {
                    step *= 0.5;
                    (value, u, slope) = best.clone();
                    before.clone_from(&u);
                }
                (improved, last, best_then) = (0, k, best.0);
            }
        }
        Ok((best.0, best.1))
    }
}

/// The steps after which progress is looked at: ceil(p steps) for p = 0.22, 0.41, 0.57, .. (Croce & Hein 2020, section 3).
fn checkpoints(steps: usize) -> Vec<usize> {
    let (mut before, mut p) = (0.0, 0.22);
    let mut out = vec![];
    while p <= 1.0 {
        out.push((p * steps as f64).ceil() as usize);
        let next: f64 = p + f64::max(p - before - 0.03, 0.06);
        (before, p) = (p, next);
    }
    out
}
