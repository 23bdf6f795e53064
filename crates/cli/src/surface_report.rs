//! Surfaces as text.

use crate::envelope::Envelope;
use crate::planes::{Refinement, Rows, Surface};
use crate::survey::FoundCurvature;
use crate::traces::Trace;
use crate::{numbers, report, table};

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Surface>) -> String {
    let Surface { plane, axes, loss, .. } = &envelope.result;
    let all = || {
        let cells =
            loss.iter().enumerate().flat_map(|(j, row)| row.iter().enumerate().map(move |(i, v)| (*v, i, j)));
        cells.filter(|(v, ..)| v.is_finite())
    };
    let place = |cell: Option<(f64, usize, usize)>| {
        cell.map_or("none is finite".to_string(), |(v, i, j)| {
            format!("{} at ({:.3}, {:.3})", numbers::plain(v), axes[0][i], axes[1][j])
        })
    };
    let diverged = axes[0].len() * axes[1].len() - all().count();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!(
            "  {} x {} points on a plane: {} and {}",
            axes[0].len(),
            axes[1].len(),
            plane.labels[0],
            plane.labels[1]
        ),
        match &plane.model {
            Some(model) => {
                let values: Vec<String> =
                    model.pairs.iter().map(|p| numbers::with_bound(p.value, p.error_bound)).collect();
                format!("  eigenvalues {}", values.join(" and "))
            }
            None => format!("  cosine between the directions {:.4}", plane.cosine),
        },
        format!("  lowest loss {}", place(all().min_by(|a, b| a.0.total_cmp(&b.0)))),
        format!("  highest loss {}", place(all().max_by(|a, b| a.0.total_cmp(&b.0)))),
    ];
    if let Some(found) = &envelope.result.refinement {
        out.push(refined(found, axes));
    }
    if let Some(found) = &envelope.result.curvature {
        out.extend(convexity(found));
    }
    if let Some(trace) = &envelope.result.trace {
        out.extend([String::new(), checkpoints(trace), String::new()]);
    }
    if diverged > 0 {
        out.push(format!("  {diverged} points have no finite loss"));
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

fn refined(found: &Refinement, axes: &[Vec<f64>; 2]) -> String {
    let error = found.error.map_or("unknown".into(), |error| {
        format!("{:.1e} at most, {:.1e} in the mean", error.largest, error.mean)
    });
    let points = axes[0].len() * axes[1].len();
    let rest = if found.stride == 1 { "all" } else { "the others interpolated" };
    let met = if found.converged { "" } else { ": above the tolerance" };
    format!(
        "  {} of {points} points measured, {rest}; estimated error of log10(loss) {error}{met}",
        found.measured
    )
}

/// How convex the loss is over the grid.
fn convexity(found: &FoundCurvature<Rows>) -> Vec<String> {
    let all = |rows: &Rows| rows.iter().flatten().copied().collect::<Vec<_>>();
    let (smallest, largest) = (all(&found.smallest), all(&found.largest));
    let convex = smallest.iter().filter(|v| **v >= -found.error_bound).count();
    let mut out = vec![format!(
        "  smallest eigenvalue from {} up, largest up to {}, each within {}; no negative one at {convex} of {} points",
        numbers::plain(smallest.iter().copied().fold(f64::INFINITY, f64::min)),
        numbers::plain(largest.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        numbers::small(found.error_bound),
        smallest.len()
    )];
    if found.unconverged > 0 {
        out.push(format!("  not converged: eigenvalues at {} points", found.unconverged));
    }
    out
}

/// Where checkpoints lie from the plane, and what their losses are beside those on it.
fn checkpoints(trace: &Trace) -> String {
    let rows: Vec<Vec<String>> = (0..trace.names.len())
        .map(|i| {
            vec![
                trace.names[i].clone(),
                format!("{:.3}", trace.at[i][0]),
                format!("{:.3}", trace.at[i][1]),
                numbers::plain(trace.residual[i]),
                format!("{:.1} %", 100.0 * trace.relative[i]),
                numbers::plain(trace.loss[i]),
                trace.plane_loss.as_ref().map_or("-".into(), |below| numbers::plain(below[i])),
            ]
        })
        .collect();
    table::render(
        &["checkpoint", "x", "y", "off the plane", "of its distance", "loss", "loss on the plane"],
        &rows,
    )
}
