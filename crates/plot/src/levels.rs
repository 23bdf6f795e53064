//! Where one band of colour ends and the next begins.

use std::cmp::Ordering;

use crate::{Grid, PlotError, Result, Scale};

/// Ratio of the highest to the lowest value beyond which equal steps would show little but the upper end.
const WIDE: f64 = 20.0;
/// Bands at most. The eye tells fewer apart.
const MOST: usize = 1000;

/// The edges of bands of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    edges: Vec<f64>,
    log: bool,
    capped: bool,
}

impl Levels {
    /// About `bands` bands for the finite values of one grid, or of several that are to be compared.
    ///
    /// The edges are round numbers that enclose the values: equally spaced in the logarithm where all values
    /// are positive and the highest is more than 20 times the lowest, otherwise steps of 1, 2 or 5 times a power
    /// of ten. Where values exceed `cap`, it is the last edge. Without a `cap`, the last edge leaves out a tenth
    /// of the values at most, where they are huge beside all others.
    pub fn automatic(grids: &[&Grid], bands: usize, cap: Option<f64>) -> Result<Self> {
        Self::chosen(grids, bands, cap, None)
    }

    /// The same with the scale given: logarithmic levels need positive values.
    pub fn chosen(grids: &[&Grid], bands: usize, cap: Option<f64>, scale: Option<Scale>) -> Result<Self> {
        let values = grids.iter().flat_map(|grid| grid.values());
        let mut values: Vec<f64> = values.copied().filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(&low), Some(&highest)) = (values.first(), values.last()) else {
            return Err(PlotError::Data("none of the values to draw is finite".into()));
        };
        if let Some(cap) = cap
            && (cap.is_nan() || cap <= low)
        {
            return Err(PlotError::Data(format!(
                "a cap of {cap} leaves no value to draw: the lowest is {low}"
            )));
        }
        let given = cap.filter(|cap| *cap < highest);
        let fence = if cap.is_none() { below_huge(&values) } else { None };
        let top = given.or(fence).unwrap_or(highest);
        let bands = bands.clamp(1, MOST);
        let log = match scale {
            None => low > 0.0 && top / low > WIDE,
            Some(scale) => low > 0.0 && scale == Scale::Log,
        };
        let mut edges = if log { equal_ratios(low, top, bands) } else { equal_steps(low, top, bands) };
        if let Some(cap) = given {
            end_at(&mut edges, cap);
        }
        Ok(Self { edges, log, capped: given.or(fence).is_some() })
    }

    /// The given edges, at least two, each larger than the one before.
    pub fn given(edges: Vec<f64>) -> Result<Self> {
        let increasing = edges.windows(2).all(|w| w[0] < w[1]) && edges.iter().all(|edge| edge.is_finite());
        let [lowest, .., highest] = edges[..] else {
            return Err(PlotError::Data(format!("levels must be two numbers or more, not {}", edges.len())));
        };
        if !increasing {
            return Err(PlotError::Data(
                "levels must be finite numbers, each larger than the one before".into(),
            ));
        }
        // Which of the two spacings was meant shows in which is more even.
        let unevenness = |scale: fn(f64) -> f64| {
            let gaps = edges.windows(2).map(|w| scale(w[1]) - scale(w[0]));
            let (least, most) = gaps.fold((f64::MAX, 0.0f64), |(l, m), gap| (l.min(gap), m.max(gap)));
            most / least
        };
        let log = lowest > 0.0 && highest / lowest > WIDE && unevenness(f64::ln) <= unevenness(|v| v);
        Ok(Self { edges, log, capped: false })
    }

    /// The same levels, capped if a finite value of the grids lies above all of them.
    #[must_use]
    pub fn capped_for(self, grids: &[&Grid]) -> Self {
        let top = self.edges[self.edges.len() - 1];
        let capped = grids.iter().filter_map(|grid| grid.finite_range()).any(|(_, highest)| highest > top);
        Self { capped, ..self }
    }

    /// The edges, strictly increasing: band `k` reaches from edge `k` to edge `k + 1`.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Whether the bands are equal in ratio rather than in width.
    pub fn is_log(&self) -> bool {
        self.log
    }

    /// Whether values lie above the last edge, all in one more band.
    pub fn is_capped(&self) -> bool {
        self.capped
    }

    /// The number at edge `i`, with as many digits as tell it from its neighbours.
    pub fn label(&self, i: usize) -> String {
        let edge = self.edges[i];
        let below = i.checked_sub(1).map(|k| edge - self.edges[k]);
        let above = self.edges.get(i + 1).map(|next| next - edge);
        let gap = below.into_iter().chain(above).fold(f64::MAX, f64::min);
        // So close that neither the order nor the evenness of the numbers suffers; 17 digits are exact.
        let shown = (1..=17)
            .map(|digits| rounded(edge, digits, Ordering::Equal))
            .find(|shown| (shown - edge).abs() <= 0.02 * gap)
            .unwrap_or(edge);
        let number = match shown.abs() {
            0.0 => "0".into(),
            size if (1e-3..1e5).contains(&size) => format!("{size}"),
            size => format!("{size:e}"),
        };
        if shown < 0.0 { format!("−{number}") } else { number }
    }
}

/// The highest value not far above the bulk, where a few above it are so huge that they would take most of the
/// range.
fn below_huge(sorted: &[f64]) -> Option<f64> {
    let (low, highest) = (sorted[0], sorted[sorted.len() - 1]);
    let mut sizes: Vec<f64> = sorted.iter().map(|v| v.abs()).collect();
    let (_, median, _) = sizes.select_nth_unstable_by(sorted.len() / 2, f64::total_cmp);
    let scale: fn(f64) -> f64 = if low > 0.0 { f64::ln } else { |v| v };
    let bulk = scale(sorted[(sorted.len() - 1) * 9 / 10]) - scale(low);
    if highest <= 1e3 * *median || bulk <= 0.0 || bulk >= 0.25 * (scale(highest) - scale(low)) {
        return None;
    }
    sorted.iter().rev().copied().find(|v| scale(*v) - scale(low) <= 1.5 * bulk)
}

/// Edges equally spaced in the logarithm, as far as round numbers are.
fn equal_ratios(low: f64, high: f64, bands: usize) -> Vec<f64> {
    let step = (high.ln() - low.ln()) / bands as f64;
    let digits = match step.exp() {
        ratio if ratio > 8.0 => 1,
        ratio if ratio > 1.25 => 2,
        _ => 3,
    };
    let (first, last) = (rounded(low, digits, Ordering::Less), rounded(high, digits, Ordering::Greater));
    let (from, to) = (first.ln(), last.ln());
    let between = (1..bands).map(|k| (from + (to - from) * k as f64 / bands as f64).exp());
    let mut edges = vec![first];
    edges.extend(between.map(|edge| rounded(edge, digits, Ordering::Equal)));
    edges.push(last);
    edges.dedup();
    edges
}

/// Multiples of 1, 2 or 5 times a power of ten that enclose two values.
fn equal_steps(low: f64, high: f64, bands: usize) -> Vec<f64> {
    let count = bands as f64;
    let span = high - low;
    let raw = if span.is_finite() { span / count } else { (high / count - low / count).min(f64::MAX) };
    if raw <= 0.0 {
        return around(low);
    }
    let (mantissa, exponent) = scientific(raw, 17);
    let (unit, exponent) = match mantissa as f64 * 1e-16 {
        m if m < 1.5 => (1, exponent + 16),
        m if m < 3.5 => (2, exponent + 16),
        m if m < 7.5 => (5, exponent + 16),
        _ => (1, exponent + 17),
    };
    let multiple = |k: i128| decimal(k * unit, exponent).clamp(f64::MIN, f64::MAX);
    let mut k = (low / multiple(1)).floor() as i128;
    // The quotient is rounded.
    while multiple(k) > low {
        k -= 1;
    }
    while multiple(k + 1) <= low {
        k += 1;
    }
    let mut edges = vec![multiple(k)];
    while edges[edges.len() - 1] < high {
        k += 1;
        edges.push(multiple(k));
    }
    edges.dedup();
    edges
}

/// Two edges around a value that is the only one.
fn around(value: f64) -> Vec<f64> {
    let size = value.abs();
    if size < f64::MIN_POSITIVE {
        return vec![-1.0, 1.0];
    }
    let near = rounded(0.9 * size, 2, Ordering::Less);
    let far = rounded((1.1 * size).min(f64::MAX), 2, Ordering::Greater);
    if value > 0.0 { vec![near, far] } else { vec![-far, -near] }
}

/// Replaces the upper end of edges, and the edge before where it would be close by.
fn end_at(edges: &mut Vec<f64>, cap: f64) {
    edges.retain(|edge| *edge < cap);
    if let [.., before, last] = edges[..]
        && cap - last < 0.5 * (last - before)
    {
        edges.pop();
    }
    edges.push(cap);
}

/// A number with so many significant digits: the next `Less` or `Greater`, or the nearest.
fn rounded(value: f64, digits: usize, towards: Ordering) -> f64 {
    let (mantissa, exponent) = scientific(value, digits);
    let nearest = decimal(mantissa, exponent);
    let result = match towards {
        // Below a power of ten the same number of digits reaches one place further.
        Ordering::Less if nearest > value && mantissa == 10i128.pow(digits as u32 - 1) => {
            decimal(10 * mantissa - 1, exponent - 1)
        }
        Ordering::Less if nearest > value => decimal(mantissa - 1, exponent),
        Ordering::Greater if nearest < value => decimal(mantissa + 1, exponent),
        _ => nearest,
    };
    // At both ends of the floating-point numbers rounding may lead outside.
    let same_sign = (result > 0.0) == (value > 0.0) && (result < 0.0) == (value < 0.0);
    if result.is_finite() && same_sign { result } else { value }
}

/// A finite number as an integer of so many digits times a power of ten. Decimals round as people do.
fn scientific(value: f64, digits: usize) -> (i128, i32) {
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let mantissa = mantissa.replace('.', "").parse().expect("the format has digits");
    (mantissa, exponent.parse::<i32>().expect("the exponent is an integer") - (digits as i32 - 1))
}

fn decimal(mantissa: i128, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().expect("an integer and a power of ten make a number")
}
