//! The bound on the population's loss that sharpness-aware minimization is derived from.

use relief_hessian::{Error, Result};

use super::centre::Centre;
use super::measure::{Invariance, Measure, Uncertainty};

/// `L_S`(w + e) at the worst e with |e| <= rho, plus
/// sqrt((k ln(1 + |w|^2/rho^2 (1 + sqrt(ln(n)/k))^2) + 4 ln(n/delta) + 8 ln(6n + 3k)) / (n - 1)), for k parameters and n examples
/// (Foret et al. 2021, theorem 2): with probability 1 - delta over the training set it is above the loss on the population, for
/// losses between 0 and 1 (the 0-1 loss, say) and where noise of that size does not lower the loss on average. For networks with
/// more parameters than examples the second term is far above 1; it is beside the value as `complexity`.
///
/// `worst` is the plain worst case in the Euclidean ball, which is a lower bound, and so is this.
pub fn sam_bound(worst: &Measure, centre: &Centre<'_>, examples: usize, delta: f64) -> Result<Measure> {
    let rho = worst.settings.get("rho").copied().unwrap_or(0.0);
    if examples < 2 || !(delta > 0.0 && delta < 1.0) || rho <= 0.0 {
        return Err(Error::Input(format!(
            "{examples} examples, a delta of {delta} and a radius of {rho}: give at least 2, one between 0 and 1, and one above 0"
        )));
    }
    let (n, k) = (examples as f64, centre.point().len() as f64);
    let square: f64 = centre.point().iter().map(|w| w * w).sum();
    let spread = 1.0 + square / (rho * rho) * (1.0 + (n.ln() / k).sqrt()).powi(2);
    let rest = 4.0 * (n / delta).ln() + 8.0 * (6.0 * n + 3.0 * k).ln();
    let complexity = ((k * spread.ln() + rest) / (n - 1.0)).sqrt();
    let measure = Measure::new(
        "sam-bound",
        "max L(w + e) over |e|_2 <= rho, + the complexity of theorem 2 of Foret et al. 2021",
        centre.loss() + worst.value + complexity,
        Uncertainty::LowerBound,
        Invariance::Nothing,
    );
    Ok(measure
        .with_setting("rho", rho)
        .with_setting("delta", delta)
        .with_setting("m", n)
        .with_beside("complexity", complexity))
}
