//! What a band does one after another, and where it grows.

use serde::{Deserialize, Serialize};

use super::ElasticBand;

/// One insertion of pivots and the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// What is inserted first.
    pub insertion: Insertion,
    /// Steps to take.
    pub steps: usize,
    /// Their learning rate.
    pub eta: f64,
}

/// Where pivots are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Insertion {
    /// So many into every segment, evenly spaced.
    Equal(usize),
    /// One into each of at most so many segments, those where the loss exceeds the line between their pivots by most and
    /// by more than the threshold, at the sub-pivot where it does so by most.
    Highest(usize),
}

/// What keeps the pivots of a band apart.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// After every step pivots are moved along the chain to their shares of its length: springs of infinite constant.
    #[default]
    Redistributed,
    /// Springs of this constant along the chain, at rest where every segment has its share of the length. Where segments
    /// are short against a step pivots can pass each other, and the band diverges: take a smaller eta.
    Springs(f64),
}

impl ElasticBand {
    /// The published schedule, for ResNet-20 on CIFAR-10, with numbers of steps times a factor: three pivots between the
    /// ends and 1000 steps with eta 0.1, then cycles of up to two more each: three of 1000 steps and two of 2000 with 0.1, four
    /// of 1000 with 0.01, four of 1000 with 0.001.
    pub fn published(factor: f64) -> Self {
        let cycle =
            |insertion, steps: f64, eta| Cycle { insertion, steps: (steps * factor).round() as usize, eta };
        let highest = |times, steps, eta| vec![cycle(Insertion::Highest(2), steps, eta); times];
        let cycles = [
            vec![cycle(Insertion::Equal(3), 1000.0, 0.1)],
            highest(3, 1000.0, 0.1),
            highest(2, 2000.0, 0.1),
            highest(4, 1000.0, 0.01),
            highest(4, 1000.0, 0.001),
        ];
        Self {
            cycles: cycles.concat(),
            spacing: Spacing::Redistributed,
            momentum: 0.9,
            weight_decay: 1e-4,
            sub_pivots: 9,
            threshold: 0.1,
        }
    }
}

impl Insertion {
    /// Where on each segment, as shares of its length, pivots are inserted. `losses` are those of pivots and sub-pivots in
    /// their order; nobody asks for them where insertion is even.
    pub(super) fn places(
        self,
        losses: &[f64],
        segments: usize,
        sub_pivots: usize,
        threshold: f64,
    ) -> Vec<Vec<f64>> {
        match self {
            Self::Equal(count) => {
                let places: Vec<f64> = (1..=count).map(|i| i as f64 / (count + 1) as f64).collect();
                vec![places; segments]
            }
            Self::Highest(count) => {
                let each = sub_pivots + 1;
                let pivots = || losses.iter().copied().step_by(each);
                let range =
                    pivots().fold(f64::NEG_INFINITY, f64::max) - pivots().fold(f64::INFINITY, f64::min);
                let mut tops: Vec<(usize, usize, f64)> = (0..segments)
                    .filter_map(|segment| {
                        let losses = &losses[segment * each..=(segment + 1) * each];
                        (1..each)
                            .map(|sub| {
                                let along = sub as f64 / each as f64;
                                (
                                    segment,
                                    sub,
                                    losses[sub] - ((1.0 - along) * losses[0] + along * losses[each]),
                                )
                            })
                            .filter(|(_, _, excess)| *excess > threshold * range)
                            .max_by(|a, b| a.2.total_cmp(&b.2))
                    })
                    .collect();
                tops.sort_by(|a, b| b.2.total_cmp(&a.2));
                let mut places = vec![vec![]; segments];
                for (segment, sub, _) in tops.into_iter().take(count) {
                    places[segment].push(sub as f64 / each as f64);
                }
                places
            }
        }
    }
}
