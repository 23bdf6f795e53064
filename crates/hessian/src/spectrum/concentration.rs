//! How far the mean over random vectors is from the share of eigenvalues it estimates.

use std::f64::consts::FRAC_PI_4;

/// Wasserstein distance, as a share of the spread, that one random vector does not exceed with this confidence.
pub(super) fn share_of_one_probe(n: usize, confidence: f64) -> f64 {
    ((2.0 / (1.0 - confidence)).ln() / (n as f64 + 2.0)).sqrt()
}

/// The same for all `probes` with `steps` each; see [`plan`](super::SpectralDensity::plan).
pub(super) fn distance(n: usize, probes: usize, steps: usize, confidence: f64) -> f64 {
    let quadrature = if steps >= n { 0.0 } else { FRAC_PI_4 / steps as f64 };
    (quadrature + share_of_one_probe(n, confidence) / (probes as f64).sqrt()).min(1.0)
}

/// Shares of n eigenvalues that are compatible with a mean mass between `low` and `high`, at all places at once.
///
/// For k of n eigenvalues, p = k / n, one vector's mass is X / (X + Y) with chi-squared X and Y of k and n - k degrees of
/// freedom. For u >= p and s = (u - p) / (2 u (1 - u)), the mean over N vectors reaches u with a probability of at most
/// E exp(s ((1 - u) X - u Y)) with N k and N (n - k) degrees of freedom (the mean is the expectation of the pooled ratio
/// given the single ones, and the function of the ratio is convex), which is exp(-N n D / 2) with the relative entropy
/// D = p ln(p / u) + (1 - p) ln((1 - p) / (1 - u)). The same holds below. It implies the sub-Gaussian bound of Chen,
/// Trogdon & Ubaru (2021) with n for n + 2, and is much better near 0 and 1. As there, the union is over both sides of all
/// k, hence ln(2 n / (1 - confidence)).
pub(super) fn compatible((low, high): (f64, f64), n: usize, probes: usize, confidence: f64) -> (f64, f64) {
    let rows = n as f64;
    let limit = 2.0 * (2.0 * rows / (1.0 - confidence)).ln() / (rows * probes as f64);
    let least = 1.0 - furthest(1.0 - low, limit);
    let most = furthest(high, limit);
    // Shares are multiples of 1 / n; the allowance is for the rounding of this very computation.
    let allowance = 1e-6;
    ((least * rows - allowance).ceil().max(0.0) / rows, (most * rows + allowance).floor().min(rows) / rows)
}

/// The largest p >= u with a relative entropy to u of at most `limit`.
fn furthest(u: f64, limit: f64) -> f64 {
    if u <= 0.0 || entropy(1.0, u) <= limit {
        return if u <= 0.0 { 0.0 } else { 1.0 };
    }
    let (mut inside, mut outside) = (u, 1.0);
    for _ in 0..80 {
        let middle = 0.5 * (inside + outside);
        if entropy(middle, u) <= limit { inside = middle } else { outside = middle }
    }
    outside
}

fn entropy(p: f64, u: f64) -> f64 {
    let part = |p: f64, u: f64| if p == 0.0 { 0.0 } else { p * (p / u).ln() };
    part(p, u) + part(1.0 - p, 1.0 - u)
}
