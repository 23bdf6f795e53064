//! How high a loss stands in a picture with three dimensions.

use super::Sampled;
use crate::exit::Failure;
use crate::numbers;

/// The lowest loss lies at 0, the highest stands half as high as the coordinates reach, in equal differences or, where
/// losses differ widely, in equal ratios.
pub(super) struct Height {
    log: bool,
    lowest: f64,
    scale: f64,
}

impl Height {
    /// For all losses of a result.
    pub(super) fn new(sampled: &Sampled) -> Result<Self, Failure> {
        let log = numbers::wide(sampled.loss().iter().copied());
        let lengths =
            sampled.loss().iter().map(|v| if log { v.log10() } else { *v }).filter(|v| v.is_finite());
        let (lowest, highest) =
            lengths.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (v.min(l), v.max(h)));
        if lowest > highest {
            return Err(Failure::Input(
                "none of the losses is finite, and none has a height: look at the run, or write an .npz"
                    .into(),
            ));
        }
        let reach = |(_, nodes): &(_, Vec<f64>)| nodes[nodes.len() - 1] - nodes[0];
        let widest = sampled.axes.iter().map(reach).fold(0.0, f64::max);
        let scale = 0.5 * widest / (highest - lowest);
        // A flat landscape is flat at any scale.
        Ok(Self { log, lowest, scale: if scale.is_finite() { scale } else { 1.0 } })
    }

    /// The height of a loss; NaN where it is unknown.
    pub(super) fn of(&self, loss: f64) -> f64 {
        self.scale * (if self.log { loss.log10() } else { loss } - self.lowest)
    }

    /// How the height is made, as a formula.
    pub(super) fn formula(&self) -> String {
        let measure = if self.log { "log10_loss" } else { "loss" };
        format!("z = {:?} * ({measure} - {:?})", self.scale, self.lowest)
    }
}
