//! Student's t.

/// The 97.5 % quantile of Student's t distribution: a mean of n normal numbers lies within so many standard errors of the truth
/// with 95 %, for n - 1 degrees of freedom.
///
/// Exact values up to ten; beyond, an expansion in 1/df (Abramowitz & Stegun 1964, 26.7.5), good to four digits there.
pub(super) fn student_95(degrees: usize) -> f64 {
    const EXACT: [f64; 10] =
        [12.7062, 4.302_65, 3.182_45, 2.776_45, 2.570_58, 2.446_91, 2.364_62, 2.306_00, 2.262_16, 2.228_14];
    if let Some(value) = degrees.checked_sub(1).and_then(|place| EXACT.get(place)) {
        return *value;
    }
    if degrees == 0 {
        return f64::NAN;
    }
    let (z, n): (f64, f64) = (1.959_963_985, degrees as f64);
    z + (z.powi(3) + z) / (4.0 * n) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
}

#[cfg(test)]
mod tests {
    use super::student_95;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, published) in
            [(1, 12.706), (4, 2.776), (11, 2.201), (20, 2.086), (60, 2.000), (1000, 1.962)]
        {
            assert!((student_95(degrees) - published).abs() < 6e-4, "{degrees}");
        }
        assert!(student_95(0).is_nan());
    }
}
