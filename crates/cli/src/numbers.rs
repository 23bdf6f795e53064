//! Numbers for people: as many digits as the error bound supports.

/// A value with its last digit where the bound begins.
pub(crate) fn with_bound(value: f64, bound: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    let first = if bound > 0.0 { bound.log10().floor() as i32 } else { magnitude - 11 };
    let significant = (magnitude - first + 1).clamp(1, 12) as usize;
    if (-4..=8).contains(&magnitude) {
        format!("{value:.*}", (significant as i32 - 1 - magnitude).clamp(0, 16) as usize)
    } else {
        format!("{value:.*e}", significant - 1)
    }
}

/// Two significant digits, as `1.2e-7`.
pub(crate) fn small(x: f64) -> String {
    if x == 0.0 { "0".into() } else { format!("{x:.1e}") }
}

/// A positive number rounded to two significant digits.
pub(crate) fn two_digits(x: f64) -> f64 {
    format!("{x:.1e}").parse().unwrap_or(x)
}

/// Seven significant digits, for a loss or a norm.
pub(crate) fn plain(x: f64) -> String {
    with_bound(x, x.abs() * 1e-6)
}

/// An angle in radians as degrees where it is large enough to be read so.
pub(crate) fn angle(radians: f64) -> String {
    let degrees = radians.to_degrees();
    if degrees >= 0.1 { format!("{degrees:.1} deg") } else { format!("{radians:.1e} rad") }
}

/// Where equal ratios show more than equal differences.
pub(crate) fn wide(values: impl IntoIterator<Item = f64>) -> bool {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    low > 0.0 && high > 20.0 * low
}

/// A count with a comma between thousands.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_end_where_the_bound_begins() {
        assert_eq!(with_bound(14.742_698_123, 2e-6), "14.742698");
        assert_eq!(with_bound(-0.468_657_4, 3e-4), "-0.4687");
        assert_eq!(with_bound(1.5e12, 1e5), "1.5000000e12");
        assert_eq!(with_bound(0.0, 0.0), "0");
        assert_eq!(with_bound(3.0, 10.0), "3");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(count(11_689_512), "11,689,512");
        assert_eq!(count(64), "64");
    }
}
