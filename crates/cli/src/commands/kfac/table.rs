//! Kronecker-factored blocks for people.

use std::collections::BTreeMap;

use crate::envelope::Envelope;
use crate::findings::kronecker::{Approximation, Blocks, Layer};
use crate::{numbers, report, table};

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Blocks>) -> String {
    let Blocks { kind, draws, columns, layers, left_out } = &envelope.result;
    let drawn = draws.map_or(String::new(), |n| format!(", {n} for each example"));
    let mut out = vec![
        report::head(envelope),
        format!("  second moments: {kind}{drawn} ({columns} backward passes for KFAC, as many for EKFAC)"),
        String::new(),
        "  largest eigenvalue of the layer's block".into(),
        tops(layers),
        String::new(),
        "  the whole block".into(),
        wholes(layers),
        String::new(),
    ];
    if layers.iter().any(|layer| !layer.converged) {
        out.push(
            "  not converged: allow more products with --max-products, or ask for a larger --tol".into(),
        );
    }
    out.push(report::work(envelope));
    out.extend(without_block(left_out));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

/// The parameters without a block, by reason.
fn without_block(left_out: &BTreeMap<String, String>) -> Vec<String> {
    const NAMED: usize = 3;
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, reason) in left_out {
        reasons.entry(reason).or_default().push(format!("`{name}`"));
    }
    let line = |(reason, names): (&str, Vec<String>)| {
        if let [name] = names.as_slice() {
            return format!("  no block: {name} {reason}");
        }
        let more = names.len().saturating_sub(NAMED);
        let shown = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("  no block: {shown}{others} (each {reason})")
    };
    reasons.into_iter().map(line).collect()
}

fn tops(layers: &[Layer]) -> String {
    let row = |layer: &Layer| {
        let top = &layer.pairs[0];
        let of = |a: &Approximation| {
            [
                numbers::with_bound(a.eigenvalues[0], a.eigenvalues[0] * 1e-4),
                signed(a.top_error),
                numbers::angle(a.top_angle),
            ]
        };
        let mut cells = vec![
            layer.name.clone(),
            numbers::with_bound(top.value, top.error_bound),
            numbers::small(top.residual),
        ];
        cells.extend(of(&layer.kfac));
        cells.extend(of(&layer.ekfac));
        cells.push(if layer.converged { String::new() } else { "not converged".into() });
        cells
    };
    let heads = ["layer", "true", "residual", "KFAC", "off by", "angle", "EKFAC", "off by", "angle", ""];
    table::render(&heads, &layers.iter().map(row).collect::<Vec<_>>())
}

fn wholes(layers: &[Layer]) -> String {
    let row = |layer: &Layer| {
        let share = |a: &Approximation| {
            let spread =
                if layer.exact { String::new() } else { format!(" +- {:.1}", 100.0 * a.distance_error) };
            format!("{:.1}{spread} %", 100.0 * a.distance)
        };
        vec![
            layer.name.clone(),
            format!("{} x {}", numbers::count(layer.outputs), numbers::count(layer.columns)),
            numbers::count(layer.positions),
            format!("{:.4e}", layer.kfac.trace),
            format!("{:.4e}", layer.ekfac.trace),
            numbers::with_bound(
                layer.frobenius_norm,
                layer.frobenius_norm_error.max(layer.frobenius_norm * 1e-4),
            ),
            share(&layer.kfac),
            share(&layer.ekfac),
        ]
    };
    let heads = [
        "layer",
        "outputs x inputs",
        "positions",
        "trace KFAC",
        "trace EKFAC",
        "true norm",
        "KFAC's error",
        "EKFAC's error",
    ];
    table::render(&heads, &layers.iter().map(row).collect::<Vec<_>>())
}

/// A share with its sign, in per cent.
fn signed(share: f64) -> String {
    format!("{:+.1} %", 100.0 * share)
}
