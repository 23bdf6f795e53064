//! Measures of sharpness for people and for programs, and those already found before an interruption.

use std::collections::BTreeMap;
use std::path::Path;

use relief_sharpness::measures::{Cost, Invariance, Measure, Uncertainty};
use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::exit::Failure;
use crate::resuming::{self, State};
use crate::{numbers, report, table};

/// The `result` of `relief sharpness`.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) measures: Vec<Measure>,
    /// What could not be measured here, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) left_out: BTreeMap<String, String>,
}

/// The measures that a run has finished, by family.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) families: BTreeMap<String, Vec<Measure>>,
}

impl State for Finished {
    fn products(&self) -> usize {
        self.families.values().flatten().map(|measure| measure.cost.products).sum()
    }

    fn save(&self, path: &Path, context: &str) -> Result<(), Failure> {
        resuming::save_json(path, context, self)
    }

    fn load(path: &Path, context: &str) -> Result<Self, Failure> {
        resuming::load_json(path, context)
    }
}

/// The sum of what all measures cost.
pub(crate) fn total(measures: &[Measure]) -> Cost {
    measures.iter().fold(Cost::default(), |sum, measure| sum + measure.cost)
}

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Table>) -> String {
    let Table { measures, left_out } = &envelope.result;
    let width = measures.iter().map(|m| defined(m).chars().count()).max().unwrap_or(0);
    let rows: Vec<Vec<String>> = measures
        .iter()
        .map(|measure| {
            vec![
                measure.name.clone(),
                value(measure),
                error(measure),
                list(&measure.settings),
                invariance(measure.invariance).into(),
                cost(measure.cost),
                // The last column is aligned to the left, too.
                format!("{:<width$}", defined(measure)),
            ]
        })
        .collect();
    let header =
        ["measure", "value", "error", "with", "invariant to", "cost", &format!("{:<width$}", "definition")];
    let mut out = vec![report::head(envelope), String::new(), table::render(&header, &rows), String::new()];
    for measure in measures {
        out.extend(measure.remedy.iter().map(|remedy| format!("  {}: {remedy}", measure.name)));
    }
    out.extend(left_out.iter().map(|(family, why)| format!("  left out: {family}: {why}")));
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

fn value(measure: &Measure) -> String {
    match measure.uncertainty {
        // One digit more than the error's own, as errors of estimates are themselves estimates.
        Uncertainty::Bound { size } | Uncertainty::StandardError { size } => {
            numbers::with_bound(measure.value, 0.3 * size.max(1e-7 * measure.value.abs()))
        }
        Uncertainty::Exact | Uncertainty::LowerBound => {
            numbers::with_bound(measure.value, 1e-4 * measure.value.abs())
        }
    }
}

fn error(measure: &Measure) -> String {
    match measure.uncertainty {
        Uncertainty::Exact => "exact".into(),
        Uncertainty::Bound { size } => format!("within {}", numbers::small(size)),
        Uncertainty::StandardError { size } => format!("+- {}", numbers::small(size)),
        Uncertainty::LowerBound => "at least".into(),
    }
}

fn invariance(invariance: Invariance) -> &'static str {
    match invariance {
        Invariance::Nothing => "-",
        Invariance::Rescaling => "rescaled layers",
        Invariance::LossScale => "factor on L",
    }
}

fn cost(cost: Cost) -> String {
    let counts = [(cost.products, "products"), (cost.gradients, "gradients"), (cost.evaluations, "passes")];
    let some: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if some.is_empty() { "-".into() } else { some.join(", ") }
}

fn list(named: &BTreeMap<String, f64>) -> String {
    named.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// The definition with the numbers to compare with.
fn defined(measure: &Measure) -> String {
    let shown = |(name, value): (&String, &f64)| {
        format!("{} {}", name.replace('_', " "), numbers::with_bound(*value, 1e-3 * value.abs()))
    };
    let beside: Vec<String> = measure.beside.iter().map(shown).collect();
    if beside.is_empty() {
        return measure.definition.clone();
    }
    format!("{} ({})", measure.definition, beside.join(", "))
}
