//! An axis laid out along so many units: its ticks, 1-2-5 apart, as many as have room for their numbers.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::axis::Scale;
use crate::style::TICK;
use crate::svg::SCALE;
use crate::text;

/// Which way an axis runs: numbers beside each other need their widths, numbers above each other their height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Across,
    Up,
}

/// A laid-out axis.
#[derive(Debug, Clone)]
pub(crate) struct Ruler {
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Values and their numbers.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Values of lines without a number.
    minor: Vec<f64>,
    /// A power of ten that all numbers are to be multiplied with.
    pub(crate) factor: Option<String>,
}

/// Room between two numbers.
const GAP: f64 = 9.0;
/// Names are cut to this width.
const LONGEST_NAME: f64 = 190.0;
/// Numbers on one axis at most.
const MOST: usize = 9;

impl Ruler {
    /// Lays an axis out along `room` units.
    pub(crate) fn new(scale: Scale, [low, high]: [f64; 2], room: f64, way: Way) -> Self {
        let mut ruler = Self { scale, low, high, ticks: vec![], minor: vec![], factor: None };
        if scale == Scale::Log {
            ruler.logarithmic(room, way);
        }
        if ruler.ticks.len() < 2 {
            ruler.linear(room, way);
        }
        ruler
    }

    /// One unit for each name; where there is no room for all names, for as many as there is, evenly spaced.
    pub(crate) fn named(names: &[String], room: f64, way: Way) -> Self {
        let n = names.len().max(1) as f64;
        let mut ruler =
            Self { scale: Scale::Linear, low: 0.0, high: n, ticks: vec![], minor: vec![], factor: None };
        let cut = |name: &String| text::fit(name, TICK, LONGEST_NAME);
        for every in 1..=names.len() {
            let ticks: Vec<(f64, String)> =
                (0..names.len()).step_by(every).map(|i| (i as f64 + 0.5, cut(&names[i]))).collect();
            if ruler.apart(&ticks, room, way, 3.0) {
                ruler.ticks = ticks;
                break;
            }
        }
        ruler
    }

    /// Where a value lies, from 0 at `low` to 1 at `high`.
    pub(crate) fn fraction(&self, v: f64) -> f64 {
        let [low, high, v] = [self.low, self.high, v].map(|v| self.scale.length(v));
        (v - low) / (high - low)
    }

    /// The same ticks without their numbers.
    pub(crate) fn blank(&self) -> Self {
        let ticks = self.ticks.iter().map(|(v, _)| (*v, String::new())).collect();
        Self { ticks, ..self.clone() }
    }

    /// The widest number.
    pub(crate) fn widest(&self) -> f64 {
        self.ticks.iter().map(|(_, label)| text::width(label, TICK)).fold(0.0, f64::max)
    }

    /// How far the first and the last number reach beyond the ends.
    pub(crate) fn overhang(&self, room: f64) -> [f64; 2] {
        let beyond = |(v, label): &(f64, String), from_end: bool| {
            let at = self.fraction(*v) * room;
            text::width(label, TICK) / 2.0 - if from_end { room - at } else { at }
        };
        [
            self.ticks.first().map_or(0.0, |t| beyond(t, false)).max(0.0),
            self.ticks.last().map_or(0.0, |t| beyond(t, true)).max(0.0),
        ]
    }

    /// Whether numbers at these values have room, and are not too many.
    fn have_room(&self, ticks: &[(f64, String)], room: f64, way: Way) -> bool {
        let gap = if way == Way::Up { 0.8 * GAP } else { GAP };
        ticks.len() <= MOST && self.apart(ticks, room, way, gap)
    }

    /// Whether neighbours are at least so far apart.
    fn apart(&self, ticks: &[(f64, String)], room: f64, way: Way, gap: f64) -> bool {
        let half = |label: &str| match way {
            Way::Across => text::width(label, TICK) / 2.0,
            Way::Up => 0.5 * TICK,
        };
        ticks.windows(2).all(|w| {
            let apart = (self.fraction(w[1].0) - self.fraction(w[0].0)) * room;
            apart >= half(&w[0].1) + half(&w[1].1) + gap
        })
    }

    fn linear(&mut self, room: f64, way: Way) {
        let span = self.high - self.low;
        let largest = self.low.abs().max(self.high.abs());
        let exponent = largest.log10().floor() as i32;
        let exponent = if (-3..5).contains(&exponent) { 0 } else { exponent };
        self.factor = (exponent != 0).then(|| format!("×10{}", superscript(exponent)));
        let finest = (span / 20.0).log10().floor() as i32;
        for power in finest..finest + 4 {
            for (multiple, parts) in [(1.0, 2.0), (2.0, 2.0), (5.0, 5.0)] {
                let step = multiple * 10f64.powi(power);
                if self.scale == Scale::Counts && step < 0.99 {
                    continue;
                }
                let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
                if (last - first).is_nan() || last - first > 4.0 * MOST as f64 {
                    continue;
                }
                let decimals = usize::try_from(exponent - power).unwrap_or(0);
                let ticks: Vec<(f64, String)> = (0..=(last - first).max(0.0) as usize)
                    .map(|i| {
                        let v = (first + i as f64) * step;
                        (v.clamp(self.low, self.high), plain(v / 10f64.powi(exponent), decimals))
                    })
                    .collect();
                if self.have_room(&ticks, room, way) {
                    let whole = self.scale == Scale::Counts && step / parts < 0.99;
                    let fine = if whole { step } else { step / parts };
                    let count = (span / fine) as usize + 2;
                    let first = (self.low / fine).ceil();
                    self.minor =
                        (0..count).map(|i| (first + i as f64) * fine).filter(|v| *v <= self.high).collect();
                    self.ticks = ticks;
                    return;
                }
            }
        }
    }

    fn logarithmic(&mut self, room: f64, way: Way) {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |v: &f64| *v >= self.low * (1.0 - 1e-9) && *v <= self.high * (1.0 + 1e-9);
        let at = |multiples: &[i32], every: i32| -> Vec<(i32, i32)> {
            let powers = (first..=last).filter(|p| p.rem_euclid(every) == 0);
            powers
                .flat_map(|p| multiples.iter().map(move |&m| (m, p)))
                .filter(|&(m, p)| inside(&value(m, p)))
                .collect()
        };
        let choices: [(&[i32], i32); 9] = [
            (&[1, 2, 5], 1),
            (&[1, 3], 1),
            (&[1], 1),
            (&[1], 2),
            (&[1], 3),
            (&[1], 5),
            (&[1], 10),
            (&[1], 50),
            (&[1], 100),
        ];
        for (multiples, every) in choices {
            let chosen = at(multiples, every);
            let as_powers = chosen.iter().any(|&(_, p)| !(-3..=4).contains(&p));
            let ticks: Vec<(f64, String)> = chosen
                .iter()
                .map(|&(m, p)| {
                    (
                        value(m, p),
                        if as_powers {
                            power(m, p)
                        } else {
                            plain(value(m, p), usize::try_from(-p).unwrap_or(0))
                        },
                    )
                })
                .collect();
            if self.have_room(&ticks, room, way) {
                let lines: &[i32] = if last - first <= 5 { &[1, 2, 3, 4, 5, 6, 7, 8, 9] } else { &[1] };
                self.minor = at(lines, 1.max(every / 10)).into_iter().map(|(m, p)| value(m, p)).collect();
                self.ticks = ticks;
                return;
            }
        }
    }
}

fn value(multiple: i32, power: i32) -> f64 {
    // Parsed, so that 1e-3 is the number that 0.001 stands for.
    format!("{multiple}e{power}").parse().expect("a multiple and a power of ten make a number")
}

/// A number with so many decimals, and a proper minus sign.
fn plain(v: f64, decimals: usize) -> String {
    let s = format!("{v:.decimals$}");
    let zero = s.chars().all(|c| !c.is_ascii_digit() || c == '0');
    if zero { s.replace('-', "") } else { s.replace('-', "−") }
}

/// A multiple of a power of ten, such as 2×10⁻⁶.
fn power(multiple: i32, power: i32) -> String {
    match multiple {
        1 => format!("10{}", superscript(power)),
        m => format!("{m}×10{}", superscript(power)),
    }
}

pub(crate) fn superscript(n: i32) -> String {
    n.to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            c => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c.to_digit(10).unwrap_or(0) as usize],
        })
        .collect()
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, v: &f64, (from, to): (i32, i32)) -> i32 {
        let at = f64::from(from) + self.fraction(*v) * f64::from(to - from);
        // Far outside of any picture, and far from the end of the integers.
        at.clamp(-1e6 * SCALE, 1e6 * SCALE).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return self.minor.clone();
        }
        self.ticks.iter().map(|(v, _)| *v).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format_ext(&self, v: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick.to_bits() == v.to_bits());
        tick.map_or(String::new(), |(_, label)| label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, range: [f64; 2], room: f64) -> Vec<String> {
        Ruler::new(scale, range, room, Way::Across).ticks.into_iter().map(|(_, l)| l).collect()
    }

    #[test]
    fn linear_ticks_are_one_two_or_five_apart() {
        assert_eq!(labels(Scale::Linear, [0.0, 10.0], 300.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(Scale::Linear, [-1.0, 1.0], 300.0), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(Scale::Linear, [0.0, 4000.0], 260.0), ["0", "1000", "2000", "3000", "4000"]);
    }

    #[test]
    fn ranks_have_whole_numbers() {
        assert_eq!(labels(Scale::Counts, [0.8, 5.2], 400.0), ["1", "2", "3", "4", "5"]);
        assert_eq!(labels(Scale::Counts, [0.0, 2.0], 400.0), ["0", "1", "2"]);
    }

    #[test]
    fn large_and_small_numbers_share_a_power_of_ten() {
        let ruler = Ruler::new(Scale::Linear, [0.0, 3e-7], 300.0, Way::Across);
        assert_eq!(ruler.factor.as_deref(), Some("×10⁻⁷"));
        assert_eq!(ruler.ticks[1].1, "0.5");
        let ruler = Ruler::new(Scale::Linear, [0.0, 2e6], 300.0, Way::Across);
        assert_eq!((ruler.factor.as_deref(), ruler.ticks.last().unwrap().1.as_str()), (Some("×10⁶"), "2.0"));
    }

    #[test]
    fn logarithmic_ticks_thin_out_with_the_decades() {
        assert_eq!(labels(Scale::Log, [1.0, 100.0], 300.0), ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(
            labels(Scale::Log, [1e-3, 1e3], 300.0),
            ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]
        );
        let twelve = labels(Scale::Log, [1e-9, 1e3], 300.0);
        assert!(twelve.len() >= 4 && twelve[0].starts_with("10"), "{twelve:?}");
        // Less than two multiples in range: equal steps instead of none.
        assert!(labels(Scale::Log, [3.1, 3.4], 300.0).len() >= 2);
    }

    #[test]
    fn numbers_have_room_whatever_the_range() {
        for way in [Way::Across, Way::Up] {
            for (low, high) in
                [(0.0, 1.0), (1e-12, 1.0), (-3e8, 5e-3), (99_999.0, 100_001.0), (0.1, 0.1 + 1e-9)]
            {
                for scale in [Scale::Linear, Scale::Log] {
                    if scale == Scale::Log && low <= 0.0 {
                        continue;
                    }
                    for room in [40.0, 120.0, 400.0, 1000.0] {
                        let ruler = Ruler::new(scale, [low, high], room, way);
                        assert!(
                            ruler.have_room(&ruler.ticks, room, way),
                            "{scale:?} {low}..{high} in {room}"
                        );
                        let expected = if room >= 400.0 { 2 } else { 0 };
                        assert!(ruler.ticks.len() >= expected, "{scale:?} {low}..{high} in {room}");
                    }
                }
            }
        }
    }
}
