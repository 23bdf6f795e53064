//! Values to places in 0..1 and back.

/// The range of an axis or of a colour bar, linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    log: bool,
}

impl Scale {
    /// From the lowest to the highest of the values that have a place; `None` where none has one.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, log: bool) -> Option<Self> {
        let placed = values.into_iter().filter(|v| Self::has_place(*v, log));
        placed.fold(None, |range: Option<Self>, v| {
            let (low, high) = range.map_or((v, v), |range| (range.low.min(v), range.high.max(v)));
            Some(Self { low, high, log })
        })
    }

    /// Whether `value` can stand on a linear or a logarithmic scale at all.
    pub(super) fn has_place(value: f64, log: bool) -> bool {
        value.is_finite() && (!log || value > 0.0)
    }

    /// Whether there is only one value.
    pub(super) fn is_flat(&self) -> bool {
        self.low >= self.high
    }

    /// 0 at the low end, 1 at the high end, the middle for all of a flat scale.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if !Self::has_place(value, self.log) {
            return None;
        }
        let [low, high, value] = [self.low, self.high, value].map(|v| if self.log { v.ln() } else { v });
        let span = high - low;
        let place = if span.is_infinite() {
            // Halves do not overflow, but would lose the smallest numbers where nothing overflows.
            (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
        } else {
            (value - low) / span
        };
        Some(if span > 0.0 { place.clamp(0.0, 1.0) } else { 0.5 })
    }

    /// The value at a place.
    pub(super) fn value(&self, place: f64) -> f64 {
        let mix = |low: f64, high: f64| low * (1.0 - place) + high * place;
        let value =
            if self.log { mix(self.low.ln(), self.high.ln()).exp() } else { mix(self.low, self.high) };
        value.clamp(self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-12)
    }

    #[test]
    fn places_and_values_are_inverse() {
        let linear = Scale::of([4.0, -2.0, f64::NAN, 10.0, f64::INFINITY], false).unwrap();
        assert_eq!((linear.low, linear.high), (-2.0, 10.0));
        assert!(close(linear.place(1.0), 0.25) && close(Some(linear.value(0.25)), 1.0));
        let log = Scale::of([0.01, -1.0, 0.0, 100.0], true).unwrap();
        assert_eq!((log.low, log.high), (0.01, 100.0));
        assert!(close(log.place(1.0), 0.5) && close(Some(log.value(0.75)), 10.0));
        assert_eq!([-1.0, 0.0, f64::NAN].map(|v| log.place(v)), [None; 3]);
    }

    #[test]
    fn the_ends_of_the_numbers_have_places() {
        let wide = Scale::of([-f64::MAX, f64::MAX], false).unwrap();
        assert!(close(wide.place(0.0), 0.5) && close(wide.place(f64::MAX), 1.0));
        assert!(wide.value(0.5).abs() < 1e300);
        let tiny = Scale::of([0.0, 5e-324], false).unwrap();
        assert!(close(tiny.place(0.0), 0.0) && close(tiny.place(5e-324), 1.0));
        let log = Scale::of([5e-324, f64::MAX], true).unwrap();
        assert!(close(log.place(5e-324), 0.0) && close(log.place(f64::MAX), 1.0));
        // Neighbours whose logarithms are equal.
        let neighbours = Scale::of([1e300, 1e300_f64.next_up()], true).unwrap();
        assert!(close(neighbours.place(1e300), 0.5));
    }

    #[test]
    fn one_value_or_none() {
        let flat = Scale::of([3.0, 3.0], false).unwrap();
        assert!(flat.is_flat() && close(flat.place(3.0), 0.5) && close(Some(flat.value(0.9)), 3.0));
        assert_eq!(Scale::of([f64::NAN, f64::INFINITY], false), None);
        assert_eq!(Scale::of([-1.0, 0.0], true), None);
    }
}
