//! A trace or another sum over eigenvalues: the estimate as products were added, and what each random vector says.

use clap::ValueEnum;
use relief_hessian::{EstimateStatus, Interim, TraceMethod};
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series};
use serde::{Deserialize, Serialize};

use super::{captioned, distinct, ranks};
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown, labelled, series_name};

/// What is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Quantity {
    /// The sum of all eigenvalues
    Trace,
    /// The root of the sum of their squares
    Frobenius,
    /// The sum of log(eigenvalue + damping)
    LogDeterminant,
    /// The sum of eigenvalue / (eigenvalue + damping)
    EffectiveDimension,
}

/// The `result` of `relief trace`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the key's name is part of the format")]
pub(crate) struct Estimate {
    pub(crate) of: Quantity,
    /// Of a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<TraceMethod>,
    /// Of a sum that needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damping: Option<f64>,
    pub(crate) value: f64,
    /// Standard error.
    pub(crate) error_estimate: f64,
    /// Random vectors behind the standard error, which is known to about a share of 1 / sqrt(2 samples).
    pub(crate) samples: usize,
    /// Of the matrix.
    pub(crate) rows: usize,
    pub(crate) products: usize,
    pub(crate) status: EstimateStatus,
    /// The share of the value that twice the standard error was to reach; absent where products were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<f64>,
    /// What each random vector says by itself.
    #[serde(default)]
    pub(crate) estimates: Vec<f64>,
    /// What was concluded on the way, the last being this estimate.
    #[serde(default)]
    pub(crate) history: Vec<Interim>,
}

/// Characters that an axis has room for.
const LONGEST: usize = 32;
/// Relative errors below this are rounding.
const EXACT: f64 = 1e-9;

impl Quantity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Frobenius => "Frobenius norm",
            Self::LogDeterminant => "logarithm of the determinant",
            Self::EffectiveDimension => "effective dimension",
        }
    }

    /// In a word, for an axis.
    fn short(self) -> &'static str {
        if self == Self::LogDeterminant { "log-determinant" } else { self.name() }
    }
}

impl Lists for Estimate {
    const NAMES: &'static [&'static str] = &["estimates", "history"];

    fn agree(&self) -> bool {
        true
    }
}

impl Estimate {
    fn of(&self, value: impl Fn(&Interim) -> f64) -> Vec<f64> {
        self.history.iter().map(value).collect()
    }

    /// How it was estimated.
    fn label(&self) -> String {
        match (self.damping, self.method) {
            (Some(damping), _) => format!("damping {damping}, Lanczos quadrature"),
            (None, Some(method)) => self::method(method).to_string(),
            (None, None) => "leave-one-out estimate".to_string(),
        }
    }
}

fn method(method: TraceMethod) -> &'static str {
    match method {
        TraceMethod::Hutchinson => "Hutchinson",
        TraceMethod::HutchPlusPlus => "Hutch++",
        TraceMethod::XTrace => "XTrace",
        TraceMethod::XNysTrace => "XNysTrace",
    }
}

impl Shown for Estimate {
    const KIND: Kind = Kind::Estimate;
    const HEADING: &'static str = "Traces and other sums over eigenvalues";

    /// Of each quantity the running estimate and its error where there are several conclusions, and the random vectors one by
    /// one.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let mut quantities: Vec<Quantity> = vec![];
        for saved in results {
            if !quantities.contains(&saved.result.of) {
                quantities.push(saved.result.of);
            }
        }
        let mut panels = vec![];
        let mut columns = 1;
        for of in quantities {
            let own: Vec<Saved<Self>> =
                results.iter().filter(|saved| saved.result.of == of).cloned().collect();
            let before = panels.len();
            if own.iter().any(|saved| saved.result.history.len() > 1) {
                panels.push(Panel::Lines(running(of, &own)));
                panels.push(Panel::Lines(errors(&own)));
            }
            if own.iter().any(|saved| !saved.result.estimates.is_empty()) {
                panels.push(Panel::Lines(one_by_one(of, &own)));
            }
            columns = columns.max(panels.len() - before);
        }
        if panels.is_empty() {
            panels.push(Panel::Lines(running(results[0].result.of, results)));
        }
        let figure = Figure::new(title, panels).in_columns(columns);
        let operators = distinct(results.iter().map(|saved| saved.operator.clone()));
        let methods = distinct(results.iter().map(|saved| saved.result.label()));
        let remarks = format!(
            "Matrix: {}; {}. Bands are two standard errors.",
            operators.join(", "),
            methods.join(", ")
        );
        Ok(captioned(figure, results, &[&remarks]))
    }

    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("products", self.of(|i| i.products as f64))],
            measures: vec![
                ("value", self.of(|i| i.value)),
                ("standard_error", self.of(|i| i.error_estimate)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let mut arrays = self.sampled().arrays();
        arrays.push(Array::list("estimates", &self.estimates));
        arrays
    }
}

/// The quantity, with the matrix where there is room for it.
fn value_axis(of: Quantity, results: &[Saved<Estimate>]) -> Axis {
    let whole = labelled(of.short(), results);
    let fits = whole.chars().count() <= LONGEST;
    Axis::linear(if fits { whole } else { of.short().to_string() })
}

fn running(of: Quantity, results: &[Saved<Estimate>]) -> Lines {
    let mut panel = Lines::new("", Axis::log("products"), value_axis(of, results));
    for (place, saved) in results.iter().enumerate() {
        let result = &saved.result;
        let side = |sign: f64| result.of(|i| i.value + sign * 2.0 * i.error_estimate);
        let x = result.of(|i| i.products as f64);
        let values = result.of(|i| i.value);
        let name = series_name(results, saved, "");
        let curve = Series::new(name, x.clone(), values.clone()).banded(side(-1.0), side(1.0));
        let dots = Series::new("", x, values).marked(Mark::Dots);
        panel = panel.with(curve.coloured(place)).with(dots.coloured(place));
    }
    panel
}

fn errors(results: &[Saved<Estimate>]) -> Lines {
    let y = Axis::log("two standard errors (% of the value)");
    let mut panel = Lines::new("", Axis::log("products"), y);
    let mut targets: Vec<f64> = vec![];
    for (place, saved) in results.iter().enumerate() {
        let result = &saved.result;
        let shares = result.of(|i| {
            let share = 2.0 * i.error_estimate / i.value.abs();
            if share > EXACT { 100.0 * share } else { f64::NAN }
        });
        let x = result.of(|i| i.products as f64);
        let curve = Series::new(series_name(results, saved, ""), x.clone(), shares.clone());
        let dots = Series::new("", x, shares).marked(Mark::Dots);
        panel = panel.with(curve.coloured(place)).with(dots.coloured(place));
        targets.extend(result.target.filter(|target| !targets.contains(target)));
    }
    for target in targets {
        panel = panel
            .with_reference(Reference::level(100.0 * target, format!("asked for: {} %", 100.0 * target)));
    }
    panel
}

fn one_by_one(of: Quantity, results: &[Saved<Estimate>]) -> Lines {
    let mut panel = Lines::new("", Axis::counts("random vector"), value_axis(of, results));
    for (place, saved) in results.iter().enumerate() {
        let Estimate { value, error_estimate, estimates, .. } = &saved.result;
        let count = estimates.len();
        let level = |value: f64| vec![value; 2];
        let ends = vec![0.5, count as f64 + 0.5];
        let (low, high) = (value - 2.0 * error_estimate, value + 2.0 * error_estimate);
        // A single vector is the estimate.
        let alone = results.len() == 1 && count == 1;
        let name = if alone { String::new() } else { series_name(results, saved, "estimate") };
        let mean = Series::new(name, ends, level(*value)).banded(level(low), level(high));
        let each = if results.len() == 1 && !alone { "from each random vector" } else { "" };
        let dots = Series::new(each, ranks(count), estimates.clone()).marked(Mark::Dots);
        panel = panel.with(mean.coloured(place)).with(dots.coloured(place));
    }
    panel
}
