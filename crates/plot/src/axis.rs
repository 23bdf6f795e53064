//! Axes as users describe them.

use serde::{Deserialize, Serialize};

/// How numbers lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Equal differences take equal lengths.
    #[default]
    Linear,
    /// Equal ratios take equal lengths; numbers that are not positive are left out.
    Log,
    /// As linear, with numbers at whole ones only: ranks, epochs.
    Counts,
}

impl Scale {
    /// Whether a number has a place on such an axis.
    pub(crate) fn shows(self, v: f64) -> bool {
        v.is_finite() && (self != Self::Log || v > 0.0)
    }

    /// The number whose differences are lengths.
    pub(crate) fn length(self, v: f64) -> f64 {
        match self {
            Self::Linear | Self::Counts => v,
            Self::Log => v.ln(),
        }
    }

    pub(crate) fn value_at(self, l: f64) -> f64 {
        match self {
            Self::Linear | Self::Counts => l,
            Self::Log => l.exp(),
        }
    }
}

/// One axis: what it shows, in which unit, how.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Axis {
    /// The quantity with its unit, such as "step" or "loss (nats)".
    pub label: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// From where to where; what the data need, if absent.
    pub range: Option<[f64; 2]>,
}

impl Axis {
    /// A linear axis over the data's range.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, range: None }
    }

    /// A logarithmic axis over the data's range.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log, range: None }
    }

    /// An axis for whole numbers over the data's range.
    pub fn counts(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Counts, range: None }
    }

    /// The same axis from `low` to `high`.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { range: Some([low, high]), ..self }
    }

    /// The range to draw for some data: the one asked for, or the data's with a margin on both sides.
    pub(crate) fn extent(&self, data: impl IntoIterator<Item = f64>, margin: f64) -> [f64; 2] {
        if let Some([low, high]) =
            self.range.filter(|[l, h]| self.scale.shows(*l) && self.scale.shows(*h) && l < h)
        {
            return [low, high];
        }
        // Lengths beyond 1e300 would overflow once a margin is added.
        let shown = data.into_iter().filter(|v| self.scale.shows(*v)).map(|v| v.clamp(-1e300, 1e300));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        match self.scale {
            _ if low > high => [if self.scale == Scale::Log { 0.1 } else { 0.0 }, 1.0],
            Scale::Linear if high - low <= 1e-12 * low.abs().max(high.abs()) => {
                let around = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
                [low - around, high + around]
            }
            Scale::Counts if high <= low => [low - 1.0, high + 1.0],
            Scale::Log if high / low < 1.0 + 1e-12 => [low / 2.0, high * 2.0],
            scale => {
                let (low, high) = (scale.length(low), scale.length(high));
                let more = margin * (high - low);
                [scale.value_at(low - more), scale.value_at(high + more)]
            }
        }
    }
}
