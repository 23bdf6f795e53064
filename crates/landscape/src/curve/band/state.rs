//! Where a band stands, and what was measured along it.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::super::{Curve, CurveKind, CurveReport};
use super::force::{between, lengths};

/// Where the relaxation of a band stands: with its settings, all that is needed to go on to the same digits.
#[derive(Debug, Clone, PartialEq)]
pub struct BandState {
    /// The pivots, both ends included.
    pub pivots: Vec<Vec<f64>>,
    /// The velocity of each pivot between the ends.
    pub velocities: Vec<Vec<f64>>,
    /// The share of the chain's length that each segment should have; they sum to 1.
    pub shares: Vec<f64>,
    /// The cycle it is in.
    pub cycle: usize,
    /// Whether the cycle's pivots are inserted.
    pub inserted: bool,
    /// Steps taken in the cycle.
    pub step: usize,
    /// Losses measured so far on the chain as it is, pivots and sub-pivots in their order.
    pub losses: Vec<f64>,
}

impl BandState {
    /// Before the first cycle. A chain of more than two points keeps the ratios of its lengths.
    pub fn new(chain: Curve) -> Result<Self> {
        if chain.kind() != CurveKind::Chain {
            return Err(Error::Input(
                "a band begins with a chain, and this is a Bezier curve, which does not pass through its bends: sample it, \
                 and make a chain of its points"
                    .into(),
            ));
        }
        let pivots = chain.points().to_vec();
        let lengths = lengths(&pivots);
        let whole: f64 = lengths.iter().sum();
        let even = 1.0 / lengths.len() as f64;
        let shares = if whole > 0.0 && whole.is_finite() {
            lengths.iter().map(|length| length / whole).collect()
        } else {
            vec![even; lengths.len()]
        };
        let velocities = vec![vec![0.0; chain.dim()]; pivots.len() - 2];
        Ok(Self { pivots, velocities, shares, cycle: 0, inserted: false, step: 0, losses: vec![] })
    }

    /// The chain through the pivots. Its t counts pivots, not length.
    pub fn chain(&self) -> Result<Curve> {
        Curve::new(CurveKind::Chain, self.pivots.clone())
    }

    /// Inserts pivots into the segments, each at its shares of the way along; all velocities become zero.
    pub(super) fn insert(&mut self, into: &[Vec<f64>]) {
        let old = std::mem::take(&mut self.pivots);
        let shares = std::mem::take(&mut self.shares);
        self.pivots.push(old[0].clone());
        for (segment, along) in into.iter().enumerate() {
            let mut last = 0.0;
            for &along in along {
                self.pivots.push(between(&old[segment], &old[segment + 1], along));
                self.shares.push((along - last) * shares[segment]);
                last = along;
            }
            self.pivots.push(old[segment + 1].clone());
            self.shares.push((1.0 - last) * shares[segment]);
        }
        self.velocities = vec![vec![0.0; self.pivots[0].len()]; self.pivots.len() - 2];
        self.losses.clear();
    }

    /// Complains about a state that was put together from parts that do not fit.
    pub(super) fn validate(&self) -> Result<()> {
        let dim = self.chain()?.dim();
        let inner = self.pivots.len() - 2;
        if self.velocities.len() == inner
            && self.velocities.iter().all(|v| v.len() == dim)
            && self.shares.len() == inner + 1
            && self.shares.iter().all(|share| *share >= 0.0)
            && (self.shares.iter().sum::<f64>() - 1.0).abs() < 1e-6
        {
            return Ok(());
        }
        Err(Error::Input(format!(
            "the state of a band has {} pivots, {} velocities and {} shares, but a velocity belongs to every pivot between \
             the ends and a share to every segment, and all shares make up 1: load all from one file",
            self.pivots.len(),
            self.velocities.len(),
            self.shares.len()
        )))
    }
}

/// The loss along a chain, at its pivots and at evenly spaced sub-pivots on its segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandProfile {
    /// Sub-pivots of each segment; every (`sub_pivots` + 1)-th sample is a pivot.
    pub sub_pivots: usize,
    /// Where each sample is on the chain: number of the pivot over number of segments.
    pub t: Vec<f64>,
    /// Length of the chain up to each sample.
    pub lengths: Vec<f64>,
    /// The loss at each sample over all the data, weight decay term included.
    pub loss: Vec<f64>,
    /// Which pivot has the highest loss, ends included.
    pub highest_pivot: usize,
    /// Its loss.
    pub highest_pivot_loss: f64,
}

impl BandProfile {
    pub(super) fn new(state: &BandState, sub_pivots: usize) -> Self {
        let (each, segments) = (sub_pivots + 1, state.pivots.len() - 1);
        let along = |sample: usize| (sample / each, (sample % each) as f64 / each as f64);
        let lengths = lengths(&state.pivots);
        let mut passed = vec![0.0];
        for length in &lengths {
            passed.push(passed[passed.len() - 1] + length);
        }
        let samples = 0..state.losses.len();
        let (highest_pivot, highest_pivot_loss) =
            state.losses.iter().copied().step_by(each).enumerate().fold(
                (0, f64::NEG_INFINITY),
                |top, next| {
                    if next.1 > top.1 || next.1.is_nan() && !top.1.is_nan() { next } else { top }
                },
            );
        Self {
            sub_pivots,
            t: samples
                .clone()
                .map(along)
                .map(|(segment, share)| (segment as f64 + share) / segments as f64)
                .collect(),
            lengths: samples
                .map(along)
                .map(|(segment, share)| {
                    passed[segment] + lengths.get(segment).map_or(0.0, |length| share * length)
                })
                .collect(),
            loss: state.losses.clone(),
            highest_pivot,
            highest_pivot_loss,
        }
    }

    /// The profile in numbers, sub-pivots included.
    pub fn report(&self) -> Result<CurveReport> {
        CurveReport::new(&self.t, &self.loss, &self.lengths)
    }
}
