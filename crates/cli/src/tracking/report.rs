//! Rows of probes for people, for programs and for spreadsheets.

use serde::Serialize;

use super::{row_step, shown};
use crate::envelope::Envelope;
use crate::run_folder::{EVENT, Row, STEP};
use crate::{report, table};

/// The `result` of `relief track`.
#[derive(Debug, Serialize)]
pub(crate) struct Track {
    /// One a checkpoint, in the order of their steps; numbers by their tags.
    pub(crate) rows: Vec<Row>,
    /// Steps whose eigenvalues did not meet the tolerance.
    pub(crate) not_converged: Vec<usize>,
    /// What a reader of the rows should know.
    pub(crate) remarks: Vec<String>,
}

/// How far `lambda_1` must have fallen, and how little `lambda_1` / loss may have moved, for the loss to be the explanation.
const FALLEN: f64 = 5.0;
/// See [`FALLEN`].
const STAYED: f64 = 2.0;

impl Track {
    /// `entropic` is a loss whose curvature falls with the loss itself; `adam`, whether training is known to be with Adam.
    pub(super) fn new(mut rows: Vec<Row>, entropic: bool, adam: bool) -> Self {
        rows.retain(|row| !row.contains_key(EVENT));
        let not_converged =
            rows.iter().filter(|row| row.contains_key("status")).filter_map(row_step).collect();
        let remarks = [confounded(&rows).filter(|_| entropic), unknown_moments(&rows).filter(|_| adam)];
        let remarks = remarks.into_iter().flatten().collect();
        Self { rows, not_converged, remarks }
    }
}

/// The remark that a flatter minimum may be a smaller loss and nothing else.
fn confounded(rows: &[Row]) -> Option<String> {
    let column = |tag: &str| -> Vec<f64> {
        rows.iter().filter_map(|row| row.get(tag)?.as_f64()).filter(|x| *x > 0.0).collect()
    };
    let (values, ratios) = (column("hessian/lambda_1"), column("hessian/lambda_1_over_loss"));
    let peak = values.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?.0;
    let (fall, moved) = (values[peak] / values.last()?, ratios.get(peak)? / ratios.last()?);
    (values.len() == ratios.len() && fall >= FALLEN && moved.max(1.0 / moved) <= STAYED).then(|| {
        format!(
            "lambda_1 fell by a factor of {fall:.1} and the loss by {:.1}: with cross-entropy, curvature falls with the loss \
             as the softmax saturates, which says nothing about flatness; compare lambda_1 / loss",
            fall / moved
        )
    })
}

/// The remark that Adam's numbers are missing at some steps.
fn unknown_moments(rows: &[Row]) -> Option<String> {
    let without = rows.iter().filter(|row| !row.contains_key("hessian/preconditioned_lambda_1"));
    let steps: Vec<String> = without.filter_map(row_step).map(|step| step.to_string()).collect();
    (!steps.is_empty()).then(|| {
        format!(
            "Adam's second moments are not known at step {}: its edge and the preconditioned eigenvalue are left out there              (`relief train --save-moments` keeps them; for other trainings, name their files with --adam-state)",
            steps.join(", ")
        )
    })
}

/// What the table shows: tag and heading.
const COLUMNS: [(&str, &str); 11] = [
    ("loss/train", "loss"),
    ("accuracy/test", "test accuracy"),
    ("hessian/lambda_1", "lambda_1"),
    ("hessian/preconditioned_lambda_1", "preconditioned"),
    ("edge/gd", "2/eta"),
    ("edge/sam", "SAM-edge"),
    ("edge/adam", "Adam's edge"),
    ("edge/distance", "lambda_1/edge"),
    ("align/g_v1", "|cos(g, v1)|"),
    ("noise/batch_sharpness", "batch sharpness"),
    ("noise/kernel_norm", "K"),
];

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Track>) -> String {
    let Track { rows, not_converged, remarks } = &envelope.result;
    let there: Vec<(&str, &str)> =
        COLUMNS.into_iter().filter(|(tag, _)| rows.iter().any(|row| row.contains_key(*tag))).collect();
    let header: Vec<&str> = std::iter::once(STEP).chain(there.iter().map(|(_, name)| *name)).collect();
    let cells = |row: &Row| {
        let step = row_step(row).map_or(String::new(), |step| step.to_string());
        std::iter::once(step)
            .chain(there.iter().map(|(tag, _)| shown(row, tag).unwrap_or_else(|| "-".into())))
            .collect()
    };
    let body: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut out = vec![report::head(envelope), String::new(), table::render(&header, &body), String::new()];
    if !not_converged.is_empty() {
        let steps: Vec<String> = not_converged.iter().map(ToString::to_string).collect();
        out.push(format!(
            "  not converged at step {}: allow more products, or ask for a larger tolerance",
            steps.join(", ")
        ));
    }
    out.push(report::work(envelope));
    out.extend(remarks.iter().chain(&envelope.notes).map(|note| format!("  note: {note}")));
    out.join("\n")
}

/// One row in a line.
pub(super) fn line(row: &Row) -> String {
    let step = row_step(row).unwrap_or(0);
    let numbers = COLUMNS.iter().filter_map(|(tag, name)| Some(format!("{name} {}", shown(row, tag)?)));
    std::iter::once(format!("step {step}")).chain(numbers).collect::<Vec<_>>().join("   ")
}

/// The rows as comma-separated values: the step, the checkpoint, and every tag that occurs.
pub(crate) fn csv(rows: &[Row]) -> String {
    let mut tags: Vec<&str> = rows.iter().flat_map(Row::keys).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.retain(|tag| *tag != STEP && *tag != "checkpoint");
    let all: Vec<&str> = [STEP, "checkpoint"].into_iter().chain(tags).collect();
    let cell = |row: &Row, tag: &str| match row.get(tag) {
        Some(serde_json::Value::String(text)) => format!("\"{}\"", text.replace('"', "\"\"")),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    };
    let line = |row: &Row| all.iter().map(|tag| cell(row, tag)).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = std::iter::once(all.join(",")).chain(rows.iter().map(line)).collect();
    lines.join("\n") + "\n"
}
