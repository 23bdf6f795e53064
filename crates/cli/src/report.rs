//! Eigenvalues for people and for programs.

use relief_hessian::{Eigen, EigenPair, Status};
use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::{numbers, operators, table};

/// The `result` of `relief eigenvalues`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the key's name is part of the format")]
pub(crate) struct Pairs {
    /// What `pairs` are: `largest`, `smallest` or `magnitude`.
    pub(crate) which: String,
    /// Largest first (by magnitude where that was asked for); smallest first with `--which smallest`.
    pub(crate) pairs: Vec<EigenPair>,
    /// With `--which both`: smallest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) smallest: Vec<EigenPair>,
    pub(crate) status: Status,
    /// Residual asked for and met, relative to the largest Ritz value; larger than asked where rounding allows no more.
    pub(crate) tolerance: f64,
    /// Smallest relative residual that the products' rounding allows.
    pub(crate) noise_floor: f64,
    pub(crate) checked_for_missed_copies: bool,
}

impl Pairs {
    pub(crate) fn new(eigen: Eigen) -> Self {
        let Eigen { largest, smallest, magnitude, .. } = eigen;
        let (which, pairs, smallest) = match (largest.is_empty(), magnitude.is_empty()) {
            (false, _) => ("largest", largest, smallest),
            (true, false) => ("magnitude", magnitude, vec![]),
            (true, true) => ("smallest", smallest, vec![]),
        };
        Self {
            which: which.into(),
            pairs,
            smallest,
            status: eigen.status,
            tolerance: eigen.tolerance_used,
            noise_floor: eigen.noise_floor,
            checked_for_missed_copies: eigen.checked_for_missed_copies,
        }
    }
}

impl Pairs {
    /// Whether every pair met the tolerance.
    pub(crate) fn converged(&self) -> bool {
        self.pairs.iter().chain(&self.smallest).all(|pair| pair.converged)
    }
}

/// Whether every pair met the tolerance.
pub(crate) fn converged(eigen: &Eigen) -> bool {
    eigen.pairs().all(|pair| pair.converged)
}

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Pairs>) -> String {
    let mut out = vec![head(envelope), String::new(), pairs(&envelope.result), String::new()];
    if let Some(remedy) = envelope.result.status.remedy() {
        out.push(format!("  not converged: {remedy}"));
    }
    out.push(work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

/// Loss, point and operator.
pub(crate) fn head<R>(envelope: &Envelope<R>) -> String {
    let accuracy = envelope.accuracy.map_or(String::new(), |a| format!("   accuracy {:.2} %", 100.0 * a));
    let norm = envelope.batch_norm.map_or(String::new(), |mode| format!("   batch norm {mode}"));
    let products =
        envelope.precision.as_ref().map_or(String::new(), |precision| format!(", products in {precision}"));
    let decay = if envelope.weight_decay > 0.0 {
        format!(" + {}/2 |theta|^2", envelope.weight_decay)
    } else {
        String::new()
    };
    let gradient =
        envelope.gradient_norm.map_or(String::new(), |g| format!("   gradient norm {}", numbers::plain(g)));
    let operator = match envelope.operator.as_deref() {
        None => String::new(),
        // Its rows are outputs.
        Some(operators::TANGENT_KERNEL) => format!("{} in ", operators::TANGENT_KERNEL),
        Some(operator) => format!("{operator} of "),
    };
    [
        format!("{} ({})", envelope.checkpoint.path, envelope.model),
        format!(
            "  loss {} ({}{decay}){gradient}{accuracy}",
            numbers::plain(envelope.loss),
            envelope.loss_function,
        ),
        format!(
            "  {operator}{} parameters   {}{products}{norm}   {} {} examples of {}",
            numbers::count(envelope.parameters),
            envelope.dtype,
            numbers::count(envelope.data.examples),
            envelope.data.split,
            envelope.data.path
        ),
    ]
    .join("\n")
}

/// The table of eigenvalues.
pub(crate) fn pairs(result: &Pairs) -> String {
    let mut rows = rows(&result.which, &result.pairs);
    rows.extend(self::rows("smallest", &result.smallest));
    table::render(&["", "eigenvalue", "error bound", "residual", "angle bound", ""], &rows)
}

fn rows(label: &str, pairs: &[EigenPair]) -> Vec<Vec<String>> {
    pairs
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            vec![
                format!("{label} {}", i + 1),
                numbers::with_bound(pair.value, pair.error_bound),
                numbers::small(pair.error_bound),
                numbers::small(pair.residual),
                pair.angle_bound.map_or("-".into(), numbers::angle),
                if pair.converged { String::new() } else { "not converged".into() },
            ]
        })
        .collect()
}

/// What it cost.
pub(crate) fn work<R>(envelope: &Envelope<R>) -> String {
    let work = envelope.work;
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let counts = [(work.products, "product"), (work.gradients, "gradient"), (work.evaluations, "evaluation")];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| plural(*n, what)).collect();
    let kept = envelope.kept_layers.map_or(String::new(), |kept| {
        format!(
            " with {:.3} of the multiply-adds each ({:.1} MB of layers kept)",
            kept.multiply_adds,
            kept.bytes as f64 / 1e6
        )
    });
    format!("  {}{kept}   {:.2} s", counts.join("   "), work.seconds)
}
